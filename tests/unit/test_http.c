// Behaviour of the HTTP layer's parsers: targets, routes, media types, multipart bodies.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <stdio.h>

#include "base/limits.h"
#include "http/media.h"
#include "http/multipart.h"
#include "http/route.h"
#include "http/uri.h"
#include "text/gzip.h"

static struct arena arena;

static int set_up(void **state) {
    (void)state;
    arena_init(&arena, 64 * 1024 * 1024);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_deinit(&arena);
    return 0;
}

// ---- targets ----

static void a_target_is_split_before_it_is_decoded(void **state) {
    (void)state;
    struct uri u;
    assert_true(uri_parse(&arena, STR_LIT("/a%2Fb/%E9%99%88?PatientName=Chen%2A+W&x&y=%3D"), &u, NULL));
    assert_int_equal(u.segment_count, 2);
    assert_true(str_eqz(u.segment[0], "a/b"));
    assert_true(str_eqz(u.segment[1], "\xE9\x99\x88"));
    assert_int_equal(u.param_count, 3);
    assert_true(str_eqz(u.params[0].name, "PatientName") && str_eqz(u.params[0].value, "Chen* W"));
    assert_true(str_eqz(u.params[1].name, "x") && u.params[1].value.n == 0);
    assert_true(str_eqz(u.params[2].value, "="));
}

static void targets_that_try_tricks_are_refused(void **state) {
    (void)state;
    const char *const bad[] = {"/a/../b", "/%2e%2e/b", "/a%00", "/a%4", "/a%", "/a%zz", "a", "", "/?x=%0"};
    struct uri u;
    struct err e;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        e = (struct err){0};
        assert_false(uri_parse(&arena, str_of(bad[i]), &u, &e));
        assert_int_equal(e.kind, ERR_BAD_INPUT);
    }
}

static void a_host_that_only_looks_like_this_machine_is_another(void **state) {
    (void)state;
    const char *const ours[] = {"localhost", "LOCALHOST:8080", "127.0.0.1", "127.1.2.3:80", "[::1]", "[::1]:8080"};
    const char *const others[] = {
        "",   "127.example.org", "127.0.0.1.example.org:8080", "127.", "localhost.example.org", "10.0.0.1", "[::1].example.org", "[fe80::1]:1", "::1", "[::1",
        "[]", "[127.0.0.1]"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) assert_true(http_host_is_loopback(str_of(ours[i])));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) assert_false(http_host_is_loopback(str_of(others[i])));
}

// ---- routes ----

static bool never(struct http_request *rq, struct http_response *rs, struct err *e) {
    (void)rq, (void)rs, (void)e;
    return false;
}

static const struct http_route ROUTES[] = {
    {HTTP_GET, 1, "/studies", never},
    {HTTP_POST, 1, "/studies", never},
    {HTTP_GET, 1, "/studies/latest", never},
    {HTTP_GET, 1, "/studies/{study}/series/{series}", never},
    {HTTP_GET, 1, "/files/{path*}", never},
    {HTTP_GET, 1, "/", never},
    {.pattern = NULL},
};
static const struct http_mount MOUNTS[] = {{"/dicom-web", ROUTES, NULL}, {"", ROUTES, NULL}, {.routes = NULL}};

static const char *route_of(const char *target, enum http_method method, struct http_match *m) {
    struct uri u;
    assert_true(uri_parse(&arena, str_of(target), &u, NULL));
    http_route_find(MOUNTS, method, &u, m);
    return m->route ? m->route->pattern : NULL;
}

static void a_path_finds_its_route_and_names_what_it_captures(void **state) {
    (void)state;
    struct http_match m;
    assert_string_equal(route_of("/dicom-web/studies/1.2/series/3.4", HTTP_GET, &m), "/studies/{study}/series/{series}");
    assert_string_equal(m.mount->prefix, "/dicom-web");
    assert_int_equal(m.capture_count, 2);
    assert_true(str_eqz(m.capture[0].name, "study") && str_eqz(m.capture[0].value, "1.2"));
    assert_true(str_eqz(m.capture[1].name, "series") && str_eqz(m.capture[1].value, "3.4"));
    assert_string_equal(route_of("/studies/", HTTP_GET, &m), "/studies");
    assert_string_equal(route_of("/studies/latest", HTTP_GET, &m), "/studies/latest");
    assert_string_equal(route_of("/", HTTP_GET, &m), "/");
    assert_string_equal(route_of("/files/a/b%20c", HTTP_GET, &m), "/files/{path*}");
    assert_true(str_eqz(m.capture[0].name, "path") && str_eqz(m.capture[0].value, "a/b%20c"));
}

