// Behaviour of rendering: windows by the standard's formulas, look-up tables, photometric interpretations, packing, scaling, refusals.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <math.h>

#include "base/limits.h"
#include "dicom/vr.h"
#include "pixel/png.h"
#include "pixel/render.h"
#include "pixel/scale.h"

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

struct shape {
    const char *photometric;
    int rows, columns, samples, allocated, stored, is_signed, frames;
};

static struct dcm_dataset *object(struct shape s, const void *pixels, size_t n) {
    struct dcm_dataset *ds = dcm_dataset_new(&arena, NULL);
    assert_true(dcm_putz(ds, DCM_PhotometricInterpretation, s.photometric, NULL));
    assert_true(dcm_put_int(ds, DCM_Rows, s.rows, NULL) && dcm_put_int(ds, DCM_Columns, s.columns, NULL));
    assert_true(dcm_put_int(ds, DCM_SamplesPerPixel, s.samples, NULL) && dcm_put_int(ds, DCM_BitsAllocated, s.allocated, NULL));
    assert_true(dcm_put_int(ds, DCM_BitsStored, s.stored, NULL) && dcm_put_int(ds, DCM_HighBit, s.stored - 1, NULL));
    assert_true(dcm_put_int(ds, DCM_PixelRepresentation, s.is_signed, NULL));
    if (s.frames) assert_true(dcm_put_int(ds, DCM_NumberOfFrames, s.frames, NULL));
    assert_true(dcm_put_bytes(ds, DCM_PixelData, s.allocated > 8 ? DCM_VR_OW : DCM_VR_OB, pixels, n, NULL));
    return ds;
}

static struct px_picture render(const struct dcm_dataset *ds, uint32_t frame, const struct px_window *window) {
    const struct px_reader reader = px_reader_native(NULL);
    const struct px_options options = {.window = window};
    struct px_picture p;
    struct err e = {0};
    if (!px_render(&arena, ds, &reader, frame, &options, &p, &e)) fail_msg("%s", e.message);
    return p;
}

static enum err_kind refusal(const struct dcm_dataset *ds, uint32_t frame) {
    const struct px_reader reader = px_reader_native(NULL);
    const struct px_options options = {0};
    struct px_picture p;
    struct err e = {0};
    assert_false(px_render(&arena, ds, &reader, frame, &options, &p, &e));
    assert_true(e.message[0] != '\0');
    return e.kind;
}

static void expect(struct px_picture p, const uint8_t *wanted, size_t n) {
    assert_int_equal((size_t)p.width * p.height * p.channels, n);
    for (size_t i = 0; i < n; i++)
        if (p.pixels[i] != wanted[i]) fail_msg("byte %zu is %u, not %u", i, p.pixels[i], wanted[i]);
}
#define EXPECT(picture, ...) expect(picture, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void a_window_maps_as_the_standard_writes_it(void **state) {
    (void)state;
    // PS3.3 C.11.2.1.2.1, notes: center 2048 width 4096 is x / 4095; center 2048 width 1 is black below 2048 and white from it;
    // center 0 width 100 is black from -50 down and white from 49 up; center 0 width 1 likewise around 0
    static const struct {
        double center, width;
        enum px_voi_function function;
        double x;
        int gray;
    } points[] = {
        {2048, 4096, PX_LINEAR, 0, 0},     {2048, 4096, PX_LINEAR, 4095, 255},   {2048, 4096, PX_LINEAR, 819, 51},
        {2048, 1, PX_LINEAR, 2047, 0},     {2048, 1, PX_LINEAR, 2048, 255},      {0, 100, PX_LINEAR, -50, 0},
        {0, 100, PX_LINEAR, 49, 255},      {0, 100, PX_LINEAR, -49, 3},          {0, 1, PX_LINEAR, -1, 0},
        {0, 1, PX_LINEAR, 0, 255},         {0, 100, PX_LINEAR_EXACT, -50, 0},    {0, 100, PX_LINEAR_EXACT, 50, 255},
        {0, 100, PX_LINEAR_EXACT, 0, 128}, {0, 0.5, PX_LINEAR_EXACT, 0.25, 255}, {10, 4, PX_SIGMOID, 10, 128},
        {10, 4, PX_SIGMOID, 14, 250},      {10, 4, PX_SIGMOID, -1e300, 0},
    };
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        struct px_mapping m = {.slope = 1, .window = {points[i].center, points[i].width, points[i].function}};
        int gray = px_gray(&m, points[i].x);
        if (gray != points[i].gray) fail_msg("point %zu: %d instead of %d", i, gray, points[i].gray);
    }
    struct px_mapping m = {.window = {0, 100, PX_LINEAR}, .invert = true};
    assert_int_equal(px_gray(&m, -50), 255);
    assert_int_equal(px_gray(&m, (double)NAN), 255); // not a number is black before the inversion
    assert_false(px_window_valid(&(struct px_window){0, 0.5, PX_LINEAR}));
    assert_false(px_window_valid(&(struct px_window){(double)INFINITY, 5, PX_LINEAR}));
}

