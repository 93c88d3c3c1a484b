// Sessions: begun, found by their secret, noted as in use, ended.
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/accounts_part.h"
#include "core/glass.h"

enum { SESSION_ID_DIGITS = 16, AGENT_BYTES_MAX = 200, SESSIONS_LISTED_MAX = 1000, SESSIONS_READ_MAX = 20000, LIST_BYTES_MAX = 64 << 20 };

static bool digest_hex(struct str secret, uint8_t digest[DIGEST_BYTES], struct hex *h) {
    if (secret.n != ACCOUNT_SECRET_HEX || !digest_of(secret.p, secret.n, digest, NULL)) return false;
    *h = accounts_hex(digest);
    return true;
}

bool session_make(struct accounts *a, struct db *w, const struct session_row *row, char secret[ACCOUNT_SECRET_HEX + 1], struct err *e) {
    uint8_t digest[DIGEST_BYTES];
    int64_t now = clock_wall_ms();
    if (!accounts_secret(secret, digest, e)) return false;
    const struct hex h = accounts_hex(digest);
    return sql_run(w, "DELETE FROM user_sessions WHERE until_ms <= ?1 OR seen_ms <= ?2", SQL_VALUES(SQL_I(now), SQL_I(now - a->idle_ms)), e) &&
           sql_run(w,
                   "INSERT INTO user_sessions (digest, user_id, token_id, begun_ms, seen_ms, until_ms, address, agent, sid, id_token) VALUES (?1, ?2, ?3, ?4, "
                   "?4, ?5, ?6, ?7, ?8, ?9)",
                   SQL_VALUES(SQL_T(str_of(h.text)), SQL_I(row->user), SQL_I(row->token), SQL_I(now), SQL_I(now + a->absolute_ms), SQL_T(row->address),
                              SQL_T(str_sub(row->agent, 0, AGENT_BYTES_MAX)), SQL_T(row->sid), SQL_T(row->id_token)),
                   e);
}

// ---- finding ----

struct row {
    int64_t user, token, seen_ms, until_ms;
    bool must_change;
    struct str name, display, issuer, id_token;
};

static bool take_row(struct db_stmt *s, struct arena *arena, struct row *r, struct err *e) {
    *r = (struct row){.user = db_int(s, 0), .token = db_int(s, 1), .seen_ms = db_int(s, 2), .until_ms = db_int(s, 3), .must_change = db_int(s, 4) != 0};
    return arena_dup(arena, db_text(s, 5), &r->name, e) && arena_dup(arena, db_text(s, 6), &r->display, e) && arena_dup(arena, db_text(s, 7), &r->issuer, e) &&
           arena_dup(arena, db_text(s, 8), &r->id_token, e);
}

// Its row while it and its user count.
static bool read_row(struct accounts *a, struct db *d, struct arena *arena, const struct hex *h, struct row *r, bool *there, struct err *e) {
    struct db_stmt *s = db_prepare(d,
                                   "SELECT s.user_id, s.token_id, s.seen_ms, s.until_ms, u.must_change, u.name, u.display, u.issuer, s.id_token FROM "
                                   "user_sessions s LEFT JOIN users u ON u.id = s.user_id WHERE s.digest = ?1 AND s.until_ms > ?2 AND s.seen_ms > ?3 AND "
                                   "(u.state = 'on' OR s.token_id <> 0)",
                                   e);
    int64_t now = clock_wall_ms();
    if (!s) return false;
    db_bind_text(s, 1, str_of(h->text));
    db_bind_int(s, 2, now);
    db_bind_int(s, 3, now - a->idle_ms);
    enum db_step step = db_next(s, e);
    *there = step == DB_ROW;
    bool ok = step != DB_FAIL && (!*there || take_row(s, arena, r, e));
    db_done(s);
    return ok;
}

