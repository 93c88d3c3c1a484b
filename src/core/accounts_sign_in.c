// Signing in: the password, the second factor, the session; and what another authority says of somebody.
#include <stdio.h>

#include "base/clock.h"
#include "core/accounts_part.h"

struct found {
    bool there, on, must_change, second_factor;
    int64_t id;
    struct str encoded;
};

static bool find_user(struct accounts *a, struct arena *arena, struct str name, struct found *f, struct err *e) {
    struct db *d = db_reader(a->ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, "SELECT id, state, must_change, totp, password FROM users WHERE name = ?1", e) : NULL;
    enum db_step step = DB_FAIL;
    bool ok = true;
    *f = (struct found){.encoded = str_of(a->nobody)};
    if (s) {
        db_bind_text(s, 1, name);
        step = db_next(s, e);
    }
    if (step == DB_ROW) {
        *f = (struct found){.there = db_text(s, 4).n > 0,
                            .on = str_eqz(db_text(s, 1), "on"),
                            .must_change = db_int(s, 2) != 0,
                            .second_factor = db_text(s, 3).n > 0,
                            .id = db_int(s, 0),
                            .encoded = str_of(a->nobody)};
        if (f->there) ok = arena_dup(arena, db_text(s, 4), &f->encoded, e);
    }
    db_done(s);
    db_return(a->ar->db, d);
    return ok && step != DB_FAIL;
}

static bool note(struct accounts *a, const struct sign_in *in, struct str name, const char *type, const char *why, struct err *e) {
    const struct actor who = {.door = DOOR_PAGE, .address = in->address, .user = name};
    return accounts_note(a, &who, type, why, e);
}

static bool refused(struct accounts *a, const struct sign_in *in, struct str name, const char *why, struct signed_in *out, struct err *e) {
    out->outcome = SIGN_IN_REFUSED;
    return note(a, in, name, "session.refused", why, e);
}

static bool begin(struct accounts *a, const struct sign_in *in, struct str name, const struct found *f, struct signed_in *out, struct err *e) {
    const struct session_row row = {.user = f->id, .address = in->address, .agent = in->agent};
    const struct actor who = {.door = DOOR_PAGE, .address = in->address, .user = name};
    struct db *w = accounts_begin(a, e);
    bool ok = w && sql_run(w, "UPDATE users SET seen_ms = ?2 WHERE id = ?1 AND password = ?3 AND state = 'on'",
                           SQL_VALUES(SQL_I(f->id), SQL_I(clock_wall_ms()), SQL_T(f->encoded)), e);
    // Checking took its time: meanwhile the password may have become another, or the account may have been switched off.
    bool same = ok && db_changes(w) > 0;
    ok = ok && (!same || (session_make(a, w, &row, out->secret, e) && accounts_tell(a, w, &who, "session.begun", (struct str){0}, e)));
    if (w) ok = accounts_end(a, w, ok, e);
    if (ok && !same) return refused(a, in, name, "changed meanwhile", out, e);
    ok = ok && attempt_good(a, name, in->address, e);
    out->must_change = f->must_change;
    out->outcome = SIGN_IN_DONE;
    return ok;
}

static bool second_factor(struct accounts *a, const struct sign_in *in, struct str name, const struct found *f, struct signed_in *out, bool *good,
                          struct err *e) {
    *good = !f->second_factor;
    if (*good) return true;
    if (!in->code.n) {
        // No failure, but nobody is signed in: codes that were guessed before go on to count.
        out->outcome = SIGN_IN_CODE_NEEDED;
        return attempt_back(a, name, in->address, e) && note(a, in, name, "session.code-asked", NULL, e);
    }
    return totp_take(a, f->id, in->code, good, e) && (*good || refused(a, in, name, "code", out, e));
}

static bool try_it(struct accounts *a, struct arena *arena, const struct sign_in *in, struct str name, struct signed_in *out, struct err *e) {
    struct found f;
    bool matches, good;
    if (!attempt_begin(a, name, in->address, &out->wait_s, e)) return false;
    if (out->wait_s) {
        out->outcome = SIGN_IN_WAIT;
        return note(a, in, name, "session.refused", "too many failures", e);
    }
    if (!find_user(a, arena, name, &f, e)) return false;
    const char *encoded = arena_strz(arena, f.encoded, e);
    if (!encoded || !password_verify(encoded, str_sub(in->password, 0, ACCOUNT_PASSWORD_MAX), &matches, e)) return false;
    if (!matches || !f.there || !f.on) return refused(a, in, name, !f.there ? "name" : !matches ? "password" : "switched off", out, e);
    if (!second_factor(a, in, name, &f, out, &good, e)) return false;
    return !good || begin(a, in, name, &f, out, e);
}