static void a_known_path_with_another_method_tells_which_there_are(void **state) {
    (void)state;
    struct http_match m;
    assert_null(route_of("/studies", HTTP_DELETE, &m));
    assert_int_equal(m.methods, 1u << HTTP_GET | 1u << HTTP_POST);
    assert_null(route_of("/nothing", HTTP_GET, &m));
    assert_int_equal(m.methods, 0);
    assert_null(route_of("/studies/1/series", HTTP_GET, &m));
}

// ---- media types ----

static void accept_prefers_weight_then_the_more_specific(void **state) {
    (void)state;
    static const char *const offers[] = {"application/dicom+json", "application/json", "image/png", NULL};
    assert_int_equal(http_accept_choose(&arena, (struct str){0}, offers), 0);
    assert_int_equal(http_accept_choose(&arena, STR_LIT("*/*"), offers), 0);
    assert_int_equal(http_accept_choose(&arena, STR_LIT("application/json"), offers), 1);
    assert_int_equal(http_accept_choose(&arena, STR_LIT("application/json;q=0.5, image/*;q=0.9"), offers), 2);
    assert_int_equal(http_accept_choose(&arena, STR_LIT("*/*, application/dicom+json;q=0"), offers), 1);
    assert_int_equal(http_accept_choose(&arena, STR_LIT("text/html"), offers), -1);
    assert_int_equal(http_accept_choose(&arena, STR_LIT("IMAGE/PNG"), offers), 2);
    assert_int_equal(http_accept_choose(&arena, STR_LIT("nonsense"), offers), -1);
}

static void a_media_type_gives_its_parameters_quoted_or_not(void **state) {
    (void)state;
    struct http_media m;
    assert_true(http_media_parse(&arena, STR_LIT("multipart/related; type=\"application/dicom\"; boundary=\"a b\\\"c\""), &m, NULL));
    assert_true(str_eqz(http_media_param(&m, "TYPE"), "application/dicom"));
    assert_true(str_eqz(http_media_param(&m, "boundary"), "a b\"c"));
    assert_null(http_media_param(&m, "charset").p);
    assert_true(http_media_parse(&arena, STR_LIT("multipart/related;type=application/dicom;transfer-syntax=*"), &m, NULL));
    assert_true(str_eqz(http_media_param(&m, "type"), "application/dicom"));
    assert_true(str_eqz(http_media_param(&m, "transfer-syntax"), "*"));
    assert_false(http_media_parse(&arena, STR_LIT("multipart"), &m, NULL));
    assert_false(http_media_parse(&arena, STR_LIT("a/b; c=\"no end"), &m, NULL));
}

static void what_is_no_media_type_is_refused(void **state) {
    (void)state;
    static const char *const BAD[] = {
        "",         "/",       "a/",       "/b",        "a b",        "a/b c",    "a/b; c",
        "a/b; c d", "a/b; =x", "a/b; q=x", "a/b; q=-1", "a/b; q=1.1", "a/b, c/d", "a/b; 1=1; 2=2; 3=3; 4=4; 5=5; 6=6; 7=7; 8=8; 9=9"};
    static const char *const BAD_LISTS[] = {"a/b c/d", "a/b;x=1 c/d", "a", "a/b, c", "a/b;q=\"x"};
    struct http_media m, *list;
    unsigned n;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        if (http_media_parse(&arena, str_of(BAD[i]), &m, NULL)) fail_msg("'%s' is taken", BAD[i]);
    for (size_t i = 0; i < sizeof BAD_LISTS / sizeof *BAD_LISTS; i++)
        if (http_media_parse_list(&arena, str_of(BAD_LISTS[i]), &list, &n, NULL)) fail_msg("'%s' is taken", BAD_LISTS[i]);
    assert_true(http_media_parse(&arena, STR_LIT("\t a/b ;; c=d\t; q=0.3; "), &m, NULL));
    assert_true(m.q > 0.29 && m.q < 0.31 && m.param_count == 1);
}

