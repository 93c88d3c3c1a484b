// Broken glasses: a grant with an end and a reason, an event, and a review.
#include "core/glass.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/change.h"
#include "core/grants.h"
#include "core/index.h"
#include "text/json.h"
#include "text/utf8.h"

enum { SCRATCH_BYTES_MAX = 4 << 20, MORE_BYTES_MAX = 16 * 1024, LISTED_MAX = 500, MINUTE_MS = 60 * 1000, ACTOR_BYTES = 256 };

#define ROLE "viewer" // finds, reads, follows events

// ---- within what? ----

static bool in_time(const struct access_grant *g, int64_t now_ms) {
    return g->until_ms == 0 || g->until_ms > now_ms;
}

// Whether a grant of permission what counts for the tenant. One of studies that are assigned, wherever they are, is of no tenant.
static bool has_in_tenant(const struct principal *p, enum permission what, struct str tenant, int64_t now_ms) {
    for (unsigned i = 0; p && i < p->grant_count; i++) {
        const struct access_grant *g = &p->grants[i];
        if (!(g->permissions & ACCESS_BIT(what)) || !in_time(g, now_ms) || g->scope.kind == SCOPE_ASSIGNED) continue;
        if (g->scope.kind == SCOPE_ALL || str_eq(g->scope.realm.tenant, tenant)) return true;
    }
    return false;
}

static const struct access_grant *grant_of(const struct principal *p, enum permission what, int64_t now_ms) {
    for (unsigned i = 0; p && i < p->grant_count; i++) {
        const struct access_grant *g = &p->grants[i];
        if ((g->permissions & ACCESS_BIT(what)) && in_time(g, now_ms) && g->scope.kind != SCOPE_ASSIGNED) return g;
    }
    return NULL;
}

// The scope that is asked for, or the tenant of the grant that permits breaking.
static bool scope_of(struct arena *a, const struct principal *p, struct str text, int64_t now_ms, struct access_scope *out, struct err *e) {
    const struct access_grant *own = grant_of(p, ACCESS_BREAK_GLASS, now_ms);
    if (!own) return err_set(e, ERR_FORBIDDEN, "glass", "none of your roles permits breaking the glass (glass.break): ask an administrator");
    *out = (struct access_scope){.kind = SCOPE_TENANT, .realm = {own->scope.realm.tenant, {"", 0}, {"", 0}}};
    if (!text.n) return true;
    if (!arena_dup(a, text, &text, e) || !access_scope_parse(text, out, e)) return false;
    if (out->kind != SCOPE_TENANT && out->kind != SCOPE_SITE && out->kind != SCOPE_DEPARTMENT)
        return err_set(e, ERR_BAD_INPUT, "glass", "a glass is broken of a tenant, a site or a department, not of '%.*s'", STR_FMT(text));
    return has_in_tenant(p, ACCESS_BREAK_GLASS, out->realm.tenant, now_ms) ||
           err_set(e, ERR_FORBIDDEN, "glass", "'%.*s' is of a tenant for which you do not work", STR_FMT(text));
}

// ---- asking ----

static bool ask_fits(const struct actor *who, const struct glass_ask *ask, struct err *e) {
    const struct principal *p = who->principal;
    size_t characters = 0;
    if (!p || p->kind != PRINCIPAL_USER) return err_set(e, ERR_FORBIDDEN, "glass", "only a person who is signed in breaks the glass");
    if (!utf8_valid(ask->reason) || ask->reason.n > GLASS_REASON_MAX)
        return err_set(e, ERR_BAD_INPUT, "glass", "a reason of at most %d bytes of UTF-8", GLASS_REASON_MAX);
    for (size_t i = 0; i < ask->reason.n; i++) characters += ((unsigned char)ask->reason.p[i] & 0xC0) != 0x80;
    // in Chinese four characters say what takes ten letters
    if (ask->reason.n < GLASS_REASON_LEAST || characters < 4)
        return err_set(e, ERR_BAD_INPUT, "glass", "say why, so that whoever reviews it understands: a few words at least");
    return ask->minutes <= GLASS_MINUTES_MAX || err_set(e, ERR_BAD_INPUT, "glass", "for %d minutes at most", GLASS_MINUTES_MAX);
}

