// Peers: recognised by all that their rows ask for, never by an AE title alone; and what they may then do.
#include "core_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/peers_manage.h"

#define PRINT "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static struct err why;

static struct peers *open_with(struct fixture *f, const struct peers_options *o) {
    struct peers *p = NULL;
    err_clear(&why);
    if (!peers_open(f->ar, o, &p, &why)) fail_msg("%s", why.message);
    return p;
}

static void add_row(struct fixture *f, const char *columns, const char *values, const char *grant) {
    char sql[1024];
    snprintf(sql, sizeof sql, "INSERT INTO peers (id, created_ms, changed_ms, %s) VALUES ((SELECT coalesce(max(id), 0) + 1 FROM peers), 0, 0, %s)", columns,
             values);
    run_sql(f, sql);
    snprintf(sql, sizeof sql,
             "INSERT INTO grants (id, holder, holder_id, role, scope, granted_by) VALUES ((SELECT coalesce(max(id), 0) + 1 FROM grants), 'peer', (SELECT "
             "max(id) FROM peers), %s, 'admin')",
             grant);
    run_sql(f, sql);
    run_sql(f, "UPDATE counters SET value = value + 1 WHERE name = 'access'");
}

static const struct principal *see(struct fixture *f, struct peers *p, const char *calling, const char *address, const char *print) {
    const struct peer_seen seen = {.calling = str_of(calling),
                                   .called = STR_LIT("GANTRY"),
                                   .address = str_of(address),
                                   .tls = print,
                                   .fingerprint = str_of(print ? print : ""),
                                   .subject = str_of(print ? "CN=CT1" : "")};
    const struct principal *out = NULL;
    struct str text;
    if (!peer_recognise(p, &f->arena, &seen, &out, &text, &why)) fail_msg("%s", why.message);
    if (out) return out;
    assert_true(text.n > 0);
    err_set(&why, ERR_FORBIDDEN, "test", "%.*s", STR_FMT(text));
    return NULL;
}

static void is_nobody(struct fixture *f, struct peers *p, const char *calling, const char *address, const char *print, const char *because) {
    if (see(f, p, calling, address, print)) fail_msg("%s at %s was recognised", calling, address);
    if (!strstr(why.message, because)) fail_msg("'%s' is not in: %s", because, why.message);
}

static bool may(const struct principal *p, enum permission what, const char *tenant) {
    const struct access_object o = {.realm = {str_of(tenant), {"", 0}, {"", 0}}};
    return access_decide(p, what, &o, 1, NULL) == ACCESS_ALLOWED;
}

static void without_a_word_nobody_is_let_in(void **state) {
    struct fixture *f = *state;
    struct peers *p = open_with(f, NULL);
    is_nobody(f, p, "CT1", "127.0.0.1", NULL, "gantry peer add");
    peers_close(p);
}

static void strangers_are_let_in_as_far_as_configured(void **state) {
    struct fixture *f = *state;
    static const char *const UNKNOWN[] = {"loopback", "10.0.0.0/8"};
    const struct peers_options o = {.unknown = UNKNOWN, .unknown_count = 2, .unknown_role = "viewer"};
    struct peers *p = open_with(f, &o);
    assert_ptr_equal(see(f, p, "CT1", "127.0.0.1", NULL), &PRINCIPAL_OF_LOCAL);
    assert_ptr_equal(see(f, p, "CT1", "::1", NULL), &PRINCIPAL_OF_LOCAL);
    const struct principal *stranger = see(f, p, "CT1", "10.1.2.3", NULL);
    assert_non_null(stranger);
    assert_true(str_eqz(stranger->name, "unknown:CT1"));
    assert_true(may(stranger, ACCESS_STUDY_FIND, "") && !may(stranger, ACCESS_STUDY_STORE, "") && !may(stranger, ACCESS_STUDY_FIND, "north"));
    is_nobody(f, p, "CT1", "192.168.0.1", PRINT, "no known peer");
    peers_close(p);
}

