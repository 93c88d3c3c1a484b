// Behaviour of views, presentation states, overlays and video tables where foreign tools have no say: geometry point by point, ceilings, junk.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "dicom/vr.h"
#include "pixel/gif.h"
#include "pixel/graphic.h"
#include "pixel/overlay.h"
#include "pixel/presentation.h"
#include "pixel/render.h"
#include "pixel/tint.h"
#include "pixel/video.h"
#include "pixel/view.h"

static struct arena arena;

static int setup(void **state) {
    arena_init(&arena, 256 << 20);
    *state = &arena;
    return 0;
}

static int teardown(void **state) {
    arena_deinit(*state);
    return 0;
}

static struct px_view view(uint32_t columns, uint32_t rows) {
    return (struct px_view){.columns = columns, .rows = rows, .region = {0, 0, columns, rows}, .pixel_ratio = 1};
}

static void expect_point(const struct px_view *v, double x, double y, double to_x, double to_y) {
    double got_x, got_y;
    px_view_point(v, x, y, &got_x, &got_y);
    if (fabs(got_x - to_x) > 1e-6 || fabs(got_y - to_y) > 1e-6) fail_msg("(%g, %g) goes to (%g, %g), not (%g, %g)", x, y, got_x, got_y, to_x, to_y);
}

// Every pixel of a turned picture is where its point is said to go.
static void points_go_where_their_pixels_go(void **state) {
    (void)state;
    for (unsigned turn = 0; turn < 16; turn++) {
        uint8_t pixels[6];
        for (uint8_t i = 0; i < 6; i++) pixels[i] = i;
        struct px_picture p = {.width = 3, .height = 2, .channels = 1, .pixels = pixels};
        struct px_view v = view(3, 2);
        v.rotation = turn % 4 * 90;
        v.flip_x = turn & 4;
        v.flip_y = turn & 8;
        assert_true(px_view_fit(&v, NULL) && px_view_turn(&arena, &v, &p, NULL));
        for (unsigned i = 0; i < 6; i++) {
            double x, y;
            px_view_point(&v, i % 3 + 0.5, i / 3 + 0.5, &x, &y);
            assert_int_equal(p.pixels[(unsigned)y * p.width + (unsigned)x], i);
        }
    }
}

static void a_view_scales_in_proportion_with_square_pixels(void **state) {
    (void)state;
    struct px_view v = view(100, 50);
    v.width = 50;
    v.height = 1000;
    assert_true(px_view_fit(&v, NULL));
    assert_true(v.out_width == 50 && v.out_height == 25);
    expect_point(&v, 100, 50, 50, 25);
    v = view(100, 50);
    v.pixel_ratio = 2; // twice as high as wide
    assert_true(px_view_fit(&v, NULL));
    assert_true(v.out_width == 100 && v.out_height == 100);
    v = view(100, 50);
    v.pixel_ratio = 0.5;
    v.rotation = 90;
    assert_true(px_view_fit(&v, NULL));
    assert_true(v.out_width == 50 && v.out_height == 200);
    expect_point(&v, 0, 0, 50, 0); // the top left corner turns to the top right
    v = view(100, 50);
    v.region = (struct px_region){10, 20, 30, 10};
    v.magnification = 3;
    assert_true(px_view_fit(&v, NULL));
    assert_true(v.out_width == 90 && v.out_height == 30);
    expect_point(&v, 10, 20, 0, 0);
    expect_point(&v, 25, 25, 45, 15);
    struct err e = {0};
    v.magnification = 9999;
    v.region = (struct px_region){0, 0, 1e6, 1e6};
    assert_false(px_view_fit(&v, &e));
    assert_int_equal(e.kind, ERR_TOO_LARGE);
}

