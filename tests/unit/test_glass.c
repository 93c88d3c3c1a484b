// Breaking the glass: for a reason, for a while, within the own tenant; announced, and reviewed by another.
#include "core_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <string.h>

#include "base/clock.h"
#include "core/glass.h"
#include "core/grants.h"
#include "db/db.h"
#include "text/json.h"

static struct err why;

struct person {
    struct access_grant grant;
    struct principal principal;
    struct actor who;
};

static void make(struct person *p, int64_t id, const char *name, const char *role, const char *scope) {
    p->grant = (struct access_grant){.role = str_of(role), .permissions = access_role_find(str_of(role))->permissions};
    assert_true(access_scope_parse(str_of(scope), &p->grant.scope, &why));
    p->principal = (struct principal){.kind = PRINCIPAL_USER, .id = id, .name = str_of(name), .grants = &p->grant, .grant_count = 1};
    p->who = (struct actor){.door = DOOR_PAGE, .address = STR_LIT("10.0.0.9"), .user = str_of(name), .principal = &p->principal};
}

static const struct glass_ask EMERGENCY = {.reason = STR_LIT("stroke patient of the west wing, colleague not reachable")};

static struct str listed(struct fixture *f, const struct actor *who, bool open_only) {
    struct buf b;
    struct json_writer j;
    struct str out;
    buf_init(&b, 1 << 20);
    json_init(&j, &b, false);
    assert_true(glasses_json(f->ar, who, open_only, &j, &why));
    assert_true(arena_dup(&f->arena, buf_str(&b), &out, &why));
    buf_deinit(&b);
    return out;
}

// What the account engine would give the user now.
static unsigned grants_now(struct fixture *f, int64_t user, const struct access_grant **out) {
    unsigned count = 0;
    struct db *d = db_reader(archive_db(f->ar), &why);
    assert_true(grants_load(d, &f->arena, (struct grant_holder){"user", user}, out, &count, &why));
    db_return(archive_db(f->ar), d);
    return count;
}

static struct str reason_now(struct fixture *f, int64_t user) {
    struct str reason;
    struct db *d = db_reader(archive_db(f->ar), &why);
    assert_true(glass_reason(d, &f->arena, user, &reason, &why));
    db_return(archive_db(f->ar), d);
    return reason;
}

static void it_gives_sight_of_the_own_tenant_until_its_time_is_over(void **state) {
    struct fixture *f = *state;
    struct person li;
    const struct access_grant *grants;
    int64_t until_ms;
    make(&li, 7, "li.wei", "radiologist", "site:north/east");
    assert_true(glass_break(f->ar, &li.who, &EMERGENCY, &until_ms, &why));
    assert_true(until_ms > clock_wall_ms() && until_ms <= clock_wall_ms() + GLASS_MINUTES * 60000LL);
    assert_int_equal(grants_now(f, 7, &grants), 1);
    const struct principal then = {.kind = PRINCIPAL_USER, .id = 7, .name = STR_LIT("li.wei"), .grants = grants, .grant_count = 1};
    const struct access_object west = {.realm = {STR_LIT("north"), STR_LIT("west"), {"", 0}}}, foreign = {.realm = {STR_LIT("south"), {"", 0}, {"", 0}}};
    assert_int_equal(access_decide(&then, ACCESS_STUDY_READ, &west, clock_wall_ms(), NULL), ACCESS_ALLOWED);
    assert_int_equal(access_decide(&then, ACCESS_STUDY_READ, &foreign, clock_wall_ms(), NULL), ACCESS_HIDDEN);
    assert_int_equal(access_decide(&then, ACCESS_STUDY_EXPORT, &west, clock_wall_ms(), NULL), ACCESS_FORBIDDEN);
    assert_int_not_equal(access_decide(&then, ACCESS_STUDY_READ, &west, until_ms + 1, NULL), ACCESS_ALLOWED);
    assert_true(str_eq(reason_now(f, 7), EMERGENCY.reason));
    assert_int_equal(count_rows(f, "SELECT count(*) FROM events WHERE type = 'glass.broken' AND detail LIKE '%stroke patient%'"), 1);
    assert_false(glass_break(f->ar, &li.who, &EMERGENCY, &until_ms, &why));
    assert_int_equal(why.kind, ERR_CONFLICT);
    assert_true(glass_close(f->ar, &li.who, &why));
    assert_int_equal(grants_now(f, 7, &grants), 0);
    assert_int_equal(reason_now(f, 7).n, 0);
    assert_false(glass_close(f->ar, &li.who, &why));
    assert_int_equal(why.kind, ERR_NOT_FOUND);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM events WHERE type = 'glass.closed'"), 1);
}

static void is_refused(struct fixture *f, const struct actor *who, struct glass_ask ask, enum err_kind kind) {
    int64_t until_ms;
    if (glass_break(f->ar, who, &ask, &until_ms, &why)) fail_msg("'%.*s' within '%.*s' was taken", STR_FMT(ask.reason), STR_FMT(ask.scope));
    assert_int_equal(why.kind, kind);
}