static void words_of_configuration_that_mean_nothing_are_refused(void **state) {
    struct fixture *f = *state;
    static const char *const NONSENSE[] = {"everybody"};
    const struct peer_setting BAD[] = {{.aet = "A", .host = "h", .role = "surgeon"},
                                       {.aet = "A", .certificate = "12:34"},
                                       {.aet = "A", .host = "h", .services = (const char *const[]){"study.eat"}, .service_count = 1},
                                       {.aet = "A", .host = "h", .realm = "a/b/c/d"},
                                       {.aet = "A", .networks = (const char *const[]){"10.0.0.0/99"}, .network_count = 1}};
    struct peers *p;
    assert_false(peers_open(f->ar, &(struct peers_options){.unknown = NONSENSE, .unknown_count = 1}, &p, &why));
    assert_non_null(strstr(why.message, "everybody"));
    for (unsigned i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        assert_false(peers_open(f->ar, &(struct peers_options){.known = &BAD[i], .known_count = 1}, &p, &why));
        assert_non_null(strstr(why.message, "entry 1"));
    }
}

static void all_that_a_row_asks_for_must_fit(void **state) {
    struct fixture *f = *state;
    static const char *const ANY[] = {"any"};
    struct peers *p = open_with(f, &(struct peers_options){.unknown = ANY, .unknown_count = 1});
    add_row(f, "name, aet, networks, fingerprint, realm", "'CT of the ward', 'CT1', '[\"10.0.0.0/24\"]', '" PRINT "', 'north/east'",
            "'service', 'tenant:north'");
    const struct principal *ct = see(f, p, "CT1", "10.0.0.9", PRINT);
    assert_non_null(ct);
    assert_true(ct->kind == PRINCIPAL_PEER && str_eqz(ct->name, "peer:CT of the ward"));
    assert_true(str_eqz(ct->home.tenant, "north") && str_eqz(ct->home.site, "east"));
    assert_true(may(ct, ACCESS_STUDY_STORE, "north") && !may(ct, ACCESS_STUDY_STORE, "") && !may(ct, ACCESS_STUDY_DELETE, "north"));
    // whoever else is let in unknown: the title of a known peer is its own
    is_nobody(f, p, "CT1", "10.0.1.9", PRINT, "outside its networks");
    is_nobody(f, p, "CT1", "10.0.0.9", OTHER, "another client certificate");
    is_nobody(f, p, "CT1", "10.0.0.9", NULL, "no client certificate");
    assert_non_null(see(f, p, "CT2", "10.0.0.9", NULL));
    peers_close(p);
}

static void what_is_switched_off_or_changed_counts_at_once(void **state) {
    struct fixture *f = *state;
    struct peers *p = open_with(f, NULL);
    add_row(f, "name, aet, networks", "'MR', 'MR1', '[\"10.0.0.7\"]'", "'viewer', '*'");
    assert_non_null(see(f, p, "MR1", "10.0.0.7", NULL));
    run_sql(f, "UPDATE peers SET state = 'off' WHERE name = 'MR'");
    run_sql(f, "UPDATE counters SET value = value + 1 WHERE name = 'access'");
    uint64_t before = peers_generation(p);
    is_nobody(f, p, "MR1", "10.0.0.7", NULL, "switched off");
    assert_true(peers_generation(p) > before);
    peers_close(p);
}

static void the_surest_of_several_rows_counts(void **state) {
    struct fixture *f = *state;
    struct peers *p = open_with(f, NULL);
    add_row(f, "name, aet, networks", "'a network', '', '[\"10.0.0.0/8\"]'", "'viewer', '*'");
    add_row(f, "name, aet, networks, fingerprint", "'its certificate', 'WS1', '[\"10.0.0.0/8\"]', '" PRINT "'", "'service', '*'");
    add_row(f, "name, aet, networks", "'the title', 'WS1', '[\"10.0.0.0/8\"]'", "'viewer', '*'");
    assert_true(str_eqz(see(f, p, "WS1", "10.1.1.1", PRINT)->display, "its certificate"));
    assert_true(str_eqz(see(f, p, "WS1", "10.1.1.1", NULL)->display, "the title"));
    assert_true(str_eqz(see(f, p, "WS2", "10.1.1.1", NULL)->display, "a network"));
    peers_close(p);
}

