// Prepared metadata: made side by side, kept as pieces, joined as they lie, made again when something changes.
#include "core_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/prepare.h"
#include "text/gzip.h"
#include "text/json.h"

static void store_series(struct fixture *f, int series, int count) {
    char series_uid[32], sop[32];
    snprintf(series_uid, sizeof series_uid, "1.2.3.%d", series);
    for (int i = 0; i < count; i++) {
        snprintf(sop, sizeof sop, "1.2.3.%d.%d", series, i);
        store_sample(f, &(struct sample){.series = series_uid, .sop = sop, .number = i, .pixel_bytes = 64}, INGEST_STORED);
    }
}

// What is served for a series (0: the study), unpacked.
static struct str metadata(struct fixture *f, int series, bool want_gzip) {
    struct buf b, plain;
    struct str out;
    struct err e = {0};
    char uid[32];
    bool gzip;
    snprintf(uid, sizeof uid, "1.2.3.%d", series);
    buf_init(&b, 64 << 20);
    buf_init(&plain, 64 << 20);
    bool ok = series ? retrieve_series_metadata(f->ar, &TESTER, STR_LIT("1.2.3"), str_of(uid), want_gzip, &b, &gzip, &e)
                     : retrieve_study_metadata(f->ar, &TESTER, STR_LIT("1.2.3"), want_gzip, &b, &gzip, &e);
    if (!ok) fail_msg("%s", e.message);
    assert_int_equal(gzip, want_gzip);
    if (gzip) assert_memory_equal(b.p, "\x1f\x8b\x08", 3);
    if (gzip && !gzip_unpack(buf_str(&b), &plain, &e)) fail_msg("%s", e.message);
    assert_true(arena_dup(&f->arena, gzip ? buf_str(&plain) : buf_str(&b), &out, &e));
    buf_deinit(&b);
    buf_deinit(&plain);
    return out;
}

// The SOP Instance UIDs of an answer, as they stand.
static void check_order(struct fixture *f, struct str json, const int *series, const int *counts, int n) {
    struct err e = {0};
    const struct json *o = json_read(&f->arena, json, 0, &e);
    if (!o) fail_msg("%s", e.message);
    const struct json *at = o->first;
    for (int s = 0; s < n; s++)
        for (int i = 0; i < counts[s]; i++, at = at->next) {
            char sop[32];
            snprintf(sop, sizeof sop, "1.2.3.%d.%d", series[s], i);
            assert_non_null(at);
            assert_true(str_eqz(json_text(json_get(json_get(at, "00080018"), "Value")->first), sop));
        }
    assert_null(at);
}

static void a_study_is_its_series_joined(void **state) {
    struct fixture *f = *state;
    const int series[] = {1, 2, 3}, counts[] = {3, 450, 1}, more[] = {4, 450, 1};
    for (int s = 0; s < 3; s++) store_series(f, series[s], counts[s]);
    for (int round = 0; round < 3; round++) {
        for (int gzip = 0; gzip < 2; gzip++) check_order(f, metadata(f, 0, gzip), series, counts, 3);
        assert_int_equal(count_rows(f, "SELECT count(*) FROM series_metadata"), 3);
        for (int s = 0; s < 3; s++) check_order(f, metadata(f, series[s], round % 2), series + s, counts + s, 1);
    }
    store_sample(f, &(struct sample){.series = "1.2.3.1", .sop = "1.2.3.1.3", .number = 3, .pixel_bytes = 64}, INGEST_STORED);
    check_order(f, metadata(f, 0, true), series, more, 3);
}

static void what_is_not_there_has_no_metadata(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    struct buf b;
    bool gzip;
    buf_init(&b, 1 << 20);
    assert_false(retrieve_study_metadata(f->ar, &TESTER, STR_LIT("1.2.3"), true, &b, &gzip, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    buf_deinit(&b);
}

static void a_series_that_came_to_rest_is_prepared(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    struct preparer *p;
    if (!prepare_start(f->ar, 200, &p, &e)) fail_msg("%s", e.message);
    store_series(f, 1, 2);
    store_series(f, 2, 2);
    for (int i = 0; i < 600 && count_rows(f, "SELECT count(*) FROM series_metadata m JOIN series s ON s.id = m.series AND s.version = m.version") < 2; i++)
        usleep(100 * 1000);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM series_metadata m JOIN series s ON s.id = m.series AND s.version = m.version"), 2);
    prepare_stop(p);
}

static void pieces_of_any_size_join_to_one_member(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    struct buf packed, text, back;
    buf_init(&packed, 64 << 20);
    buf_init(&text, 64 << 20);
    buf_init(&back, 64 << 20);
    struct gzip_join j;
    gzip_join_init(&j, &packed);
    gzip_join_head(&j);
    unsigned random = 1;
    for (size_t n = 0; n < 400000; n = n * 2 + 1) {
        struct buf out;
        struct gzip_piece piece;
        char *p = arena_alloc(&f->arena, n + 1, &e);
        for (size_t i = 0; i < n; i++) p[i] = (char)((random = random * 1664525u + 1013904223u) >> (n % 2 ? 24 : 30));
        buf_init(&out, 64 << 20);
        if (!gzip_piece_pack((struct str){p, n}, GZIP_FAST, &out, &piece, &e)) fail_msg("%s", e.message);
        piece.packed = buf_str(&out);
        gzip_join_piece(&j, &piece);
        gzip_join_text(&j, STR_LIT(","));
        buf_add(&text, p, n);
        buf_addc(&text, ',');
        buf_deinit(&out);
    }
    gzip_join_end(&j);
    if (!gzip_unpack(buf_str(&packed), &back, &e)) fail_msg("%s", e.message); // its CRC and length are checked there
    assert_true(str_eq(buf_str(&back), buf_str(&text)));
    buf_deinit(&packed);
    buf_deinit(&text);
    buf_deinit(&back);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_study_is_its_series_joined),
        TEST(what_is_not_there_has_no_metadata),
        TEST(a_series_that_came_to_rest_is_prepared),
        TEST(pieces_of_any_size_join_to_one_member),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
