// Where connections that others have named may lead, and which pages are heard.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/armour.h"
#include "http/client.h"
#include "http/server.h"
#include "net/guard.h"
#include "net/socket.h"

static void addresses_have_their_place(void **state) {
    (void)state;
    static const struct {
        const char *address;
        enum net_place place;
    } CASES[] = {
        {"8.8.8.8", NET_PLACE_PUBLIC},
        {"2606:4700::1111", NET_PLACE_PUBLIC},
        {"172.32.0.1", NET_PLACE_PUBLIC},
        {"10.1.2.3", NET_PLACE_PRIVATE},
        {"172.31.255.255", NET_PLACE_PRIVATE},
        {"192.168.1.1", NET_PLACE_PRIVATE},
        {"100.64.0.1", NET_PLACE_PRIVATE},
        {"fd12::1", NET_PLACE_PRIVATE},
        {"127.0.0.1", NET_PLACE_LOOPBACK},
        {"127.255.0.9", NET_PLACE_LOOPBACK},
        {"::1", NET_PLACE_LOOPBACK},
        {"0.0.0.0", NET_PLACE_NEVER}, // this machine, to Linux
        {"::", NET_PLACE_NEVER},
        {"169.254.169.254", NET_PLACE_NEVER},
        {"100.100.100.200", NET_PLACE_NEVER},
        {"fd00:ec2::254", NET_PLACE_NEVER},
        {"fe80::1", NET_PLACE_NEVER},
        {"ff02::1", NET_PLACE_NEVER},
        {"224.0.0.1", NET_PLACE_NEVER},
        {"255.255.255.255", NET_PLACE_NEVER},
        // IPv4 within IPv6
        {"::ffff:127.0.0.1", NET_PLACE_LOOPBACK},
        {"::ffff:a9fe:a9fe", NET_PLACE_NEVER},
        {"::ffff:10.0.0.1", NET_PLACE_PRIVATE},
        {"::127.0.0.1", NET_PLACE_LOOPBACK},
        {"64:ff9b::a9fe:a9fe", NET_PLACE_NEVER},
        {"64:ff9b::808:808", NET_PLACE_PUBLIC},
        {"2002:7f00:1::", NET_PLACE_LOOPBACK},
        {"2002:a9fe:a9fe::1", NET_PLACE_NEVER},
        {"2001:0:1::80ff:fffe", NET_PLACE_LOOPBACK}, // Teredo: 127.0.0.1 the other way round
        // other ways to write an address are none
        {"2130706433", NET_PLACE_NEVER},
        {"0x7f.1", NET_PLACE_NEVER},
        {"127.1", NET_PLACE_NEVER},
        {"localhost", NET_PLACE_NEVER},
        {"", NET_PLACE_NEVER},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        if (net_place_of(str_of(CASES[i].address)) != CASES[i].place) fail_msg("%s is %d", CASES[i].address, net_place_of(str_of(CASES[i].address)));
}

static void what_lies_closer_than_told_is_refused(void **state) {
    (void)state;
    const struct net_guard public = {.closest = NET_PLACE_PUBLIC}, private = {.closest = NET_PLACE_PRIVATE}, any = {.closest = NET_PLACE_LOOPBACK};
    struct err e = {0};
    assert_true(net_guard_allows(&public, STR_LIT("8.8.8.8"), NULL));
    assert_false(net_guard_allows(&public, STR_LIT("10.0.0.1"), &e));
    assert_int_equal(e.kind, ERR_FORBIDDEN);
    assert_true(net_guard_allows(&private, STR_LIT("10.0.0.1"), NULL));
    assert_false(net_guard_allows(&private, STR_LIT("127.0.0.1"), NULL));
    assert_true(net_guard_allows(&any, STR_LIT("127.0.0.1"), NULL));
    assert_false(net_guard_allows(&any, STR_LIT("169.254.169.254"), NULL));
    assert_true(net_guard_allows(NULL, STR_LIT("169.254.169.254"), NULL));
}

static void networks_that_are_allowed_are_the_only_ones(void **state) {
    (void)state;
    const char *const only[] = {"10.20.0.0/16", "169.254.7.7"};
    const struct net_guard g = {.closest = NET_PLACE_PUBLIC, .only = only, .only_count = 2};
    assert_true(net_guard_allows(&g, STR_LIT("10.20.30.40"), NULL));
    assert_true(net_guard_allows(&g, STR_LIT("169.254.7.7"), NULL)); // a modality on a cable of its own: somebody said so
    assert_true(net_guard_allows(&g, STR_LIT("::ffff:10.20.0.1"), NULL));
    assert_false(net_guard_allows(&g, STR_LIT("10.21.0.1"), NULL));
    assert_false(net_guard_allows(&g, STR_LIT("8.8.8.8"), NULL));
}

static void a_call_does_not_lead_where_it_may_not(void **state) {
    (void)state;
    struct err e = {0};
    uint16_t port;
    int listener = net_listen("127.0.0.1", 0, &port, &e);
    char url[64];
    struct http_result r;
    const struct net_guard guard = {.closest = NET_PLACE_PRIVATE};
    const char *const hosts[] = {"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433", "0x7f000001", "127.1"};
    assert_true(listener >= 0);
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        snprintf(url, sizeof url, "http://%s:%u/", hosts[i], port);
        const struct http_call call = {.method = "GET", .url = url, .guard = &guard, .whole_ms = 60000};
        e = (struct err){0};
        assert_false(http_call(&call, &r, &e));
        if (e.kind != ERR_FORBIDDEN) fail_msg("%s: %s", url, e.message);
    }
    assert_true(accept4(listener, NULL, NULL, SOCK_NONBLOCK) < 0); // nobody came
    close(listener);
}