static bool user_principal(struct db *d, struct arena *arena, const struct row *r, const struct principal **out, struct err *e) {
    struct principal *p = arena_zero(arena, 1, sizeof *p, e);
    if (!p) return false;
    *p = (struct principal){.kind = PRINCIPAL_USER, .id = r->user, .name = r->name, .display = r->display};
    *out = p;
    // With a password that is not its own yet it may do nothing but change it.
    if (!r->must_change && !grants_load(d, arena, (struct grant_holder){"user", r->user}, &p->grants, &p->grant_count, e)) return false;
    if (!r->must_change && !glass_reason(d, arena, r->user, &p->glass, e)) return false;
    p->home = accounts_home(p->grants, p->grant_count);
    return true;
}

static bool load(struct accounts *a, struct db *d, struct arena *arena, const struct hex *h, struct account_session *out, int64_t *seen_ms, struct err *e) {
    struct row r;
    bool there;
    if (!read_row(a, d, arena, h, &r, &there, e)) return false;
    if (!there) return true;
    *out = (struct account_session){.must_change = r.must_change, .until_ms = r.until_ms, .issuer = r.issuer, .id_token_hint = r.id_token};
    *seen_ms = r.seen_ms;
    if (r.token) return accounts_token_principal(a, d, arena, "id", (struct str){0}, r.token, &out->principal, e);
    return user_principal(d, arena, &r, &out->principal, e);
}

// The index learns now and then that it is in use; that it could not be told ends nobody's session.
static void note_seen(struct accounts *a, const char *sql, const struct hex *h) {
    struct err e = {0};
    struct db *d = db_side(a->ar->db, &e);
    if (!d || !sql_run(d, sql, SQL_VALUES(SQL_T(str_of(h->text)), SQL_I(clock_wall_ms())), &e)) log_err(&e, "the last use of a session");
    db_return(a->ar->db, d);
}

bool account_by_session(struct accounts *a, struct arena *arena, struct str secret, struct account_session *out, struct err *e) {
    static const char SEEN[] = "UPDATE user_sessions SET seen_ms = ?2 WHERE digest = ?1 AND seen_ms < ?2";
    uint8_t digest[DIGEST_BYTES];
    struct hex h;
    bool note;
    int64_t seen_ms = 0;
    *out = (struct account_session){0};
    if (!digest_hex(secret, digest, &h)) return true;
    if (known_get(a, KNOWN_SESSION, digest, arena, out, &note, NULL)) {
        if (note) note_seen(a, SEEN, &h);
        return true;
    }
    uint64_t epoch = known_epoch(a);
    struct db *d = db_reader(a->ar->db, e);
    bool ok = d && load(a, d, arena, &h, out, &seen_ms, e);
    db_return(a->ar->db, d);
    if (!ok || !out->principal) return ok;
    known_put(a, KNOWN_SESSION, digest, epoch, seen_ms, out);
    if (known_get(a, KNOWN_SESSION, digest, arena, out, &note, NULL) && note) note_seen(a, SEEN, &h);
    return true;
}

bool account_by_token(struct accounts *a, struct arena *arena, struct str token, const struct principal **out, struct err *e) {
    uint8_t digest[DIGEST_BYTES];
    struct hex h;
    struct account_session found = {0};
    bool note;
    *out = NULL;
    if (!digest_hex(token, digest, &h)) return true;
    if (!known_get(a, KNOWN_TOKEN, digest, arena, &found, &note, NULL)) {
        uint64_t epoch = known_epoch(a);
        struct db *d = db_reader(a->ar->db, e);
        bool ok = d && accounts_token_principal(a, d, arena, "digest", str_of(h.text), 0, &found.principal, e);
        db_return(a->ar->db, d);
        if (!ok || !found.principal) return ok;
        known_put(a, KNOWN_TOKEN, digest, epoch, clock_wall_ms(), &found);
        note = true;
    }
    if (note) note_seen(a, "UPDATE tokens SET seen_ms = ?2 WHERE digest = ?1 AND seen_ms + 60000 < ?2", &h);
    *out = found.principal;
    return true;
}

