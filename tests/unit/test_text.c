// JSON, XML, base64 and UTF-8: what they write, what they take and what they refuse.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "text/base64.h"
#include "text/json.h"
#include "text/utf8.h"
#include "text/xml.h"

static struct arena arena;
static struct buf out;
static struct err err;

static int set_up(void **state) {
    (void)state;
    arena_init(&arena, 1 << 24);
    buf_init(&out, 1 << 24);
    err_clear(&err);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_deinit(&arena);
    buf_deinit(&out);
    return 0;
}

static void assert_out(const char *expected) {
    assert_true(buf_ok(&out, NULL));
    buf_addc(&out, '\0');
    assert_string_equal(out.p, expected);
}

static void assert_message(const char *part) {
    if (!strstr(err.message, part)) fail_msg("'%s' does not say '%s'", err.message, part);
}

// ---- JSON out ----

static void json_puts_commas_and_nesting_itself(void **state) {
    (void)state;
    struct json_writer w;
    json_init(&w, &out, false);
    json_begin_object(&w);
    json_key(&w, "a");
    json_begin_array(&w);
    json_int(&w, INT64_MIN);
    json_uint(&w, UINT64_MAX);
    json_null(&w);
    json_begin_object(&w);
    json_end_object(&w);
    json_end_array(&w);
    json_put_bool(&w, "b", true);
    json_put_strz(&w, "c", "x");
    json_end_object(&w);
    assert_out("{\"a\":[-9223372036854775808,18446744073709551615,null,{}],\"b\":true,\"c\":\"x\"}");
}

static void json_can_be_laid_out_for_people(void **state) {
    (void)state;
    struct json_writer w;
    json_init(&w, &out, true);
    json_begin_object(&w);
    json_put_int(&w, "a", 1);
    json_key(&w, "b");
    json_begin_array(&w);
    json_end_array(&w);
    json_end_object(&w);
    assert_out("{\n  \"a\": 1,\n  \"b\": []\n}");
}

static void json_escapes_what_must_be_and_nothing_else(void **state) {
    (void)state;
    struct json_writer w;
    json_init(&w, &out, false);
    json_str(&w, STR_LIT("\"\\\b\f\n\r\t\0\x1F/\x7F 陈伟 \xF0\x9F\x98\x80"));
    assert_out("\"\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f/\\u007f 陈伟 \xF0\x9F\x98\x80\"");
}

static void json_replaces_malformed_utf8(void **state) {
    (void)state;
    struct json_writer w;
    json_init(&w, &out, false);
    json_strz(&w, "a\xFF\xC0\x80\xED\xA0\x80z");
    assert_out("\"a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz\"");
}

static void doubles_are_written_shortest_and_read_back_the_same(void **state) {
    (void)state;
    static const struct {
        double v;
        const char *text;
    } CASES[] = {{0.1, "0.1"},
                 {1.0, "1"},
                 {-0.0, "-0"},
                 {1e300, "1e+300"},
                 {0.30000000000000004, "0.30000000000000004"},
                 {5e-324, "4.94065645841247e-324"},
                 {-2.5, "-2.5"},
                 {0.1F, "0.10000000149011612"},
                 {1e22, "1e+22"},
                 {NAN, "null"},
                 {INFINITY, "null"}};
    for (unsigned i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct json_writer w;
        buf_clear(&out);
        json_init(&w, &out, false);
        json_double(&w, CASES[i].v);
        assert_out(CASES[i].text);
        double back;
        if (isfinite(CASES[i].v)) assert_true(str_to_f64(str_of(out.p), &back) && back == CASES[i].v);
    }
}

static void every_kind_of_double_reads_back(void **state) {
    (void)state;
    uint64_t seed = 42;
    for (unsigned i = 0; i < 20000; i++) {
        struct json_writer w;
        double back, v;
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        if (i % 2)
            v = (double)(int64_t)(seed >> 33) / (double[]){1, 10, 1000, 4096, 1e5}[i % 5] - 100000; // few decimals
        else
            memcpy(&v, &seed, sizeof v);
        if (!isfinite(v)) continue;
        buf_clear(&out);
        json_init(&w, &out, false);
        json_double(&w, v);
        assert_true(str_to_f64(buf_str(&out), &back));
        assert_memory_equal(&back, &v, sizeof v);
    }
}

// ---- JSON in ----

static const struct json *read_json(const char *text) {
    return json_read(&arena, str_of(text), 4, &err);
}

