// Users: added, changed, removed, listed.
#include "base/clock.h"
#include "core/accounts_part.h"

enum { DISPLAY_BYTES_MAX = 200, USERS_LISTED_MAX = 20000, LIST_BYTES_MAX = 64 << 20 };

static bool no_user(struct str folded, struct err *e) {
    return err_set(e, ERR_NOT_FOUND, "accounts", "there is no user '%.*s'", STR_FMT(folded));
}

bool accounts_user_id(struct db *d, struct str folded, int64_t *id, struct err *e) {
    bool there;
    return sql_one(d, "SELECT id FROM users WHERE name = ?1", SQL_VALUES(SQL_T(folded)), id, 1, &there, e) && (there || no_user(folded, e));
}

bool accounts_user_of(struct db *d, const struct actor *who, enum permission what, struct str folded, int64_t *id, struct err *e) {
    bool in;
    return accounts_user_id(d, folded, id, e) && charge_account(d, who, what, (struct grant_holder){"user", *id}, &in, e) && (in || no_user(folded, e));
}

bool accounts_name_taken(struct db *d, struct str folded, bool *user, bool *assigned, struct err *e) {
    int64_t one;
    return sql_one(d, "SELECT 1 FROM users WHERE name = ?1", SQL_VALUES(SQL_T(folded)), &one, 1, user, e) &&
           sql_one(d, "SELECT 1 FROM study_assignments WHERE name = ?1 AND given = 1 LIMIT 1", SQL_VALUES(SQL_T(folded)), &one, 1, assigned, e);
}

bool accounts_above(struct db *d, struct arena *arena, const struct actor *who, struct grant_holder holder, bool lasting, struct err *e) {
    const struct access_grant *has;
    unsigned count;
    const struct principal *p = access_principal(who);
    if (!grants_load(d, arena, holder, &has, &count, e)) return false;
    for (unsigned i = 0; i < count; i++)
        if (!grants_cover(p, has[i].permissions, &has[i].scope, lasting ? has[i].until_ms : clock_wall_ms()))
            return err_set(e, ERR_FORBIDDEN, "accounts", "this account has more than you have yourself ('%.*s'): ask an administrator", STR_FMT(has[i].role));
    return true;
}

bool accounts_one_is_left(struct db *w, struct err *e) {
    int64_t n = 0;
    bool found;
    return sql_one(
               w,
               "SELECT count(*) FROM users u JOIN grants g ON g.holder = 'user' AND g.holder_id = u.id WHERE u.state = 'on' AND g.role = 'administrator' AND "
               "g.scope = '*' AND g.until_ms = 0",
               NULL, 0, &n, 1, &found, e) &&
           (n > 0 || err_set(e, ERR_CONFLICT, "accounts", "nobody would be left who may administer everything: make another administrator first"));
}

// ---- one change ----

// What every change of one user has: its folded name and row, the open transaction, an event at its end.
struct change {
    struct accounts *a;
    const struct actor *who;
    struct arena arena;
    struct db *w;
    struct str name;
    int64_t id;
};

// of whom: somebody new, another who is there, another as whom one could sign in afterwards, oneself.
enum of { OF_NEW, OF_OTHER, OF_TAKEN, OF_SELF };

static bool change_begin(struct change *c, struct accounts *a, const struct actor *who, struct str name, enum of of, struct err *e) {
    *c = (struct change){.a = a, .who = who};
    arena_init(&c->arena, SCRATCH_BYTES_MAX);
    if (!account_name_fold(&c->arena, name, &c->name, e) || !(c->w = accounts_begin(a, e))) return false;
    if (of == OF_NEW) return true;
    if (of == OF_SELF) return accounts_user_id(c->w, c->name, &c->id, e);
    if (!accounts_user_of(c->w, who, ACCESS_USER_WRITE, c->name, &c->id, e)) return false;
    const struct grant_holder holder = {"user", c->id};
    return charge_not_self(c->w, who, ACCESS_USER_WRITE, holder, e) && accounts_above(c->w, &c->arena, who, holder, of == OF_TAKEN, e);
}

static bool change_end(struct change *c, bool ok, const char *type, const char *more, struct err *e) {
    struct str detail = {NULL, 0};
    if (ok) {
        char *text = arena_printf(&c->arena, e, "\"name\":\"%.*s\"%s%s", STR_FMT(c->name), more[0] ? "," : "", more);
        detail = str_of(text);
        ok = text && grants_changed(c->w, e) && accounts_tell(c->a, c->w, c->who, type, detail, e);
    }
    if (c->w) ok = accounts_end(c->a, c->w, ok, e);
    arena_deinit(&c->arena);
    return ok;
}