static bool is_open(struct db *d, int64_t user, int64_t *id, bool *open, struct err *e) {
    return sql_one(d, "SELECT id FROM glasses WHERE user_id = ?1 AND until_ms > ?2 ORDER BY id DESC LIMIT 1", SQL_VALUES(SQL_I(user), SQL_I(clock_wall_ms())),
                   id, 1, open, e);
}

struct breaking {
    const struct actor *who;
    struct str reason, scope;
    int64_t id, now_ms, until_ms;
};

static bool tell(struct archive *ar, struct db *w, const struct breaking *b, const char *type, struct str verdict, struct str remark, struct err *e) {
    struct buf more;
    struct json_writer j;
    buf_init(&more, MORE_BYTES_MAX);
    json_init(&j, &more, false);
    json_put_int(&j, "glass", b->id);
    if (b->reason.n) json_put_str(&j, "reason", b->reason);
    if (b->scope.n) json_put_str(&j, "scope", b->scope);
    if (b->until_ms) json_put_int(&j, "until_ms", b->until_ms);
    if (verdict.n) json_put_str(&j, "verdict", verdict);
    if (remark.n) json_put_str(&j, "remark", remark);
    bool ok = buf_ok(&more, e) && grants_changed(w, e) && change_tell(ar, w, b->who, type, buf_str(&more), e);
    buf_deinit(&more);
    return ok;
}

static bool put(struct archive *ar, struct db *w, struct arena *a, struct breaking *b, struct err *e) {
    const struct principal *p = b->who->principal;
    int64_t other;
    bool open;
    if (!is_open(w, p->id, &other, &open, e)) return false;
    if (open) return err_set(e, ERR_CONFLICT, "glass", "your glass is broken already: close it before you break another");
    return sql_insert(w, "INSERT INTO glasses (user_id, name, reason, scope, begun_ms, until_ms, address) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING id",
                      SQL_VALUES(SQL_I(p->id), SQL_T(p->name), SQL_T(b->reason), SQL_T(b->scope), SQL_I(b->now_ms), SQL_I(b->until_ms),
                                 SQL_T(b->who->address.p ? b->who->address : STR_LIT(""))),
                      &b->id, e) &&
           grants_give(w, a, (struct grant_holder){"user", p->id}, STR_LIT(ROLE), b->scope, "glass", b->until_ms, e) &&
           tell(ar, w, b, "glass.broken", (struct str){0}, (struct str){0}, e);
}

bool glass_break(struct archive *ar, const struct actor *who, const struct glass_ask *ask, int64_t *until_ms, struct err *e) {
    struct arena a;
    struct access_scope scope;
    struct breaking b = {.who = who, .reason = ask->reason, .now_ms = clock_wall_ms()};
    if (!ask_fits(who, ask, e)) return false;
    b.until_ms = *until_ms = b.now_ms + (int64_t)(ask->minutes ? ask->minutes : GLASS_MINUTES) * MINUTE_MS;
    arena_init(&a, SCRATCH_BYTES_MAX);
    bool ok = scope_of(&a, who->principal, ask->scope, b.now_ms, &scope, e) && access_scope_format(&a, &scope, &b.scope, e);
    struct db *w = ok ? change_begin(ar, e) : NULL;
    ok = w && change_end(ar, w, put(ar, w, &a, &b, e), e);
    if (ok)
        log_line(LOG_WARN, "glass", "%.*s has broken the glass of '%.*s' for %lld minutes; it is to be reviewed", STR_FMT(who->principal->name),
                 STR_FMT(b.scope), (long long)((b.until_ms - b.now_ms) / MINUTE_MS));
    arena_deinit(&a);
    return ok;
}

static bool end_now(struct archive *ar, struct db *w, struct breaking *b, int64_t user, struct err *e) {
    bool open;
    if (!is_open(w, user, &b->id, &open, e)) return false;
    if (!open) return err_set(e, ERR_NOT_FOUND, "glass", "none of your glasses is broken");
    return sql_run(w, "UPDATE glasses SET until_ms = ?2 WHERE id = ?1", SQL_VALUES(SQL_I(b->id), SQL_I(clock_wall_ms())), e) &&
           grants_take_all(w, (struct grant_holder){"user", user}, "glass", e) && tell(ar, w, b, "glass.closed", (struct str){0}, (struct str){0}, e);
}