bool account_sign_in(struct accounts *a, const struct sign_in *in, struct signed_in *out, struct err *e) {
    struct arena arena;
    struct str name;
    *out = (struct signed_in){.outcome = SIGN_IN_REFUSED};
    arena_init(&arena, SCRATCH_BYTES_MAX);
    if (!account_name_fold(&arena, str_sub(in->name, 0, 4 * ACCOUNT_NAME_BYTES), &name, NULL)) name = STR_LIT("?");
    bool ok = in->password.n <= ACCOUNT_PASSWORD_MAX ? try_it(a, &arena, in, name, out, e) : refused(a, in, name, "password", out, e);
    arena_deinit(&arena);
    return ok;
}

// ---- from another authority ----

static bool free_name(struct db *w, struct arena *arena, const struct account_external *x, struct str *out, struct err *e) {
    struct str name, issuer = x->issuer;
    bool taken, assigned;
    if (!account_name_fold(arena, x->name.n ? x->name : x->subject, &name, e) || !accounts_name_taken(w, name, &taken, &assigned, e)) return false;
    *out = name;
    if (!taken && !assigned) return true;
    // Somebody of that name is or was here and stays himself: the newcomer's says where he comes from.
    size_t scheme = str_find(issuer, '/', 0);
    struct str host = str_sub(issuer, scheme + 2 < issuer.n ? scheme + 2 : 0, issuer.n);
    host = str_sub(host, 0, str_find(host, '/', 0));
    host = str_sub(host, 0, str_find(host, ':', 0));
    char *longer = arena_printf(arena, e, "%.*s@%.*s", STR_FMT(name), STR_FMT(host));
    if (!longer || !account_name_fold(arena, str_of(longer), out, e)) return false;
    if (!accounts_name_taken(w, *out, &taken, &assigned, e)) return false;
    return (!taken && !assigned) ||
           err_set(e, ERR_CONFLICT, "accounts", "the name '%.*s' is another's already: an administrator must rename one of the two", STR_FMT(*out));
}

struct external {
    int64_t id;
    bool on;
    struct str name;
};

static bool external_find(struct db *w, struct arena *arena, const struct account_external *x, struct external *u, bool *there, struct err *e) {
    struct db_stmt *s = db_prepare(w, "SELECT id, state, name FROM users WHERE issuer = ?1 AND subject = ?2", e);
    if (!s) return false;
    db_bind_text(s, 1, x->issuer);
    db_bind_text(s, 2, x->subject);
    enum db_step step = db_next(s, e);
    *there = step == DB_ROW;
    bool ok = step != DB_FAIL;
    if (*there) {
        u->id = db_int(s, 0);
        u->on = str_eqz(db_text(s, 1), "on");
        ok = arena_dup(arena, db_text(s, 2), &u->name, e);
    }
    db_done(s);
    return ok;
}

static bool external_make(struct accounts *a, struct db *w, struct arena *arena, const struct account_external *x, const struct actor *who, struct external *u,
                          struct err *e) {
    u->on = true;
    return free_name(w, arena, x, &u->name, e) &&
           sql_insert(w,
                      "INSERT INTO users (name, display, password, issuer, subject, created_ms, changed_ms) VALUES (?1, ?2, '', ?3, ?4, ?5, ?5) RETURNING id",
                      SQL_VALUES(SQL_T(u->name), SQL_T(x->display.n ? x->display : u->name), SQL_T(x->issuer), SQL_T(x->subject), SQL_I(clock_wall_ms())),
                      &u->id, e) &&
           accounts_tell(a, w, who, "user.added", STR_LIT("\"by\":\"oidc\""), e);
}