static void rescale_sign_and_window_work_together(void **state) {
    (void)state;
    static const int16_t pixels[] = {-1024, 0, 40, 3071};
    struct dcm_dataset *ds = object((struct shape){"MONOCHROME2", 2, 2, 1, 16, 16, 1, 0}, pixels, sizeof pixels);
    assert_true(dcm_putz(ds, DCM_RescaleIntercept, "10", NULL) && dcm_putz(ds, DCM_RescaleSlope, "2", NULL));
    assert_true(dcm_putz(ds, DCM_WindowCenter, "90\\1", NULL) && dcm_putz(ds, DCM_WindowWidth, "2\\1", NULL));
    EXPECT(render(ds, 0, NULL), 0, 0, 255, 255);
    EXPECT(render(ds, 0, &(struct px_window){10, 200, PX_LINEAR_EXACT}), 0, 128, 230, 255);
    assert_true(dcm_putz(ds, DCM_PhotometricInterpretation, "MONOCHROME1", NULL));
    EXPECT(render(ds, 0, NULL), 255, 255, 0, 0);
}

static void without_a_window_the_frame_without_padding_is_stretched(void **state) {
    (void)state;
    static const uint16_t pixels[] = {100, 150, 200, 4000, 0, 0, 0, 7};
    struct dcm_dataset *ds = object((struct shape){"MONOCHROME2", 2, 2, 1, 16, 12, 0, 2}, pixels, sizeof pixels);
    assert_true(dcm_put_int(ds, DCM_PixelPaddingValue, 4000, NULL));
    EXPECT(render(ds, 0, NULL), 0, 128, 255, 255);
    EXPECT(render(ds, 1, NULL), 0, 0, 0, 255);
    static const uint16_t flat[] = {5, 5, 5, 5};
    EXPECT(render(object((struct shape){"MONOCHROME2", 2, 2, 1, 16, 16, 0, 0}, flat, sizeof flat), 0, NULL), 0, 0, 0, 0);
}

static void bits_outside_the_stored_ones_do_not_count(void **state) {
    (void)state;
    static const uint16_t pixels[] = {0xF000, 0xF00F, 0x0FFF, 0x1FFF}; // overlay bits above 12 stored
    struct dcm_dataset *ds = object((struct shape){"MONOCHROME2", 2, 2, 1, 16, 12, 0, 0}, pixels, sizeof pixels);
    EXPECT(render(ds, 0, &(struct px_window){2048, 4096, PX_LINEAR}), 0, 1, 255, 255);
}

static void frames_of_one_bit_do_not_begin_at_bytes(void **state) {
    (void)state;
    static const uint8_t pixels[] = {0xB5, 0x02}; // least significant bit first: 1010 1101 | 0100 0000
    struct dcm_dataset *ds = object((struct shape){"MONOCHROME2", 1, 3, 1, 1, 1, 0, 5}, pixels, sizeof pixels);
    EXPECT(render(ds, 0, NULL), 255, 0, 255);
    EXPECT(render(ds, 1, NULL), 0, 255, 255);
    EXPECT(render(ds, 2, NULL), 0, 255, 0);
    EXPECT(render(ds, 3, NULL), 255, 0, 0);
}

