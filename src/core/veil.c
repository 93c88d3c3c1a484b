// A Feistel network over 64 bits with SHA-256 as its round function (Luby and Rackoff 1988: four rounds and more), keyed by a row of settings.
#include "core/veil.h"

#include <string.h>

#include "db/db.h"
#include "sys/digest.h"
#include "sys/secret.h"

#define SETTING "veil"

enum { ROUNDS = 8, HALF_BITS = 32 };

// ---- the secret ----

static bool read_secret(struct archive *ar, struct veil *out, bool *there, struct err *e) {
    struct db *d = db_side(archive_db(ar), e);
    struct db_stmt *s = d ? db_prepare(d, "SELECT value FROM settings WHERE name = '" SETTING "'", e) : NULL;
    enum db_step step = s ? db_next(s, e) : DB_FAIL;
    struct str hex = step == DB_ROW ? db_text(s, 0) : (struct str){0};
    bool whole = hex.n == 2 * VEIL_KEY_BYTES && hex_decode(hex.p, VEIL_KEY_BYTES, out->key);
    *there = step == DB_ROW;
    db_done(s);
    db_return(archive_db(ar), d);
    return step != DB_FAIL && (whole || !*there || err_set(e, ERR_CORRUPT, "index", "the setting '" SETTING "' is no secret"));
}

static bool make_secret(struct archive *ar, struct err *e) {
    uint8_t bytes[VEIL_KEY_BYTES];
    char hex[2 * VEIL_KEY_BYTES];
    if (!random_bytes(bytes, sizeof bytes, e)) return false;
    hex_encode(bytes, sizeof bytes, hex);
    struct db *d = db_side(archive_db(ar), e);
    struct db_stmt *s = d ? db_prepare(d, "INSERT INTO settings (name, value) VALUES ('" SETTING "', ?1) ON CONFLICT (name) DO NOTHING", e) : NULL;
    if (s) db_bind_text(s, 1, (struct str){hex, sizeof hex});
    bool ok = s && db_next(s, e) == DB_END;
    db_done(s);
    db_return(archive_db(ar), d);
    return ok;
}

bool veil_open(struct archive *ar, struct veil *out, struct err *e) {
    bool there;
    if (!read_secret(ar, out, &there, e)) return false;
    if (there) return true;
    if (!make_secret(ar, e) || !read_secret(ar, out, &there, e)) return false;
    return there || err_set(e, ERR_INTERNAL, "index", "a secret that was kept is not there");
}

// ---- the network ----

static bool round_of(const struct veil *v, unsigned round, uint32_t half, uint32_t *out, struct err *e) {
    uint8_t in[VEIL_KEY_BYTES + sizeof round + sizeof half], digest[DIGEST_BYTES];
    memcpy(in, v->key, sizeof v->key);
    memcpy(in + VEIL_KEY_BYTES, &round, sizeof round);
    memcpy(in + VEIL_KEY_BYTES + sizeof round, &half, sizeof half);
    if (!digest_of(in, sizeof in, digest, e)) return false;
    memcpy(out, digest, sizeof *out);
    return true;
}

static bool pass(const struct veil *v, uint64_t *n, bool back, struct err *e) {
    uint32_t left = (uint32_t)(*n >> HALF_BITS), right = (uint32_t)*n, mixed;
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (!round_of(v, back ? ROUNDS - 1 - i : i, back ? left : right, &mixed, e)) return false;
        uint32_t next = back ? right ^ mixed : left ^ mixed;
        if (back)
            right = left, left = next;
        else
            left = right, right = next;
    }
    *n = (uint64_t)left << HALF_BITS | right;
    return true;
}

bool veil_put(const struct veil *v, int64_t n, char out[VEIL_BYTES], struct err *e) {
    uint64_t sealed = (uint64_t)n;
    uint8_t bytes[sizeof sealed];
    if (!pass(v, &sealed, false, e)) return false;
    for (unsigned i = 0; i < sizeof sealed; i++) bytes[i] = (uint8_t)(sealed >> (56 - 8 * i));
    hex_encode(bytes, sizeof bytes, out);
    out[VEIL_BYTES - 1] = '\0';
    return true;
}

bool veil_take(const struct veil *v, struct str text, int64_t *n, struct err *e) {
    uint8_t bytes[sizeof(uint64_t)];
    uint64_t sealed = 0;
    if (text.n != VEIL_BYTES - 1 || !hex_decode(text.p, sizeof bytes, bytes))
        return err_set(e, ERR_BAD_INPUT, "web", "'%.*s' is no place in the list", STR_FMT(str_sub(text, 0, 32)));
    for (unsigned i = 0; i < sizeof sealed; i++) sealed = sealed << 8 | bytes[i];
    if (!pass(v, &sealed, true, e)) return false;
    *n = (int64_t)sealed;
    return true;
}