static void items_of_a_state_are_for_the_images_that_they_name(void **state) {
    (void)state;
    struct dcm_dataset *ps = dcm_dataset_new(&arena, NULL);
    struct dcm_dataset *first = dcm_put_item(ps, DCM_DisplayedAreaSelectionSequence, NULL),
                       *second = dcm_put_item(ps, DCM_DisplayedAreaSelectionSequence, NULL);
    struct dcm_dataset *reference = dcm_put_item(first, DCM_ReferencedImageSequence, NULL);
    assert_true(dcm_putz(reference, DCM_ReferencedSOPInstanceUID, "1.2.3", NULL));
    assert_true(dcm_putz(reference, DCM_ReferencedFrameNumber, "2\\4", NULL));
    assert_ptr_equal(px_item_for(ps, DCM_DisplayedAreaSelectionSequence, STR_LIT("1.2.3"), 1), first);
    assert_ptr_equal(px_item_for(ps, DCM_DisplayedAreaSelectionSequence, STR_LIT("1.2.3"), 3), first);
    assert_ptr_equal(px_item_for(ps, DCM_DisplayedAreaSelectionSequence, STR_LIT("1.2.3"), 2), second);
    assert_ptr_equal(px_item_for(ps, DCM_DisplayedAreaSelectionSequence, STR_LIT("1.2.30"), 1), second);
}

// PS3.3 C.10.4: pixels from 1, both corners shown; after a turn the first corner is not the smaller one.
static void a_displayed_area_is_read_whichever_way_it_is_turned(void **state) {
    (void)state;
    for (int turned = 0; turned < 2; turned++) {
        struct dcm_dataset *ps = dcm_dataset_new(&arena, NULL), *item = dcm_put_item(ps, DCM_DisplayedAreaSelectionSequence, NULL);
        const int64_t one[2] = {11, 21}, other[2] = {40, 30};
        assert_true(dcm_put_ints(item, DCM_DisplayedAreaTopLeftHandCorner, DCM_VR_SL, turned ? other : one, 2, NULL));
        assert_true(dcm_put_ints(item, DCM_DisplayedAreaBottomRightHandCorner, DCM_VR_SL, turned ? one : other, 2, NULL));
        struct px_view v = view(100, 50);
        px_presentation_view(ps, STR_LIT("1.2"), 0, &v);
        assert_true(v.region.x == 10 && v.region.y == 20 && v.region.width == 30 && v.region.height == 10);
    }
}

static void graphics_beyond_the_ceilings_are_left_out(void **state) {
    (void)state;
    struct dcm_dataset *ps = dcm_dataset_new(&arena, NULL), *annotation = dcm_put_item(ps, DCM_GraphicAnnotationSequence, NULL);
    enum { MANY = 40000, OBJECTS = PX_GRAPHICS_MAX + 100 };
    double *points = arena_zero(&arena, 2 * MANY, sizeof *points, NULL);
    for (unsigned i = 0; i < OBJECTS; i++) {
        struct dcm_dataset *g = dcm_put_item(annotation, DCM_GraphicObjectSequence, NULL);
        assert_true(dcm_putz(g, DCM_GraphicType, "POLYLINE", NULL));
        assert_true(dcm_put_doubles(g, DCM_GraphicData, DCM_VR_FL, points, i == 0 ? 2 * MANY : 4, NULL));
    }
    struct px_graphic_layer *layers;
    unsigned n, objects = 0, taken = 0;
    assert_true(px_graphics_of(&arena, ps, STR_LIT("1"), 0, &layers, &n, NULL));
    for (unsigned i = 0; i < n; i++)
        for (unsigned k = 0; k < layers[i].count; k++) objects++, taken += layers[i].graphics[k].points;
    assert_true(objects <= PX_GRAPHICS_MAX);
    assert_true(taken <= PX_GRAPHIC_POINTS_MAX);
}

