// API tokens: made, renewed, revoked, and the principal that one stands for.
#include <stdio.h>

#include "base/clock.h"
#include "core/accounts_part.h"

// ---- who is it? ----

struct owner {
    int64_t id;
    bool on;
    const struct access_grant *grants;
    unsigned count;
};

// Each grant of a token as far as its owner has that much himself.
static void bound(struct access_grant *grants, unsigned count, const struct owner *o, int64_t now_ms) {
    const struct principal owner = {.grants = o->grants, .grant_count = o->count};
    for (unsigned i = 0; i < count; i++) {
        grants[i].permissions = grants_within(o->grants, o->count, grants[i].permissions, &grants[i].scope, now_ms);
        grants[i].lent = !grants_cover(&owner, grants[i].permissions, &grants[i].scope, 0); // what its owner has for a while
    }
}

static bool token_grants(struct db *d, struct arena *arena, struct principal *p, const struct owner *o, struct err *e) {
    const struct access_grant *read;
    if (!grants_load(d, arena, (struct grant_holder){"token", p->id}, &read, &p->grant_count, e)) return false;
    struct access_grant *own = arena_zero(arena, p->grant_count + 1, sizeof *own, e);
    if (!own) return false;
    memcpy(own, read, p->grant_count * sizeof *own);
    if (o->id) bound(own, p->grant_count, o, clock_wall_ms());
    p->grants = own;
    p->home = accounts_home(own, p->grant_count);
    return true;
}

struct token_row {
    int64_t id, until_ms;
    struct str name;
    struct owner owner;
};

static bool read_token(struct db *d, struct arena *arena, bool by_id, struct str digest, int64_t id, struct token_row *r, bool *there, struct err *e) {
    struct db_stmt *s =
        db_prepare(d,
                   by_id ? "SELECT t.id, t.until_ms, t.owner, u.state, t.name FROM tokens t LEFT JOIN users u ON u.id = t.owner WHERE t.id = ?1 AND "
                           "t.revoked_ms = 0 AND (t.until_ms = 0 OR t.until_ms > ?2)"
                         : "SELECT t.id, t.until_ms, t.owner, u.state, t.name FROM tokens t LEFT JOIN users u ON u.id = t.owner WHERE t.digest = ?1 AND "
                           "t.revoked_ms = 0 AND (t.until_ms = 0 OR t.until_ms > ?2)",
                   e);
    if (!s) return false;
    if (by_id)
        db_bind_int(s, 1, id);
    else
        db_bind_text(s, 1, digest);
    db_bind_int(s, 2, clock_wall_ms());
    enum db_step step = db_next(s, e);
    *there = step == DB_ROW;
    bool ok = step != DB_FAIL;
    if (*there) {
        *r = (struct token_row){db_int(s, 0), db_int(s, 1), {NULL, 0}, {.id = db_int(s, 2), .on = db_int(s, 2) == 0 || str_eqz(db_text(s, 3), "on")}};
        ok = arena_dup(arena, db_text(s, 4), &r->name, e);
    }
    db_done(s);
    return ok;
}

bool accounts_token_principal(struct accounts *a, struct db *d, struct arena *arena, const char *where, struct str value, int64_t row,
                              const struct principal **out, struct err *e) {
    struct token_row r = {0};
    bool there;
    (void)a;
    *out = NULL;
    if (!read_token(d, arena, where[0] == 'i', value, row, &r, &there, e)) return false;
    if (!there || !r.owner.on) return true;
    if (r.owner.id && !grants_load(d, arena, (struct grant_holder){"user", r.owner.id}, &r.owner.grants, &r.owner.count, e)) return false;
    struct principal *p = arena_zero(arena, 1, sizeof *p, e);
    char *name = p ? arena_printf(arena, e, "token:%.*s", STR_FMT(r.name)) : NULL;
    if (!name) return false;
    *p = (struct principal){.kind = PRINCIPAL_TOKEN, .id = r.id, .name = str_of(name), .display = r.name};
    *out = p;
    return token_grants(d, arena, p, &r.owner, e);
}

