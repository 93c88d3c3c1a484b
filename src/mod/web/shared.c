// Token and sessions in the index.
#include "mod/web/shared.h"

#include "db/db.h"

#define TOKEN "admin-token-sha256"

bool shared_is(struct archive *ar) {
    return db_pool_engine(archive_db(ar)) == DB_POSTGRES;
}

struct hex {
    char text[DIGEST_HEX + 1];
};

static struct hex hex_of(const uint8_t digest[DIGEST_BYTES]) {
    struct hex h;
    hex_encode(digest, DIGEST_BYTES, h.text);
    h.text[DIGEST_HEX] = '\0';
    return h;
}

// A statement with a text, and a number or another text (none of them when neither is given); *changed (may be NULL) rows.
static bool change(struct archive *ar, const char *sql, const char *text, const char *second, int64_t number, int64_t *changed, struct err *e) {
    struct db *d = db_side(archive_db(ar), e);
    struct db_stmt *s = d ? db_prepare(d, sql, e) : NULL;
    bool ok = s;
    if (ok) {
        db_bind_text(s, 1, str_of(text));
        if (second)
            db_bind_text(s, 2, str_of(second));
        else if (number)
            db_bind_int(s, 2, number);
        ok = db_next(s, e) == DB_END;
    }
    db_done(s);
    if (ok && changed) *changed = db_changes(d);
    db_return(archive_db(ar), d);
    return ok;
}

bool shared_token_read(struct archive *ar, uint8_t digest[DIGEST_BYTES], bool *there, struct err *e) {
    struct db *d = db_side(archive_db(ar), e);
    struct db_stmt *s = d ? db_prepare(d, "SELECT value FROM settings WHERE name = ?1", e) : NULL;
    enum db_step step = DB_FAIL;
    bool fits = true;
    if (s) {
        db_bind_text(s, 1, STR_LIT(TOKEN));
        step = db_next(s, e);
        struct str value = step == DB_ROW ? db_text(s, 0) : (struct str){0};
        fits = step != DB_ROW || (value.n == DIGEST_HEX && hex_decode(value.p, DIGEST_BYTES, digest));
    }
    *there = step == DB_ROW;
    db_done(s);
    db_return(archive_db(ar), d);
    if (step == DB_FAIL) return false;
    return fits || err_set(e, ERR_CORRUPT, "web", "the index does not hold a digest of the token; make a new one with 'gantry cluster token'");
}

bool shared_token_once(struct archive *ar, uint8_t digest[DIGEST_BYTES], bool *kept, struct err *e) {
    int64_t changed = 0;
    bool there;
    const struct hex h = hex_of(digest);
    if (!change(ar, "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING", TOKEN, h.text, 0, &changed, e)) return false;
    *kept = changed > 0;
    return *kept || shared_token_read(ar, digest, &there, e);
}

bool shared_token_replace(struct archive *ar, const uint8_t digest[DIGEST_BYTES], struct err *e) {
    const struct hex h = hex_of(digest);
    return change(ar, "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value", TOKEN, h.text, 0, NULL, e);
}

bool shared_session_add(struct archive *ar, const uint8_t digest[DIGEST_BYTES], int64_t for_ms, struct err *e) {
    const struct hex h = hex_of(digest);
    // those that are over go with the first statement
    return change(ar, "DELETE FROM sessions WHERE digest = ?1 OR until_ms <= {now}", h.text, NULL, 0, NULL, e) &&
           change(ar, "INSERT INTO sessions (digest, until_ms) VALUES (?1, {now} + ?2)", h.text, NULL, for_ms, NULL, e);
}

bool shared_session_left(struct archive *ar, const uint8_t digest[DIGEST_BYTES], int64_t *left_ms, struct err *e) {
    const struct hex h = hex_of(digest);
    struct db *d = db_side(archive_db(ar), e);
    struct db_stmt *s = d ? db_prepare(d, "SELECT until_ms - {now} FROM sessions WHERE digest = ?1", e) : NULL;
    enum db_step step = DB_FAIL;
    if (s) {
        db_bind_text(s, 1, str_of(h.text));
        step = db_next(s, e);
    }
    *left_ms = step == DB_ROW ? db_int(s, 0) : 0;
    if (*left_ms < 0) *left_ms = 0;
    db_done(s);
    db_return(archive_db(ar), d);
    return step != DB_FAIL;
}

bool shared_session_end(struct archive *ar, const uint8_t digest[DIGEST_BYTES], struct err *e) {
    const struct hex h = hex_of(digest);
    return change(ar, "DELETE FROM sessions WHERE digest = ?1", h.text, NULL, 0, NULL, e);
}