static void json_is_read_as_it_stands(void **state) {
    (void)state;
    const struct json *v = read_json(" {\"n\": [1.50, 18446744073709551615, -0], \"s\": \"\\u9648\\ud83d\\ude00\\n\", \"t\": true, \"z\": null} ");
    assert_non_null(v);
    assert_int_equal(v->count, 4);
    const struct json *n = json_get(v, "n");
    assert_int_equal(n->kind, JSON_ARRAY);
    assert_true(str_eqz(n->first->text, "1.50"));
    assert_true(str_eqz(n->first->next->text, "18446744073709551615"));
    assert_true(str_eqz(json_text(json_get(v, "s")), "陈\xF0\x9F\x98\x80\n"));
    assert_int_equal(json_get(v, "t")->kind, JSON_TRUE);
    assert_int_equal(json_get(v, "z")->kind, JSON_NULL);
    assert_null(json_get(v, "absent"));
    assert_null(json_get(json_get(v, "absent"), "deeper"));
}

static void json_numbers_convert_within_range(void **state) {
    (void)state;
    const struct json *v = read_json("[9223372036854775807, 1e3, \"42\", 1.5, 9223372036854775808]");
    int64_t i;
    double d;
    assert_true(json_to_i64(v->first, &i) && i == INT64_MAX);
    assert_true(json_to_i64(v->first->next, &i) && i == 1000);
    assert_true(json_to_i64(v->first->next->next, &i) && i == 42);
    assert_false(json_to_i64(v->first->next->next->next, &i));
    assert_true(json_to_f64(v->first->next->next->next, &d) && d == 1.5);
    assert_false(json_to_i64(v->first->next->next->next->next, &i));
}

static void json_errors_say_line_and_column(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } CASES[] = {
        {"{\n \"a\" 1}", "line 2, column 6: a colon"},
        {"[1 2]", "line 1, column 4: a comma"},
        {"[1,]", "line 1, column 4: not a JSON value"},
        {"\"陈\\x\"", "line 1, column 4: an escape"},
        {"[01]", "a comma"},
        {"[1.]", "digits behind its point"},
        {"[1e]", "exponent"},
        {"\"abc", "does not end"},
        {"\"\\ud800x\"", "surrogate"},
        {"\"\\udc00\"", "surrogate"},
        {"\"\\u12g4\"", "four hexadecimal"},
        {"\"\xFF\"", "not UTF-8"},
        {"\"\n\"", "control character"},
        {"{\"a\":1} x", "behind the end"},
        {"", "the text ends"},
        {"[", "line 1, column 2"},
        {"{\"a\"", "a colon"},
        {"[[[[[1]]]]]", "column 5: nested deeper"},
        {"nul", "not a JSON value"},
        {"-", "not a JSON value"},
    };
    for (unsigned i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        assert_null(read_json(CASES[i].text));
        assert_message(CASES[i].message);
    }
}

static void json_memory_ends_at_the_arena(void **state) {
    (void)state;
    enum { N = 1 << 20 };
    char *text = malloc(N + 1);
    text[0] = '[';
    for (size_t i = 1; i < N; i++) text[i] = i % 2 ? '1' : ',';
    text[N] = ']';
    assert_null(json_read(&arena, (struct str){text, N + 1}, 0, &err));
    assert_int_equal(err.kind, ERR_TOO_LARGE);
    free(text);
}

// ---- base64 ----

static void base64_matches_rfc_4648_section_10(void **state) {
    (void)state;
    static const char *const PAIRS[][2] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
    for (unsigned i = 0; i < sizeof PAIRS / sizeof *PAIRS; i++) {
        struct str back;
        buf_clear(&out);
        base64_encode(PAIRS[i][0], strlen(PAIRS[i][0]), &out);
        assert_true(str_eqz(buf_str(&out), PAIRS[i][1]));
        assert_true(base64_decode(&arena, str_of(PAIRS[i][1]), &back, &err));
        assert_true(str_eqz(back, PAIRS[i][0]));
    }
}

static void base64_in_pieces_equals_base64_at_once(void **state) {
    (void)state;
    uint8_t bytes[1000];
    for (unsigned i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 37);
    base64_encode(bytes, sizeof bytes, &out);
    for (size_t piece = 1; piece < 10; piece++) {
        struct buf pieces;
        buf_init(&pieces, 1 << 20);
        struct base64_stream s = {.held_count = 0};
        for (size_t at = 0; at < sizeof bytes; at += piece) base64_feed(&s, bytes + at, piece < sizeof bytes - at ? piece : sizeof bytes - at, &pieces);
        base64_end(&s, &pieces);
        assert_true(str_eq(buf_str(&pieces), buf_str(&out)));
        buf_deinit(&pieces);
    }
}