bool account_token_session(struct accounts *a, struct str token, struct str address, struct str agent, char secret[ACCOUNT_SECRET_HEX + 1], struct err *e) {
    const struct principal *p;
    struct arena arena;
    arena_init(&arena, SCRATCH_BYTES_MAX);
    bool ok = account_by_token(a, &arena, token, &p, e);
    const struct actor who = {.door = DOOR_PAGE, .address = address, .user = ok && p ? p->name : (struct str){0}};
    if (ok && !p) {
        ok = accounts_note(a, &who, "session.refused", "token", e) && err_set(e, ERR_UNAUTHORIZED, "accounts", "this token is nobody's, or it is over");
    } else if (ok) {
        const struct session_row row = {.token = p->id, .address = address, .agent = agent};
        struct db *w = accounts_begin(a, e);
        ok = w && session_make(a, w, &row, secret, e) && accounts_tell(a, w, &who, "session.begun", (struct str){0}, e);
        if (w) ok = accounts_end(a, w, ok, e);
    }
    arena_deinit(&arena);
    return ok;
}

// ---- changing ----

static bool no_token(struct str name, struct err *e) {
    return err_set(e, ERR_NOT_FOUND, "accounts", "there is no token '%.*s'", STR_FMT(name));
}

static bool find_token(struct db *d, struct str name, int64_t *id, struct err *e) {
    bool there;
    return sql_one(d, "SELECT id FROM tokens WHERE name = ?1 AND revoked_ms = 0", SQL_VALUES(SQL_T(name)), id, 1, &there, e) && (there || no_token(name, e));
}

bool accounts_token_of(struct db *d, const struct actor *who, enum permission what, struct str name, int64_t *id, struct err *e) {
    bool in;
    return find_token(d, name, id, e) && charge_account(d, who, what, (struct grant_holder){"token", *id}, &in, e) && (in || no_token(name, e));
}

// A token of that name that was revoked leaves its name.
static bool insert(struct db *w, const struct actor *who, struct str name, const char *digest, int64_t owner, int64_t until_ms, int64_t *id, struct err *e) {
    int64_t one;
    bool taken;
    if (!sql_one(w, "SELECT 1 FROM tokens WHERE name = ?1 AND revoked_ms = 0", SQL_VALUES(SQL_T(name)), &one, 1, &taken, e)) return false;
    if (taken && !charge_all(who, ACCESS_TOKEN_WRITE)) return charge_not_free("token", name, e);
    if (taken) return err_set(e, ERR_CONFLICT, "accounts", "there is a token '%.*s' already: renew it, revoke it, or take another name", STR_FMT(name));
    // Its row's number may become the new one's: nothing that was opened with the old one is left.
    return sql_run(w, "DELETE FROM user_sessions WHERE token_id IN (SELECT id FROM tokens WHERE name = ?1)", SQL_VALUES(SQL_T(name)), e) &&
           sql_run(w, "DELETE FROM grants WHERE holder = 'token' AND holder_id IN (SELECT id FROM tokens WHERE name = ?1)", SQL_VALUES(SQL_T(name)), e) &&
           sql_run(w, "DELETE FROM tokens WHERE name = ?1", SQL_VALUES(SQL_T(name)), e) &&
           sql_insert(w, "INSERT INTO tokens (name, digest, owner, created_ms, until_ms) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id",
                      SQL_VALUES(SQL_T(name), SQL_T(str_of(digest)), SQL_I(owner), SQL_I(clock_wall_ms()), SQL_I(until_ms)), id, e);
}

static bool tell(struct accounts *a, struct db *w, const struct actor *who, const char *type, struct str name, struct err *e) {
    char more[ACCOUNT_NAME_BYTES + 32];
    int n = snprintf(more, sizeof more, "\"name\":\"%.*s\"", STR_FMT(name));
    return grants_changed(w, e) && accounts_tell(a, w, who, type, (struct str){more, (size_t)n}, e);
}

