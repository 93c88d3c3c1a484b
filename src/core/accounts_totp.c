// The second factor: codes by time, each of which counts once, and recovery codes for a lost telephone.
#include <stdio.h>

#include "base/clock.h"
#include "core/accounts_part.h"
#include "sys/otp.h"
#include "sys/secret.h"
#include "text/base32.h"

enum { RECOVERY_RANDOM = 10 }; // bytes: sixteen digits

bool account_totp_begin(char secret[TOTP_SECRET_TEXT], struct err *e) {
    uint8_t random[OTP_SECRET_BYTES];
    if (!random_bytes(random, sizeof random, e)) return false;
    base32_encode(random, sizeof random, secret);
    return true;
}

// Whether code is of a step around now and after the last one that counted.
static bool matches(struct str secret, struct str code, int64_t last, int64_t *step, struct err *e) {
    uint8_t key[64];
    size_t n;
    char one[OTP_TEXT];
    int64_t now = clock_wall_ms() / 1000 / OTP_STEP_S;
    *step = 0;
    if (!base32_decode(secret, key, sizeof key, &n) || n == 0) return err_set(e, ERR_CORRUPT, "accounts", "the kept secret of the second factor is none");
    for (int64_t at = now - OTP_SKEW_STEPS; at <= now + OTP_SKEW_STEPS; at++) {
        if (!otp_code(key, n, at, OTP_DIGITS, one, e)) return false;
        bool same = code.n == OTP_DIGITS && secret_equal(code.p, one, OTP_DIGITS);
        if (same && at > last) *step = at;
    }
    explicit_bzero(key, sizeof key);
    return true;
}

// Spaces and hyphens are for people.
static struct str without_blanks(struct str code, char *room, size_t room_n) {
    size_t n = 0;
    for (size_t i = 0; i < code.n && n < room_n; i++)
        if (code.p[i] != ' ' && code.p[i] != '-') room[n++] = code.p[i] >= 'a' && code.p[i] <= 'z' ? (char)(code.p[i] - 'a' + 'A') : code.p[i];
    return (struct str){room, n};
}

struct factor {
    struct str secret, recovery;
    int64_t step;
};

static bool read_factor(struct db *d, struct arena *arena, int64_t user, struct factor *f, bool *there, struct err *e) {
    struct db_stmt *s = db_prepare(d, "SELECT totp, recovery, totp_step FROM users WHERE id = ?1", e);
    if (!s) return false;
    db_bind_int(s, 1, user);
    enum db_step step = db_next(s, e);
    *there = step == DB_ROW;
    bool ok = step != DB_FAIL;
    if (*there) {
        f->step = db_int(s, 2);
        ok = arena_dup(arena, db_text(s, 0), &f->secret, e) && arena_dup(arena, db_text(s, 1), &f->recovery, e);
    }
    db_done(s);
    return ok;
}

// Takes a recovery code out of the list: what is left, in json. false when it is not in it.
static bool strike(struct arena *arena, struct str list, struct str code, struct buf *json) {
    uint8_t digest[DIGEST_BYTES];
    struct json_writer j;
    bool struck = false;
    if (code.n != BASE32_DIGITS(RECOVERY_RANDOM) || !digest_of(code.p, code.n, digest, NULL)) return false;
    const struct hex h = accounts_hex(digest);
    const struct json *all = json_read(arena, list, 0, NULL);
    json_init(&j, json, false);
    json_begin_array(&j);
    for (const struct json *one = all ? all->first : NULL; one; one = one->next) {
        struct str text = json_text(one);
        bool same = text.n == DIGEST_HEX && secret_equal(text.p, h.text, DIGEST_HEX);
        struck |= same;
        if (!same) json_str(&j, text);
    }
    json_end_array(&j);
    return struck && buf_ok(json, NULL);
}

// The row changes only from what was read: of two who bring the same code one comes too late.
static bool take_step(struct db *w, int64_t user, const struct factor *f, int64_t step, bool *good, struct err *e) {
    if (!sql_run(w, "UPDATE users SET totp_step = ?2 WHERE id = ?1 AND totp_step = ?3", SQL_VALUES(SQL_I(user), SQL_I(step), SQL_I(f->step)), e)) return false;
    *good = db_changes(w) > 0;
    return true;
}

