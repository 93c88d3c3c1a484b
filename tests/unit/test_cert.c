// Certificates: what is made is what was ordered, and a check names every fault and no other.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "net/cert.h"

#define DAY_MS (24LL * 3600 * 1000)

struct made {
    struct arena a;
    struct cert_pair ca, server, client;
    struct cert *ca_cert, *server_cert, *client_cert;
};

static struct cert *read_one(struct arena *a, struct str pem) {
    struct cert *c;
    unsigned n;
    struct err e = {0};
    assert_true(cert_from_pem(a, pem, &c, &n, &e));
    assert_int_equal(n, 1);
    return c;
}

static struct cert_pair make(struct arena *a, struct cert_order o, const struct cert_pair *by) {
    struct cert_pair out;
    struct err e = {0};
    if (!o.days) o.days = 100;
    if (!cert_make(a, &o, by, &out, &e)) fail_msg("%s", e.message);
    return out;
}

static int setup(void **state) {
    static const char *const HOSTS[] = {"pacs.example.org", "10.0.0.5", "::1", "*.reading.example.org"};
    struct made *m = calloc(1, sizeof *m);
    arena_init(&m->a, 1 << 24);
    m->ca = make(&m->a, (struct cert_order){.use = CERT_FOR_AUTHORITY, .common_name = "医院 CA", .organisation = "St. Mary", .days = 200}, NULL);
    m->server = make(&m->a, (struct cert_order){.use = CERT_FOR_SERVER, .common_name = "pacs", .names = HOSTS, .name_count = 4}, &m->ca);
    m->client = make(&m->a, (struct cert_order){.use = CERT_FOR_CLIENT, .common_name = "CT1"}, &m->ca);
    m->ca_cert = read_one(&m->a, m->ca.cert);
    m->server_cert = read_one(&m->a, m->server.cert);
    m->client_cert = read_one(&m->a, m->client.cert);
    *state = m;
    return 0;
}

static int teardown(void **state) {
    struct made *m = *state;
    arena_deinit(&m->a);
    free(m);
    return 0;
}

static unsigned check(const struct made *m, const struct cert *leaf, const char *host, bool client, int64_t days) {
    const struct cert_question q = {
        .chain = leaf, .count = 1, .trusted = m->ca_cert, .trusted_count = 1, .host = host, .client = client, .at_ms = clock_wall_ms() + days * DAY_MS};
    return cert_check(&q, NULL);
}

static void a_certificate_says_what_was_ordered(void **state) {
    const struct made *m = *state;
    assert_string_equal(m->ca_cert->subject, "CN=医院 CA,O=St. Mary");
    assert_true(m->ca_cert->authority && m->ca_cert->own_issuer);
    assert_string_equal(m->server_cert->issuer, m->ca_cert->subject);
    assert_string_equal(m->server_cert->common_name, "pacs");
    assert_int_equal(m->server_cert->name_count, 4);
    assert_string_equal(m->server_cert->names[1], "10.0.0.5");
    assert_string_equal(m->server_cert->names[2], "::1");
    assert_string_equal(m->server_cert->key, "EC P-256");
    assert_true(m->server_cert->for_server && m->server_cert->for_client && !m->server_cert->authority);
    assert_true(m->client_cert->for_client && !m->client_cert->for_server && !m->client_cert->weak);
    assert_in_range(m->server_cert->until_ms, clock_wall_ms() + 99 * DAY_MS, clock_wall_ms() + 100 * DAY_MS);
    assert_true(m->server_cert->from_ms < clock_wall_ms());
    assert_int_equal(strlen(m->server_cert->fingerprint), 64);
}

static void a_good_certificate_has_no_fault(void **state) {
    const struct made *m = *state;
    assert_int_equal(check(m, m->server_cert, "pacs.example.org", false, 0), 0);
    assert_int_equal(check(m, m->server_cert, "PACS.Example.org", false, 0), 0);
    assert_int_equal(check(m, m->server_cert, "10.0.0.5", false, 0), 0);
    assert_int_equal(check(m, m->server_cert, "::1", false, 0), 0);
    assert_int_equal(check(m, m->server_cert, "room1.reading.example.org", false, 0), 0);
    assert_int_equal(check(m, m->client_cert, NULL, true, 0), 0);
    assert_int_equal(check(m, m->server_cert, NULL, true, 0), 0);
}