static void functional_groups_go_before_the_top_level(void **state) {
    (void)state;
    static const uint8_t pixels[] = {0, 100, 0, 100};
    struct dcm_dataset *ds = object((struct shape){"MONOCHROME2", 1, 2, 1, 8, 8, 0, 2}, pixels, sizeof pixels), *item;
    assert_true(dcm_putz(ds, DCM_WindowCenter, "1000", NULL) && dcm_putz(ds, DCM_WindowWidth, "1", NULL));
    item = dcm_put_item(dcm_put_item(ds, DCM_SharedFunctionalGroupsSequence, NULL), DCM_FrameVOILUTSequence, NULL);
    assert_true(dcm_putz(item, DCM_WindowCenter, "50", NULL) && dcm_putz(item, DCM_WindowWidth, "1", NULL));
    assert_non_null(dcm_put_item(ds, DCM_PerFrameFunctionalGroupsSequence, NULL));
    item = dcm_put_item(dcm_put_item(ds, DCM_PerFrameFunctionalGroupsSequence, NULL), DCM_PixelValueTransformationSequence, NULL);
    assert_true(dcm_putz(item, DCM_RescaleIntercept, "60", NULL) && dcm_putz(item, DCM_RescaleSlope, "1", NULL));
    EXPECT(render(ds, 0, NULL), 0, 255);
    EXPECT(render(ds, 1, NULL), 255, 255);
}

static void a_voi_lut_goes_before_a_window(void **state) {
    (void)state;
    static const uint8_t pixels[] = {0, 10, 11, 12, 13, 200};
    static const uint16_t entries[] = {0, 1023, 512};
    struct dcm_dataset *ds = object((struct shape){"MONOCHROME2", 1, 6, 1, 8, 8, 0, 0}, pixels, sizeof pixels);
    struct dcm_dataset *lut = dcm_put_item(ds, DCM_VOILUTSequence, NULL);
    assert_true(dcm_put_ints(lut, DCM_LUTDescriptor, DCM_VR_US, (const int64_t[]){3, 11, 10}, 3, NULL));
    assert_true(dcm_put_bytes(lut, DCM_LUTData, DCM_VR_OW, entries, sizeof entries, NULL));
    assert_true(dcm_putz(ds, DCM_WindowCenter, "1000", NULL) && dcm_putz(ds, DCM_WindowWidth, "1", NULL));
    EXPECT(render(ds, 0, NULL), 0, 0, 0, 255, 128, 128);
    EXPECT(render(ds, 0, &(struct px_window){12, 1, PX_LINEAR}), 0, 0, 0, 255, 255, 255);
}

static void put_palette(struct dcm_dataset *ds, const void *data, size_t n, uint32_t first_tag, const int64_t descriptor[3]) {
    for (uint32_t c = 0; c < 3; c++) {
        assert_true(dcm_put_ints(ds, DCM_RedPaletteColorLookupTableDescriptor + c, DCM_VR_US, descriptor, 3, NULL));
        assert_true(dcm_put_bytes(ds, first_tag + c, DCM_VR_OW, data, n, NULL));
    }
}

static void a_palette_index_never_leaves_its_table(void **state) {
    (void)state;
    static const uint8_t pixels[] = {0, 5, 6, 255};
    static const uint16_t entries[] = {0x1000, 0x8000, 0xFF00};
    struct dcm_dataset *ds = object((struct shape){"PALETTE COLOR", 1, 4, 1, 8, 8, 0, 0}, pixels, sizeof pixels);
    put_palette(ds, entries, sizeof entries, DCM_RedPaletteColorLookupTableData, (const int64_t[]){3, 4, 16});
    EXPECT(render(ds, 0, NULL), 0x10, 0x10, 0x10, 0x80, 0x80, 0x80, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF);
    put_palette(ds, entries, 4, DCM_RedPaletteColorLookupTableData, (const int64_t[]){3, 4, 16});
    assert_int_equal(refusal(ds, 0), ERR_UNDECODABLE);
    static const uint8_t packed[] = {1, 2, 3, 4};
    put_palette(ds, packed, sizeof packed, DCM_RedPaletteColorLookupTableData, (const int64_t[]){4, 4, 8});
    EXPECT(render(ds, 0, NULL), 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4);
}