static bool take_recovery(struct db *w, struct arena *arena, int64_t user, const struct factor *f, struct str code, bool *good, struct err *e) {
    struct buf left;
    bool ok = true;
    buf_init(&left, EVENT_DETAIL_MAX);
    if (strike(arena, f->recovery, code, &left)) {
        ok =
            sql_run(w, "UPDATE users SET recovery = ?2 WHERE id = ?1 AND recovery = ?3", SQL_VALUES(SQL_I(user), SQL_T(buf_str(&left)), SQL_T(f->recovery)), e);
        *good = ok && db_changes(w) > 0;
    }
    buf_deinit(&left);
    return ok;
}

static bool take(struct db *w, struct arena *arena, int64_t user, struct str code, bool *good, struct err *e) {
    struct factor f = {0};
    char room[32];
    bool there;
    int64_t step;
    struct str plain = without_blanks(code, room, sizeof room);
    if (!read_factor(w, arena, user, &f, &there, e)) return false;
    if (!there) return true;
    if (!matches(f.secret, plain, f.step, &step, e)) return false;
    return step ? take_step(w, user, &f, step, good, e) : take_recovery(w, arena, user, &f, plain, good, e);
}

bool totp_take(struct accounts *a, int64_t user, struct str code, bool *good, struct err *e) {
    struct arena arena;
    *good = false;
    arena_init(&arena, SCRATCH_BYTES_MAX);
    struct db *w = db_side(a->ar->db, e);
    bool ok = w && db_begin(w, e) && take(w, &arena, user, code, good, e) && db_commit(w, e);
    if (w && !ok) db_rollback(w);
    db_return(a->ar->db, w);
    arena_deinit(&arena);
    return ok;
}

// ---- setting it up ----

static bool make_recovery(char codes[RECOVERY_CODES][RECOVERY_TEXT], struct buf *json, struct err *e) {
    struct json_writer j;
    json_init(&j, json, false);
    json_begin_array(&j);
    for (int i = 0; i < RECOVERY_CODES; i++) {
        uint8_t random[RECOVERY_RANDOM], digest[DIGEST_BYTES];
        char digits[BASE32_DIGITS(RECOVERY_RANDOM) + 1];
        if (!random_bytes(random, sizeof random, e)) return false;
        base32_encode(random, sizeof random, digits);
        if (!digest_of(digits, sizeof digits - 1, digest, e)) return false;
        snprintf(codes[i], RECOVERY_TEXT, "%.4s-%.4s-%.4s-%.4s", digits, digits + 4, digits + 8, digits + 12);
        json_strz(&j, accounts_hex(digest).text);
    }
    json_end_array(&j);
    return buf_ok(json, e);
}

static bool confirm(struct accounts *a, const struct actor *who, struct str secret, int64_t step, struct str recovery, struct err *e) {
    struct db *w = accounts_begin(a, e);
    bool ok = w && sql_run(w, "UPDATE users SET totp = ?2, totp_step = ?3, recovery = ?4 WHERE id = ?1 AND totp = ''",
                           SQL_VALUES(SQL_I(who->principal->id), SQL_T(secret), SQL_I(step), SQL_T(recovery)), e);
    if (ok && db_changes(w) == 0) ok = err_set(e, ERR_CONFLICT, "accounts", "a second factor is set up already: switch it off first");
    ok = ok && accounts_tell(a, w, who, "user.changed", STR_LIT("\"second_factor\":\"on\""), e);
    if (w) ok = accounts_end(a, w, ok, e);
    return ok;
}

bool account_totp_confirm(struct accounts *a, const struct actor *who, struct str secret, struct str code, char recovery[RECOVERY_CODES][RECOVERY_TEXT],
                          struct err *e) {
    char room[32];
    int64_t step;
    struct buf json;
    uint8_t key[64];
    size_t n;
    if (!who->principal || who->principal->kind != PRINCIPAL_USER)
        return err_set(e, ERR_FORBIDDEN, "accounts", "only a user who signed in has a second factor");
    if (!base32_decode(secret, key, sizeof key, &n) || n < OTP_SECRET_BYTES) return err_set(e, ERR_USAGE, "accounts", "this is no secret of a second factor");
    if (!matches(secret, without_blanks(code, room, sizeof room), 0, &step, e)) return false;
    if (!step) return err_set(e, ERR_USAGE, "accounts", "this code is not the one of this moment: is the telephone's clock right?");
    buf_init(&json, EVENT_DETAIL_MAX);
    bool ok = make_recovery(recovery, &json, e) && confirm(a, who, secret, step, buf_str(&json), e);
    buf_deinit(&json);
    return ok;
}