// *left: how many it has then, whoever gave them; what a broken glass lends opens no door.
static bool external_grants(struct db *w, struct arena *arena, const struct account_external *x, int64_t user, int64_t *left, struct err *e) {
    const struct grant_holder holder = {"user", user};
    bool found;
    if (!grants_take_all(w, holder, "oidc", e)) return false;
    for (unsigned i = 0; i < x->grant_count; i++) {
        struct str scope;
        if (!access_scope_format(arena, &x->grants[i].scope, &scope, e) ||
            !grants_give(w, arena, holder, x->grants[i].role, scope, "oidc", x->grants[i].until_ms, e))
            return false;
    }
    return sql_one(w, "SELECT count(*) FROM grants WHERE holder = 'user' AND holder_id = ?1 AND granted_by <> 'glass' AND (until_ms = 0 OR until_ms > ?2)",
                   SQL_VALUES(SQL_I(user), SQL_I(clock_wall_ms())), left, 1, &found, e);
}

static bool no_role(struct err *e) {
    return err_set(e, ERR_FORBIDDEN, "accounts", "this account has no role here: an administrator must give one, or a group that has one");
}

// What it had is over, also where it is signed in already.
static bool external_over(struct accounts *a, struct db *w, const struct actor *who, int64_t user, struct err *e) {
    return sessions_end_of(w, user, STR_LIT(""), e) && grants_changed(w, e) &&
           accounts_tell(a, w, who, "session.ended", STR_LIT("\"by\":\"oidc\",\"reason\":\"no role\""), e);
}

// *over: nothing was begun, and what it had is taken away.
static bool external_begin(struct accounts *a, struct db *w, struct arena *arena, const struct account_external *x, char secret[ACCOUNT_SECRET_HEX + 1],
                           bool *over, struct err *e) {
    struct actor who = {.door = DOOR_PAGE, .address = x->address, .user = x->name};
    struct external u = {0};
    int64_t left = 0;
    bool there;
    if (!external_find(w, arena, x, &u, &there, e) || (!there && !external_make(a, w, arena, x, &who, &u, e))) return false;
    if (!u.on) return err_set(e, ERR_FORBIDDEN, "accounts", "this account is switched off");
    who.user = u.name;
    const struct session_row row = {.user = u.id, .address = x->address, .agent = x->agent, .sid = x->sid, .id_token = x->id_token};
    if (!external_grants(w, arena, x, u.id, &left, e)) return false;
    *over = left == 0;
    if (*over) return there ? external_over(a, w, &who, u.id, e) : no_role(e); // somebody new is not made
    return session_make(a, w, &row, secret, e) && grants_changed(w, e) &&
           sql_run(w, "UPDATE users SET seen_ms = ?2, display = CASE WHEN ?3 = '' THEN display ELSE ?3 END WHERE id = ?1",
                   SQL_VALUES(SQL_I(u.id), SQL_I(clock_wall_ms()), SQL_T(x->display)), e) &&
           accounts_tell(a, w, &who, "session.begun", STR_LIT("\"by\":\"oidc\""), e);
}

bool account_external_sign_in(struct accounts *a, const struct account_external *x, char secret[ACCOUNT_SECRET_HEX + 1], struct err *e) {
    struct arena arena;
    secret[0] = '\0';
    arena_init(&arena, SCRATCH_BYTES_MAX);
    struct db *w = accounts_begin(a, e);
    bool over = false, ok = w && external_begin(a, w, &arena, x, secret, &over, e);
    if (w) ok = accounts_end(a, w, ok, e);
    if (ok && over) ok = no_role(e);
    arena_deinit(&arena);
    if (ok) return true;
    const struct actor who = {.door = DOOR_PAGE, .address = x->address, .user = x->name};
    secret[0] = '\0';
    if (e && e->kind == ERR_FORBIDDEN) accounts_note(a, &who, "session.refused", "oidc", NULL);
    return false;
}

bool account_external_end(struct accounts *a, struct str issuer, struct str subject, struct str sid, struct err *e) {
    const struct actor who = {.door = DOOR_PAGE, .user = subject};
    if (!subject.n && !sid.n) return err_set(e, ERR_BAD_INPUT, "accounts", "a logout names a subject or a session");
    struct db *w = accounts_begin(a, e);
    bool ok =
        w && sql_run(w,
                     "DELETE FROM user_sessions WHERE user_id IN (SELECT id FROM users WHERE issuer = ?1 AND (?2 = '' OR subject = ?2)) AND (?3 = '' OR sid = "
                     "?3)",
                     SQL_VALUES(SQL_T(issuer), SQL_T(subject), SQL_T(sid)), e);
    if (ok && db_changes(w) > 0) ok = accounts_tell(a, w, &who, "session.ended", STR_LIT("\"by\":\"oidc\""), e);
    if (w) ok = accounts_end(a, w, ok, e);
    return ok;
}
