// Detection: matching by hand-made objects, measures by their definitions, parts of masks, panoptic quality.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arena_fixture.h"
#include "math/rng.h"
#include "mod/evidence/detect.h"
#include "mod/evidence/seg_case.h"

static void assert_near(double a, double b, double tolerance) {
    if (a != b && !(fabs(a - b) <= tolerance)) fail_msg("%.10g is not %.10g", a, b);
}

static struct detect_object box(uint32_t c, double x0, double y0, double x1, double y1, double score) {
    return (struct detect_object){c, score, {(x0 + x1) / 2, (y0 + y1) / 2, 0}, {x0, y0, 0}, {x1, y1, 0}};
}

static struct detect_matches match(const struct detect_object *r, uint32_t rn, const struct detect_object *p, uint32_t pn, enum detect_rule rule,
                                   double threshold, bool scored) {
    struct detect_pairs pairs;
    struct detect_matches m;
    double *score = arena_alloc(&arena, (pn + 1) * sizeof *score, &why);
    for (uint32_t i = 0; i < pn; i++) score[i] = p[i].score;
    if (!detect_find_pairs(&arena, r, rn, p, pn, rule, threshold, &pairs, &why) ||
        !detect_match(&arena, &pairs, rn, pn, 2, scored ? score : NULL, false, &m, &why))
        fail_msg("%s", why.message);
    return m;
}

static void test_boxes_of_a_plane_match_by_iou(void **state) {
    (void)state;
    struct detect_object r[2] = {box(0, 0, 0, 10, 10, NAN), box(1, 0, 0, 10, 10, NAN)};
    struct detect_object p[3] = {box(0, 5, 0, 15, 10, 0.9), box(1, 1, 0, 11, 10, 0.5), box(1, 100, 100, 110, 110, 0.8)};
    struct detect_matches m = match(r, 2, p, 3, DETECT_IOU, 0.3, true);
    assert_int_equal(m.found, 2);
    assert_near(m.nearness[0], 50.0 / 150, 1e-12);
    assert_near(m.nearness[1], 90.0 / 110, 1e-12);
    assert_true(m.match[2] == DETECT_FALSE && m.wrong == 1);
    m = match(r, 2, p, 3, DETECT_IOU, 0.5, true);
    assert_true(m.found == 1 && m.match[0] == DETECT_FALSE);
    m = match(r, 2, p, 3, DETECT_COVERED, 0.5, true);
    assert_int_equal(m.found, 2);
}

static void test_objects_of_other_cases_never_match(void **state) {
    (void)state;
    struct detect_object r = box(0, 0, 0, 10, 10, NAN), p = box(1, 0, 0, 10, 10, 1);
    assert_int_equal(match(&r, 1, &p, 1, DETECT_IOU, 0.1, true).found, 0);
    assert_int_equal(match(&r, 1, &p, 1, DETECT_DISTANCE, 100, true).found, 0);
}

// The higher score takes the object; without scores the nearer.
static void test_an_object_is_found_once(void **state) {
    (void)state;
    struct detect_object r = box(0, 0, 0, 10, 10, NAN), p[2] = {box(0, 0, 0, 10, 10, 0.2), box(0, 1, 0, 11, 10, 0.7)};
    struct detect_matches m = match(&r, 1, p, 2, DETECT_IOU, 0.5, true);
    assert_true(m.match[0] == DETECT_AGAIN && m.match[1] == 0 && m.wrong == 1 && m.again == 1);
    m = match(&r, 1, p, 2, DETECT_IOU, 0.5, false);
    assert_true(m.match[0] == 0 && m.match[1] == DETECT_AGAIN);
}

// A mark near two objects, the nearer of which is taken, finds the other.
static void test_a_mark_takes_the_nearest_that_is_free(void **state) {
    (void)state;
    struct detect_object r[2] = {box(0, 0, 0, 10, 10, NAN), box(0, 4, 0, 14, 10, NAN)}, p[2] = {box(0, 0, 0, 10, 10, 0.9), box(0, 1, 0, 11, 10, 0.5)};
    struct detect_matches m = match(r, 2, p, 2, DETECT_IOU, 0.3, true);
    assert_true(m.match[0] == 0 && m.match[1] == 1 && m.again == 0);
}

static void test_points_match_by_distance_or_by_box(void **state) {
    (void)state;
    struct detect_object r = box(0, 0, 0, 10, 10, NAN), near = box(0, 10, 5, 10, 5, 1), far = box(0, 10.01, 5, 10.01, 5, 1);
    assert_int_equal(match(&r, 1, &near, 1, DETECT_CENTRE, 0, true).found, 1);
    assert_int_equal(match(&r, 1, &far, 1, DETECT_CENTRE, 0, true).found, 0);
    assert_int_equal(match(&r, 1, &far, 1, DETECT_DISTANCE, 5.02, true).found, 1);
    assert_int_equal(match(&r, 1, &far, 1, DETECT_DISTANCE, 5, true).found, 0);
    assert_int_equal(match(&near, 1, &near, 1, DETECT_IOU, 0, true).found, 0); // points have no extent
}

