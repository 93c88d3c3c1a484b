// The decision: permissions, scopes and what stays hidden; and that every table declares what it needs.
#include "arena_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <string.h>

#include "app/cmd_admin.h"
#include "app/commands.h"
#include "core/access.h"
#include "core/archive.h"
#include "http/route.h"
#include "mod/dicom/dicom.h"
#include "mod/admin/http.h"
#include "mod/dicomweb/dicomweb.h"
#include "mod/web/oidc.h"
#include "mod/web/web.h"

static struct access_scope scope_of(const char *text) {
    struct access_scope s;
    if (!access_scope_parse(str_of(text), &s, &why)) fail_msg("%s: %s", text, why.message);
    return s;
}

static struct principal one_grant(struct access_grant *g, const char *role, const char *scope) {
    const struct access_role *r = access_role_find(str_of(role));
    assert_non_null(r);
    *g = (struct access_grant){.role = str_of(role), .permissions = r->permissions, .scope = scope_of(scope)};
    return (struct principal){.kind = PRINCIPAL_USER, .name = STR_LIT("li.wei"), .grants = g, .grant_count = 1};
}

static enum access_verdict decide(const char *role, const char *scope, enum permission what, const struct access_object *o) {
    struct access_grant g;
    struct principal p = one_grant(&g, role, scope);
    const char *reason = NULL;
    enum access_verdict v = access_decide(&p, what, o, 1000, &reason);
    assert_non_null(reason);
    return v;
}

static void what_nobody_declared_is_never_allowed(void **state) {
    (void)state;
    assert_int_equal(access_decide(&PRINCIPAL_OF_SYSTEM, ACCESS_UNDECLARED, NULL, 0, NULL), ACCESS_FORBIDDEN);
    assert_int_equal(access_decide(&PRINCIPAL_OF_SYSTEM, ACCESS_PERMISSIONS, NULL, 0, NULL), ACCESS_FORBIDDEN);
    assert_int_equal(access_decide(NULL, ACCESS_OPEN, NULL, 0, NULL), ACCESS_ALLOWED);
    assert_int_equal(access_decide(NULL, ACCESS_SELF, NULL, 0, NULL), ACCESS_UNKNOWN);
}

static void a_grant_reaches_its_scope_and_no_further(void **state) {
    (void)state;
    const struct str labels[] = {STR_LIT("trial-7")}, assignees[] = {STR_LIT("li.wei")};
    const struct access_object here = {{STR_LIT("north"), STR_LIT("east wing"), STR_LIT("CT")}, labels, 1, assignees, 1};
    const struct access_object foreign = {{STR_LIT("south"), STR_LIT("east wing"), STR_LIT("CT")}, labels, 1, NULL, 0};
    static const char *const REACHING[] = {"*", "tenant:north", "site:north/east wing", "department:north/east wing/CT", "label:north/trial-7", "assigned"};
    for (unsigned i = 0; i < sizeof REACHING / sizeof *REACHING; i++) {
        assert_int_equal(decide("viewer", REACHING[i], ACCESS_STUDY_READ, &here), ACCESS_ALLOWED);
        assert_int_equal(decide("viewer", REACHING[i], ACCESS_STUDY_READ, &foreign), i ? ACCESS_HIDDEN : ACCESS_ALLOWED);
        assert_int_equal(decide("viewer", REACHING[i], ACCESS_STUDY_DELETE, &here), ACCESS_FORBIDDEN);
    }
    static const char *const ELSEWHERE[] = {"tenant:",       "tenant:south", "site:north/west wing", "department:north/east wing/MR", "label:north/trial-8",
                                            "label:/trial-7"};
    for (unsigned i = 0; i < sizeof ELSEWHERE / sizeof *ELSEWHERE; i++)
        assert_int_equal(decide("viewer", ELSEWHERE[i], ACCESS_STUDY_READ, &here), ACCESS_HIDDEN);
}

static void a_grant_that_has_ended_counts_no_more(void **state) {
    (void)state;
    struct access_grant g;
    struct principal p = one_grant(&g, "radiologist", "*");
    g.until_ms = 1000;
    assert_int_equal(access_decide(&p, ACCESS_STUDY_READ, NULL, 999, NULL), ACCESS_ALLOWED);
    assert_int_equal(access_decide(&p, ACCESS_STUDY_READ, NULL, 1000, NULL), ACCESS_FORBIDDEN);
}

static void scopes_are_written_as_they_are_read(void **state) {
    struct arena *a = &arena;
    (void)state;
    static const char *const GOOD[] = {
        "*", "assigned", "tenant:", "tenant:北院", "site:/main", "site:north/main", "department:north/main/CT", "label:/trial 7", "label:north/x"};
    static const char *const BAD[] = {"",         "tenant",      "tenant:a/b", "site:a",    "site:a/b/c",  "department:a/b", "department:a//c", "label:a",
                                      "label:a/", "label:a/b/c", "tenant: x",  "tenant:a*", "tenant:a\nb", "user:x",         "tenant:\xff"};
    for (unsigned i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        struct access_scope s = scope_of(GOOD[i]);
        struct str text;
        assert_true(access_scope_format(a, &s, &text, &why));
        assert_true(str_eqz(text, GOOD[i]));
    }
    for (unsigned i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct access_scope s;
        if (access_scope_parse(str_of(BAD[i]), &s, &why)) fail_msg("'%s' was taken", BAD[i]);
        assert_int_equal(why.kind, ERR_BAD_INPUT);
    }
}