// Whoever signed in makes some of his own; of others only who has charge of them.
static bool owner_of(struct db *w, struct arena *arena, const struct actor *who, struct str owner, int64_t *id, struct err *e) {
    const struct principal *p = who->principal;
    struct str folded;
    *id = 0;
    if (!owner.n) return true;
    if (!account_name_fold(arena, owner, &folded, e) || !accounts_user_id(w, folded, id, e)) return false;
    return (p && p->kind == PRINCIPAL_USER && p->id == *id) || accounts_user_of(w, who, ACCESS_TOKEN_WRITE, folded, id, e);
}

static bool add(struct accounts *a, struct db *w, struct arena *arena, const struct actor *who, const struct account_token *t, const char *digest,
                struct err *e) {
    struct str name;
    struct access_scope scope;
    uint64_t permissions;
    int64_t owner, id = 0;
    if (!account_name_fold(arena, t->name, &name, e) || !owner_of(w, arena, who, t->owner, &owner, e)) return false;
    if (!grants_role(w, arena, t->role, &permissions, e) || !access_scope_parse(t->scope, &scope, e)) return false;
    // One's own stays bound by what its owner has. Any other goes on by itself, and can give for ever what it has until its end.
    const struct principal *p = who->principal;
    const bool own = owner && p && p->kind == PRINCIPAL_USER && p->id == owner;
    if (!grants_cover(access_principal(who), permissions, &scope, own ? t->until_ms : 0))
        return err_set(e, ERR_FORBIDDEN, "accounts", "you cannot give '%.*s' within '%.*s': it is more than you have yourself", STR_FMT(t->role),
                       STR_FMT(t->scope));
    return insert(w, who, name, digest, owner, t->until_ms, &id, e) &&
           grants_give(w, arena, (struct grant_holder){"token", id}, t->role, t->scope, "admin", 0, e) && tell(a, w, who, "token.added", name, e);
}

bool account_token_add(struct accounts *a, const struct actor *who, const struct account_token *t, char token[ACCOUNT_SECRET_HEX + 1], struct err *e) {
    uint8_t digest[DIGEST_BYTES];
    struct arena arena;
    if (!accounts_secret(token, digest, e)) return false;
    const struct hex h = accounts_hex(digest);
    arena_init(&arena, SCRATCH_BYTES_MAX);
    struct db *w = accounts_begin(a, e);
    bool ok = w && add(a, w, &arena, who, t, h.text, e);
    if (w) ok = accounts_end(a, w, ok, e);
    arena_deinit(&arena);
    return ok;
}

// Another's is not there.
static bool find_own(struct db *d, const struct actor *who, struct str name, int64_t *id, struct err *e) {
    int64_t owner = 0;
    bool there;
    bool user = who->principal && who->principal->kind == PRINCIPAL_USER;
    return find_token(d, name, id, e) && sql_one(d, "SELECT owner FROM tokens WHERE id = ?1", SQL_VALUES(SQL_I(*id)), &owner, 1, &there, e) &&
           ((user && owner == who->principal->id) || no_token(name, e));
}

static bool find_for_change(struct db *w, struct arena *arena, const struct actor *who, struct str name, bool lasting, int64_t *id, struct err *e) {
    return accounts_token_of(w, who, ACCESS_TOKEN_WRITE, name, id, e) && accounts_above(w, arena, who, (struct grant_holder){"token", *id}, lasting, e);
}