// Everingham et al., Pascal VOC 2010 on: precision made falling; scores .9 hit, .8 miss, .7 hit, .6 miss, .5 hit of 4 objects: (1 + 2/3 + 3/5) / 4.
static void test_average_precision_by_hand(void **state) {
    (void)state;
    double score[5] = {0.9, 0.8, 0.7, 0.6, 0.5}, nearness[5] = {1, NAN, 1, NAN, 1};
    int64_t matched[5] = {0, DETECT_FALSE, 1, DETECT_FALSE, 2};
    struct detect_matches m = {.references = 4, .predictions = 5, .cases = 2, .found = 3, .wrong = 2, .match = matched, .nearness = nearness};
    struct detect_measures d;
    assert_true(detect_measure(&arena, &m, score, false, &d, &why));
    assert_near(d.average_precision, (1 + 2.0 / 3 + 3.0 / 5) / 4, 1e-12);
    assert_near(d.sensitivity, 0.75, 0);
    assert_near(d.precision, 0.6, 1e-15);
    assert_near(d.f1, 6.0 / 9, 1e-15);
    assert_near(d.wrong_per_case, 1, 0);
    assert_near(d.at_rate[0], 0.25, 0); // no false one
    assert_near(d.at_rate[2], 0.5, 0);  // one of two cases
    assert_near(d.at_rate[3], 0.75, 0);
    assert_near(d.at_rate[6], 0.75, 0);
    assert_true(detect_measure(&arena, &m, NULL, false, &d, &why));
    assert_true(isnan(d.average_precision) && isnan(d.mean_at_rates));
    double same[5] = {1, 1, 1, 1, 1}; // all ties: one point
    assert_true(detect_measure(&arena, &m, same, false, &d, &why));
    assert_near(d.average_precision, 0.6 * 0.75, 1e-12);
    assert_near(d.at_rate[2], 0, 0);
}

static void test_nothing_predicted_and_nothing_there(void **state) {
    (void)state;
    struct detect_object r = box(0, 0, 0, 1, 1, NAN);
    struct detect_measures d;
    struct detect_matches m = match(&r, 1, NULL, 0, DETECT_IOU, 0.5, true);
    assert_true(detect_measure(&arena, &m, (double[1]){0}, false, &d, &why));
    assert_true(d.sensitivity == 0 && isnan(d.precision) && d.f1 == 0 && d.average_precision == 0);
    m = match(NULL, 0, &r, 1, DETECT_IOU, 0.5, false);
    assert_true(detect_measure(&arena, &m, NULL, false, &d, &why));
    assert_true(isnan(d.sensitivity) && d.precision == 0 && d.wrong_per_case == 0.5);
}

// ---- masks ----

static uint32_t parts(const char *words, unsigned connectivity) {
    struct seg_case c;
    uint32_t count;
    if (!seg_case_make(&arena, str_of(words), (struct str){NULL, 0}, &c, &why)) fail_msg("%s", why.message);
    uint32_t *label = arena_alloc(&arena, seg_voxels(&c.grid) * sizeof *label, &why);
    assert_true(detect_components(&arena, &c.grid, c.masks[0], connectivity, label, &count, &why));
    return count;
}

static void test_parts_by_connectivity(void **state) {
    (void)state;
    static const char EDGE[] = "shape (4,4,4) gt one voxel (0,1,1) (1,2,1) pred empty", CORNER[] = "shape (4,4,4) gt one voxel (0,1,1) (1,2,2) pred empty",
                      FACE[] = "shape (4,4,4) gt one voxel (0,1,1) (1,1,1) pred empty", PLANE[] = "shape (5,5) gt one pixel (1,1) (2,2) (1,3) pred empty";
    assert_true(parts(FACE, 1) == 1 && parts(FACE, 3) == 1);
    assert_true(parts(EDGE, 1) == 2 && parts(EDGE, 2) == 1 && parts(EDGE, 3) == 1);
    assert_true(parts(CORNER, 1) == 2 && parts(CORNER, 2) == 2 && parts(CORNER, 3) == 1);
    assert_true(parts(PLANE, 1) == 3 && parts(PLANE, 2) == 1);
    assert_int_equal(parts("shape (9,9,9) gt empty pred empty", 1), 0);
}