static void a_segmented_palette_is_expanded(void **state) {
    (void)state;
    static const uint8_t pixels[] = {0, 1, 2, 3, 4, 5, 6, 7};
    // PS3.3 C.7.9.2: discrete {0x100}, linear to 0x500 in 4 steps, indirect: one segment, the one at byte 0, and linear again
    static const uint16_t data[] = {0, 1, 0x100, 1, 4, 0x500, 2, 1, 0, 0, 1, 2, 0x900};
    struct dcm_dataset *ds = object((struct shape){"PALETTE COLOR", 1, 8, 1, 8, 8, 0, 0}, pixels, sizeof pixels);
    put_palette(ds, data, sizeof data, DCM_SegmentedRedPaletteColorLookupTableData, (const int64_t[]){8, 0, 16});
    struct px_picture p = render(ds, 0, NULL);
    static const uint8_t wanted[] = {1, 2, 3, 4, 5, 1, 5, 9};
    for (int i = 0; i < 8; i++) assert_int_equal(p.pixels[3 * i], wanted[i]);
    put_palette(ds, data, 8, DCM_SegmentedRedPaletteColorLookupTableData, (const int64_t[]){8, 0, 16});
    assert_int_equal(refusal(ds, 0), ERR_UNDECODABLE);
}

static void endless_indirect_segments_end(void **state) {
    (void)state;
    static uint16_t data[4000]; // 65535 times the empty segment at 0, a thousand times over
    static const uint8_t pixels[] = {0, 1};
    for (size_t i = 4; i + 4 <= 4000; i += 4) memcpy(data + i, (const uint16_t[]){2, 65535, 0, 0}, 8);
    struct dcm_dataset *ds = object((struct shape){"PALETTE COLOR", 1, 2, 1, 8, 8, 0, 0}, pixels, sizeof pixels);
    put_palette(ds, data, sizeof data, DCM_SegmentedRedPaletteColorLookupTableData, (const int64_t[]){0, 0, 16});
    assert_int_equal(refusal(ds, 0), ERR_UNDECODABLE);
}

static void colours_come_out_of_every_arrangement(void **state) {
    (void)state;
    static const uint8_t interleaved[] = {255, 0, 0, 0, 255, 0}, planes[] = {255, 0, 0, 255, 0, 0};
    struct dcm_dataset *ds = object((struct shape){"RGB", 1, 2, 3, 8, 8, 0, 0}, interleaved, sizeof interleaved);
    EXPECT(render(ds, 0, NULL), 255, 0, 0, 0, 255, 0);
    ds = object((struct shape){"RGB", 1, 2, 3, 8, 8, 0, 0}, planes, sizeof planes);
    assert_true(dcm_put_int(ds, DCM_PlanarConfiguration, 1, NULL));
    EXPECT(render(ds, 0, NULL), 255, 0, 0, 0, 255, 0);
    static const uint8_t full[] = {76, 85, 255, 29, 255, 107}; // red and blue
    ds = object((struct shape){"YBR_FULL", 1, 2, 3, 8, 8, 0, 0}, full, sizeof full);
    EXPECT(render(ds, 0, NULL), 254, 0, 0, 0, 0, 254);
    static const uint8_t half[] = {76, 0, 85, 255};
    ds = object((struct shape){"YBR_FULL_422", 1, 2, 3, 8, 8, 0, 0}, half, sizeof half);
    EXPECT(render(ds, 0, NULL), 254, 0, 0, 178, 0, 0);
    static const uint16_t deep[] = {0xFFFF, 0x8000, 0x0100};
    ds = object((struct shape){"RGB", 1, 1, 3, 16, 16, 0, 0}, deep, sizeof deep);
    EXPECT(render(ds, 0, NULL), 255, 128, 1);
}