static void what_the_configuration_names_no_row_takes_over(void **state) {
    struct fixture *f = *state;
    const struct peer_setting KNOWN[] = {{.aet = "CT1", .networks = (const char *const[]){"10.0.0.0/8"}, .network_count = 1, .host = "10.0.0.1", .port = 104}};
    struct peer_destination to;
    struct peers *p = open_with(f, &(struct peers_options){.known = KNOWN, .known_count = 1});
    add_row(f, "name, aet, networks, fingerprint, realm, host, port", "'mine', 'CT1', '[\"10.0.0.7\"]', '" PRINT "', 'north', 'evil.example.org', 104",
            "'service', 'tenant:north'");
    add_row(f, "name, aet, networks", "'old', 'MR1', '[\"10.0.0.7\"]'", "'service', '*'");
    add_row(f, "name, aet, networks", "'new', 'MR1', '[\"10.0.0.0/24\"]'", "'service', '*'");
    const struct principal *ct = see(f, p, "CT1", "10.0.0.7", PRINT);
    assert_true(str_eqz(ct->home.tenant, "") && str_eqz(ct->display, "CT1"));
    assert_true(str_eqz(see(f, p, "MR1", "10.0.0.7", NULL)->display, "old")); // as sure as the other, and older
    assert_true(peer_destination(p, &PRINCIPAL_OF_LOCAL, STR_LIT("CT1"), &to, &why));
    assert_string_equal(to.host, "10.0.0.1");
    peers_close(p);
}

static void services_narrow_what_its_role_permits(void **state) {
    struct fixture *f = *state;
    struct peers *p = open_with(f, NULL);
    add_row(f, "name, aet, networks, services, associations", "'CR', 'CR1', '[\"10.0.0.8\"]', '[\"study.store\",\"study.commit\"]', 2", "'service', '*'");
    const struct principal *cr = see(f, p, "CR1", "10.0.0.8", NULL);
    assert_non_null(cr);
    assert_true(may(cr, ACCESS_STUDY_STORE, "") && may(cr, ACCESS_STUDY_COMMIT, "") && !may(cr, ACCESS_STUDY_FIND, "") && !may(cr, ACCESS_STUDY_READ, ""));
    assert_int_equal(peer_associations(p, cr), 2);
    peers_close(p);
}

static void a_configured_peer_is_known_by_where_it_listens(void **state) {
    struct fixture *f = *state;
    const struct peer_setting KNOWN[] = {
        {.aet = "READER", .host = "10.0.0.7", .port = 104},
        {.aet = "HERE", .host = "localhost", .port = 104},
        {.aet = "BEHIND", .host = "10.0.0.5", .port = 104, .networks = (const char *const[]){"10.9.0.0/16"}, .network_count = 1}};
    struct peers *p = open_with(f, &(struct peers_options){.known = KNOWN, .known_count = 3});
    assert_true(str_eqz(see(f, p, "READER", "10.0.0.7", NULL)->name, "peer:READER"));
    assert_true(str_eqz(see(f, p, "READER", "::ffff:10.0.0.7", NULL)->name, "peer:READER"));
    is_nobody(f, p, "READER", "10.0.0.8", NULL, "elsewhere than its host");
    assert_non_null(see(f, p, "HERE", "127.0.0.1", NULL));
    assert_non_null(see(f, p, "BEHIND", "10.9.1.1", NULL));
    is_nobody(f, p, "BEHIND", "10.0.0.5", NULL, "outside its networks");
    peers_close(p);
}