// By flooding, on random masks.
static uint32_t flood(const struct seg_grid *g, const uint8_t *mask, unsigned connectivity) {
    size_t n = seg_voxels(g), top;
    uint8_t *seen = arena_zero(&arena, n, 1, &why);
    size_t *stack = arena_alloc(&arena, n * sizeof *stack, &why);
    uint32_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (!mask[i] || seen[i]) continue;
        count++;
        stack[0] = i;
        seen[i] = 1;
        for (top = 1; top > 0;) {
            size_t at = stack[--top];
            int z = (int)(at / g->n[2] / g->n[1]), y = (int)(at / g->n[2] % g->n[1]), x = (int)(at % g->n[2]);
            for (int k = 0; k < 27; k++) {
                int dz = k / 9 - 1, dy = k / 3 % 3 - 1, dx = k % 3 - 1, a = z + dz, b = y + dy, c = x + dx;
                if ((unsigned)(abs(dz) + abs(dy) + abs(dx)) > connectivity || a < 0 || b < 0 || c < 0 || a >= (int)g->n[0] || b >= (int)g->n[1] ||
                    c >= (int)g->n[2])
                    continue;
                size_t to = ((size_t)a * g->n[1] + (size_t)b) * g->n[2] + (size_t)c;
                if (mask[to] && !seen[to]) {
                    seen[to] = 1;
                    stack[top++] = to;
                }
            }
        }
    }
    return count;
}

static void test_parts_are_those_of_flooding(void **state) {
    (void)state;
    struct rng r;
    rng_seed(&r, 12);
    for (unsigned i = 0; i < 200; i++) {
        struct arena_mark mark = arena_mark(&arena);
        struct seg_grid g = {3, {1 + (uint32_t)rng_below(&r, 8), 1 + (uint32_t)rng_below(&r, 8), 1 + (uint32_t)rng_below(&r, 8)}, {1, 1, 1}};
        size_t n = seg_voxels(&g);
        uint8_t *mask = arena_zero(&arena, n, 1, &why);
        uint32_t *label = arena_alloc(&arena, n * sizeof *label, &why), count = 0;
        double density = rng_uniform(&r);
        for (size_t k = 0; k < n; k++) mask[k] = rng_uniform(&r) < density;
        assert_true(detect_components(&arena, &g, mask, 1 + i % 3, label, &count, &why));
        assert_int_equal(count, flood(&g, mask, 1 + i % 3));
        for (size_t k = 0; k < n; k++) assert_true((label[k] != 0) == (mask[k] != 0) && label[k] <= count);
        arena_rewind(&arena, mark);
    }
}

// Three instances: one met with IoU 2/3, one missed, one split below one half; and one that is not there.
static void test_panoptic_quality_by_hand(void **state) {
    (void)state;
    const uint32_t reference[12] = {1, 1, 1, 0, 2, 2, 0, 3, 3, 3, 3, 0}, predicted[12] = {1, 1, 0, 0, 0, 0, 0, 2, 2, 4, 4, 3};
    struct detect_overlaps o;
    struct detect_panoptic p;
    assert_true(detect_overlaps(&arena, reference, 3, predicted, 4, 12, &o, &why));
    assert_int_equal(o.n, 3);
    detect_panoptic(&o, 3, 4, &p);
    assert_true(p.matched == 1 && p.missed == 2 && p.wrong == 3);
    assert_near(p.segmentation, 2.0 / 3, 1e-12);
    assert_near(p.recognition, 1 / 3.5, 1e-12);
    assert_near(p.quality, 2.0 / 3 / 3.5, 1e-12);
    detect_panoptic(&o, 0, 0, &(struct detect_panoptic){0});
}

static void test_overlaps_are_those_counted_voxel_by_voxel(void **state) {
    (void)state;
    enum { N = 60000, A = 70, B = 90 };
    static uint32_t a[N], b[N];
    static uint64_t count[A + 1][B + 1];
    struct rng r;
    rng_seed(&r, 2);
    for (unsigned i = 0; i < N; i++) {
        a[i] = (uint32_t)rng_below(&r, A + 1);
        b[i] = (uint32_t)rng_below(&r, B + 1);
        count[a[i]][b[i]]++;
    }
    struct detect_overlaps o;
    assert_true(detect_overlaps(&arena, a, A, b, B, N, &o, &why));
    uint64_t all = 0;
    for (size_t i = 0; i < o.n; i++) {
        assert_int_equal(o.pair[i].voxels, count[o.pair[i].reference][o.pair[i].predicted]);
        all++;
    }
    for (unsigned i = 1; i <= A; i++) {
        for (unsigned k = 1; k <= B; k++) all -= count[i][k] > 0;
    }
    assert_int_equal(all, 0);
}

// ---- tables ----

static bool report(const char *text, struct detect_asked asked, struct ev_report *r) {
    struct csv t;
    ev_report_init(r, &arena, "Detection of objects", 0.95);
    return csv_read(&arena, str_of(text), &t, &why) && detect_table_report(r, &t, &asked, &why);
}