// own: nobody else's. Of others only what gives whoever renews it no more than he has.
static bool change(struct accounts *a, const struct actor *who, struct str name, const char *digest, bool own, struct err *e) {
    struct arena arena;
    struct str folded;
    int64_t id;
    arena_init(&arena, SCRATCH_BYTES_MAX);
    bool ok = account_name_fold(&arena, name, &folded, e);
    struct db *w = ok ? accounts_begin(a, e) : NULL;
    ok = w && (own ? find_own(w, who, folded, &id, e) : find_for_change(w, &arena, who, folded, digest != NULL, &id, e)) &&
         sql_run(w, "DELETE FROM user_sessions WHERE token_id = ?1", SQL_VALUES(SQL_I(id)), e);
    if (ok && digest) ok = sql_run(w, "UPDATE tokens SET digest = ?2 WHERE id = ?1", SQL_VALUES(SQL_I(id), SQL_T(str_of(digest))), e);
    if (ok && !digest) ok = sql_run(w, "UPDATE tokens SET revoked_ms = ?2 WHERE id = ?1", SQL_VALUES(SQL_I(id), SQL_I(clock_wall_ms())), e);
    ok = ok && tell(a, w, who, digest ? "token.renewed" : "token.revoked", folded, e);
    if (w) ok = accounts_end(a, w, ok, e);
    arena_deinit(&arena);
    return ok;
}

bool account_token_renew(struct accounts *a, const struct actor *who, struct str name, char token[ACCOUNT_SECRET_HEX + 1], struct err *e) {
    uint8_t digest[DIGEST_BYTES];
    if (!accounts_secret(token, digest, e)) return false;
    const struct hex h = accounts_hex(digest);
    return change(a, who, name, h.text, false, e);
}

bool account_token_revoke(struct accounts *a, const struct actor *who, struct str name, struct err *e) {
    return change(a, who, name, NULL, false, e);
}

bool account_token_end(struct accounts *a, const struct actor *who, struct str name, struct err *e) {
    return change(a, who, name, NULL, true, e);
}

// ---- the first one ----

// It is the first administrator's as long as there is one of that name.
static bool admin_id(struct db *w, int64_t *id, struct err *e) {
    bool there;
    *id = 0;
    return sql_one(w, "SELECT id FROM users WHERE name = 'admin'", NULL, 0, id, 1, &there, e);
}

bool account_first_token(struct accounts *a, const struct actor *who, int64_t until_ms, char token[ACCOUNT_SECRET_HEX + 1], struct err *e) {
    struct account_token t = {.name = STR_LIT(ACCOUNT_FIRST_TOKEN), .role = STR_LIT("administrator"), .scope = STR_LIT("*"), .until_ms = until_ms};
    struct err why = {0};
    int64_t owner;
    if (account_token_renew(a, who, t.name, token, &why)) return true;
    struct db *d = db_reader(a->ar->db, e);
    bool ok = d && admin_id(d, &owner, e);
    db_return(a->ar->db, d);
    if (!ok) return false;
    if (owner) t.owner = STR_LIT("admin");
    if (why.kind == ERR_NOT_FOUND) return account_token_add(a, who, &t, token, e);
    if (e) *e = why;
    return false;
}

bool accounts_take_over(struct accounts *a, struct str digest_hex, struct err *e) {
    static const struct actor WHO = {.door = DOOR_JOB, .user = {"start", 5}};
    static const struct str NAME = {ACCOUNT_FIRST_TOKEN, sizeof ACCOUNT_FIRST_TOKEN - 1};
    struct arena arena;
    int64_t id, owner;
    bool known;
    arena_init(&arena, SCRATCH_BYTES_MAX);
    struct db *w = accounts_begin(a, e);
    bool ok = w && sql_one(w, "SELECT id FROM tokens WHERE digest = ?1", SQL_VALUES(SQL_T(digest_hex)), &id, 1, &known, e);
    if (ok && !known) {
        ok = sql_run(w, "UPDATE tokens SET revoked_ms = ?2 WHERE name = ?1 AND revoked_ms = 0", SQL_VALUES(SQL_T(NAME), SQL_I(clock_wall_ms())), e);
        char *digest = ok ? arena_strz(&arena, digest_hex, e) : NULL;
        ok = digest && admin_id(w, &owner, e) && insert(w, &WHO, NAME, digest, owner, 0, &id, e) &&
             grants_give(w, &arena, (struct grant_holder){"token", id}, STR_LIT("administrator"), STR_LIT("*"), "admin", 0, e) &&
             tell(a, w, &WHO, "token.added", NAME, e);
    }
    if (w) ok = accounts_end(a, w, ok, e);
    arena_deinit(&arena);
    return ok;
}