bool account_is_on(struct accounts *a, const struct principal *p, bool *on, struct err *e) {
    int64_t one;
    *on = true;
    if (p->kind != PRINCIPAL_USER) return true;
    struct db *d = db_reader(a->ar->db, e);
    bool ok = d && sql_one(d, "SELECT 1 FROM users WHERE id = ?1 AND state = 'on'", SQL_VALUES(SQL_I(p->id)), &one, 1, on, e);
    db_return(a->ar->db, d);
    return ok;
}

// ---- ending ----

bool sessions_end_of(struct db *w, int64_t user, struct str but_digest, struct err *e) {
    return sql_run(w, "DELETE FROM user_sessions WHERE user_id = ?1 AND digest <> ?2", SQL_VALUES(SQL_I(user), SQL_T(but_digest)), e);
}

bool account_session_end(struct accounts *a, struct str secret, struct err *e) {
    uint8_t digest[DIGEST_BYTES];
    struct hex h;
    struct arena arena;
    struct account_session s = {0};
    if (!digest_hex(secret, digest, &h)) return true;
    arena_init(&arena, SCRATCH_BYTES_MAX);
    bool ok = account_by_session(a, &arena, secret, &s, e);
    if (ok && s.principal) {
        const struct actor who = {.door = DOOR_PAGE, .user = s.principal->name, .principal = s.principal};
        struct db *w = accounts_begin(a, e);
        ok = w && sql_run(w, "DELETE FROM user_sessions WHERE digest = ?1", SQL_VALUES(SQL_T(str_of(h.text))), e) &&
             accounts_tell(a, w, &who, "session.ended", (struct str){0}, e);
        if (w) ok = accounts_end(a, w, ok, e);
    }
    arena_deinit(&arena);
    return ok;
}

static bool end_some(struct accounts *a, struct db *w, struct arena *arena, const struct actor *who, struct str name, struct str id, struct str but,
                     struct err *e) {
    struct hex h = {""};
    uint8_t digest[DIGEST_BYTES];
    int64_t user;
    if (!accounts_user_id(w, name, &user, e)) return false;
    bool own = who->principal && who->principal->kind == PRINCIPAL_USER && who->principal->id == user;
    if (!own && !accounts_user_of(w, who, ACCESS_USER_WRITE, name, &user, e)) return false;
    if (!own && !accounts_above(w, arena, who, (struct grant_holder){"user", user}, false, e)) return false;
    if (but.n) digest_hex(but, digest, &h);
    if (id.n && !sql_run(w, "DELETE FROM user_sessions WHERE user_id = ?1 AND substr(digest, 1, 16) = ?2", SQL_VALUES(SQL_I(user), SQL_T(id)), e)) return false;
    if (id.n && db_changes(w) == 0) return err_set(e, ERR_NOT_FOUND, "accounts", "there is no such session of '%.*s'", STR_FMT(name));
    if (!id.n && !sessions_end_of(w, user, str_of(h.text), e)) return false;
    char more[ACCOUNT_NAME_BYTES + 32];
    int n = snprintf(more, sizeof more, "\"name\":\"%.*s\",\"all\":%s", STR_FMT(name), id.n ? "false" : "true");
    return accounts_tell(a, w, who, "session.ended", (struct str){more, (size_t)n}, e);
}

bool account_sessions_end(struct accounts *a, const struct actor *who, struct str name, struct str id, struct str but, struct err *e) {
    struct arena arena;
    struct str folded;
    arena_init(&arena, SCRATCH_BYTES_MAX);
    bool ok = account_name_fold(&arena, name, &folded, e);
    struct db *w = ok ? accounts_begin(a, e) : NULL;
    ok = w && end_some(a, w, &arena, who, folded, id, but, e);
    if (w) ok = accounts_end(a, w, ok, e);
    arena_deinit(&arena);
    return ok;
}