static void every_fault_is_named_and_no_other(void **state) {
    const struct made *m = *state;
    assert_int_equal(check(m, m->server_cert, "pacs.example.com", false, 0), CERT_OTHER_NAME);
    assert_int_equal(check(m, m->server_cert, "10.0.0.6", false, 0), CERT_OTHER_NAME);
    assert_int_equal(check(m, m->server_cert, "a.b.reading.example.org", false, 0), CERT_OTHER_NAME);
    assert_int_equal(check(m, m->server_cert, "pacs", false, 0), CERT_OTHER_NAME); // the common name is no host's
    assert_int_equal(check(m, m->client_cert, NULL, false, 0), CERT_OTHER_USE);
    assert_int_equal(check(m, m->server_cert, NULL, false, 101), CERT_EXPIRED);
    assert_int_equal(check(m, m->server_cert, NULL, false, -2), CERT_NOT_YET | CERT_ISSUER_TIME);
    assert_int_equal(check(m, m->server_cert, NULL, false, 300), CERT_EXPIRED | CERT_ISSUER_TIME);
    assert_int_equal(check(m, m->client_cert, "ct1", false, 101), CERT_EXPIRED | CERT_OTHER_NAME | CERT_OTHER_USE);
    const struct cert_question nothing = {.chain = m->server_cert, .count = 1, .at_ms = clock_wall_ms()};
    assert_int_equal(cert_check(&nothing, NULL), CERT_AUTHORITY_ABSENT);
}

static void a_chain_leads_to_the_authority_or_is_a_stranger(void **state) {
    struct made *m = *state;
    struct cert_pair other = make(&m->a, (struct cert_order){.use = CERT_FOR_AUTHORITY, .common_name = "医院 CA", .organisation = "St. Mary"}, NULL);
    struct cert_pair alone = make(&m->a, (struct cert_order){.use = CERT_FOR_SERVER, .common_name = "alone"}, NULL);
    struct cert_pair wrong = make(&m->a, (struct cert_order){.use = CERT_FOR_SERVER, .common_name = "impostor's"}, &other);
    assert_int_equal(check(m, read_one(&m->a, alone.cert), NULL, false, 0), CERT_SELF_SIGNED);
    // an authority of the same name with another key: the identifier of its key tells them apart
    assert_int_equal(check(m, read_one(&m->a, wrong.cert), NULL, false, 0), CERT_UNKNOWN_ISSUER);
    struct cert chain[2] = {*read_one(&m->a, wrong.cert), *read_one(&m->a, other.cert)};
    const struct cert_question brought = {.chain = chain, .count = 2, .trusted = m->ca_cert, .trusted_count = 1, .at_ms = clock_wall_ms()};
    assert_int_equal(cert_check(&brought, NULL), CERT_UNKNOWN_ISSUER); // bringing one's own authority helps nobody
    const struct cert_question pinned = {.chain = m->server_cert, .count = 1, .trusted = m->server_cert, .trusted_count = 1, .at_ms = clock_wall_ms()};
    assert_int_equal(cert_check(&pinned, NULL), 0);
    const struct cert_question by_leaf = {.chain = chain, .count = 1, .trusted = m->client_cert, .trusted_count = 1, .at_ms = clock_wall_ms()};
    assert_int_equal(cert_check(&by_leaf, NULL), CERT_UNKNOWN_ISSUER);
}

static void an_altered_certificate_is_found(void **state) {
    struct made *m = *state;
    char *bytes = arena_alloc(&m->a, m->server_cert->der.n, NULL);
    memcpy(bytes, m->server_cert->der.p, m->server_cert->der.n);
    char *at = memmem(bytes, m->server_cert->der.n, "pacs.example.org", 16);
    assert_non_null(at);
    memcpy(at, "evil", 4);
    struct cert c;
    struct err e = {0};
    assert_true(cert_from_der(&m->a, (struct str){bytes, m->server_cert->der.n}, &c, &e));
    assert_int_equal(check(m, &c, "evil.example.org", false, 0), CERT_BAD_SIGNATURE);
}

// Any byte changed, any end cut: an error or a certificate, never a crash.
static void no_bytes_harm_the_reader(void **state) {
    struct made *m = *state;
    struct arena a;
    char bytes[2048];
    size_t n = m->server_cert->der.n;
    assert_true(n < sizeof bytes);
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < n; i++) {
        struct cert c;
        struct err e = {0};
        memcpy(bytes, m->server_cert->der.p, n);
        bytes[i] = (char)(bytes[i] ^ (1 << i % 8));
        if (cert_from_der(&a, (struct str){bytes, n}, &c, &e)) check(m, &c, "x", i % 2, 0);
        assert_false(cert_from_der(&a, (struct str){m->server_cert->der.p, i}, &c, &e));
        arena_reset(&a);
    }
    arena_deinit(&a);
}

static void a_key_fits_its_certificate_alone(void **state) {
    const struct made *m = *state;
    struct err e = {0};
    assert_true(cert_key_fits(m->server_cert, m->server.key, &e));
    assert_false(cert_key_fits(m->server_cert, m->client.key, &e));
    assert_int_equal(e.kind, ERR_CONFLICT);
    assert_false(cert_key_fits(m->server_cert, m->server.cert, &e));
    assert_int_equal(e.kind, ERR_BAD_INPUT);
}