// ---- listing ----

static bool put_grants(struct db *d, struct arena *arena, int64_t id, struct json_writer *j, struct err *e) {
    return accounts_put_grants(d, arena, (struct grant_holder){"token", id}, j, e);
}

struct listed {
    int64_t id, created_ms, until_ms, seen_ms;
    struct str name, owner;
};

enum { TOKENS_READ_MAX = 20000, TOKENS_LISTED_MAX = 2000 };

static bool read_list(struct db *d, struct arena *arena, struct str owner, struct listed *out, unsigned *count, struct err *e) {
    struct db_stmt *s = db_prepare(d,
                                   "SELECT t.id, t.created_ms, t.until_ms, t.seen_ms, t.name, u.name FROM tokens t LEFT JOIN users u ON u.id = t.owner WHERE "
                                   "t.revoked_ms = 0 AND (?1 = '' OR u.name = ?1) ORDER BY t.name LIMIT ?2",
                                   e);
    if (!s) return false;
    db_bind_text(s, 1, owner);
    db_bind_int(s, 2, TOKENS_READ_MAX);
    enum db_step step = DB_END;
    bool ok = true;
    while (ok && *count < TOKENS_READ_MAX && (step = db_next(s, e)) == DB_ROW) {
        struct listed *t = &out[(*count)++];
        *t = (struct listed){db_int(s, 0), db_int(s, 1), db_int(s, 2), db_int(s, 3), {NULL, 0}, {NULL, 0}};
        ok = arena_dup(arena, db_text(s, 4), &t->name, e) && arena_dup(arena, db_text(s, 5), &t->owner, e);
    }
    db_done(s);
    return ok && step != DB_FAIL;
}

static bool put_list(struct db *d, struct arena *arena, const struct actor *who, struct str owner, struct json_writer *j, struct err *e) {
    struct listed *all = arena_zero(arena, TOKENS_READ_MAX, sizeof *all, e);
    unsigned count = 0, told = 0;
    bool ok = all && read_list(d, arena, owner, all, &count, e);
    json_begin_array(j);
    for (unsigned i = 0; ok && i < count && told < TOKENS_LISTED_MAX; i++) {
        bool in = true;
        ok = !who || charge_account(d, who, ACCESS_USER_READ, (struct grant_holder){"token", all[i].id}, &in, e);
        if (!ok || !in) continue;
        told++;
        json_begin_object(j);
        json_put_str(j, "name", all[i].name);
        json_put_str(j, "owner", all[i].owner);
        json_put_int(j, "created_ms", all[i].created_ms);
        json_put_int(j, "until_ms", all[i].until_ms);
        json_put_int(j, "seen_ms", all[i].seen_ms);
        ok = put_grants(d, arena, all[i].id, j, e);
        json_end_object(j);
    }
    json_end_array(j);
    return ok;
}

bool account_tokens_json(struct accounts *a, const struct actor *who, const struct str *owner, struct json_writer *to, struct err *e) {
    struct arena arena;
    struct str folded = STR_LIT("");
    arena_init(&arena, 64 << 20);
    bool ok = !owner || account_name_fold(&arena, *owner, &folded, e);
    struct db *d = ok ? db_reader(a->ar->db, e) : NULL;
    ok = d && put_list(d, &arena, who, folded, to, e);
    db_return(a->ar->db, d);
    arena_deinit(&arena);
    return ok;
}