static void big_endian_words_are_swapped(void **state) {
    (void)state;
    static const uint8_t pixels[] = {0x01, 0x00, 0x00, 0xFF};
    struct dcm_dataset *ds = dcm_dataset_new(&arena, NULL);
    ds->big_endian = true;
    assert_true(dcm_put_int(ds, DCM_Rows, 1, NULL) && dcm_put_int(ds, DCM_Columns, 2, NULL) && dcm_put_int(ds, DCM_BitsAllocated, 16, NULL));
    assert_true(dcm_put_bytes(ds, DCM_PixelData, DCM_VR_OW, pixels, sizeof pixels, NULL));
    EXPECT(render(ds, 0, &(struct px_window){256, 1, PX_LINEAR}), 255, 0);
    assert_true(dcm_put_int(ds, DCM_BitsAllocated, 8, NULL));
    EXPECT(render(ds, 0, &(struct px_window){1, 1, PX_LINEAR}), 0, 255); // bytes in OW: word by word
}

static void floats_are_shown_and_junk_among_them_is_black(void **state) {
    (void)state;
    static const float pixels[] = {-1.5f, 0.5f, 2.5f, NAN, INFINITY, -INFINITY};
    struct dcm_dataset *ds = dcm_dataset_new(&arena, NULL);
    assert_true(dcm_put_int(ds, DCM_Rows, 1, NULL) && dcm_put_int(ds, DCM_Columns, 6, NULL));
    assert_true(dcm_put_bytes(ds, DCM_FloatPixelData, DCM_VR_OF, pixels, sizeof pixels, NULL));
    EXPECT(render(ds, 0, NULL), 0, 128, 255, 0, 255, 0);
}

static void impossible_descriptions_are_refused(void **state) {
    (void)state;
    static const uint8_t pixels[64];
    static const struct {
        uint32_t tag;
        int64_t value;
    } wrong[] = {
        {DCM_Rows, 0},
        {DCM_Columns, 0},
        {DCM_BitsAllocated, 0},
        {DCM_BitsAllocated, 7},
        {DCM_BitsAllocated, 64},
        {DCM_BitsStored, 9},
        {DCM_HighBit, 8},
        {DCM_SamplesPerPixel, 0},
        {DCM_SamplesPerPixel, 2},
        {DCM_SamplesPerPixel, 65535},
        {DCM_PixelRepresentation, 2},
        {DCM_NumberOfFrames, -1},
        {DCM_NumberOfFrames, 0},
        {DCM_Rows, 65535},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct dcm_dataset *ds = object((struct shape){"MONOCHROME2", 8, 8, 1, 8, 8, 0, 0}, pixels, sizeof pixels);
        assert_true(dcm_put_int(ds, wrong[i].tag, wrong[i].value, NULL));
        if (refusal(ds, 0) != ERR_UNDECODABLE) fail_msg("case %zu", i);
    }
    struct dcm_dataset *ds = object((struct shape){"MONOCHROME2", 8, 8, 1, 8, 8, 0, 0x7FFFFFFF}, pixels, sizeof pixels);
    assert_int_equal(render(ds, 0, NULL).width, 8); // what is there is shown
    assert_int_equal(refusal(ds, 0x7FFFFFFE), ERR_UNDECODABLE);
    assert_int_equal(refusal(object((struct shape){"MONOCHROME2", 8, 8, 1, 8, 8, 0, 0}, pixels, sizeof pixels), 1), ERR_NOT_FOUND);
    dcm_remove(ds, DCM_PixelData);
    assert_int_equal(refusal(ds, 0), ERR_NOT_FOUND);
    assert_int_equal(refusal(object((struct shape){"YBR_ICT", 1, 1, 3, 8, 8, 0, 0}, pixels, 4), 0), ERR_UNDECODABLE);
}