static void a_comma_inside_quotes_does_not_split_a_list(void **state) {
    (void)state;
    struct http_media *list;
    unsigned n;
    assert_true(http_media_parse_list(&arena, STR_LIT(", a/b; x=\"1,2\" , c/d;q=0.1,e/f;q=0.2"), &list, &n, NULL));
    assert_int_equal(n, 3);
    assert_true(str_eqz(list[0].type, "a/b") && str_eqz(http_media_param(&list[0], "x"), "1,2"));
    assert_true(str_eqz(list[1].type, "e/f"));
    assert_false(http_media_parse_list(&arena, STR_LIT("a/b;q=2"), &list, &n, NULL));
}

// ---- multipart ----

// What the parser said, as text: "<type>" then the data in brackets.
struct heard {
    struct buf log;
};

static bool hear_begin(void *context, const struct multipart_headers *h, struct err *e) {
    struct heard *to = context;
    (void)e;
    buf_addf(&to->log, "<%.*s>[", STR_FMT(multipart_header(h, "content-type")));
    return true;
}

static bool hear_data(void *context, const void *p, size_t n, struct err *e) {
    struct heard *to = context;
    (void)e;
    buf_add(&to->log, p, n);
    return true;
}

static bool hear_end(void *context, struct err *e) {
    struct heard *to = context;
    (void)e;
    buf_addc(&to->log, ']');
    return true;
}

// Parses a body in chunks of a size; returns whether it was whole. What was heard goes to out (NUL-terminated).
static bool parse_in_chunks(const char *boundary, struct str body, size_t chunk, char *out, size_t out_n, struct err *e) {
    struct heard heard;
    buf_init(&heard.log, 1 << 20);
    struct multipart m;
    struct multipart_events on = {hear_begin, hear_data, hear_end, &heard};
    bool ok = multipart_init(&m, str_of(boundary), &on, e);
    for (size_t at = 0; ok && at < body.n; at += chunk) {
        struct str piece = str_sub(body, at, chunk);
        ok = multipart_feed(&m, piece.p, piece.n, e);
    }
    ok = ok && multipart_finish(&m, e);
    multipart_deinit(&m);
    snprintf(out, out_n, "%.*s", STR_FMT(buf_str(&heard.log)));
    buf_deinit(&heard.log);
    return ok;
}

static void parts_come_out_the_same_however_the_body_is_cut(void **state) {
    (void)state;
    static const char body[] = "preamble\r\n--B \t\r\nContent-Type: a/b\r\nX: y\r\n\r\none\r\n-\r\n--\r\n--C\r\n\r\r\n\r\n--B\r\n\r\n"
                               "\r\n--B\r\nCONTENT-TYPE:c/d\r\n\r\n--B\r\n\r\n\r\n\r\n--B--\r\nepilogue --B\r\n";
    static const char expected[] = "<a/b>[one\r\n-\r\n--\r\n--C\r\n\r\r\n]<>[]<c/d>[]<>[\r\n]";
    for (size_t chunk = 1; chunk <= sizeof body; chunk++) {
        char heard[512];
        struct err e = {0};
        assert_true(parse_in_chunks("B", (struct str){body, sizeof body - 1}, chunk, heard, sizeof heard, &e));
        assert_string_equal(heard, expected);
    }
}

static void a_body_that_begins_with_its_boundary_and_ends_without_a_line_end_is_whole(void **state) {
    (void)state;
    char heard[64];
    assert_true(parse_in_chunks("xyz", STR_LIT("--xyz\r\n\r\nabc\r\n--xyz--"), 7, heard, sizeof heard, NULL));
    assert_string_equal(heard, "<>[abc]");
}

static void a_body_cut_short_is_not_whole(void **state) {
    (void)state;
    static const struct str cut[] = {STR_LIT(""),
                                     STR_LIT("--x"),
                                     STR_LIT("--x\r\n"),
                                     STR_LIT("--x\r\nA: b\r\n\r\n"),
                                     STR_LIT("--x\r\n\r\nabc\r\n--x"),
                                     STR_LIT("--x\r\n\r\nabc\r\n--x-"),
                                     STR_LIT("nothing of the kind")};
    for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++) {
        char heard[64];
        struct err e = {0};
        assert_false(parse_in_chunks("x", cut[i], 3, heard, sizeof heard, &e));
        assert_int_equal(e.kind, ERR_BAD_INPUT);
    }
}