static bool display_fits(struct str display, struct err *e) {
    if (display.n > DISPLAY_BYTES_MAX) return err_set(e, ERR_USAGE, "accounts", "a name to be shown has at most %d bytes", DISPLAY_BYTES_MAX);
    return true;
}

// The password as it is kept: of the one given, else of a one-time one that is made. Outside of any transaction, for it takes its time.
static bool encode(struct accounts *a, struct str password, struct str user, char encoded[PASSWORD_ENCODED_BYTES], char one_time[ACCOUNT_SECRET_HEX + 1],
                   struct err *e) {
    one_time[0] = '\0';
    if (password.n) return password_fits(&a->rules, password, user, e) && password_hash(password, encoded, e);
    return accounts_one_time(one_time, e) && password_hash(str_of(one_time), encoded, e);
}

static bool insert(struct change *c, const struct account_user *u, const char *encoded, struct err *e) {
    bool taken, assigned;
    struct str display = u->display.n ? u->display : u->name;
    if (!accounts_name_taken(c->w, c->name, &taken, &assigned, e)) return false;
    if ((taken || assigned) && !charge_all(c->who, ACCESS_USER_WRITE)) return charge_not_free("user", c->name, e);
    if (taken) return err_set(e, ERR_CONFLICT, "accounts", "there is a user '%.*s' already", STR_FMT(c->name));
    if (assigned)
        return err_set(
            e, ERR_CONFLICT, "accounts",
            "studies are assigned to a '%.*s' who was removed, and would be the new one's: end that ('gantry assign list' shows them, 'gantry assign "
            "remove' ends one) or take another name",
            STR_FMT(c->name));
    return sql_insert(c->w, "INSERT INTO users (name, display, password, must_change, created_ms, changed_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?5) RETURNING id",
                      SQL_VALUES(SQL_T(c->name), SQL_T(display), SQL_T(str_of(encoded)), SQL_I(encoded[0] != 0), SQL_I(clock_wall_ms())), &c->id, e);
}

static bool first_grant(struct change *c, const struct account_user *u, struct err *e) {
    struct str scope = u->scope.n ? u->scope : STR_LIT("*");
    struct access_scope parsed;
    uint64_t permissions;
    if (!u->role.n) return true;
    if (!grants_role(c->w, &c->arena, u->role, &permissions, e) || !access_scope_parse(scope, &parsed, e)) return false;
    if (!grants_cover(access_principal(c->who), permissions, &parsed, 0))
        return err_set(e, ERR_FORBIDDEN, "accounts", "you cannot give '%.*s' within '%.*s': it is more than you have yourself", STR_FMT(u->role),
                       STR_FMT(scope));
    return grants_give(c->w, &c->arena, (struct grant_holder){"user", c->id}, u->role, scope, "admin", 0, e);
}

bool account_user_add(struct accounts *a, const struct actor *who, const struct account_user *u, char one_time[ACCOUNT_SECRET_HEX + 1], struct err *e) {
    char encoded[PASSWORD_ENCODED_BYTES] = "";
    struct change c;
    one_time[0] = '\0';
    if (!display_fits(u->display, e) || (!u->external && !encode(a, u->password, u->name, encoded, one_time, e))) return false;
    bool ok = change_begin(&c, a, who, u->name, OF_NEW, e) && charge_needs_role(who, ACCESS_USER_WRITE, u->role, e) && insert(&c, u, encoded, e) &&
              first_grant(&c, u, e);
    return change_end(&c, ok, "user.added", u->role.n ? "\"granted\":true" : "", e);
}

static bool set(struct change *c, struct str display, struct str state, struct err *e) {
    bool off = str_eqz(state, "off");
    if (state.p && !off && !str_eqz(state, "on")) return err_set(e, ERR_USAGE, "accounts", "a state is on or off");
    if (display.p && (!display_fits(display, e) || !sql_run(c->w, "UPDATE users SET display = ?2, changed_ms = ?3 WHERE id = ?1",
                                                            SQL_VALUES(SQL_I(c->id), SQL_T(display), SQL_I(clock_wall_ms())), e)))
        return false;
    if (state.p &&
        !sql_run(c->w, "UPDATE users SET state = ?2, changed_ms = ?3 WHERE id = ?1", SQL_VALUES(SQL_I(c->id), SQL_T(state), SQL_I(clock_wall_ms())), e))
        return false;
    return !off || (sessions_end_of(c->w, c->id, STR_LIT(""), e) && accounts_one_is_left(c->w, e));
}