static void an_overlay_that_lies_about_its_data_is_left_out(void **state) {
    (void)state;
    struct dcm_dataset *ds = dcm_dataset_new(&arena, NULL);
    static const uint8_t bits[32] = {1};
    struct px_overlay o;
    assert_true(dcm_put_ints(ds, 0x60000010, DCM_VR_US, (const int64_t[]){16}, 1, NULL) &&
                dcm_put_ints(ds, 0x60000011, DCM_VR_US, (const int64_t[]){16}, 1, NULL));
    assert_true(dcm_put_bytes(ds, 0x60003000, DCM_VR_OW, bits, sizeof bits, NULL));
    assert_true(px_overlay_of(&arena, ds, NULL, NULL, 0x6000, 0, &o, NULL));
    assert_true(px_overlay_of(&arena, ds, NULL, NULL, 0x6000, 7, &o, NULL)); // one plane serves all frames
    assert_true(dcm_put_ints(ds, 0x60000010, DCM_VR_US, (const int64_t[]){17}, 1, NULL));
    assert_false(px_overlay_of(&arena, ds, NULL, NULL, 0x6000, 0, &o, NULL));
    assert_true(dcm_put_ints(ds, 0x60000010, DCM_VR_US, (const int64_t[]){65535}, 1, NULL) &&
                dcm_put_ints(ds, 0x60000011, DCM_VR_US, (const int64_t[]){65535}, 1, NULL));
    assert_false(px_overlay_of(&arena, ds, NULL, NULL, 0x6000, 0, &o, NULL));
}

// PS3.3 C.10.7.1.1: L* of 0 to 100 and a*, b* of -128 to 127 in 16 bits; white and black are themselves, and the red of sRGB (CIE: 54.3, 80.8, 69.9 under D50).
static void cielab_comes_out_as_srgb(void **state) {
    (void)state;
    static const struct {
        double l, a, b;
        uint8_t rgb[3];
    } colours[] = {{100, 0, 0, {255, 255, 255}}, {0, 0, 0, {0, 0, 0}}, {54.29, 80.81, 69.89, {255, 0, 0}}};
    for (size_t i = 0; i < 3; i++) {
        struct dcm_dataset *ds = dcm_dataset_new(&arena, NULL);
        const int64_t v[3] = {(int64_t)(colours[i].l * 655.35 + 0.5), (int64_t)((colours[i].a + 128) * 257 + 0.5), (int64_t)((colours[i].b + 128) * 257 + 0.5)};
        uint8_t rgb[3] = {9, 9, 9};
        assert_true(dcm_put_ints(ds, DCM_ShutterPresentationColorCIELabValue, DCM_VR_US, v, 3, NULL));
        assert_true(px_cielab_of(ds, DCM_ShutterPresentationColorCIELabValue, rgb));
        for (int c = 0; c < 3; c++) assert_true(abs(rgb[c] - colours[i].rgb[c]) <= 2);
    }
}

static void junk_is_no_video(void **state) {
    (void)state;
    struct buf b;
    struct err e = {0};
    char junk[4096];
    uint32_t seed = 1;
    buf_init(&b, 1 << 20);
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < sizeof junk; i++) junk[i] = (char)((seed = seed * 1664525 + 1013904223) >> 24);
        for (size_t i = 0; i + 5 < sizeof junk; i += 40) memcpy(junk + i, "\0\0\1\x67\x65\0\0\1\x68\x65\0\0\1\x65\x65" + (seed >> 8 & 1) * 5, 5);
        if (round % 3 == 0)
            for (size_t i = 0; i < sizeof junk; i += 188) junk[i] = 0x47;
        buf_clear(&b);
        px_write_mp4(&arena, (struct str){junk, sizeof junk}, 64, 64, 40, &b, &e);
    }
    assert_false(px_write_mp4(&arena, STR_LIT("nothing of the kind"), 64, 64, 40, &b, &e));
    assert_int_equal(e.kind, ERR_UNDECODABLE);
    buf_deinit(&b);
}

#define WITH_ARENA(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_ARENA(points_go_where_their_pixels_go),
        WITH_ARENA(a_view_scales_in_proportion_with_square_pixels),
        WITH_ARENA(items_of_a_state_are_for_the_images_that_they_name),
        WITH_ARENA(a_displayed_area_is_read_whichever_way_it_is_turned),
        WITH_ARENA(graphics_beyond_the_ceilings_are_left_out),
        WITH_ARENA(an_overlay_that_lies_about_its_data_is_left_out),
        WITH_ARENA(cielab_comes_out_as_srgb),
        WITH_ARENA(junk_is_no_video),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
