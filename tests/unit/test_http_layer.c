// Behaviour of the HTTP layer's decisions: where the server is seen from outside, other sites' pages, conditions, codings.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>

#include "base/limits.h"
#include "http/base_url.h"
#include "http/condition.h"
#include "http/cors.h"
#include "net/network.h"

static struct arena arena;

static int set_up(void **state) {
    (void)state;
    arena_init(&arena, 1024 * 1024);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static struct http_place place(const char *configured, bool trusted, struct http_forwarded f) {
    struct http_place out;
    assert_true(http_base_make(&arena, str_of(configured), trusted, &f, &out, NULL));
    return out;
}

static void the_host_of_the_request_names_the_server(void **state) {
    (void)state;
    struct http_place p = place(NULL, false, (struct http_forwarded){.host = STR_LIT("pacs.local:8080")});
    assert_true(str_eqz(p.base, "http://pacs.local:8080") && p.prefix.n == 0);
    p = place(NULL, false, (struct http_forwarded){.host = STR_LIT("evil\"><script>")});
    assert_true(str_eqz(p.base, "http://localhost"));
}

static void a_trusted_proxy_says_where_it_is(void **state) {
    (void)state;
    struct http_forwarded f = {
        .host = STR_LIT("127.0.0.1:8080"), .proto = STR_LIT("https, http"), .x_host = STR_LIT("pacs.example.org, inner"), .prefix = STR_LIT("/gantry/")};
    struct http_place p = place(NULL, true, f);
    assert_true(str_eqz(p.base, "https://pacs.example.org/gantry") && str_eqz(p.prefix, "/gantry"));
    p = place(NULL, false, f);
    assert_true(str_eqz(p.base, "http://127.0.0.1:8080") && p.prefix.n == 0);
    f = (struct http_forwarded){.host = STR_LIT("a"), .forwarded = STR_LIT("for=192.0.2.1;proto=https;host=\"b.example:8443\", for=10.0.0.1")};
    assert_true(str_eqz(place(NULL, true, f).base, "https://b.example:8443"));
    f = (struct http_forwarded){.host = STR_LIT("a"), .proto = STR_LIT("https"), .port = STR_LIT("8443")};
    assert_true(str_eqz(place(NULL, true, f).base, "https://a:8443"));
}

static void a_prefix_that_would_lead_elsewhere_is_ignored(void **state) {
    (void)state;
    const char *const bad[] = {"//evil.example", "gantry", "/a//b", "/a\"b", "/a b", "/a?b"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct http_forwarded f = {.host = STR_LIT("h"), .prefix = str_of(bad[i])};
        assert_int_equal(place(NULL, true, f).prefix.n, 0);
    }
}

static void a_configured_base_goes_before_everything(void **state) {
    (void)state;
    struct http_place p = place("https://pacs.example.org/g/", true, (struct http_forwarded){.host = STR_LIT("h"), .prefix = STR_LIT("/x")});
    assert_true(str_eqz(p.base, "https://pacs.example.org/g") && str_eqz(p.prefix, "/g"));
    const char *const bad[] = {"", "pacs.example.org", "ftp://a", "https://", "https:///x", "https://a/x?y", "https://a b"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_false(http_base_parse(str_of(bad[i]), &p, NULL));
}

static void networks_hold_the_addresses_in_them(void **state) {
    (void)state;
    const char *const nets[] = {"127.0.0.0/8", "::1", "10.1.0.0/20", "fd00::/8"};
    const char *const in[] = {"127.9.9.9", "::1", "10.1.15.255", "fd12::1", "::ffff:127.0.0.1"}, *const out[] = {"128.0.0.1", "10.1.16.0", "fe80::1", "", "x"};
    for (size_t i = 0; i < sizeof in / sizeof in[0]; i++) assert_true(net_address_in(str_of(in[i]), nets, 4));
    for (size_t i = 0; i < sizeof out / sizeof out[0]; i++) assert_false(net_address_in(str_of(out[i]), nets, 4));
    assert_false(net_network_valid("10.0.0.0/33") || net_network_valid("proxy.local") || net_network_valid("10.0.0.0/"));
}

static void only_configured_origins_are_let_in(void **state) {
    (void)state;
    const char *const exact[] = {"https://viewer.example.org"}, *const both[] = {"*", "https://viewer.example.org"};
    struct str viewer = STR_LIT("https://viewer.example.org"), other = STR_LIT("https://viewer.example.org.evil.example");
    assert_int_equal(http_cors_decide(exact, 1, viewer), HTTP_CORS_EXACT);
    assert_int_equal(http_cors_decide(exact, 1, other), HTTP_CORS_NONE);
    assert_int_equal(http_cors_decide(both, 2, viewer), HTTP_CORS_EXACT);
    assert_int_equal(http_cors_decide(both, 2, other), HTTP_CORS_ANY);
    assert_int_equal(http_cors_decide(both, 2, (struct str){NULL, 0}), HTTP_CORS_NONE);
    assert_int_equal(http_cors_decide(NULL, 0, viewer), HTTP_CORS_NONE);
    assert_true(http_cors_origin_valid("*") && http_cors_origin_valid("http://localhost:3000"));
    assert_false(http_cors_origin_valid("https://a/") || http_cors_origin_valid("a.example") || http_cors_origin_valid("https://*.a.example"));
}

// RFC 9110 5.6.7: the same moment in the three forms that a recipient must take.
static void dates_are_read_in_all_three_forms_and_written_in_one(void **state) {
    (void)state;
    const char *const forms[] = {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"};
    char text[HTTP_DATE_BYTES];
    int64_t t;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        assert_true(http_date_parse(str_of(forms[i]), &t));
        assert_int_equal(t, 784111777);
    }
    http_date_format(784111777, text);
    assert_string_equal(text, forms[0]);
    assert_false(http_date_parse(STR_LIT("yesterday"), &t));
}

static void entity_tags_are_compared_weakly_or_strongly(void **state) {
    (void)state;
    struct str tag = STR_LIT("\"abc\"");
    assert_true(http_etag_listed(STR_LIT("\"x\", W/\"abc\""), tag, true));
    assert_false(http_etag_listed(STR_LIT("\"x\", W/\"abc\""), tag, false));
    assert_true(http_etag_listed(STR_LIT("*"), tag, false));
    assert_false(http_etag_listed(STR_LIT("abc"), tag, true));
    assert_false(http_etag_listed((struct str){NULL, 0}, tag, true));
}

// RFC 9110 12.5.3 with its examples.
static void the_coding_that_is_liked_best_is_chosen(void **state) {
    (void)state;
    const char *const offers[] = {"zstd", "gzip", NULL};
    static const struct {
        const char *header, *chosen;
    } cases[] = {
        {"gzip, deflate, br, zstd", "zstd"},
        {"gzip", "gzip"},
        {"compress;q=0.5, gzip;q=1.0", "gzip"},
        {"gzip;q=1.0, identity; q=0.5, *;q=0", "gzip"},
        {"zstd;q=0.2, gzip;q=0.8", "gzip"},
        {"gzip;q=0", NULL},
        {"", NULL},
        {"*", "zstd"},
        {"identity, gzip;q=0.5", NULL},
        {"*;q=0, gzip", "gzip"},
        {"x-gzip", "gzip"},
        {"gzip;q=nonsense", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *chosen = http_coding_choose(str_of(cases[i].header), offers);
        if (!cases[i].chosen)
            assert_null(chosen);
        else
            assert_string_equal(chosen, cases[i].chosen);
    }
    assert_null(http_coding_choose((struct str){NULL, 0}, offers));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_host_of_the_request_names_the_server),
        cmocka_unit_test(a_trusted_proxy_says_where_it_is),
        cmocka_unit_test(a_prefix_that_would_lead_elsewhere_is_ignored),
        cmocka_unit_test(a_configured_base_goes_before_everything),
        cmocka_unit_test(networks_hold_the_addresses_in_them),
        cmocka_unit_test(only_configured_origins_are_let_in),
        cmocka_unit_test(dates_are_read_in_all_three_forms_and_written_in_one),
        cmocka_unit_test(entity_tags_are_compared_weakly_or_strongly),
        cmocka_unit_test(the_coding_that_is_liked_best_is_chosen),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