static void destinations_of_other_tenants_are_not_there(void **state) {
    struct fixture *f = *state;
    struct peer_destination to;
    struct peers *p = open_with(f, NULL);
    add_row(f, "name, aet, networks, host, port, tls, realm", "'PACS', 'PACS', '[\"10.0.0.7\"]', 'pacs.example.org', 2762, 1, 'north'",
            "'service', 'tenant:north'");
    add_row(f, "name, aet, networks, realm", "'WS', 'WS', '[\"10.0.0.9\"]', 'south'", "'service', 'tenant:south'");
    const struct principal *north = see(f, p, "PACS", "10.0.0.7", NULL), *south = see(f, p, "WS", "10.0.0.9", NULL);
    assert_true(peer_destination(p, north, STR_LIT("PACS"), &to, &why));
    assert_string_equal(to.host, "pacs.example.org");
    assert_true(to.port == 2762 && to.tls);
    assert_true(peer_destination(p, NULL, STR_LIT("PACS"), &to, &why));
    assert_true(peer_destination(p, &PRINCIPAL_OF_LOCAL, STR_LIT("PACS"), &to, &why));
    assert_false(peer_destination(p, south, STR_LIT("PACS"), &to, &why));
    assert_int_equal(why.kind, ERR_NOT_FOUND);
    assert_false(peer_destination(p, NULL, STR_LIT("WS"), &to, &why)); // it listens nowhere
    // Who sends what is assigned to him sends it to his own tenant's.
    const struct access_grant assigned = {.permissions = ACCESS_BIT(ACCESS_STUDY_SEND), .scope = {.kind = SCOPE_ASSIGNED}};
    struct principal reader = {
        .kind = PRINCIPAL_USER, .id = 1, .name = STR_LIT("wang"), .grants = &assigned, .grant_count = 1, .home.tenant = STR_LIT("south")};
    assert_false(peer_destination(p, &reader, STR_LIT("PACS"), &to, &why));
    reader.home.tenant = STR_LIT("north");
    assert_true(peer_destination(p, &reader, STR_LIT("PACS"), &to, &why));
    peers_close(p);
}

static void what_was_asked_for_is_done_later_by_the_same_right(void **state) {
    struct fixture *f = *state;
    const struct principal *out;
    struct peers *p = open_with(f, NULL);
    add_row(f, "name, aet, networks", "'MR', 'MR1', '[\"10.0.0.7\"]'", "'viewer', 'tenant:north'");
    assert_true(peer_principal(p, &f->arena, STR_LIT("peer:MR"), &out, &why) && out && may(out, ACCESS_STUDY_FIND, "north") &&
                !may(out, ACCESS_STUDY_FIND, ""));
    assert_true(peer_principal(p, &f->arena, STR_LIT("unknown:X"), &out, &why) && out && !may(out, ACCESS_STUDY_FIND, "north"));
    assert_true(peer_principal(p, &f->arena, STR_LIT("local"), &out, &why) && out == &PRINCIPAL_OF_LOCAL);
    assert_true(peer_principal(p, &f->arena, STR_LIT("peer:gone"), &out, &why) && !out);
    peers_close(p);
}

static struct peer_change same(const char *name) {
    return (struct peer_change){.name = str_of(name), .port = -1, .associations = -1, .tls = -1};
}

static void is_refused(struct fixture *f, const struct actor *who, struct peer_change c, enum err_kind kind, const char *because) {
    if (peer_add(f->ar, NULL, who, &c, &why)) fail_msg("%.*s was added", STR_FMT(c.name));
    assert_int_equal(why.kind, kind);
    if (!strstr(why.message, because)) fail_msg("'%s' is not in: %s", because, why.message);
}

static void peers_are_added_changed_and_forgotten(void **state) {
    struct fixture *f = *state;
    const struct str networks[] = {STR_LIT("10.0.0.0/24")}, services[] = {STR_LIT("study.store")}, none[] = {STR_LIT("10.0.0.0/77")};
    struct peers *p = open_with(f, NULL);
    struct peer_change c = same("CT1");
    c.aet = STR_LIT("CT1");
    is_refused(f, &TESTER, c, ERR_USAGE, "an AE title is no authentication");
    c.networks = none, c.network_count = 1;
    is_refused(f, &TESTER, c, ERR_USAGE, "10.0.0.0/77");
    c.networks = networks, c.services = services, c.service_count = 1, c.realm = STR_LIT("north/east");
    c.host = STR_LIT("ct1.example.org");
    is_refused(f, &TESTER, c, ERR_USAGE, "port");
    c.port = 104;
    if (!peer_add(f->ar, NULL, &TESTER, &c, &why)) fail_msg("%s", why.message);
    is_refused(f, &TESTER, c, ERR_CONFLICT, "already");
    const struct principal *ct = see(f, p, "CT1", "10.0.0.9", NULL);
    assert_true(ct && may(ct, ACCESS_STUDY_STORE, "north") && !may(ct, ACCESS_STUDY_STORE, "") && !may(ct, ACCESS_STUDY_FIND, "north"));
    c = same("CT1");
    c.certificate = STR_LIT("SHA256:" PRINT);
    if (!peer_set(f->ar, NULL, &TESTER, &c, &why)) fail_msg("%s", why.message);
    is_nobody(f, p, "CT1", "10.0.0.9", NULL, "no client certificate");
    assert_non_null(see(f, p, "CT1", "10.0.0.9", PRINT));
    assert_true(peer_remove(f->ar, &TESTER, STR_LIT("CT1"), &why));
    is_nobody(f, p, "CT1", "10.0.0.9", PRINT, "no known peer");
    assert_false(peer_remove(f->ar, &TESTER, STR_LIT("CT1"), &why));
    assert_int_equal(why.kind, ERR_NOT_FOUND);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM events WHERE type IN ('peer.added', 'peer.changed', 'peer.removed')"), 3);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM grants"), 0);
    peers_close(p);
}

