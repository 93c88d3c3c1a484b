// Conversion between transfer syntaxes: what the data set says afterwards, and that no damaged pixel gets out.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "codec/transcode.h"
#include "codec/transcode_part.h"
#include "dicom/read.h"
#include "dicom/uids.h"

enum { ROWS = 4, COLUMNS = 6, OUT_BYTES = 1 << 20 };

static struct arena arena;
static const struct codec_family *instead; // of the RLE family

const struct codec_family *__real_codec_of(const struct dcm_ts *ts);
const struct codec_family *__wrap_codec_of(const struct dcm_ts *ts);
const struct codec_family *__wrap_codec_of(const struct dcm_ts *ts) {
    return instead && ts && strcmp(ts->uid, DCM_UID_RLELossless) == 0 ? instead : __real_codec_of(ts);
}

static const struct dcm_ts *ts(const char *uid) {
    return dcm_ts_find(str_of(uid));
}

static int setup(void **state) {
    (void)state;
    arena_init(&arena, 64 << 20);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    instead = NULL;
    arena_deinit(&arena);
    return 0;
}

// ---- objects ----

struct shape {
    const char *photometric;
    unsigned samples, allocated, stored, frames;
    bool planar;
};

static uint8_t *noise(size_t n) {
    uint8_t *p = arena_alloc(&arena, n, NULL);
    uint32_t x = 1;
    for (size_t i = 0; i < n; i++) p[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
    return p;
}

static struct dcm_dataset *image(struct shape s) {
    struct dcm_dataset *ds = dcm_dataset_new(&arena, NULL);
    size_t bits = (size_t)ROWS * COLUMNS * (strcmp(s.photometric, "YBR_FULL_422") == 0 ? 2 : s.samples) * s.allocated * s.frames, n = (bits + 7) / 8;
    uint8_t *p = noise(n);
    for (size_t i = 1; s.allocated == 16 && i < n; i += 2) p[i] &= (uint8_t)((1u << (s.stored - 8)) - 1);
    if (bits % 8) p[n - 1] &= (uint8_t)((1u << bits % 8) - 1);
    dcm_putz(ds, DCM_ImageType, "ORIGINAL\\PRIMARY", NULL);
    dcm_putz(ds, DCM_SOPClassUID, DCM_UID_SecondaryCaptureImageStorage, NULL);
    dcm_putz(ds, DCM_SOPInstanceUID, "1.2.3.4", NULL);
    dcm_put_int(ds, 0x00280000, 100, NULL);
    dcm_put_int(ds, DCM_SamplesPerPixel, s.samples, NULL);
    dcm_putz(ds, DCM_PhotometricInterpretation, s.photometric, NULL);
    if (s.samples > 1) dcm_put_int(ds, DCM_PlanarConfiguration, s.planar, NULL);
    dcm_put_int(ds, DCM_NumberOfFrames, s.frames, NULL);
    dcm_put_int(ds, DCM_Rows, ROWS, NULL);
    dcm_put_int(ds, DCM_Columns, COLUMNS, NULL);
    dcm_put_int(ds, DCM_BitsAllocated, s.allocated, NULL);
    dcm_put_int(ds, DCM_BitsStored, s.stored, NULL);
    dcm_put_int(ds, DCM_HighBit, s.stored - 1, NULL);
    dcm_put_int(ds, DCM_PixelRepresentation, 0, NULL);
    dcm_put_bytes(ds, DCM_PixelData, s.allocated > 8 ? DCM_VR_OW : DCM_VR_OB, p, n, NULL);
    return ds;
}

static const struct shape GRAY16 = {"MONOCHROME2", 1, 16, 12, 3, false}, GRAY8 = {"MONOCHROME2", 1, 8, 8, 3, false}, RGB = {"RGB", 3, 8, 8, 2, false};

// An object that was written and read again, with the bytes it lies in.
struct again {
    struct str bytes;
    struct dcm_source source;
    const struct dcm_ts *ts;
    struct dcm_dataset *dataset;
};

static bool write_bytes(const struct dcm_dataset *ds, const struct dcm_source *source, const struct dcm_ts *from, const struct dcm_ts *to,
                        enum transcode_uid uid, struct buf *b, struct err *e) {
    const struct transcode t = {.dataset = ds, .pixels = {.ts = from, .source = source}, .to = to, .uid = uid};
    buf_init(b, OUT_BYTES);
    return transcode_write(&t, dcm_sink_buf(b), e);
}

static struct again *convert_as(const struct dcm_dataset *ds, const struct dcm_source *source, const struct dcm_ts *from, const char *to,
                                enum transcode_uid uid) {
    struct buf b;
    struct err e = {0};
    struct dcm_object o;
    struct again *out = arena_zero(&arena, 1, sizeof *out, NULL);
    if (!write_bytes(ds, source, from, ts(to), uid, &b, &e)) fail_msg("%s", e.message);
    assert_true(arena_dup(&arena, buf_str(&b), &out->bytes, NULL));
    buf_deinit(&b);
    out->source = dcm_source_memory(&out->bytes);
    out->ts = ts(to);
    assert_true(dcm_read_memory(&arena, out->bytes.p, out->bytes.n, out->ts, DCM_STOP_NOWHERE, &o, &e));
    out->dataset = o.dataset;
    return out;
}

static struct again *convert(const struct dcm_dataset *ds, const char *to) {
    return convert_as(ds, NULL, dcm_ts_explicit_le, to, TRANSCODE_UID_STANDARD);
}

static struct again *on(const struct again *a, const char *to) {
    return convert_as(a->dataset, &a->source, a->ts, to, TRANSCODE_UID_STANDARD);
}

static void refused(const struct dcm_dataset *ds, const struct dcm_ts *from, const char *to, enum err_kind kind, const char *words) {
    struct buf b;
    struct err e = {0};
    assert_false(write_bytes(ds, NULL, from, ts(to), TRANSCODE_UID_STANDARD, &b, &e));
    assert_int_equal(b.n, 0); // not one byte went out
    assert_int_equal(e.kind, kind);
    if (!strstr(e.message, words)) fail_msg("%s", e.message);
    buf_deinit(&b);
}

static void same_pixels(const struct dcm_dataset *a, const struct dcm_dataset *b) {
    const struct dcm_element *x = dcm_find(a, DCM_PixelData), *y = dcm_find(b, DCM_PixelData);
    assert_int_equal(x->length, y->length);
    assert_memory_equal(x->value, y->value, x->length);
}

static void text_is(const struct dcm_dataset *ds, uint32_t tag, const char *text) {
    struct str got = dcm_text(ds, tag);
    if (!str_eqz(got, text)) fail_msg("(%08X) is '%.*s', not '%s'", tag, STR_FMT(got), text);
}

// ---- pixels that must not get out ----

static bool blank(const struct px_frame *in, const struct dcm_ts *to, const struct codec_options *o, struct buf *b, struct px_image *now, struct err *e) {
    (void)to, (void)o, (void)now, (void)e;
    for (size_t i = 0; i < in->n; i++) buf_addc(b, 0);
    return true;
}

static bool copy(const struct px_frame *in, const struct dcm_ts *to, const struct codec_options *o, struct buf *b, struct px_image *now, struct err *e) {
    (void)to, (void)o, (void)now, (void)e;
    buf_add(b, in->bytes, in->n);
    return true;
}

static bool cannot(const struct px_frame *in, const struct dcm_ts *to, const struct codec_options *o, struct buf *b, struct px_image *now, struct err *e) {
    (void)in, (void)to, (void)o, (void)b, (void)now;
    return err_set(e, ERR_UNDECODABLE, "codec", "made to fail");
}

static unsigned calls;

static bool fails_late(const struct px_frame *in, const struct dcm_ts *to, const struct codec_options *o, struct buf *b, struct px_image *now, struct err *e) {
    return ++calls % 3 ? copy(in, to, o, b, now, e) : cannot(in, to, o, b, now, e);
}

static bool plain(struct arena *a, const struct dcm_ts *from, const struct px_image *declared, const uint8_t *p, size_t n, const struct codec_options *o,
                  struct px_frame *out, struct err *e) {
    (void)a, (void)from, (void)o, (void)e;
    *out = (struct px_frame){.image = *declared, .bytes = p, .n = n};
    out->image.planar = false;
    return true;
}

static bool another_colour(struct arena *a, const struct dcm_ts *from, const struct px_image *declared, const uint8_t *p, size_t n,
                           const struct codec_options *o, struct px_frame *out, struct err *e) {
    plain(a, from, declared, p, n, o, out, e);
    if (++calls % 2 == 0) out->image.photometric = PX_YBR_FULL;
    return true;
}

static const struct codec_family BLANK = {"blank", plain, blank}, CANNOT = {"cannot", plain, cannot}, LATE = {"late", plain, fails_late},
                                 COPY = {"copy", plain, copy}, TURNS = {"turns", another_colour, copy};

static void an_encoder_that_gives_a_blank_image_writes_nothing(void **state) {
    (void)state;
    instead = &BLANK;
    refused(image(GRAY16), dcm_ts_explicit_le, DCM_UID_RLELossless, ERR_UNDECODABLE, "frame 1");
}

static void an_encoder_that_fails_writes_nothing_not_even_the_frames_before(void **state) {
    (void)state;
    instead = &CANNOT;
    refused(image(GRAY16), dcm_ts_explicit_le, DCM_UID_RLELossless, ERR_UNDECODABLE, "made to fail");
    instead = &LATE;
    calls = 0;
    refused(image(GRAY16), dcm_ts_explicit_le, DCM_UID_RLELossless, ERR_UNDECODABLE, "frame 3");
}

static void frames_of_different_colour_models_are_no_one_image(void **state) {
    struct buf b;
    struct err e = {0};
    (void)state;
    instead = &COPY;
    struct again *a = convert(image(RGB), DCM_UID_RLELossless);
    instead = &TURNS;
    calls = 0;
    assert_false(write_bytes(a->dataset, &a->source, a->ts, dcm_ts_explicit_le, TRANSCODE_UID_STANDARD, &b, &e));
    assert_int_equal(b.n, 0);
    assert_non_null(strstr(e.message, "colour model"));
    buf_deinit(&b);
}

// ---- the form of Pixel Data ----

static void encapsulated_frames_are_one_fragment_each_of_even_length_with_their_offsets(void **state) {
    (void)state;
    struct shape odd = GRAY8;
    odd.frames = 3;
    instead = &COPY;
    struct again *a = convert(image(odd), DCM_UID_RLELossless);
    const struct dcm_element *el = dcm_find(a->dataset, DCM_PixelData);
    assert_int_equal(el->vr, DCM_VR_OB);
    assert_int_equal(el->item_count, 4);
    assert_int_equal(el->fragments[0].length, 12);
    for (unsigned i = 0; i < 3; i++) {
        uint32_t offset;
        memcpy(&offset, a->bytes.p + el->fragments[0].offset + 4 * i, 4);
        assert_int_equal(offset, i * (ROWS * COLUMNS + 8));
        assert_int_equal(el->fragments[i + 1].offset - 8, el->fragments[1].offset - 8 + offset);
    }
}

static void offsets_beyond_four_gigabytes_go_into_the_extended_table(void **state) {
    (void)state;
    struct spool spool;
    enum { FRAMES = 3 };
    struct dcm_fragment fragments[FRAMES + 1] = {{0, 0}, {0, 0xFFFFFFF0u}, {0, 1000}, {0, 1000}};
    struct dcm_dataset *copied = dcm_dataset_new(&arena, NULL);
    int64_t v;
    spool_init(&spool);
    struct transcode_pixels p = {.dataset = copied, .to = ts(DCM_UID_JPEG2000Lossless), .spool = &spool, .fragments = fragments};
    p.was.frames = FRAMES;
    p.now = p.was;
    assert_true(transcode_describe(&p, copied, NULL));
    assert_int_equal(fragments[0].length, 0); // PS3.3 C.7.6.3.1.8: the basic offset table is empty then
    assert_true(dcm_i64(copied, DCM_ExtendedOffsetTable, 2, &v));
    assert_int_equal(v, 0xFFFFFFF0ll + 8 + 1000 + 8);
    assert_true(dcm_i64(copied, DCM_ExtendedOffsetTableLengths, 0, &v));
    assert_int_equal(v, 0xFFFFFFF0ll);
    spool_deinit(&spool);
}

static void every_native_form_gives_the_same_pixels_back(void **state) {
    (void)state;
    static const char *const VIA[] = {DCM_UID_ImplicitVRLittleEndian, DCM_UID_ExplicitVRBigEndian, DCM_UID_RLELossless,
                                      DCM_UID_EncapsulatedUncompressedExplicitVRLittleEndian, DCM_UID_DeflatedImageFrameCompression};
    const struct shape shapes[] = {GRAY16, GRAY8, RGB, {"MONOCHROME2", 1, 1, 1, 5, false}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
        for (size_t i = 0; i < sizeof VIA / sizeof VIA[0]; i++) {
            struct dcm_dataset *ds = image(shapes[s]);
            same_pixels(ds, on(convert(ds, VIA[i]), DCM_UID_ExplicitVRLittleEndian)->dataset);
        }
}

static void single_bits_of_frames_that_end_within_a_byte_are_packed_again(void **state) {
    (void)state;
    struct dcm_dataset *ds = image((struct shape){"MONOCHROME2", 1, 1, 1, 3, false});
    dcm_put_int(ds, DCM_Rows, 3, NULL);
    dcm_put_int(ds, DCM_Columns, 3, NULL); // 27 bits
    uint8_t *p = noise(4);
    p[3] &= 7;
    dcm_put_bytes(ds, DCM_PixelData, DCM_VR_OB, p, 4, NULL);
    struct again *a = convert(ds, DCM_UID_EncapsulatedUncompressedExplicitVRLittleEndian);
    assert_int_equal(dcm_find(a->dataset, DCM_PixelData)->item_count, 4);
    same_pixels(ds, on(a, DCM_UID_ExplicitVRLittleEndian)->dataset);
}

static void planes_and_halved_chrominance_become_whole_pixels(void **state) {
    (void)state;
    int64_t planar;
    instead = &COPY;
    struct dcm_dataset *ds = image((struct shape){"RGB", 3, 8, 8, 1, true});
    struct dcm_dataset *back = on(convert(ds, DCM_UID_RLELossless), DCM_UID_ExplicitVRLittleEndian)->dataset;
    const uint8_t *was = dcm_find(ds, DCM_PixelData)->value, *now = dcm_find(back, DCM_PixelData)->value;
    assert_true(dcm_i64(back, DCM_PlanarConfiguration, 0, &planar) && planar == 0);
    for (unsigned i = 0; i < ROWS * COLUMNS; i++)
        for (unsigned s = 0; s < 3; s++) assert_int_equal(now[i * 3 + s], was[s * ROWS * COLUMNS + i]);
    ds = image((struct shape){"YBR_FULL_422", 3, 8, 8, 1, false});
    back = on(convert(ds, DCM_UID_RLELossless), DCM_UID_ExplicitVRLittleEndian)->dataset;
    text_is(back, DCM_PhotometricInterpretation, "YBR_FULL");
    was = dcm_find(ds, DCM_PixelData)->value;
    now = dcm_find(back, DCM_PixelData)->value;
    const uint8_t two[6] = {was[0], was[2], was[3], was[1], was[2], was[3]};
    assert_memory_equal(now, two, 6);
}

static void an_icon_is_never_left_encapsulated(void **state) {
    (void)state;
    struct dcm_dataset *ds = image(GRAY8);
    struct shape small = GRAY8;
    small.frames = 1;
    struct again *icon = convert(image(small), DCM_UID_RLELossless), *a = convert(ds, DCM_UID_RLELossless);
    // Both in one stream: the item's fragments lie behind the object's bytes.
    struct str both = {NULL, 0};
    char *p = arena_alloc(&arena, a->bytes.n + icon->bytes.n, NULL);
    memcpy(p, a->bytes.p, a->bytes.n);
    memcpy(p + a->bytes.n, icon->bytes.p, icon->bytes.n);
    both = (struct str){p, a->bytes.n + icon->bytes.n};
    struct dcm_dataset *item = dcm_put_item(a->dataset, DCM_IconImageSequence, NULL);
    for (uint32_t i = 0; i < icon->dataset->count; i++) assert_true(dcm_put_element(item, &icon->dataset->elements[i], NULL));
    struct dcm_element *el = (struct dcm_element *)dcm_find(item, DCM_PixelData);
    struct dcm_fragment *moved = arena_zero(&arena, el->item_count, sizeof *moved, NULL);
    for (uint32_t i = 0; i < el->item_count; i++) moved[i] = (struct dcm_fragment){el->fragments[i].offset + a->bytes.n, el->fragments[i].length};
    el->fragments = moved;
    struct dcm_source source = dcm_source_memory(&both);
    static const char *const TO[] = {DCM_UID_ExplicitVRLittleEndian, DCM_UID_ImplicitVRLittleEndian, DCM_UID_DeflatedImageFrameCompression};
    for (size_t i = 0; i < 3; i++) {
        struct again *out = convert_as(a->dataset, &source, ts(DCM_UID_RLELossless), TO[i], TRANSCODE_UID_STANDARD);
        const struct dcm_element *now = dcm_find(dcm_item(out->dataset, DCM_IconImageSequence, 0), DCM_PixelData);
        assert_false(now->flags & DCM_FRAGMENTS);
        assert_int_equal(now->length, ROWS * COLUMNS);
        assert_memory_equal(now->value, noise(ROWS * COLUMNS), ROWS * COLUMNS);
    }
}

static void group_lengths_do_not_outlive_what_they_count(void **state) {
    (void)state;
    assert_null(dcm_find(convert(image(GRAY8), DCM_UID_RLELossless)->dataset, 0x00280000));
    assert_null(dcm_find(convert(image(GRAY8), DCM_UID_ImplicitVRLittleEndian)->dataset, 0x00280000));
}

// ---- history ----

static void a_lossy_result_is_another_image_and_says_so(void **state) {
    (void)state;
    struct dcm_dataset *ds = image(GRAY8);
    struct dcm_dataset *out = convert(ds, DCM_UID_JPEGBaseline8Bit)->dataset;
    text_is(out, DCM_LossyImageCompression, "01");
    text_is(out, DCM_LossyImageCompressionMethod, "ISO_10918_1");
    text_is(out, DCM_ImageType, "DERIVED\\PRIMARY");
    assert_false(str_eqz(dcm_text(out, DCM_SOPInstanceUID), "1.2.3.4"));
    text_is(dcm_item(out, DCM_SourceImageSequence, 0), DCM_ReferencedSOPInstanceUID, "1.2.3.4");
    text_is(dcm_item(out, DCM_DerivationCodeSequence, 0), DCM_CodeValue, "113040");
    struct dcm_dataset *twice = convert(ds, DCM_UID_JPEGBaseline8Bit)->dataset;
    assert_true(str_eq(dcm_text(out, DCM_SOPInstanceUID), dcm_text(twice, DCM_SOPInstanceUID)));
    text_is(ds, DCM_SOPInstanceUID, "1.2.3.4"); // the source is left alone
}

static void a_lossy_result_calls_its_frames_derived_too(void **state) {
    (void)state;
    struct dcm_dataset *ds = image(GRAY8);
    static const uint32_t GROUPS[] = {DCM_SharedFunctionalGroupsSequence, DCM_PerFrameFunctionalGroupsSequence, DCM_PerFrameFunctionalGroupsSequence};
    for (size_t i = 0; i < 3; i++) {
        struct dcm_dataset *group = dcm_put_item(ds, GROUPS[i], NULL);
        dcm_putz(dcm_put_item(group, DCM_MRImageFrameTypeSequence, NULL), DCM_FrameType, "ORIGINAL\\PRIMARY\\T1\\NONE", NULL);
        dcm_putz(dcm_put_item(group, DCM_FrameContentSequence, NULL), DCM_FrameLabel, "one", NULL);
    }
    struct dcm_dataset *out = convert(ds, DCM_UID_JPEGBaseline8Bit)->dataset;
    for (uint32_t i = 0; i < 3; i++) {
        const struct dcm_dataset *group = dcm_item(out, GROUPS[i], i ? i - 1 : 0);
        text_is(dcm_item(group, DCM_MRImageFrameTypeSequence, 0), DCM_FrameType, "DERIVED\\PRIMARY\\T1\\NONE");
        text_is(dcm_item(group, DCM_FrameContentSequence, 0), DCM_FrameLabel, "one");
    }
    const struct dcm_dataset *source = dcm_item(dcm_item(ds, DCM_SharedFunctionalGroupsSequence, 0), DCM_MRImageFrameTypeSequence, 0);
    text_is(source, DCM_FrameType, "ORIGINAL\\PRIMARY\\T1\\NONE"); // left alone
    out = convert(ds, DCM_UID_JPEGLSLossless)->dataset;
    source = dcm_item(dcm_item(out, DCM_SharedFunctionalGroupsSequence, 0), DCM_MRImageFrameTypeSequence, 0);
    text_is(source, DCM_FrameType, "ORIGINAL\\PRIMARY\\T1\\NONE");
}

static void lossy_history_is_appended_to_and_survives_decompression(void **state) {
    (void)state;
    struct dcm_dataset *ds = image(GRAY8);
    dcm_putz(ds, DCM_LossyImageCompression, "01", NULL);
    dcm_putz(ds, DCM_LossyImageCompressionRatio, "7.5", NULL); // its method was never told
    struct again *a = convert(ds, DCM_UID_JPEGBaseline8Bit);
    assert_int_equal(dcm_vm(a->dataset, DCM_LossyImageCompressionRatio), 2);
    assert_true(str_eqz(dcm_text_at(a->dataset, DCM_LossyImageCompressionRatio, 0), "7.5"));
    assert_int_equal(dcm_vm(a->dataset, DCM_LossyImageCompressionMethod), 2);
    assert_true(str_eqz(dcm_text_at(a->dataset, DCM_LossyImageCompressionMethod, 1), "ISO_10918_1"));
    struct again *back = on(a, DCM_UID_ExplicitVRLittleEndian);
    text_is(back->dataset, DCM_LossyImageCompression, "01");
    assert_int_equal(dcm_vm(back->dataset, DCM_LossyImageCompressionMethod), 2);
    assert_true(str_eq(dcm_text(a->dataset, DCM_SOPInstanceUID), dcm_text(back->dataset, DCM_SOPInstanceUID)));
}

static void a_discrete_cosine_transform_that_nobody_told_of_is_told(void **state) {
    (void)state;
    struct again *a = convert_as(image(GRAY8), NULL, dcm_ts_explicit_le, DCM_UID_JPEGBaseline8Bit, TRANSCODE_UID_KEPT);
    text_is(a->dataset, DCM_SOPInstanceUID, "1.2.3.4");
    dcm_remove(a->dataset, DCM_LossyImageCompressionRatio);
    dcm_remove(a->dataset, DCM_LossyImageCompressionMethod);
    dcm_putz(a->dataset, DCM_LossyImageCompression, "00", NULL);
    struct dcm_dataset *back = on(a, DCM_UID_ExplicitVRLittleEndian)->dataset;
    text_is(back, DCM_LossyImageCompression, "01");
    text_is(back, DCM_LossyImageCompressionMethod, "ISO_10918_1");
}

static void lossless_results_keep_their_identity_unless_a_new_one_is_wanted(void **state) {
    (void)state;
    struct dcm_dataset *ds = image(GRAY16);
    text_is(convert(ds, DCM_UID_RLELossless)->dataset, DCM_SOPInstanceUID, "1.2.3.4");
    static const char *const TO[] = {DCM_UID_RLELossless, DCM_UID_ImplicitVRLittleEndian};
    for (size_t i = 0; i < 2; i++) {
        struct dcm_dataset *out = convert_as(ds, NULL, dcm_ts_explicit_le, TO[i], TRANSCODE_UID_NEW)->dataset;
        assert_false(str_eqz(dcm_text(out, DCM_SOPInstanceUID), "1.2.3.4"));
        text_is(dcm_item(out, DCM_SourceImageSequence, 0), DCM_ReferencedSOPInstanceUID, "1.2.3.4");
        text_is(out, DCM_ImageType, "ORIGINAL\\PRIMARY");
        assert_null(dcm_find(out, DCM_LossyImageCompression));
    }
}

// ---- what cannot be ----

static void what_a_transfer_syntax_has_no_place_for_is_refused_with_a_reason(void **state) {
    (void)state;
    const struct dcm_ts *le = dcm_ts_explicit_le;
    struct dcm_dataset *report = dcm_dataset_new(&arena, NULL);
    dcm_putz(report, DCM_SOPClassUID, DCM_UID_BasicTextSRStorage, NULL);
    refused(report, le, DCM_UID_RLELossless, ERR_UNSUPPORTED, "PS3.5 A.4");
    struct dcm_dataset *floats = image((struct shape){"MONOCHROME2", 1, 32, 32, 1, false});
    dcm_remove(floats, DCM_PixelData);
    dcm_put_bytes(floats, DCM_FloatPixelData, DCM_VR_OF, noise(ROWS * COLUMNS * 4), ROWS * COLUMNS * 4, NULL);
    refused(floats, le, DCM_UID_RLELossless, ERR_UNSUPPORTED, "Float");
    refused(image((struct shape){"PALETTE COLOR", 1, 8, 8, 1, false}), le, DCM_UID_JPEGBaseline8Bit, ERR_UNSUPPORTED, "palette");
    refused(image((struct shape){"MONOCHROME2", 1, 1, 1, 1, false}), le, DCM_UID_JPEG2000, ERR_UNSUPPORTED, "single bits");
    refused(image(GRAY8), le, DCM_UID_MPEG4HP41, ERR_UNSUPPORTED, "video");
    refused(image(GRAY8), ts(DCM_UID_MPEG4HP41), DCM_UID_ExplicitVRLittleEndian, ERR_UNSUPPORTED, "video");
    refused(image(GRAY8), ts(DCM_UID_JPEGXL), DCM_UID_ExplicitVRLittleEndian, ERR_UNSUPPORTED, "no decoder");
}

// PS3.5 8.1.2 of older editions: an overlay in a bit that the pixels leave unused.
static void what_unused_bits_hold_is_kept_or_refused_with_advice(void **state) {
    (void)state;
    struct dcm_dataset *ds = image(GRAY16);
    uint8_t *p = (uint8_t *)dcm_find(ds, DCM_PixelData)->value;
    p[1] |= 0x80;
    p[7] |= 0x10;
    static const char *const KEEP[] = {DCM_UID_RLELossless, DCM_UID_EncapsulatedUncompressedExplicitVRLittleEndian, DCM_UID_DeflatedImageFrameCompression,
                                       DCM_UID_ExplicitVRBigEndian};
    for (size_t i = 0; i < sizeof KEEP / sizeof KEEP[0]; i++) same_pixels(ds, on(convert(ds, KEEP[i]), DCM_UID_ExplicitVRLittleEndian)->dataset);
    static const char *const REFUSE[] = {DCM_UID_JPEGLSLossless, DCM_UID_JPEG2000Lossless, DCM_UID_HTJ2KLossless};
    for (size_t i = 0; i < sizeof REFUSE / sizeof REFUSE[0]; i++)
        refused(ds, dcm_ts_explicit_le, REFUSE[i], ERR_UNSUPPORTED, "RLE Lossless, Deflated Image Frame Compression");
}

static void zeros_behind_the_frames_go_and_anything_else_is_refused(void **state) {
    (void)state;
    struct dcm_dataset *ds = image(GRAY16);
    const struct dcm_element *el = dcm_find(ds, DCM_PixelData);
    size_t n = el->length, more = 12;
    uint8_t *p = arena_zero(&arena, n + (size_t)ROWS * COLUMNS * 2, 1, NULL);
    memcpy(p, el->value, n);
    dcm_put_bytes(ds, DCM_PixelData, DCM_VR_OW, p, n + more, NULL);
    struct again *a = convert(ds, DCM_UID_RLELossless);
    same_pixels(image(GRAY16), on(a, DCM_UID_ExplicitVRLittleEndian)->dataset);
    assert_int_equal(dcm_find(convert(ds, DCM_UID_ImplicitVRLittleEndian)->dataset, DCM_PixelData)->length, n + more); // which loses nothing
    p[n + more - 1] = 1;
    refused(ds, dcm_ts_explicit_le, DCM_UID_RLELossless, ERR_UNSUPPORTED, "12 bytes more than the declared 3 frame(s)");
    p[n + more - 1] = 0;
    dcm_put_bytes(ds, DCM_PixelData, DCM_VR_OW, p, n + (size_t)ROWS * COLUMNS * 2, NULL); // a frame more, be it black
    refused(ds, dcm_ts_explicit_le, DCM_UID_RLELossless, ERR_UNSUPPORTED, "Number of Frames");
}

static void few_bits_in_wide_cells_stay_what_they_are(void **state) {
    (void)state;
    static const unsigned STORED[][2] = {{16, 8}, {16, 5}, {8, 7}, {8, 2}};
    static const char *const TO[] = {DCM_UID_JPEGLSLossless, DCM_UID_JPEGLosslessSV1, DCM_UID_JPEG2000Lossless, DCM_UID_RLELossless};
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < 4; k++) {
            struct dcm_dataset *ds = image((struct shape){"MONOCHROME2", 1, STORED[i][0], 8, 2, false});
            uint8_t *p = (uint8_t *)dcm_find(ds, DCM_PixelData)->value;
            for (size_t at = 0; at < dcm_find(ds, DCM_PixelData)->length; at++)
                p[at] = (uint8_t)(STORED[i][0] == 16 && at % 2 ? 0 : p[at] >> (8 - STORED[i][1]));
            dcm_put_int(ds, DCM_BitsStored, STORED[i][1], NULL);
            dcm_put_int(ds, DCM_HighBit, STORED[i][1] - 1, NULL);
            struct dcm_dataset *out = on(convert(ds, TO[k]), DCM_UID_ExplicitVRLittleEndian)->dataset;
            int64_t bits;
            same_pixels(ds, out);
            assert_true(dcm_i64(out, DCM_BitsAllocated, 0, &bits) && bits == STORED[i][0]);
            assert_true(dcm_i64(out, DCM_BitsStored, 0, &bits) && bits == STORED[i][1]);
        }
}

static void near_lossless_samples_fit_in_the_bits_that_are_declared(void **state) {
    (void)state;
    struct dcm_dataset *ds = image((struct shape){"MONOCHROME2", 1, 16, 8, 3, false});
    memset((uint8_t *)dcm_find(ds, DCM_PixelData)->value, 0xFF, 1); // the largest of 8 bits
    struct dcm_dataset *out = on(convert(ds, DCM_UID_JPEGLSNearLossless), DCM_UID_ExplicitVRLittleEndian)->dataset;
    const struct dcm_element *el = dcm_find(out, DCM_PixelData);
    int64_t stored, high;
    assert_true(dcm_i64(out, DCM_BitsStored, 0, &stored) && dcm_i64(out, DCM_HighBit, 0, &high) && high == stored - 1);
    for (uint32_t i = 1; i < el->length; i += 2) assert_int_equal(el->value[i] >> (stored - 8), 0);
}

static void an_object_without_pixels_takes_every_uncompressed_form(void **state) {
    (void)state;
    struct dcm_dataset *report = dcm_dataset_new(&arena, NULL);
    dcm_putz(report, DCM_SOPClassUID, DCM_UID_BasicTextSRStorage, NULL);
    text_is(on(convert(report, DCM_UID_ImplicitVRLittleEndian), DCM_UID_ExplicitVRBigEndian)->dataset, DCM_SOPClassUID, DCM_UID_BasicTextSRStorage);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_encoder_that_gives_a_blank_image_writes_nothing),
        TEST(what_unused_bits_hold_is_kept_or_refused_with_advice),
        TEST(zeros_behind_the_frames_go_and_anything_else_is_refused),
        TEST(few_bits_in_wide_cells_stay_what_they_are),
        TEST(near_lossless_samples_fit_in_the_bits_that_are_declared),
        TEST(a_lossy_result_calls_its_frames_derived_too),
        TEST(an_encoder_that_fails_writes_nothing_not_even_the_frames_before),
        TEST(frames_of_different_colour_models_are_no_one_image),
        TEST(encapsulated_frames_are_one_fragment_each_of_even_length_with_their_offsets),
        TEST(offsets_beyond_four_gigabytes_go_into_the_extended_table),
        TEST(every_native_form_gives_the_same_pixels_back),
        TEST(single_bits_of_frames_that_end_within_a_byte_are_packed_again),
        TEST(planes_and_halved_chrominance_become_whole_pixels),
        TEST(an_icon_is_never_left_encapsulated),
        TEST(group_lengths_do_not_outlive_what_they_count),
        TEST(a_lossy_result_is_another_image_and_says_so),
        TEST(lossy_history_is_appended_to_and_survives_decompression),
        TEST(a_discrete_cosine_transform_that_nobody_told_of_is_told),
        TEST(lossless_results_keep_their_identity_unless_a_new_one_is_wanted),
        TEST(what_a_transfer_syntax_has_no_place_for_is_refused_with_a_reason),
        TEST(an_object_without_pixels_takes_every_uncompressed_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