static void without_reason_right_or_tenant_it_stays_whole(void **state) {
    struct fixture *f = *state;
    struct person li, viewer, tele;
    int64_t until_ms;
    make(&li, 7, "li.wei", "radiologist", "site:north/east");
    make(&viewer, 8, "viewer", "viewer", "tenant:north");
    make(&tele, 9, "tele", "radiologist", "assigned");
    is_refused(f, &li.who, (struct glass_ask){.reason = STR_LIT("")}, ERR_BAD_INPUT);
    is_refused(f, &li.who, (struct glass_ask){.reason = STR_LIT("why not")}, ERR_BAD_INPUT);
    is_refused(f, &li.who, (struct glass_ask){.reason = EMERGENCY.reason, .minutes = 100000}, ERR_BAD_INPUT);
    is_refused(f, &li.who, (struct glass_ask){.reason = EMERGENCY.reason, .scope = STR_LIT("tenant:south")}, ERR_FORBIDDEN);
    is_refused(f, &li.who, (struct glass_ask){.reason = EMERGENCY.reason, .scope = STR_LIT("*")}, ERR_BAD_INPUT);
    is_refused(f, &li.who, (struct glass_ask){.reason = EMERGENCY.reason, .scope = STR_LIT("label:south/x")}, ERR_BAD_INPUT);
    is_refused(f, &viewer.who, EMERGENCY, ERR_FORBIDDEN);
    is_refused(f, &tele.who, EMERGENCY, ERR_FORBIDDEN); // of no tenant
    is_refused(f, &TESTER, EMERGENCY, ERR_FORBIDDEN);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM glasses"), 0);
    // in Chinese few characters say enough
    assert_true(glass_break(f->ar, &li.who, &(struct glass_ask){.reason = STR_LIT("急诊卒中会诊"), .scope = STR_LIT("site:north/west")}, &until_ms, &why));
}

static void another_reviews_it_once(void **state) {
    struct fixture *f = *state;
    struct person li, chief, foreign;
    int64_t until_ms;
    unsigned waiting;
    make(&li, 7, "li.wei", "administrator", "tenant:north"); // may review, too
    make(&chief, 8, "chief", "auditor", "tenant:north");
    make(&foreign, 9, "foreign", "auditor", "tenant:south");
    assert_true(glass_break(f->ar, &li.who, &EMERGENCY, &until_ms, &why));
    int64_t id = count_rows(f, "SELECT id FROM glasses");
    assert_true(glasses_waiting(f->ar, &chief.who, &waiting, &why) && waiting == 1);
    assert_true(glasses_waiting(f->ar, &foreign.who, &waiting, &why) && waiting == 0);
    assert_non_null(memmem(listed(f, &chief.who, true).p, listed(f, &chief.who, true).n, "stroke patient", 14));
    assert_true(str_eqz(listed(f, &foreign.who, false), "[]"));
    assert_false(glass_review(f->ar, &li.who, id, STR_LIT("justified"), (struct str){0}, &why));
    assert_int_equal(why.kind, ERR_FORBIDDEN);
    // nor by a token of his own, or of nobody
    struct person token;
    make(&token, 1, "token:own", "auditor", "tenant:north");
    token.principal.kind = PRINCIPAL_TOKEN;
    run_sql(f, "INSERT INTO tokens (id, name, digest, owner, created_ms, until_ms) VALUES (1, 'own', '1', 7, 0, 0), (2, 'nobody', '2', 0, 0, 0), (3, 'chief', "
               "'3', 8, 0, 0)");
    for (token.principal.id = 1; token.principal.id <= 2; token.principal.id++) {
        assert_false(glass_review(f->ar, &token.who, id, STR_LIT("justified"), (struct str){0}, &why));
        assert_int_equal(why.kind, ERR_FORBIDDEN);
    }
    assert_false(glass_review(f->ar, &foreign.who, id, STR_LIT("justified"), (struct str){0}, &why));
    assert_int_equal(why.kind, ERR_NOT_FOUND);
    assert_false(glass_review(f->ar, &chief.who, id, STR_LIT("fine"), (struct str){0}, &why));
    assert_true(glass_review(f->ar, &chief.who, id, STR_LIT("not justified"), STR_LIT("talk to her"), &why));
    assert_false(glass_review(f->ar, &chief.who, id, STR_LIT("justified"), (struct str){0}, &why));
    assert_int_equal(why.kind, ERR_CONFLICT);
    assert_true(str_eqz(listed(f, &chief.who, true), "[]"));
    assert_non_null(memmem(listed(f, &chief.who, false).p, listed(f, &chief.who, false).n, "talk to her", 11));
    assert_int_equal(count_rows(f, "SELECT count(*) FROM events WHERE type = 'glass.reviewed' AND detail LIKE '%not justified%'"), 1);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(it_gives_sight_of_the_own_tenant_until_its_time_is_over),
        T(without_reason_right_or_tenant_it_stays_whole),
        T(another_reviews_it_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
