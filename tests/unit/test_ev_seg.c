// Masks compared: overlap, both definitions of a surface, distances, and the reference values of others where they lie beside the tree.
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
#include "mod/evidence/seg.h"
#include "mod/evidence/seg_case.h"
#include "mod/evidence/seg_field.h"
#include "mod/evidence/verify.h"

static const char *DATA; // folder of reference tables, or NULL

static struct seg_case masks(const char *words) {
    struct seg_case c;
    if (!seg_case_make(&arena, str_of(words), (struct str){NULL, 0}, &c, &why)) fail_msg("%s", why.message);
    return c;
}

static struct seg_distances distances(const struct seg_case *c, enum seg_surface surface) {
    struct seg_distances d;
    if (!seg_distances(&arena, &c->grid, c->masks[0], c->masks[1], surface, &d, &why)) fail_msg("%s", why.message);
    return d;
}

static void assert_near(double a, double b, double tolerance) {
    if (a != b && !(fabs(a - b) <= tolerance)) fail_msg("%.17g is not %.17g", a, b);
}

// ---- surface elements ----

static const double UNIT[3] = {1, 1, 1};

// The figures of Lorensen and Cline (SIGGRAPH 1987) with cuts in the middle of edges: areas by plane geometry.
static void test_areas_of_simple_corners_are_those_of_geometry(void **state) {
    (void)state;
    double area[256], corner = sqrt(3) / 8;
    seg_surfel_areas(UNIT, area);
    assert_near(area[0], 0, 0);
    assert_near(area[255], 0, 0);
    assert_near(area[1], corner, 1e-15);                    // a triangle of sides 1/sqrt 2
    assert_near(area[3], sqrt(0.5), 1e-15);                 // an edge: a rectangle 1 by 1/sqrt 2
    assert_near(area[15], 1, 1e-15);                        // a face: the square between
    assert_near(area[7], 0.5 + 3 * corner, 1e-15);          // three of a face: half the square and a trapezium
    assert_near(area[0x17], 6 * corner, 1e-15);             // a vertex and its three neighbours: a regular hexagon
    assert_near(area[0x69], 4 * corner, 1e-15);             // every other vertex: four triangles
    assert_near(area[0x1b], 4 * corner + sqrt(0.5), 1e-12); // a path of three edges
}

static void test_a_code_and_its_complement_have_one_surface(void **state) {
    (void)state;
    double area[256];
    seg_surfel_areas((const double[3]){0.7, 1.3, 2.5}, area);
    for (unsigned code = 0; code < 256; code++) {
        if (__builtin_popcount(code) != 4) assert_near(area[code], area[255 - code], 1e-12);
    }
}

// Exchange of the second and third axis: neighbours 1 and 2, 5 and 6 change places.
static void test_areas_follow_the_axes_when_these_are_exchanged(void **state) {
    (void)state;
    double a[256], b[256];
    static const unsigned TO[8] = {0, 2, 1, 3, 4, 6, 5, 7};
    seg_surfel_areas((const double[3]){1.5, 0.6, 2.2}, a);
    seg_surfel_areas((const double[3]){1.5, 2.2, 0.6}, b);
    for (unsigned code = 0; code < 256; code++) {
        unsigned turned = 0;
        for (unsigned k = 0; k < 8; k++) turned |= (code >> k & 1) << TO[k];
        assert_near(a[code], b[turned], 1e-12);
    }
}

// ---- metrics of known masks ----

// Figures of the published metric's own tests (google-deepmind/surface-distance, surface_distance_test.py at 1f805cea).
static void test_two_pixels_two_apart(void **state) {
    (void)state;
    struct seg_case c = masks("2D 128x128 one pixel (50,70) vs (50,72) spacing (2,1)");
    struct seg_distances d = distances(&c, SEG_SURFELS);
    assert_near(seg_mean_distance(&d.reference), 1.5, 1e-12);
    assert_near(seg_mean_distance(&d.predicted), 1.5, 1e-12);
    assert_near(seg_hausdorff(&d, 100), 2, 1e-12);
    assert_near(seg_hausdorff(&d, 5), 1, 1e-12);
    assert_near(seg_overlap_within(&d.reference, 1), 0.5, 1e-12);
    assert_near(seg_surface_dice(&d, 1), 0.5, 1e-12);
    struct seg_distances b = distances(&c, SEG_BORDERS);
    assert_near(seg_hausdorff(&b, 100), 2, 0);
    assert_near(seg_surface_dice(&b, 1), 0, 0);
}