static void scaled(uint32_t w, uint32_t h, const uint8_t *in, uint32_t out_w, uint32_t out_h, uint8_t *out) {
    struct px_scaler *s = px_scaler_new(&arena, 1, w, h, out_w, out_h, out, NULL);
    assert_non_null(s);
    for (uint32_t y = 0; y < h; y++) px_scaler_row(s, in + y * w);
}

static void shrinking_averages_and_enlarging_interpolates(void **state) {
    (void)state;
    static const uint8_t quad[] = {0, 100, 50, 250, 10, 30, 70, 90, 1, 3, 5, 7};
    uint8_t out[64];
    scaled(4, 2, quad, 2, 1, out);
    assert_int_equal(out[0], 35);
    assert_int_equal(out[1], 115);
    scaled(3, 1, (const uint8_t[]){0, 90, 180}, 2, 1, out); // 1.5 samples each
    assert_int_equal(out[0], 30);
    assert_int_equal(out[1], 150);
    scaled(2, 1, (const uint8_t[]){0, 100}, 4, 1, out);
    assert_memory_equal(out, ((const uint8_t[]){0, 25, 75, 100}), 4);
    scaled(1, 2, (const uint8_t[]){0, 100}, 1, 4, out);
    assert_memory_equal(out, ((const uint8_t[]){0, 25, 75, 100}), 4);
    scaled(1, 1, (const uint8_t[]){77}, 8, 8, out);
    for (int i = 0; i < 64; i++) assert_int_equal(out[i], 77);
    uint32_t w, h;
    px_fit(512, 256, 100, 100, &w, &h);
    assert_true(w == 100 && h == 50);
    px_fit(65535, 1, 10, 10, &w, &h);
    assert_true(w == 10 && h == 1);
}

// The mean of the input under an output sample, as the definition has it; what is enlarged in a direction is wider than the sample.
static double mean_under(const uint8_t *in, const uint32_t size[2], unsigned c, const double from[2], const double step[2]) {
    double sum = 0, area = 0;
    for (uint32_t y = 0; y < size[1]; y++)
        for (uint32_t x = 0; x < size[0]; x++) {
            double w = 1;
            for (unsigned d = 0; d < 2; d++) {
                double at = d ? y : x, middle = from[d] + step[d] / 2, half = fmax(step[d], 1) / 2;
                w *= fmax(0, fmin(at + 1, middle + half) - fmax(at, middle - half));
            }
            sum += w * in[(y * size[0] + x) * 3 + c];
            area += w;
        }
    return sum / area;
}

static void a_part_of_a_coloured_picture_is_scaled_to_the_means_under_its_samples(void **state) {
    enum { WIDTH = 41, HEIGHT = 29, SIDES = 5 };
    static const uint32_t sides[SIDES] = {1, 3, 7, 19, 60};
    static const uint32_t size[2] = {WIDTH, HEIGHT};
    static uint8_t in[WIDTH * HEIGHT * 3], out[60 * 60 * 3];
    (void)state;
    for (size_t i = 0; i < sizeof in; i++) in[i] = (uint8_t)(i * i * 2654435761u >> 13);
    for (unsigned k = 0; k < SIDES * SIDES; k++) {
        uint32_t w = sides[k / SIDES], h = sides[k % SIDES];
        const struct px_part part = {7.25, 3.5, 30.5 / w, 22.0 / h};
        struct px_scaler *s = px_scaler_part(&arena, 3, WIDTH, HEIGHT, &part, w, h, out, (size_t)w * 3, NULL);
        assert_non_null(s);
        for (uint32_t y = px_scaler_first(s); y < HEIGHT && !px_scaler_done(s); y++) px_scaler_row(s, in + (size_t)y * WIDTH * 3);
        assert_true(px_scaler_done(s));
        for (uint32_t i = 0; i < w * h * 3; i++) {
            const double step[2] = {part.step_x, part.step_y}, from[2] = {part.x + i / 3 % w * step[0], part.y + i / 3 / w * step[1]};
            double mean = mean_under(in, size, i % 3, from, step);
            if (fabs(out[i] - mean) > 0.51) fail_msg("%u x %u: byte %u is %u, not %.2f", w, h, i, out[i], mean);
        }
    }
}