bool account_user_set(struct accounts *a, const struct actor *who, struct str name, struct str display, struct str state, struct err *e) {
    struct change c;
    bool ok = change_begin(&c, a, who, name, OF_OTHER, e) && set(&c, display, state, e);
    return change_end(&c, ok, "user.changed", !state.p ? "" : str_eqz(state, "off") ? "\"state\":\"off\"" : "\"state\":\"on\"", e);
}

static bool set_password(struct change *c, const char *encoded, bool must_change, struct str but, struct err *e) {
    return sql_run(c->w, "UPDATE users SET password = ?2, must_change = ?3, changed_ms = ?4 WHERE id = ?1",
                   SQL_VALUES(SQL_I(c->id), SQL_T(str_of(encoded)), SQL_I(must_change), SQL_I(clock_wall_ms())), e) &&
           sessions_end_of(c->w, c->id, but, e) && attempt_unlock(c->w, c->name, e);
}

static bool is_external(struct change *c, struct err *e) {
    int64_t n = 0;
    bool found;
    if (!sql_one(c->w, "SELECT CASE WHEN issuer = '' THEN 0 ELSE 1 END FROM users WHERE id = ?1", SQL_VALUES(SQL_I(c->id)), &n, 1, &found, e)) return true;
    return n && !err_set(e, ERR_CONFLICT, "accounts", "'%.*s' signs in elsewhere (OpenID Connect) and has no password here", STR_FMT(c->name));
}

bool account_user_password(struct accounts *a, const struct actor *who, struct str name, struct str password, char one_time[ACCOUNT_SECRET_HEX + 1],
                           struct err *e) {
    char encoded[PASSWORD_ENCODED_BYTES];
    struct change c;
    if (!encode(a, password, name, encoded, one_time, e)) return false;
    bool ok = change_begin(&c, a, who, name, OF_TAKEN, e) && !is_external(&c, e) && set_password(&c, encoded, true, STR_LIT(""), e);
    return change_end(&c, ok, "user.password-reset", "", e);
}

bool account_user_unlock(struct accounts *a, const struct actor *who, struct str name, bool second_factor, struct err *e) {
    struct change c;
    bool ok = change_begin(&c, a, who, name, second_factor ? OF_TAKEN : OF_OTHER, e) && attempt_unlock(c.w, c.name, e);
    if (ok && second_factor) ok = sql_run(c.w, "UPDATE users SET totp = '', totp_step = 0, recovery = '[]' WHERE id = ?1", SQL_VALUES(SQL_I(c.id)), e);
    return change_end(&c, ok, "user.unlocked", second_factor ? "\"second_factor\":\"off\"" : "", e);
}

static bool remove_rows(struct change *c, struct err *e) {
    return grants_take_all(c->w, (struct grant_holder){"user", c->id}, NULL, e) && sessions_end_of(c->w, c->id, STR_LIT(""), e) &&
           sql_run(c->w, "DELETE FROM user_sessions WHERE token_id IN (SELECT id FROM tokens WHERE owner = ?1)", SQL_VALUES(SQL_I(c->id)), e) &&
           sql_run(c->w, "UPDATE tokens SET revoked_ms = ?2 WHERE owner = ?1 AND revoked_ms = 0", SQL_VALUES(SQL_I(c->id), SQL_I(clock_wall_ms())), e) &&
           sql_run(c->w, "DELETE FROM users WHERE id = ?1", SQL_VALUES(SQL_I(c->id)), e) && accounts_one_is_left(c->w, e);
}

bool account_user_remove(struct accounts *a, const struct actor *who, struct str name, struct err *e) {
    struct change c;
    bool ok = change_begin(&c, a, who, name, OF_OTHER, e) && remove_rows(&c, e);
    return change_end(&c, ok, "user.removed", "", e);
}

bool account_user_name(struct accounts *a, const struct actor *who, struct arena *arena, struct str name, struct str *out, struct err *e) {
    int64_t id;
    if (!account_name_fold(arena, name, out, e)) return false;
    struct db *d = db_reader(a->ar->db, e);
    bool in, ok = d && accounts_user_id(d, *out, &id, e) && charge_colleague(d, who, ACCESS_STUDY_ASSIGN, id, &in, e) && (in || no_user(*out, e));
    db_return(a->ar->db, d);
    return ok;
}

// ---- about oneself ----