static void test_half_a_cube_and_a_layer_more(void **state) {
    (void)state;
    struct seg_case c = masks("3D 100^3 gt[0:50] vs pred[0:51] spacing (2,1,1)");
    struct seg_distances d = distances(&c, SEG_SURFELS);
    struct seg_overlap o;
    seg_overlap(&c.grid, c.masks[0], c.masks[1], &o);
    assert_near(seg_mean_distance(&d.reference), 0.322, 0.001);
    assert_near(seg_mean_distance(&d.predicted), 0.339, 0.001);
    assert_near(seg_overlap_within(&d.reference, 1), 0.842, 0.001);
    assert_near(seg_overlap_within(&d.predicted, 1), 0.830, 0.001);
    assert_near(seg_surface_dice(&d, 1), 0.836, 0.001);
    assert_near(seg_hausdorff(&d, 100), 2, 0);
    assert_near(o.dice, 2.0 * 50 / 101, 1e-15);
    assert_near(o.jaccard, 50.0 / 51, 1e-15);
    assert_near(o.volume_error, 0.02, 1e-15);
    assert_near(o.volume_reference, 1000, 1e-9); // 100 mm cubed
}

static void test_empty_masks_have_infinite_distances_and_no_shares(void **state) {
    (void)state;
    struct seg_case c = masks("shape (9,9,9) gt ball((4,4,4),2) pred empty");
    struct seg_distances d = distances(&c, SEG_SURFELS);
    assert_true(isinf(seg_mean_distance(&d.reference)) && isnan(seg_mean_distance(&d.predicted)));
    assert_true(isinf(seg_hausdorff(&d, 95)) && isinf(seg_assd(&d)));
    assert_near(seg_overlap_within(&d.reference, 1), 0, 0);
    assert_true(isnan(seg_overlap_within(&d.predicted, 1)));
    assert_near(seg_surface_dice(&d, 1), 0, 0);
    c = masks("shape (9,9,9) gt empty pred empty");
    for (unsigned s = 0; s < 2; s++) {
        d = distances(&c, (enum seg_surface)s);
        assert_true(isinf(seg_hausdorff(&d, 100)) && isnan(seg_surface_dice(&d, 1)) && isnan(seg_assd(&d)) && isnan(seg_masd(&d)));
    }
    struct seg_overlap o;
    seg_overlap(&c.grid, c.masks[0], c.masks[1], &o);
    assert_true(isnan(o.dice) && isnan(o.jaccard) && isnan(o.volume_error));
}

static void test_a_mask_agrees_with_itself(void **state) {
    (void)state;
    static const char *const WORDS[] = {"shape (1,1,1) gt[0:1] pred[0:1]", "shape (5,6,7) gt[:] pred[:]", "shape (12,12) gt ball((5,5),3) pred ball((5,5),3)",
                                        "shape (1,20,20) gt box((0,3,3),(1,9,9)) pred box((0,3,3),(1,9,9))"};
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned s = 0; s < 2; s++) {
            struct seg_case c = masks(WORDS[i]);
            struct seg_distances d = distances(&c, (enum seg_surface)s);
            assert_true(d.reference.n > 0 && d.reference.n == d.predicted.n);
            assert_near(seg_hausdorff(&d, 100), 0, 0);
            assert_near(seg_assd(&d), 0, 0);
            assert_near(seg_surface_dice(&d, 0), 1, 1e-15);
        }
    }
}

static void test_a_shifted_box_is_as_far_as_it_was_shifted(void **state) {
    (void)state;
    struct seg_case c = masks("shape (30,30,30) spacing (0.3,0.7,1.1) gt box((5,5,5),(12,15,18)) pred box((5,9,5),(12,19,18))");
    for (unsigned s = 0; s < 2; s++) {
        struct seg_distances d = distances(&c, (enum seg_surface)s);
        assert_near(seg_hausdorff(&d, 100), 4 * 0.7, 1e-12);
        for (unsigned p = 5; p < 100; p += 5) assert_true(seg_hausdorff(&d, p) <= seg_hausdorff(&d, p + 5));
    }
}

// ---- against all pairs ----