bool glass_close(struct archive *ar, const struct actor *who, struct err *e) {
    struct breaking b = {.who = who};
    if (!who->principal || who->principal->kind != PRINCIPAL_USER) return err_set(e, ERR_NOT_FOUND, "glass", "none of your glasses is broken");
    struct db *w = change_begin(ar, e);
    return w && change_end(ar, w, end_now(ar, w, &b, who->principal->id, e), e);
}

// ---- reviewing ----

// By tenant: whoever reviews any place of a tenant reviews its glasses.
static bool may_review(const struct actor *who, struct str scope_text) {
    struct access_scope scope;
    const struct principal *p = access_principal(who);
    return access_scope_parse(scope_text, &scope, NULL) && has_in_tenant(p, ACCESS_REVIEW, scope.realm.tenant, clock_wall_ms());
}

static bool is_own(const struct actor *who, int64_t user) {
    return who->principal && who->principal->kind == PRINCIPAL_USER && who->principal->id == user;
}

// A token reviews as the one whose it is; one of no person is nobody who could say that it was right.
static bool reviews_for_another(struct db *d, const struct actor *who, int64_t user, struct err *e) {
    int64_t owner = 0;
    bool found, token = who->principal && who->principal->kind == PRINCIPAL_TOKEN;
    if (token && !sql_one(d, "SELECT owner FROM tokens WHERE id = ?1", SQL_VALUES(SQL_I(who->principal->id)), &owner, 1, &found, e)) return false;
    if (token && !owner) return err_set(e, ERR_FORBIDDEN, "glass", "a token of no person reviews nothing: sign in, or take a token of a user's");
    return (!is_own(who, user) && (!token || owner != user)) || err_set(e, ERR_FORBIDDEN, "glass", "nobody reviews a glass that he broke himself");
}

static bool find(struct db *d, struct arena *a, const struct actor *who, int64_t id, int64_t *user, struct str *scope, struct err *e) {
    struct db_stmt *s = db_prepare(d, "SELECT user_id, scope, reviewed_ms FROM glasses WHERE id = ?1", e);
    if (!s) return false;
    db_bind_int(s, 1, id);
    enum db_step step = db_next(s, e);
    bool there = step == DB_ROW && may_review(who, db_text(s, 1)), done = there && db_int(s, 2) != 0;
    bool ok = step != DB_FAIL && (!there || arena_dup(a, db_text(s, 1), scope, e));
    *user = there ? db_int(s, 0) : 0;
    db_done(s);
    if (ok && !there) return err_set(e, ERR_NOT_FOUND, "glass", "there is no broken glass %lld", (long long)id);
    if (ok && done) return err_set(e, ERR_CONFLICT, "glass", "glass %lld was reviewed already", (long long)id);
    return ok;
}

static bool judge(struct archive *ar, struct db *w, struct arena *a, struct breaking *b, struct str verdict, struct str remark, struct err *e) {
    char by[ACTOR_BYTES];
    int64_t user;
    if (!find(w, a, b->who, b->id, &user, &b->scope, e)) return false;
    if (!reviews_for_another(w, b->who, user, e)) return false;
    actor_text(b->who, by);
    struct str name = b->who->principal ? b->who->principal->name : str_of(by);
    return sql_run(w, "UPDATE glasses SET reviewed_by = ?2, reviewed_ms = ?3, verdict = ?4, remark = ?5 WHERE id = ?1 AND reviewed_ms = 0",
                   SQL_VALUES(SQL_I(b->id), SQL_T(name), SQL_I(clock_wall_ms()), SQL_T(verdict), SQL_T(remark)), e) &&
           tell(ar, w, b, "glass.reviewed", verdict, remark, e);
}

bool glass_review(struct archive *ar, const struct actor *who, int64_t id, struct str verdict, struct str remark, struct err *e) {
    struct arena a;
    struct breaking b = {.who = who, .id = id};
    if (!str_eqz(verdict, "justified") && !str_eqz(verdict, "not justified"))
        return err_set(e, ERR_BAD_INPUT, "glass", "the verdict is 'justified' or 'not justified'");
    if (!utf8_valid(remark) || remark.n > GLASS_REASON_MAX)
        return err_set(e, ERR_BAD_INPUT, "glass", "a remark of at most %d bytes of UTF-8", GLASS_REASON_MAX);
    if (!remark.p) remark = STR_LIT("");
    struct db *w = change_begin(ar, e);
    if (!w) return false;
    arena_init(&a, SCRATCH_BYTES_MAX);
    bool ok = change_end(ar, w, judge(ar, w, &a, &b, verdict, remark, e), e);
    arena_deinit(&a);
    return ok;
}