static bool own_password(struct accounts *a, int64_t user, struct arena *arena, char **encoded, struct str *name, struct err *e) {
    struct db *d = db_reader(a->ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, "SELECT password, name FROM users WHERE id = ?1", e) : NULL;
    enum db_step step = DB_FAIL;
    *encoded = NULL;
    if (s) {
        db_bind_int(s, 1, user);
        step = db_next(s, e);
        if (step == DB_ROW) *encoded = arena_strz(arena, db_text(s, 0), e);
        if (*encoded && !arena_dup(arena, db_text(s, 1), name, e)) *encoded = NULL;
    }
    db_done(s);
    db_return(a->ar->db, d);
    if (step == DB_END) return err_set(e, ERR_NOT_FOUND, "accounts", "this user is no more");
    if (*encoded && !(*encoded)[0]) return err_set(e, ERR_CONFLICT, "accounts", "this account signs in elsewhere (OpenID Connect) and has no password here");
    return *encoded;
}

static bool is_user(const struct actor *who, struct err *e) {
    return (who->principal && who->principal->kind == PRINCIPAL_USER) || err_set(e, ERR_FORBIDDEN, "accounts", "only a user who signed in has a password");
}

// Guesses at it count like those at the sign-in.
static bool is_password(struct accounts *a, const struct actor *who, struct arena *arena, struct str password, struct str *name, struct err *e) {
    char *encoded;
    unsigned wait_s;
    bool matches;
    if (!is_user(who, e) || !own_password(a, who->principal->id, arena, &encoded, name, e) || !attempt_begin(a, *name, who->address, &wait_s, e)) return false;
    if (wait_s) return err_set(e, ERR_BUSY, "accounts", "too many failures: wait %u seconds", wait_s);
    if (!password_verify(encoded, str_sub(password, 0, ACCOUNT_PASSWORD_MAX), &matches, e)) return false;
    if (matches) return attempt_good(a, *name, who->address, e);
    return accounts_note(a, who, "session.refused", "password", e) && err_set(e, ERR_FORBIDDEN, "accounts", "this is not your password");
}

bool account_password_change(struct accounts *a, const struct actor *who, struct str old, struct str next, struct str secret, struct err *e) {
    char encoded[PASSWORD_ENCODED_BYTES];
    uint8_t digest[DIGEST_BYTES];
    struct arena arena;
    struct str name;
    struct change c;
    arena_init(&arena, SCRATCH_BYTES_MAX);
    bool ok = is_password(a, who, &arena, old, &name, e);
    if (ok && str_eq(old, next)) ok = err_set(e, ERR_USAGE, "accounts", "the new password is the old one");
    ok = ok && password_fits(&a->rules, next, name, e) && password_hash(next, encoded, e) && digest_of(secret.n ? secret.p : "", secret.n, digest, e);
    if (ok) {
        const struct hex h = accounts_hex(digest);
        ok = change_begin(&c, a, who, name, OF_SELF, e) && set_password(&c, encoded, false, str_of(h.text), e);
        ok = change_end(&c, ok, "user.password-changed", "", e);
    }
    arena_deinit(&arena);
    return ok;
}

bool account_totp_off(struct accounts *a, const struct actor *who, struct str password, struct err *e) {
    struct arena arena;
    struct str name;
    struct change c;
    arena_init(&arena, SCRATCH_BYTES_MAX);
    bool ok = is_password(a, who, &arena, password, &name, e);
    if (ok) {
        ok = change_begin(&c, a, who, name, OF_SELF, e) &&
             sql_run(c.w, "UPDATE users SET totp = '', totp_step = 0, recovery = '[]' WHERE id = ?1", SQL_VALUES(SQL_I(c.id)), e);
        ok = change_end(&c, ok, "user.changed", "\"second_factor\":\"off\"", e);
    }
    arena_deinit(&arena);
    return ok;
}

// ---- listing ----

bool accounts_put_grants(struct db *d, struct arena *arena, struct grant_holder of, struct json_writer *j, struct err *e) {
    struct db_stmt *s = db_prepare(d, "SELECT role, scope, until_ms, granted_by FROM grants WHERE holder = ?1 AND holder_id = ?2 ORDER BY role, scope", e);
    (void)arena;
    if (!s) return false;
    db_bind_text(s, 1, str_of(of.kind));
    db_bind_int(s, 2, of.id);
    enum db_step step;
    json_key(j, "grants");
    json_begin_array(j);
    while ((step = db_next(s, e)) == DB_ROW) {
        json_begin_object(j);
        json_put_str(j, "role", db_text(s, 0));
        json_put_str(j, "scope", db_text(s, 1));
        if (db_int(s, 2)) json_put_int(j, "until_ms", db_int(s, 2));
        json_put_str(j, "by", db_text(s, 3));
        json_end_object(j);
    }
    json_end_array(j);
    db_done(s);
    return step != DB_FAIL;
}