// ---- listing ----

struct listed {
    int64_t user_id, begun_ms, seen_ms, until_ms;
    struct str digest, user, address, agent;
};

static bool take_listed(struct db_stmt *s, struct arena *arena, struct listed *l, struct err *e) {
    *l = (struct listed){.begun_ms = db_int(s, 2), .seen_ms = db_int(s, 3), .until_ms = db_int(s, 4), .user_id = db_int(s, 7)};
    return arena_dup(arena, db_text(s, 0), &l->digest, e) && arena_dup(arena, db_text(s, 1), &l->user, e) && arena_dup(arena, db_text(s, 5), &l->address, e) &&
           arena_dup(arena, db_text(s, 6), &l->agent, e);
}

static bool read_listed(struct accounts *a, struct db *d, struct arena *arena, struct str name, struct listed *out, unsigned *count, struct err *e) {
    struct db_stmt *s = db_prepare(d,
                                   "SELECT s.digest, u.name, s.begun_ms, s.seen_ms, s.until_ms, s.address, s.agent, s.user_id FROM user_sessions s JOIN users "
                                   "u ON u.id = s.user_id WHERE (?1 = '' OR u.name = ?1) AND s.until_ms > ?2 AND s.seen_ms > ?3 ORDER BY s.seen_ms DESC, "
                                   "s.digest",
                                   e);
    int64_t now = clock_wall_ms();
    enum db_step step = DB_END;
    bool ok = s;
    if (!s) return false;
    db_bind_text(s, 1, name.n ? name : STR_LIT(""));
    db_bind_int(s, 2, now);
    db_bind_int(s, 3, now - a->idle_ms);
    while (ok && *count < SESSIONS_READ_MAX && (step = db_next(s, e)) == DB_ROW) ok = take_listed(s, arena, &out[(*count)++], e);
    db_done(s);
    return ok && step != DB_FAIL;
}

static void put_session(struct json_writer *j, const struct listed *l, const char *own) {
    json_begin_object(j);
    json_put_str(j, "id", str_sub(l->digest, 0, SESSION_ID_DIGITS));
    json_put_str(j, "user", l->user);
    json_put_int(j, "begun_ms", l->begun_ms);
    json_put_int(j, "seen_ms", l->seen_ms);
    json_put_int(j, "until_ms", l->until_ms);
    json_put_str(j, "address", l->address);
    json_put_str(j, "agent", l->agent);
    json_put_bool(j, "this", str_eqz(l->digest, own));
    json_end_object(j);
}

static bool list(struct accounts *a, struct db *d, const struct actor *who, struct str name, const char *own, struct json_writer *to, struct err *e) {
    struct arena arena;
    unsigned count = 0, put = 0;
    arena_init(&arena, LIST_BYTES_MAX);
    struct listed *all = arena_zero(&arena, SESSIONS_READ_MAX, sizeof *all, e);
    bool ok = all && read_listed(a, d, &arena, name, all, &count, e);
    json_begin_array(to);
    for (unsigned i = 0; ok && i < count && put < SESSIONS_LISTED_MAX; i++) {
        bool in = true;
        ok = !who || charge_account(d, who, ACCESS_USER_READ, (struct grant_holder){"user", all[i].user_id}, &in, e);
        if (ok && in) put_session(to, &all[i], own), put++;
    }
    json_end_array(to);
    arena_deinit(&arena);
    return ok;
}

bool account_sessions_json(struct accounts *a, const struct actor *who, struct str name, struct str own_secret, struct json_writer *to, struct err *e) {
    uint8_t digest[DIGEST_BYTES];
    struct hex h = {""};
    if (own_secret.n) digest_hex(own_secret, digest, &h);
    struct db *d = db_reader(a->ar->db, e);
    bool ok = d && list(a, d, who, name, h.text, to, e);
    db_return(a->ar->db, d);
    return ok;
}