static void nobody_makes_a_peer_that_may_more_than_himself(void **state) {
    struct fixture *f = *state;
    const struct str networks[] = {STR_LIT("10.0.0.0/24")};
    const struct access_grant grant = {.permissions = ACCESS_ALL_BITS, .scope = {.kind = SCOPE_TENANT, .realm = {STR_LIT("north"), {"", 0}, {"", 0}}}};
    const struct principal admin = {.kind = PRINCIPAL_USER, .id = 1, .name = STR_LIT("admin of north"), .grants = &grant, .grant_count = 1};
    const struct actor who = {.door = DOOR_PAGE, .user = STR_LIT("admin of north"), .principal = &admin};
    struct peer_change c = same("X");
    c.networks = networks, c.network_count = 1;
    is_refused(f, &who, c, ERR_FORBIDDEN, "not yours"); // its studies would be of the hospital without a tenant
    c.realm = STR_LIT("north");
    is_refused(f, &who, c, ERR_FORBIDDEN, "under any AE title"); // everybody's, from there
    c.aet = STR_LIT("X");
    c.scope = STR_LIT("*");
    is_refused(f, &who, c, ERR_FORBIDDEN, "more than you have");
    c.scope = STR_LIT("tenant:south");
    is_refused(f, &who, c, ERR_FORBIDDEN, "more than you have");
    c.scope = (struct str){0};
    if (!peer_add(f->ar, NULL, &who, &c, &why)) fail_msg("%s", why.message);
    c = same("Y");
    c.networks = networks, c.network_count = 1, c.realm = STR_LIT("south");
    if (!peer_add(f->ar, NULL, &TESTER, &c, &why)) fail_msg("%s", why.message);
    c = same("Y");
    c.realm = STR_LIT("north");
    assert_false(peer_set(f->ar, NULL, &who, &c, &why));
    assert_int_equal(why.kind, ERR_NOT_FOUND);
    assert_false(peer_remove(f->ar, &who, STR_LIT("Y"), &why));
    assert_int_equal(why.kind, ERR_NOT_FOUND);
    c.networks = networks, c.network_count = 1;
    is_refused(f, &who, c, ERR_CONFLICT, "not free"); // no more than that
}