static double nearest(const struct seg_field *f, size_t z, size_t y, size_t x) {
    double best = INFINITY;
    for (size_t i = 0; i < f->n[0]; i++) {
        for (size_t j = 0; j < f->n[1]; j++) {
            for (size_t k = 0; k < f->n[2]; k++) {
                if (!f->code[(i * f->n[1] + j) * f->n[2] + k]) continue;
                double dz = ((double)z - (double)i) * f->spacing[0], dy = ((double)y - (double)j) * f->spacing[1], dx = ((double)x - (double)k) * f->spacing[2];
                best = fmin(best, dz * dz + dy * dy + dx * dx);
            }
        }
    }
    return sqrt(best);
}

static void compare_with_all_pairs(const struct seg_case *c, enum seg_surface surface) {
    struct seg_box box;
    struct seg_field f[2];
    struct seg_distances d = distances(c, surface);
    seg_box(&c->grid, (const uint8_t *const[2]){c->masks[0], c->masks[1]}, &box);
    for (unsigned i = 0; i < 2; i++) {
        assert_true((surface == SEG_SURFELS ? seg_field_surfels : seg_field_borders)(&arena, &c->grid, c->masks[i], &box, &f[i], &why));
    }
    double sum = 0, farthest = 0;
    size_t n = 0;
    for (size_t z = 0; z < f[0].n[0]; z++) {
        for (size_t y = 0; y < f[0].n[1]; y++) {
            for (size_t x = 0; x < f[0].n[2]; x++) {
                if (!f[0].code[(z * f[0].n[1] + y) * f[0].n[2] + x]) continue;
                double best = nearest(&f[1], z, y, x);
                sum += best;
                farthest = fmax(farthest, best);
                n++;
            }
        }
    }
    double ours = 0;
    for (size_t i = 0; i < d.reference.n; i++) ours += d.reference.distance[i];
    assert_int_equal(d.reference.n, n);
    assert_near(ours, sum, 1e-9 * (1 + sum));
    if (n) assert_near(d.reference.distance[n - 1], farthest, 1e-12 * (1 + farthest));
}

static void test_distances_are_those_of_all_pairs(void **state) {
    (void)state;
    struct rng r;
    rng_seed(&r, 6);
    for (unsigned i = 0; i < 60; i++) {
        struct arena_mark mark = arena_mark(&arena);
        char words[100];
        snprintf(words, sizeof words, "shape (%u,%u,%u) spacing (%g,%g,%g) gt empty pred empty", 1 + (unsigned)rng_below(&r, 9),
                 1 + (unsigned)rng_below(&r, 12), 1 + (unsigned)rng_below(&r, 12), 0.3 + rng_uniform(&r), 0.5 + 2 * rng_uniform(&r), 1.0 + (double)(i % 2));
        struct seg_case c = masks(words);
        double density[2] = {pow(rng_uniform(&r), 3), pow(rng_uniform(&r), 3)};
        for (unsigned m = 0; m < 2; m++) {
            for (size_t k = 0; k < seg_voxels(&c.grid); k++) c.masks[m][k] = rng_uniform(&r) < density[m];
        }
        compare_with_all_pairs(&c, SEG_SURFELS);
        compare_with_all_pairs(&c, SEG_BORDERS);
        arena_rewind(&arena, mark);
    }
}

// ---- refusals ----

static void test_grids_out_of_range_are_refused(void **state) {
    (void)state;
    uint8_t voxel = 1;
    struct seg_distances d;
    struct seg_grid g = {3, {1, 1, 1}, {1, 1, 0}};
    assert_false(seg_distances(&arena, &g, &voxel, &voxel, SEG_SURFELS, &d, &why));
    assert_non_null(strstr(why.message, "spacing of axis 2"));
    g.spacing[2] = NAN;
    assert_false(seg_grid_check(&g, &why));
    g = (struct seg_grid){3, {32767, 32767, 32767}, {1, 1, 1}};
    assert_false(seg_grid_check(&g, &why));
    assert_int_equal(why.kind, ERR_TOO_LARGE);
    g = (struct seg_grid){4, {1, 1, 1}, {1, 1, 1}};
    assert_false(seg_grid_check(&g, &why));
}