static void multipart_headers_and_counts_meet_their_ceilings(void **state) {
    (void)state;
    char *long_header = arena_alloc(&arena, HTTP_PART_HEADER_BYTES_MAX + 100, NULL);
    memset(long_header, 'a', HTTP_PART_HEADER_BYTES_MAX + 100);
    memcpy(long_header, "--x\r\nA:", 7);
    char heard[64];
    struct err e = {0};
    assert_false(parse_in_chunks("x", (struct str){long_header, HTTP_PART_HEADER_BYTES_MAX + 100}, 1000, heard, sizeof heard, &e));
    assert_int_equal(e.kind, ERR_TOO_LARGE);
    struct buf many;
    buf_init(&many, 64 * 1024 * 1024);
    for (int i = 0; i <= HTTP_PARTS_MAX; i++) buf_addz(&many, "\r\n--x\r\n\r\n");
    assert_false(parse_in_chunks("x", buf_str(&many), 65536, heard, sizeof heard, &e));
    assert_int_equal(e.kind, ERR_TOO_LARGE);
    buf_deinit(&many);
}

static void boundaries_that_the_rfc_forbids_are_refused(void **state) {
    (void)state;
    char heard[64], seventy_one[72];
    memset(seventy_one, 'b', 71);
    seventy_one[71] = '\0';
    const char *const bad[] = {"", "a\r", "a b ", "a\"", seventy_one};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_false(parse_in_chunks(bad[i], STR_LIT("--a"), 1, heard, sizeof heard, NULL));
}

static void what_the_writer_writes_the_parser_reads(void **state) {
    (void)state;
    char boundary[MULTIPART_MADE_BOUNDARY], heard[128];
    assert_true(multipart_make_boundary(boundary, NULL));
    struct buf b;
    buf_init(&b, 4096);
    multipart_write_begin(&b, boundary, true, "application/dicom", STR_LIT("/x"));
    buf_addz(&b, "one");
    multipart_write_begin(&b, boundary, false, "image/png", (struct str){0});
    multipart_write_end(&b, boundary);
    assert_true(parse_in_chunks(boundary, buf_str(&b), 5, heard, sizeof heard, NULL));
    assert_string_equal(heard, "<application/dicom>[one]<image/png>[]");
    buf_deinit(&b);
}

// ---- gzip ----

static void gzip_gives_back_what_went_in_and_stops_a_bomb(void **state) {
    (void)state;
    struct buf in, packed, out;
    buf_init(&in, 1 << 24);
    buf_init(&packed, 1 << 24);
    for (int i = 0; i < 300000; i++) buf_addf(&in, "%d,", i);
    assert_true(gzip_pack(buf_str(&in), GZIP_FAST, &packed, NULL));
    buf_init(&out, 1 << 24);
    assert_true(gzip_unpack(buf_str(&packed), &out, NULL));
    assert_true(str_eq(buf_str(&in), buf_str(&out)));
    buf_deinit(&out);
    struct err e = {0};
    buf_init(&out, 100000);
    assert_false(gzip_unpack(buf_str(&packed), &out, &e));
    assert_int_equal(e.kind, ERR_TOO_LARGE);
    buf_clear(&out);
    assert_false(gzip_unpack(str_sub(buf_str(&packed), 0, 1000), &out, &e));
    assert_false(gzip_unpack(STR_LIT("not gzip"), &out, &e));
    assert_int_equal(e.kind, ERR_BAD_INPUT);
    buf_deinit(&out);
    buf_deinit(&packed);
    buf_deinit(&in);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_is_split_before_it_is_decoded),
        cmocka_unit_test(targets_that_try_tricks_are_refused),
        cmocka_unit_test(a_host_that_only_looks_like_this_machine_is_another),
        cmocka_unit_test(a_path_finds_its_route_and_names_what_it_captures),
        cmocka_unit_test(a_known_path_with_another_method_tells_which_there_are),
        cmocka_unit_test(accept_prefers_weight_then_the_more_specific),
        cmocka_unit_test(a_media_type_gives_its_parameters_quoted_or_not),
        cmocka_unit_test(what_is_no_media_type_is_refused),
        cmocka_unit_test(a_comma_inside_quotes_does_not_split_a_list),
        cmocka_unit_test(parts_come_out_the_same_however_the_body_is_cut),
        cmocka_unit_test(a_body_that_begins_with_its_boundary_and_ends_without_a_line_end_is_whole),
        cmocka_unit_test(a_body_cut_short_is_not_whole),
        cmocka_unit_test(multipart_headers_and_counts_meet_their_ceilings),
        cmocka_unit_test(boundaries_that_the_rfc_forbids_are_refused),
        cmocka_unit_test(what_the_writer_writes_the_parser_reads),
        cmocka_unit_test(gzip_gives_back_what_went_in_and_stops_a_bomb),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