static double value_of(const struct ev_report *r, const char *name) {
    for (unsigned i = 0; i < r->entry_count; i++) {
        if (strcmp(r->entries[i].name, name) == 0) return r->entries[i].value;
    }
    fail_msg("no %s", name);
    return NAN;
}

static void test_a_table_of_marks_is_told(void **state) {
    (void)state;
    struct ev_report r;
    assert_true(report("case,kind,x,y,z,diameter,score\nA,truth,0,0,0,10,\nA,mark,1,1,1,,0.9\nA,mark,50,0,0,,0.4\nB,truth,9,9,9,4,\nC,,,,,,\n",
                       (struct detect_asked){.rule = DETECT_CENTRE}, &r));
    assert_near(value_of(&r, "Cases"), 3, 0);
    assert_near(value_of(&r, "Found (true positives)"), 1, 0);
    assert_near(value_of(&r, "False positives per case"), 1.0 / 3, 1e-12);
    assert_near(value_of(&r, "Sensitivity for objects"), 0.5, 1e-12);
    assert_near(value_of(&r, "Average precision"), 0.5, 1e-12);
    assert_near(value_of(&r, "Mean distance of the centres of the found"), sqrt(3), 1e-12);
}

static void test_tables_that_cannot_be_are_refused_by_line(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } BAD[] = {
        {"case,kind,x,y\nA,lesion,1,1\n", "line 2"},
        {"case,kind,x,y\nA,truth,1,\n", "line 2"},
        {"case,kind,x,y,score\nA,truth,1,1,\nA,mark,1,1,\n", "line 3"},
        {"case,kind,x0,y0,x1,y1\nA,truth,5,1,4,2\n", "line 2"},
        {"case,kind,x0,y0,x1\nA,truth,5,1,4\n", "y0 and y1"},
        {"case,kind,x\nA,truth,5\n", "y"},
        {"kind,x,y\ntruth,5,1\n", "case"},
        {"case,kind,x,y,diameter\nA,truth,5,1,-3\n", "diameter"},
        {"case,kind,x,y\n,truth,5,1\n", "line 2"},
        {"case,kind,x,y\n", "rows"},
    };
    struct ev_report r;
    for (unsigned i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        assert_false(report(BAD[i].text, (struct detect_asked){.rule = DETECT_DISTANCE, .threshold = 5}, &r));
        if (!strstr(why.message, BAD[i].says)) fail_msg("\"%s\" says not %s", why.message, BAD[i].says);
    }
}

static void test_masks_of_one_label_fall_into_parts(void **state) {
    (void)state;
    struct seg_case c;
    assert_true(seg_case_make(&arena, STR_LIT("shape (20,20,20) gt ball((5,5,5),3) ball((14,14,14),3) pred ball((5,5,6),3) ball((14,4,4),2)"),
                              (struct str){NULL, 0}, &c, &why));
    uint16_t *maps[2];
    for (unsigned i = 0; i < 2; i++) {
        maps[i] = arena_alloc(&arena, 8000 * sizeof **maps, &why);
        for (unsigned k = 0; k < 8000; k++) maps[i][k] = c.masks[i][k];
    }
    struct ev_report r;
    ev_report_init(&r, &arena, "Detection of objects", 0.95);
    assert_true(detect_masks_report(&r, &c.grid, maps[0], maps[1], &(struct detect_asked){.rule = DETECT_IOU, .threshold = 0.1, .connectivity = 3}, &why));
    assert_near(value_of(&r, "Reference objects"), 2, 0);
    assert_near(value_of(&r, "Found (true positives)"), 1, 0);
    assert_near(value_of(&r, "False positives"), 1, 0);
    assert_near(value_of(&r, "Recognition quality (IoU above 0.5)"), 0.5, 1e-12);
    assert_int_equal(r.warning_count, 1); // one case
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_boxes_of_a_plane_match_by_iou),
        cmocka_unit_test(test_objects_of_other_cases_never_match),
        cmocka_unit_test(test_an_object_is_found_once),
        cmocka_unit_test(test_a_mark_takes_the_nearest_that_is_free),
        cmocka_unit_test(test_points_match_by_distance_or_by_box),
        cmocka_unit_test(test_average_precision_by_hand),
        cmocka_unit_test(test_nothing_predicted_and_nothing_there),
        cmocka_unit_test(test_parts_by_connectivity),
        cmocka_unit_test(test_parts_are_those_of_flooding),
        cmocka_unit_test(test_panoptic_quality_by_hand),
        cmocka_unit_test(test_overlaps_are_those_counted_voxel_by_voxel),
        cmocka_unit_test(test_a_table_of_marks_is_told),
        cmocka_unit_test(test_tables_that_cannot_be_are_refused_by_line),
        cmocka_unit_test(test_masks_of_one_label_fall_into_parts),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