static void test_words_that_tell_no_masks_are_refused(void **state) {
    (void)state;
    static const char *const BAD[] = {"",
                                      "gt ball((1,1,1),1) pred empty",
                                      "shape (4,4,4) gt ball((1,1),1) pred empty",
                                      "shape (4,4,4) gt ball((1,1,1),) pred empty",
                                      "shape (4,4,4) gt empty",
                                      "shape (4,4,4) spacing (1,1) gt empty pred empty",
                                      "shape (4,4,4) gt[0 pred empty",
                                      "shape (1e9,4,4) gt empty pred empty",
                                      "((((((((",
                                      "shape (4,4) gt box((0,0) pred"};
    struct seg_case c;
    for (unsigned i = 0; i < sizeof BAD / sizeof *BAD; i++) assert_false(seg_case_make(&arena, str_of(BAD[i]), (struct str){NULL, 0}, &c, &why));
}

// ---- the reference tables, where they lie beside the tree ----

static bool answer(const char *statistic, const char *parameters, double *value) {
    struct ev_question q = {.arena = &arena, .dataset = STR_LIT("inline"), .statistic = str_of(statistic), .parameters = str_of(parameters)};
    for (const struct ev_statistic *s = EV_STATISTICS_SEGMENTATION; s->name; s++) {
        size_t n = strlen(s->name) - 1;
        if (s->name[n] == '*' ? strncmp(s->name, statistic, n) == 0 : strcmp(s->name, statistic) == 0) return s->answer(&q, value, &why);
    }
    return false;
}

static void test_empty_masks_answer_as_the_policy_says(void **state) {
    (void)state;
    double value;
    assert_true(answer("empty_mask_policy",
                       "pred empty: ASD=(inf,nan) HD=inf overlap=(0,nan) surface dice=0 dice=0; both empty: HD=inf, surface dice=nan, dice=nan", &value));
    assert_true(isnan(value));
    assert_true(answer("empty_mask_policy", "pred empty: ASD=(inf,nan) HD=0 overlap=(0,nan) surface dice=1 dice=0; both empty: dice=nan", &value));
    assert_near(value, 2, 0);
}

static void test_the_table_of_mask_pairs_is_met(void **state) {
    (void)state;
    char path[1000], line[1000], names[1000];
    snprintf(path, sizeof path, "%s/seg_expected.csv", DATA ? DATA : "");
    FILE *f = fopen(path, "r");
    if (!f) skip();
    assert_non_null(fgets(names, sizeof names, f));
    unsigned checked = 0;
    while (fgets(line, sizeof line, f)) {
        char *n = names, *l = line, name[40], parameters[60] = "";
        for (unsigned column = 0; n && l; column++) {
            snprintf(name, sizeof name, "%.*s", (int)strcspn(n, ",\r\n"), n);
            if (column == 0) snprintf(parameters, sizeof parameters, "case=%.*s", (int)strcspn(l, ","), l);
            if (column > 0 && strcmp(name, "spacing") != 0) {
                double value = NAN;
                if (!answer(name, parameters, &value)) fail_msg("%s %s: %s", name, parameters, why.message);
                assert_near(value, strtod(l, NULL), 6e-9);
                checked++;
            }
            n = strchr(n, ',') ? strchr(n, ',') + 1 : NULL;
            l = strchr(l, ',') ? strchr(l, ',') + 1 : NULL;
        }
    }
    fclose(f);
    assert_int_equal(checked, 44);
}

int main(int argc, char **argv) {
    if (argc > 1) DATA = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_areas_of_simple_corners_are_those_of_geometry),
        cmocka_unit_test(test_a_code_and_its_complement_have_one_surface),
        cmocka_unit_test(test_areas_follow_the_axes_when_these_are_exchanged),
        cmocka_unit_test(test_two_pixels_two_apart),
        cmocka_unit_test(test_half_a_cube_and_a_layer_more),
        cmocka_unit_test(test_empty_masks_have_infinite_distances_and_no_shares),
        cmocka_unit_test(test_a_mask_agrees_with_itself),
        cmocka_unit_test(test_a_shifted_box_is_as_far_as_it_was_shifted),
        cmocka_unit_test(test_distances_are_those_of_all_pairs),
        cmocka_unit_test(test_grids_out_of_range_are_refused),
        cmocka_unit_test(test_words_that_tell_no_masks_are_refused),
        cmocka_unit_test(test_empty_masks_answer_as_the_policy_says),
        cmocka_unit_test(test_the_table_of_mask_pairs_is_met),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