static void every_row_of_any_scaling_is_written(void **state) {
    (void)state;
    enum { SIDE = 37 };
    uint8_t in[SIDE * 3], out[3 * 100];
    memset(in, 200, sizeof in);
    for (uint32_t h = 1; h <= SIDE; h++)
        for (uint32_t to = 1; to <= 100; to++) {
            memset(out, 0, sizeof out);
            scaled(3, h, in, 3, to, out);
            for (uint32_t i = 0; i < 3 * to; i++)
                if (out[i] != 200) fail_msg("%u rows to %u: byte %u is %u", h, to, i, out[i]);
        }
}

static void pictures_have_the_marks_of_their_format(void **state) {
    (void)state;
    uint8_t pixels[32 * 32 * 3];
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * i * 2654435761u >> 13);
    const struct px_picture p = {.width = 32, .height = 32, .channels = 3, .pixels = pixels};
    struct buf b;
    struct err e = {0};
    buf_init(&b, 1 << 20);
    assert_true(px_write_png(&p, &b, &e));
    assert_memory_equal(b.p, "\x89PNG\r\n\x1a\n", 8);
    buf_clear(&b);
    assert_true(px_write_jpeg(&p, 90, &b, &e));
    assert_memory_equal(b.p, "\xff\xd8\xff", 3);
    buf_deinit(&b);
    buf_init(&b, 300); // no room: an error, not a crash
    assert_false(px_write_png(&p, &b, &e));
    assert_int_equal(e.kind, ERR_TOO_LARGE);
    buf_clear(&b);
    assert_false(px_write_jpeg(&p, 90, &b, &e));
    buf_deinit(&b);
}

static void a_png_holds_every_pixel(void **state) {
    static const uint32_t sides[] = {1, 2, 9, 40};
    static uint8_t pixels[40 * 40 * 3];
    (void)state;
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i % 7 < 3 ? 0 : i * i * 2654435761u >> 13); // runs, and what repeats nothing
    for (unsigned k = 0; k < 2 * 4 * 4; k++) {
        const struct px_picture p = {.width = sides[k / 4 % 4], .height = sides[k % 4], .channels = k < 16 ? 1 : 3, .pixels = pixels};
        struct px_png again;
        struct buf b;
        buf_init(&b, 1 << 20);
        assert_true(px_write_png(&p, &b, NULL) && px_read_png(&arena, buf_str(&b), &again, NULL));
        assert_true(again.width == p.width && again.height == p.height && again.channels == p.channels && again.bits == 8);
        assert_memory_equal(again.pixels, pixels, (size_t)p.width * p.height * p.channels);
        buf_deinit(&b);
    }
}

#define RENDERING(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        RENDERING(a_window_maps_as_the_standard_writes_it),
        RENDERING(rescale_sign_and_window_work_together),
        RENDERING(without_a_window_the_frame_without_padding_is_stretched),
        RENDERING(bits_outside_the_stored_ones_do_not_count),
        RENDERING(frames_of_one_bit_do_not_begin_at_bytes),
        RENDERING(functional_groups_go_before_the_top_level),
        RENDERING(a_voi_lut_goes_before_a_window),
        RENDERING(a_palette_index_never_leaves_its_table),
        RENDERING(a_segmented_palette_is_expanded),
        RENDERING(endless_indirect_segments_end),
        RENDERING(colours_come_out_of_every_arrangement),
        RENDERING(big_endian_words_are_swapped),
        RENDERING(floats_are_shown_and_junk_among_them_is_black),
        RENDERING(impossible_descriptions_are_refused),
        RENDERING(shrinking_averages_and_enlarging_interpolates),
        RENDERING(a_part_of_a_coloured_picture_is_scaled_to_the_means_under_its_samples),
        RENDERING(every_row_of_any_scaling_is_written),
        RENDERING(a_png_holds_every_pixel),
        RENDERING(pictures_have_the_marks_of_their_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