static void nobody_takes_the_title_of_another_tenants_peer(void **state) {
    struct fixture *f = *state;
    const struct str networks[] = {STR_LIT("10.0.0.7")};
    const struct access_grant grant = {.permissions = ACCESS_ALL_BITS, .scope = {.kind = SCOPE_TENANT, .realm = {STR_LIT("north"), {"", 0}, {"", 0}}}};
    const struct principal admin = {.kind = PRINCIPAL_USER, .id = 1, .name = STR_LIT("admin of north"), .grants = &grant, .grant_count = 1};
    const struct actor who = {.door = DOOR_PAGE, .user = STR_LIT("admin of north"), .principal = &admin};
    struct peer_change c = same("CT of south");
    c.aet = STR_LIT("CT1"), c.networks = networks, c.network_count = 1, c.realm = STR_LIT("south");
    if (!peer_add(f->ar, NULL, &TESTER, &c, &why)) fail_msg("%s", why.message);
    c = same("mine");
    c.aet = STR_LIT("CT1"), c.networks = networks, c.network_count = 1, c.realm = STR_LIT("north"), c.certificate = STR_LIT(PRINT);
    is_refused(f, &who, c, ERR_CONFLICT, "another tenant");
    c.aet = STR_LIT("");
    is_refused(f, &who, c, ERR_CONFLICT, "another tenant"); // any title is that one, too
    c.aet = STR_LIT("CT2");
    if (!peer_add(f->ar, NULL, &who, &c, &why)) fail_msg("%s", why.message);
    c = same("mine");
    c.aet = STR_LIT("CT1");
    assert_false(peer_set(f->ar, NULL, &who, &c, &why));
    assert_int_equal(why.kind, ERR_CONFLICT);
    if (!peer_set(f->ar, NULL, &TESTER, &c, &why)) fail_msg("%s", why.message); // who has a say in both may
}

static void nobody_takes_the_place_of_a_configured_peer(void **state) {
    struct fixture *f = *state;
    const struct str networks[] = {STR_LIT("10.0.0.7")};
    const struct access_grant grant = {.permissions = ACCESS_ALL_BITS, .scope = {.kind = SCOPE_TENANT, .realm = {STR_LIT("north"), {"", 0}, {"", 0}}}};
    const struct principal admin = {.kind = PRINCIPAL_USER, .id = 1, .name = STR_LIT("admin of north"), .grants = &grant, .grant_count = 1};
    const struct actor who = {.door = DOOR_PAGE, .user = STR_LIT("admin of north"), .principal = &admin};
    const struct peer_setting known = {.aet = "CT1", .certificate = PRINT, .realm = "south"};
    struct peers *p = open_with(f, &(struct peers_options){.known = &known, .known_count = 1});
    const struct { const char *name, *aet; } taken[] = {{"mine", "CT1"}, {"CT1", "CT2"}};
    struct peer_change c = same("mine");
    c.networks = networks, c.network_count = 1, c.realm = STR_LIT("north");
    for (unsigned i = 0; i < 2; i++) {
        c.name = str_of(taken[i].name), c.aet = str_of(taken[i].aet);
        assert_false(peer_add(f->ar, p, &who, &c, &why));
        assert_int_equal(why.kind, ERR_CONFLICT);
    }
    c.name = STR_LIT("mine"), c.aet = STR_LIT("CT2");
    if (!peer_add(f->ar, p, &who, &c, &why)) fail_msg("%s", why.message);
    c = same("mine");
    c.aet = STR_LIT("CT1");
    assert_false(peer_set(f->ar, p, &who, &c, &why));
    assert_int_equal(why.kind, ERR_CONFLICT);
    peers_close(p);
}

static void fingerprints_are_taken_as_people_copy_them(void **state) {
    char out[PEER_FINGERPRINT_HEX + 1];
    (void)state;
    assert_true(peer_fingerprint(STR_LIT("SHA256:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF"), out));
    assert_string_equal(out, PRINT);
    assert_false(peer_fingerprint(STR_LIT(PRINT "0"), out));
    assert_false(peer_fingerprint(STR_LIT("CN=CT1"), out));
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(without_a_word_nobody_is_let_in),
        T(strangers_are_let_in_as_far_as_configured),
        T(words_of_configuration_that_mean_nothing_are_refused),
        T(all_that_a_row_asks_for_must_fit),
        T(what_is_switched_off_or_changed_counts_at_once),
        T(the_surest_of_several_rows_counts),
        T(what_the_configuration_names_no_row_takes_over),
        T(services_narrow_what_its_role_permits),
        T(a_configured_peer_is_known_by_where_it_listens),
        T(destinations_of_other_tenants_are_not_there),
        T(what_was_asked_for_is_done_later_by_the_same_right),
        T(peers_are_added_changed_and_forgotten),
        T(nobody_makes_a_peer_that_may_more_than_himself),
        T(nobody_takes_the_title_of_another_tenants_peer),
        T(nobody_takes_the_place_of_a_configured_peer),
        T(fingerprints_are_taken_as_people_copy_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