// ---- looking ----

static const char LIST[] = "SELECT id, user_id, name, reason, scope, begun_ms, until_ms, address, reviewed_by, reviewed_ms, verdict, remark FROM glasses WHERE "
                           "(?1 = 0 OR reviewed_ms = 0) ORDER BY begun_ms DESC, id DESC";

static void put_glass(struct json_writer *j, struct db_stmt *s, const struct actor *who) {
    json_begin_object(j);
    json_put_int(j, "id", db_int(s, 0));
    json_put_bool(j, "own", is_own(who, db_int(s, 1)));
    json_put_str(j, "name", db_text(s, 2));
    json_put_str(j, "reason", db_text(s, 3));
    json_put_str(j, "scope", db_text(s, 4));
    json_put_int(j, "begun_ms", db_int(s, 5));
    json_put_int(j, "until_ms", db_int(s, 6));
    json_put_str(j, "address", db_text(s, 7));
    if (db_int(s, 9)) {
        json_put_str(j, "reviewed_by", db_text(s, 8));
        json_put_int(j, "reviewed_ms", db_int(s, 9));
        json_put_str(j, "verdict", db_text(s, 10));
        json_put_str(j, "remark", db_text(s, 11));
    }
    json_end_object(j);
}

// to NULL: they are only counted.
static bool list(struct archive *ar, const struct actor *who, bool open_only, struct json_writer *to, unsigned *count, struct err *e) {
    struct db *d = db_reader(ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, LIST, e) : NULL;
    enum db_step step = s ? DB_END : DB_FAIL;
    *count = 0;
    if (s) db_bind_int(s, 1, open_only);
    while (s && *count < LISTED_MAX && (step = db_next(s, e)) == DB_ROW) {
        if (!may_review(who, db_text(s, 4)) || (!to && is_own(who, db_int(s, 1)))) continue; // his own waits for another
        ++*count;
        if (to) put_glass(to, s, who);
    }
    db_done(s);
    db_return(ar->db, d);
    return step != DB_FAIL;
}

bool glasses_json(struct archive *ar, const struct actor *who, bool open_only, struct json_writer *to, struct err *e) {
    unsigned count;
    json_begin_array(to);
    bool ok = list(ar, who, open_only, to, &count, e);
    json_end_array(to);
    return ok;
}

bool glasses_waiting(struct archive *ar, const struct actor *who, unsigned *count, struct err *e) {
    return list(ar, who, true, NULL, count, e);
}

static const char OWN[] = "SELECT reason, scope, until_ms FROM glasses WHERE user_id = ?1 AND until_ms > ?2 ORDER BY id DESC LIMIT 1";

bool glass_own_json(struct archive *ar, const struct actor *who, struct json_writer *to, struct err *e) {
    bool person = who->principal && who->principal->kind == PRINCIPAL_USER;
    struct db *d = db_reader(ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, OWN, e) : NULL;
    enum db_step step = DB_FAIL;
    if (s) {
        db_bind_int(s, 1, person ? who->principal->id : 0);
        db_bind_int(s, 2, clock_wall_ms());
        step = db_next(s, e);
    }
    if (step == DB_ROW) {
        json_begin_object(to);
        json_put_str(to, "reason", db_text(s, 0));
        json_put_str(to, "scope", db_text(s, 1));
        json_put_int(to, "until_ms", db_int(s, 2));
        json_end_object(to);
    } else {
        json_null(to);
    }
    db_done(s);
    db_return(ar->db, d);
    return step != DB_FAIL;
}

bool glass_reason(struct db *d, struct arena *a, int64_t user, struct str *reason, struct err *e) {
    struct db_stmt *s = db_prepare(d, OWN, e);
    *reason = (struct str){"", 0};
    if (!s) return false;
    db_bind_int(s, 1, user);
    db_bind_int(s, 2, clock_wall_ms());
    enum db_step step = db_next(s, e);
    bool ok = step != DB_ROW || arena_dup(a, db_text(s, 0), reason, e);
    db_done(s);
    return ok && step != DB_FAIL;
}