// ---- pages ----

static struct http_site page(enum http_method method, const char *origin, const char *site) {
    return (struct http_site){.method = method,
                              .origin = str_of(origin),
                              .site = str_of(site),
                              .host = STR_LIT("pacs.example.org"),
                              .base = STR_LIT("https://gate.example.org/pacs")};
}

static void our_own_page_may_change_things(void **state) {
    (void)state;
    struct http_site s = page(HTTP_POST, "https://pacs.example.org", "same-origin");
    assert_true(http_site_fits(&s));
    s = page(HTTP_DELETE, "https://gate.example.org", "same-origin"); // as a proxy shows it
    assert_true(http_site_fits(&s));
    s = page(HTTP_POST, NULL, NULL); // a program
    assert_true(http_site_fits(&s));
}

static void other_pages_may_not(void **state) {
    (void)state;
    static const struct {
        const char *origin, *site;
    } BAD[] = {
        {"https://evil.example", NULL},
        {"https://evil.example", "cross-site"},
        {"https://pacs.example.org.evil.example", NULL},
        {"https://evil.example/pacs.example.org", NULL},
        {"https://other.example.org", "same-site"}, // a neighbour under the same domain
        {"https://pacs.example.org:8443", NULL},
        {"null", NULL}, // a sandbox, a file, a redirect
        {"", NULL},
        {NULL, "cross-site"},
        {NULL, "same-site"},
        {"https://pacs.example.org", "cross-site"}, // one of the two is a lie
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        for (enum http_method m = HTTP_POST; m <= HTTP_DELETE; m++) {
            struct http_site s = page(m, BAD[i].origin, BAD[i].site);
            if (http_site_fits(&s)) fail_msg("'%s' '%s' may %s", BAD[i].origin, BAD[i].site, http_method_name(m));
        }
}

static void other_pages_may_link_here_and_no_more(void **state) {
    (void)state;
    struct http_site s = page(HTTP_GET, NULL, "cross-site");
    s.mode = STR_LIT("navigate");
    s.dest = STR_LIT("document");
    assert_true(http_site_fits(&s));
    s.dest = STR_LIT("iframe");
    assert_false(http_site_fits(&s));
    s.mode = STR_LIT("no-cors");
    s.dest = STR_LIT("image");
    assert_false(http_site_fits(&s));
    s.site = STR_LIT("same-site");
    assert_false(http_site_fits(&s));
    s.site = STR_LIT("none");
    assert_true(http_site_fits(&s));
}

static void pages_that_the_configuration_names_may(void **state) {
    (void)state;
    struct http_site s = page(HTTP_POST, "https://viewer.example", "cross-site");
    s.cors = HTTP_CORS_EXACT;
    s.cookie = true;
    assert_true(http_site_fits(&s));
    s.cors = HTTP_CORS_ANY;
    assert_false(http_site_fits(&s)); // "*" brings no session of the browser's
    s.cookie = false;
    assert_true(http_site_fits(&s));
}

static struct str field(const struct http_response *rs, const char *name) {
    for (unsigned i = 0; i < rs->header_count; i++)
        if (str_eq_nocase(rs->headers[i].name, str_of(name))) return rs->headers[i].value;
    return (struct str){0};
}

static void every_answer_is_armoured(void **state) {
    (void)state;
    struct http_response rs = {.status = 200};
    http_armour(&rs);
    assert_true(str_eqz(field(&rs, "X-Content-Type-Options"), "nosniff") && str_eqz(field(&rs, "X-Frame-Options"), "DENY"));
    assert_true(str_starts(field(&rs, "Content-Security-Policy"), STR_LIT("default-src 'none'")));
    assert_true(str_eqz(field(&rs, "Cache-Control"), "no-store"));
    rs = (struct http_response){.status = 200};
    http_setz(&rs, "Cache-Control", "private");
    http_armour(&rs);
    assert_true(str_eqz(field(&rs, "Cache-Control"), "private"));
    rs = (struct http_response){.status = 304};
    http_armour(&rs);
    assert_false(field(&rs, "Cache-Control").p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_have_their_place),
        cmocka_unit_test(what_lies_closer_than_told_is_refused),
        cmocka_unit_test(networks_that_are_allowed_are_the_only_ones),
        cmocka_unit_test(a_call_does_not_lead_where_it_may_not),
        cmocka_unit_test(our_own_page_may_change_things),
        cmocka_unit_test(other_pages_may_not),
        cmocka_unit_test(other_pages_may_link_here_and_no_more),
        cmocka_unit_test(pages_that_the_configuration_names_may),
        cmocka_unit_test(every_answer_is_armoured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