static void permissions_and_roles_have_names(void **state) {
    (void)state;
    for (unsigned i = 1; i < ACCESS_PERMISSIONS; i++) {
        const char *name = access_permission_name((enum permission)i);
        assert_non_null(name);
        assert_int_equal(access_permission_of(str_of(name)), i);
    }
    assert_null(access_permission_name(ACCESS_UNDECLARED));
    assert_int_equal(access_permission_of(STR_LIT("study.fly")), ACCESS_UNDECLARED);
    for (unsigned i = 0; i < ACCESS_ROLE_COUNT; i++) {
        assert_ptr_equal(access_role_find(str_of(ACCESS_ROLES[i].name)), &ACCESS_ROLES[i]);
        assert_int_equal(ACCESS_ROLES[i].permissions & ~ACCESS_ALL_BITS, 0);
    }
}

static void a_door_without_a_principal_gets_nothing(void **state) {
    struct arena *a = &arena;
    (void)state;
    struct access_reach reach;
    const struct actor web = {.door = DOOR_DICOMWEB}, job = {.door = DOOR_JOB};
    assert_false(access_require(&web, ACCESS_STUDY_READ, &why));
    assert_int_equal(why.kind, ERR_UNAUTHORIZED);
    assert_true(access_reach_of(&web, ACCESS_STUDY_READ, a, &reach, &why));
    assert_false(reach.everywhere);
    assert_int_equal(reach.count, 0);
    assert_true(access_reach_of(&job, ACCESS_STUDY_READ, a, &reach, &why));
    assert_true(reach.everywhere);
}

static void reach_is_the_keys_of_the_grants(void **state) {
    struct arena *a = &arena;
    (void)state;
    (void)state;
    const struct access_role *viewer = access_role_find(STR_LIT("viewer")), *auditor = access_role_find(STR_LIT("auditor"));
    const struct access_grant grants[] = {{.permissions = viewer->permissions, .scope = scope_of("site:north/main")},
                                          {.permissions = viewer->permissions, .scope = scope_of("assigned")},
                                          {.permissions = viewer->permissions, .scope = scope_of("label:north/trial-7")},
                                          {.permissions = auditor->permissions, .scope = scope_of("*")}};
    const struct principal p = {.kind = PRINCIPAL_USER, .name = STR_LIT("li.wei"), .grants = grants, .grant_count = 4};
    const struct actor who = {.door = DOOR_PAGE, .principal = &p};
    struct access_reach reach;
    assert_true(access_reach_of(&who, ACCESS_STUDY_FIND, a, &reach, &why));
    assert_false(reach.everywhere);
    assert_int_equal(reach.count, 3);
    assert_true(str_eqz(reach.keys[0], "s:north/main"));
    assert_true(str_eqz(reach.keys[1], "u:li.wei"));
    assert_true(str_eqz(reach.keys[2], "l:north/trial-7"));
}

// ---- every table says what it needs ----

static void check_routes(const struct http_route *r) {
    for (; r->pattern; r++)
        if (!access_permission_name((enum permission)r->permission)) fail_msg("%s %s declares no permission", http_method_name(r->method), r->pattern);
}

static void check_command(const struct cli_command *c, bool within) {
    if (!access_permission_name(c->permission)) fail_msg("the command %s declares no permission", c->name);
    for (unsigned i = 0; !within && c->subcommands && c->subcommands[i]; i++) check_command(c->subcommands[i], true);
}

static void check_services(void) {
    const char *uid;
    unsigned permission, n = 0;
    for (; dicom_service_at(n, &uid, &permission); n++)
        if (!access_permission_name((enum permission)permission)) fail_msg("the service %s declares no permission", uid ? uid : "of storage");
    assert_true(n > 2);
}

static void every_route_service_and_command_declares_a_permission(void **state) {
    (void)state;
    check_routes(WEB_ROUTES);
    check_routes(WEB_OIDC_ROUTES);
    check_routes(DICOMWEB_ROUTES);
    check_routes(WADO_URI_ROUTES);
    check_services();
    check_routes(ADMIN_ROUTES);
    const struct cli_command *const *all = admin_commands(&arena, COMMANDS);
    assert_non_null(all);
    for (unsigned i = 0; all[i]; i++) check_command(all[i], false);
}

// One of them only reads where it may be asked with GET, takes no two fields of a name, and can be found.
static void every_operation_of_administration_is_declared_whole(void **state) {
    unsigned n = 0;
    (void)state;
    for (const struct admin_operation *const *table = ADMIN_TABLES; *table; table++)
        for (const struct admin_operation *op = *table; op->noun; op++, n++) {
            assert_string_equal(op->noun, (*table)->noun);
            if (!access_permission_name(op->permission)) fail_msg("%s %s declares no permission", op->noun, op->verb);
            assert_ptr_equal(admin_find(str_of(op->noun), str_of(op->verb)), op);
            assert_true(op->run && op->help && op->help_zh);
            for (const struct admin_field *f = op->fields; f && f->name; f++) {
                assert_true(f->help && f->help_zh);
                for (const struct admin_field *other = f + 1; other->name; other++) assert_string_not_equal(f->name, other->name);
            }
        }
    assert_true(n > 10);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_nobody_declared_is_never_allowed),
        TEST(a_grant_reaches_its_scope_and_no_further),
        TEST(a_grant_that_has_ended_counts_no_more),
        TEST(scopes_are_written_as_they_are_read),
        TEST(permissions_and_roles_have_names),
        TEST(a_door_without_a_principal_gets_nothing),
        TEST(reach_is_the_keys_of_the_grants),
        TEST(every_route_service_and_command_declares_a_permission),
        TEST(every_operation_of_administration_is_declared_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