static void base64_refuses_what_it_is_not(void **state) {
    (void)state;
    static const char *const BAD[] = {"A", "AA", "AAA", "A===", "AA=A", "AA==AAAA", "=AAA", "AA-_", "AB==", "AAB=", "AA==="};
    struct str back;
    for (unsigned i = 0; i < sizeof BAD / sizeof *BAD; i++) assert_false(base64_decode(&arena, str_of(BAD[i]), &back, &err));
    assert_true(base64_decode(&arena, STR_LIT("Zm9v\r\nYmFy \n"), &back, &err));
    assert_true(str_eqz(back, "foobar"));
}

// ---- XML ----

static void xml_is_written_escaped(void **state) {
    (void)state;
    struct xml_writer w;
    xml_init(&w, &out, false);
    xml_begin(&w, "a");
    xml_attrz(&w, "k", "\"<&\n");
    xml_put(&w, "b", STR_LIT("1 < 2 & \x01 \xFF"));
    xml_begin(&w, "c");
    xml_end(&w);
    xml_end(&w);
    assert_out("<?xml version=\"1.0\" encoding=\"UTF-8\"?><a k=\"&quot;&lt;&amp;&#10;\"><b>1 &lt; 2 &amp; \xEF\xBF\xBD \xEF\xBF\xBD</b><c/></a>");
}

static void xml_is_read_into_a_tree(void **state) {
    (void)state;
    const struct xml *root = xml_read(&arena, STR_LIT("<a xmlns='urn:x' k='1'>t&amp;\n<b>one</b> <c>x<d>y</d>z</c><b>two</b></a>"), 0, &err);
    assert_non_null(root);
    assert_true(str_eqz(root->name, "a") && str_eqz(root->space, "urn:x"));
    assert_true(str_eqz(xml_attribute(root, "k"), "1"));
    assert_true(str_eqz(root->first->text, "t&\n"));
    struct str text;
    assert_true(xml_content(&arena, xml_child(root, "c"), &text, &err) && str_eqz(text, "xyz"));
    const struct xml *b = xml_child(root, "b");
    assert_true(xml_content(&arena, xml_again(b), &text, &err) && str_eqz(text, "two"));
    assert_null(xml_again(xml_again(b)));
    assert_null(xml_child(xml_child(root, "absent"), "b"));
}

static void xml_with_a_document_type_is_refused(void **state) {
    (void)state;
    static const char *const BAD[] = {
        "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
        "<?xml version='1.0'?>\n<!DOCTYPE a SYSTEM 'http://127.0.0.1/x.dtd'><a/>",
        "<!DOCTYPE a [<!ENTITY x '&#60;b>'>]><a>&x;</a>",
    };
    for (unsigned i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        assert_null(xml_read(&arena, str_of(BAD[i]), 0, &err));
        assert_message("document type");
    }
}

static void xml_errors_say_line_and_column(void **state) {
    (void)state;
    assert_null(xml_read(&arena, STR_LIT("<a>\n  <b></a>"), 0, &err));
    assert_message("line 2, column");
    assert_null(xml_read(&arena, STR_LIT("<a><a><a/></a></a>"), 2, &err));
    assert_int_equal(err.kind, ERR_TOO_LARGE);
    assert_null(xml_read(&arena, STR_LIT(""), 0, &err));
    assert_null(xml_read(&arena, STR_LIT("<a>&undefined;</a>"), 0, &err));
    assert_message("undefined entity");
}

static void utf8_takes_only_the_well_formed(void **state) {
    (void)state;
    assert_true(utf8_valid(STR_LIT("a\xC2\x80\xE0\xA0\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF")));
    static const char *const BAD[] = {"\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5", "\xE4\xBD"};
    for (unsigned i = 0; i < sizeof BAD / sizeof *BAD; i++) assert_false(utf8_valid(str_of(BAD[i])));
    for (uint32_t cp = 1; cp < 0x110000; cp += 97) {
        uint32_t back;
        char four[4];
        if (cp >= 0xD800 && cp <= 0xDFFF) continue;
        unsigned n = utf8_put(four, cp);
        assert_true(utf8_next(four, n, &back) == n && back == cp);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(json_puts_commas_and_nesting_itself),
        T(json_can_be_laid_out_for_people),
        T(json_escapes_what_must_be_and_nothing_else),
        T(json_replaces_malformed_utf8),
        T(doubles_are_written_shortest_and_read_back_the_same),
        T(every_kind_of_double_reads_back),
        T(json_is_read_as_it_stands),
        T(json_numbers_convert_within_range),
        T(json_errors_say_line_and_column),
        T(json_memory_ends_at_the_arena),
        T(base64_matches_rfc_4648_section_10),
        T(base64_in_pieces_equals_base64_at_once),
        T(base64_refuses_what_it_is_not),
        T(xml_is_written_escaped),
        T(xml_is_read_into_a_tree),
        T(xml_with_a_document_type_is_refused),
        T(xml_errors_say_line_and_column),
        T(utf8_takes_only_the_well_formed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