static void a_renewed_one_is_the_same_for_longer(void **state) {
    struct made *m = *state;
    struct err e = {0};
    struct str text;
    assert_true(cert_renew(&m->a, &m->server, &m->ca, 150, &text, &e));
    const struct cert *c = read_one(&m->a, text);
    assert_string_equal(c->subject, m->server_cert->subject);
    assert_int_equal(c->name_count, 4);
    assert_true(c->until_ms > m->server_cert->until_ms && strcmp(c->serial, m->server_cert->serial) != 0);
    assert_true(cert_key_fits(c, m->server.key, &e));
    assert_int_equal(check(m, c, "pacs.example.org", false, 140), 0);
    // an authority renews itself, and what it signed before goes on
    assert_true(cert_renew(&m->a, &m->ca, NULL, 400, &text, &e));
    struct cert *ca = read_one(&m->a, text);
    const struct cert_question q = {.chain = m->server_cert, .count = 1, .trusted = ca, .trusted_count = 1, .at_ms = clock_wall_ms()};
    assert_int_equal(cert_check(&q, NULL), 0);
    assert_true(ca->until_ms > m->ca_cert->until_ms + 100 * DAY_MS);
}

static void nothing_outlasts_its_authority(void **state) {
    struct made *m = *state;
    struct cert_pair p = make(&m->a, (struct cert_order){.use = CERT_FOR_CLIENT, .common_name = "long", .days = 5000}, &m->ca);
    assert_int_equal(read_one(&m->a, p.cert)->until_ms, m->ca_cert->until_ms);
}

static void only_an_authority_signs(void **state) {
    struct made *m = *state;
    struct err e = {0};
    struct cert_pair out;
    const struct cert_pair mixed = {m->ca.cert, m->server.key};
    const struct cert_order o = {.use = CERT_FOR_CLIENT, .common_name = "x", .days = 1};
    assert_false(cert_make(&m->a, &o, &m->server, &out, &e));
    assert_false(cert_make(&m->a, &o, &mixed, &out, &e));
    assert_int_equal(e.kind, ERR_CONFLICT);
}

static void names_that_are_none_are_refused(void **state) {
    static const char *const GOOD[] = {"a", "pacs", "pacs.example.org", "*.example.org", "10.0.0.1", "fe80::1", "xn--fiq228c.cn", "ct_1"};
    static const char *const BAD[] = {"", ".", "a..b", "a.", "影像", "a b", "*", "a/b", "DNS:x", "*.*.a", "a,IP:1.2.3.4", "x\n"};
    (void)state;
    for (unsigned i = 0; i < sizeof GOOD / sizeof *GOOD; i++) assert_true(cert_name_valid(GOOD[i], NULL));
    for (unsigned i = 0; i < sizeof BAD / sizeof *BAD; i++) assert_false(cert_name_valid(BAD[i], NULL));
}

static void every_kind_of_key_signs_and_is_signed(void **state) {
    static const char *const TEXT[] = {[CERT_KEY_EC] = "EC P-256", [CERT_KEY_RSA] = "RSA 3072", [CERT_KEY_SM2] = "SM2"};
    struct made *m = *state;
    for (int kind = CERT_KEY_EC; kind <= CERT_KEY_SM2; kind++) {
        struct cert_pair ca = make(&m->a, (struct cert_order){.use = CERT_FOR_AUTHORITY, .key = (enum cert_key_kind)kind, .common_name = "ca"}, NULL);
        struct cert_pair leaf = make(&m->a, (struct cert_order){.use = CERT_FOR_SERVER, .key = (enum cert_key_kind)kind, .common_name = "leaf"}, &ca);
        const struct cert *c = read_one(&m->a, leaf.cert), *top = read_one(&m->a, ca.cert);
        const struct cert_question q = {.chain = c, .count = 1, .trusted = top, .trusted_count = 1, .at_ms = clock_wall_ms()};
        assert_string_equal(c->key, TEXT[kind]);
        assert_false(c->weak);
        assert_int_equal(cert_check(&q, NULL), 0);
        assert_true(cert_key_fits(c, leaf.key, NULL));
    }
}

static void a_file_without_certificates_says_so(void **state) {
    struct made *m = *state;
    struct cert *c;
    unsigned n;
    struct err e = {0};
    assert_false(cert_from_pem(&m->a, STR_LIT("hello\n"), &c, &n, &e));
    assert_non_null(strstr(e.message, "BEGIN CERTIFICATE"));
    assert_false(cert_from_pem(&m->a, m->server.key, &c, &n, &e)); // a key is none
    assert_false(cert_from_pem(&m->a, STR_LIT(""), &c, &n, &e));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_certificate_says_what_was_ordered, setup, teardown),
        cmocka_unit_test_setup_teardown(a_good_certificate_has_no_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(every_fault_is_named_and_no_other, setup, teardown),
        cmocka_unit_test_setup_teardown(a_chain_leads_to_the_authority_or_is_a_stranger, setup, teardown),
        cmocka_unit_test_setup_teardown(an_altered_certificate_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(no_bytes_harm_the_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_fits_its_certificate_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_renewed_one_is_the_same_for_longer, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_outlasts_its_authority, setup, teardown),
        cmocka_unit_test_setup_teardown(only_an_authority_signs, setup, teardown),
        cmocka_unit_test(names_that_are_none_are_refused),
        cmocka_unit_test_setup_teardown(every_kind_of_key_signs_and_is_signed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_without_certificates_says_so, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