struct listed {
    int64_t id, must_change, second_factor, created_ms, seen_ms;
    struct str name, display, state, issuer;
};

static bool read_users(struct db *d, struct arena *arena, struct str name, struct listed *out, unsigned *count, struct err *e) {
    struct db_stmt *s =
        db_prepare(d,
                   "SELECT id, must_change, CASE WHEN totp = '' THEN 0 ELSE 1 END, created_ms, seen_ms, name, display, state, issuer FROM users "
                   "WHERE ?1 = '' OR name = ?1 ORDER BY name LIMIT ?2",
                   e);
    if (!s) return false;
    db_bind_text(s, 1, name);
    db_bind_int(s, 2, USERS_LISTED_MAX);
    enum db_step step = DB_END;
    bool ok = true;
    while (ok && *count < USERS_LISTED_MAX && (step = db_next(s, e)) == DB_ROW) {
        struct listed *u = &out[(*count)++];
        *u = (struct listed){
            .id = db_int(s, 0), .must_change = db_int(s, 1), .second_factor = db_int(s, 2), .created_ms = db_int(s, 3), .seen_ms = db_int(s, 4)};
        ok = arena_dup(arena, db_text(s, 5), &u->name, e) && arena_dup(arena, db_text(s, 6), &u->display, e) && arena_dup(arena, db_text(s, 7), &u->state, e) &&
             arena_dup(arena, db_text(s, 8), &u->issuer, e);
    }
    db_done(s);
    return ok && step != DB_FAIL;
}

static bool put_user(struct db *d, struct arena *arena, const struct listed *u, struct json_writer *j, struct err *e) {
    json_begin_object(j);
    json_put_str(j, "name", u->name);
    json_put_str(j, "display", u->display);
    json_put_str(j, "state", u->state);
    json_put_bool(j, "must_change", u->must_change != 0);
    json_put_bool(j, "second_factor", u->second_factor != 0);
    if (u->issuer.n) json_put_str(j, "issuer", u->issuer);
    json_put_int(j, "created_ms", u->created_ms);
    json_put_int(j, "seen_ms", u->seen_ms);
    bool ok = accounts_put_grants(d, arena, (struct grant_holder){"user", u->id}, j, e);
    json_end_object(j);
    return ok;
}

// Those that are in the asker's hands. who NULL: all.
static bool keep_users(struct db *d, const struct actor *who, struct listed *all, unsigned *count, struct err *e) {
    unsigned kept = 0;
    if (!who || charge_all(who, ACCESS_USER_READ)) return true;
    for (unsigned i = 0; i < *count; i++) {
        bool in;
        if (!charge_account(d, who, ACCESS_USER_READ, (struct grant_holder){"user", all[i].id}, &in, e)) return false;
        if (in) all[kept++] = all[i];
    }
    *count = kept;
    return true;
}

static bool put_users(struct accounts *a, struct arena *arena, const struct actor *who, const struct str *name, struct json_writer *to, struct err *e) {
    struct listed *all = arena_zero(arena, USERS_LISTED_MAX, sizeof *all, e);
    unsigned count = 0;
    struct db *d = all ? db_reader(a->ar->db, e) : NULL;
    bool ok = d && read_users(d, arena, name ? *name : STR_LIT(""), all, &count, e) && keep_users(d, who, all, &count, e);
    if (ok && name && count == 0) ok = no_user(*name, e);
    if (ok && !name) json_begin_array(to);
    for (unsigned i = 0; ok && i < count; i++) ok = put_user(d, arena, &all[i], to, e);
    if (ok && !name) json_end_array(to);
    db_return(a->ar->db, d);
    return ok;
}

bool account_users_json(struct accounts *a, const struct actor *who, struct json_writer *to, struct err *e) {
    struct arena arena;
    arena_init(&arena, LIST_BYTES_MAX);
    bool ok = put_users(a, &arena, who, NULL, to, e);
    arena_deinit(&arena);
    return ok;
}

bool account_user_json(struct accounts *a, const struct actor *who, struct str name, struct json_writer *to, struct err *e) {
    struct arena arena;
    struct str folded;
    arena_init(&arena, LIST_BYTES_MAX);
    bool ok = account_name_fold(&arena, name, &folded, e) && put_users(a, &arena, who, &folded, to, e);
    arena_deinit(&arena);
    return ok;
}
