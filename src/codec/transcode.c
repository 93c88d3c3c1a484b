// Which way an object goes from one transfer syntax to another: rewritten, or its pixel data (and its icons') through the codecs first.
#include "codec/transcode.h"

#include <string.h>

#include "base/limits.h"
#include "codec/transcode_part.h"
#include "dicom/uids.h"

enum { WORK_ARENA_BYTES = 2 * DCM_HEADER_BYTES_MAX };

// ---- what can be ----

static bool same(const struct dcm_ts *a, const struct dcm_ts *b) {
    return a == b || strcmp(a->uid, b->uid) == 0;
}

static bool is_one_of(const struct dcm_ts *ts, const char *const *uids) {
    for (; *uids; uids++)
        if (strcmp(*uids, ts->uid) == 0) return true;
    return false;
}

// Those whose pixel data is in the object and as PS3.5 8 has it. JPIP refers to it, SMPTE ST 2110 streams it, GE's private one swaps it.
static bool is_native(const struct dcm_ts *ts) {
    static const char *const UIDS[] = {DCM_UID_ImplicitVRLittleEndian, DCM_UID_ExplicitVRLittleEndian, DCM_UID_ExplicitVRBigEndian,
                                       DCM_UID_DeflatedExplicitVRLittleEndian, NULL};
    return is_one_of(ts, UIDS);
}

static bool refuse(struct err *e, const struct dcm_ts *ts, const char *why) {
    return err_set(e, ERR_UNSUPPORTED, "codec", "%s: %s", ts->name, why);
}

static bool can_read(const struct dcm_ts *ts, struct err *e) {
    if (ts->video) return refuse(e, ts, "video goes only as it is stored");
    if (is_native(ts) || strcmp(ts->uid, DCM_UID_Papyrus3ImplicitVRLittleEndian) == 0) return true;
    const struct codec_family *f = codec_of(ts);
    return (f && f->decode) || refuse(e, ts, "there is no decoder for this transfer syntax");
}

static bool can_write(const struct dcm_ts *ts, struct err *e) {
    if (ts->video) return refuse(e, ts, "video is not made of images here");
    if (is_native(ts)) return true;
    const struct codec_family *f = codec_of(ts);
    return (f && f->encode) || refuse(e, ts, "there is no encoder for this transfer syntax");
}

static uint64_t native_bytes(const struct px_image *i) {
    uint64_t bits = (uint64_t)i->rows * i->columns * i->samples * i->bits_allocated, all;
    return __builtin_mul_overflow(bits, (uint64_t)i->frames, &all) ? UINT64_MAX : all / 8 + 1;
}

static bool image_possible(const struct px_image *image, const struct dcm_ts *from, const struct dcm_ts *to, struct err *e) {
    if (to->encapsulated && image->kind != PX_INTEGER) return refuse(e, to, "(Double) Float Pixel Data is never encapsulated (PS3.5 A.4)");
    if (image->encapsulated && is_native(from)) return refuse(e, from, "the pixel data is encapsulated, which this transfer syntax has no decoder for");
    if (!to->encapsulated && image->encapsulated && native_bytes(image) >= UINT32_MAX - 1)
        return refuse(e, to, "the pixels take more than the 4 GiB that an uncompressed value can have");
    if (!to->lossy) return true;
    if (image->photometric == PX_PALETTE_COLOR) return refuse(e, to, "lossy compression of palette indices gives other colours");
    if (image->bits_stored == 1) return refuse(e, to, "lossy compression of single bits gives other shapes");
    return true;
}

// What the encoder would say of such pixels: it is given a few black ones, so that no table of depths and colours has to repeat what the encoders know.
bool codec_has_place(const struct px_image *image, const struct dcm_ts *to, struct err *e) {
    enum { SIDE = 16 };
    static const uint8_t black[SIDE * SIDE * 3 * 8];
    const struct codec_family *family = codec_of(to);
    const struct codec_options o = {0};
    struct px_frame frame = {.image = *image, .bytes = black};
    struct err why = {0};
    struct buf made;
    if (!family || !family->encode || image->samples > 3) return true;
    frame.image.rows = frame.image.columns = SIDE;
    frame.image.frames = 1;
    frame.image.encapsulated = frame.image.big_endian = frame.image.planar = false;
    if (image->photometric == PX_YBR_FULL_422) frame.image.photometric = PX_YBR_FULL; // encoders are given every pixel's chrominance
    if (image->photometric > PX_YBR_FULL_422) frame.image.photometric = PX_RGB;       // what decoders make of the others
    frame.n = (size_t)(px_frame_bits(&frame.image) + 7) / 8;
    if (frame.n > sizeof black) return true;
    buf_init(&made, 16 * sizeof black);
    bool ok = family->encode(&frame, to, &o, &made, &frame.image, &why);
    buf_deinit(&made);
    if (ok || why.kind != ERR_UNSUPPORTED) return true;
    return refuse(e, to, why.message);
}

// asked: whether the encoder is to be asked, which whoever goes on to encode all the frames need not do.
static bool possible(const struct dcm_dataset *dataset, const struct dcm_ts *from, const struct dcm_ts *to, bool asked, struct err *e) {
    struct px_image image;
    struct err why = {0};
    if (same(from, to)) return true;
    if (!can_read(from, e) || !can_write(to, e)) return false;
    if (px_image_of(dataset, &image, &why)) return image_possible(&image, from, to, e) && (!asked || codec_has_place(&image, to, e));
    if (why.kind == ERR_NOT_FOUND) return !to->encapsulated || refuse(e, to, "it is only for objects with pixel data (PS3.5 A.4)");
    if (!from->encapsulated && !to->encapsulated) return true; // only the form of the data set changes
    if (e) *e = why;
    return false;
}

bool transcode_possible(const struct dcm_dataset *dataset, const struct dcm_ts *from, const struct dcm_ts *to, struct err *e) {
    return possible(dataset, from, to, true, e);
}

// ---- one source of what was and what was made ----

struct work {
    const struct transcode *t;
    struct arena arena;
    struct spool spool;
    struct dcm_source source;
    uint64_t wide_from, wide_end; // the 32-bit pixels whose words change places
};

static bool read_plainly(const struct work *w, uint64_t offset, void *p, size_t n, struct err *e) {
    if (offset >= TRANSCODE_SPOOL_BASE) return spool_read(&w->spool, offset - TRANSCODE_SPOOL_BASE, p, n, e);
    const struct dcm_source *s = w->t->pixels.source;
    if (!s || !s->read_at) return err_set(e, ERR_INTERNAL, "codec", "a value by reference, and no source to read it from");
    return s->read_at(s->ctx, offset, p, n, e);
}

static bool read_either(void *ctx, uint64_t offset, void *p, size_t n, struct err *e) {
    const struct work *w = ctx;
    uint8_t *at = p;
    if (!read_plainly(w, offset, p, n, e)) return false;
    for (size_t i = 0; offset >= w->wide_from && offset < w->wide_end && i + 4 <= n; i += 4) {
        uint8_t word[2] = {at[i], at[i + 1]};
        memcpy(at + i, at + i + 2, 2);
        memcpy(at + i + 2, word, 2);
    }
    return true;
}

// Pixels of 32 bits in OW change byte order by their own width, as every reader takes them; the writer swaps words of two bytes, so these change places first.
static bool is_wide(const struct transcode *t) {
    struct px_image i;
    struct err ignored;
    return t->dataset->big_endian != t->to->big_endian && px_image_of(t->dataset, &i, &ignored) && i.kind == PX_INTEGER && i.bits_allocated == 32;
}

static bool exchange_words(struct work *w, struct dcm_dataset *copy, struct err *e) {
    struct dcm_element *el = (struct dcm_element *)dcm_find(copy, DCM_PixelData);
    if (!el || el->vr != DCM_VR_OW || el->flags & DCM_FRAGMENTS) return true;
    if (el->value) { // through the source, like longer ones
        uint64_t at = w->spool.n;
        if (!spool_add(&w->spool, el->value, el->length, e)) return false;
        el->value = NULL;
        el->offset = TRANSCODE_SPOOL_BASE + at;
        el->flags |= DCM_BY_REFERENCE;
    }
    w->wide_from = el->offset;
    w->wide_end = el->offset + el->length;
    return true;
}

// ---- pixel data of the object and of its icons ----

// A native value may be longer than its frames take. Encapsulated, only frames have a place (PS3.5 A.4): zeros that fill up the value are no pixels and go;
// anything else is refused, be it frames that Number of Frames does not tell of.
static bool nothing_behind(struct work *w, const struct px_image *i, const struct dcm_ts *to, struct err *e) {
    uint64_t frame = (px_frame_bits(i) + 7) / 8, bits, end = UINT64_MAX;
    if (!__builtin_mul_overflow(px_frame_bits(i), (uint64_t)i->frames, &bits) && bits <= UINT64_MAX - 7) end = (bits + 7) / 8;
    if (i->pixels->length <= end || i->pixels->length - end == 1) return true; // a missing end is found when it is read; one byte makes the length even
    uint64_t behind = i->pixels->length - end, sum = behind >= frame;
    struct arena_mark mark = arena_mark(&w->arena);
    uint8_t *p = sum ? NULL : arena_alloc(&w->arena, (size_t)behind, e);
    if (!sum && !p) return false;
    if (p && i->pixels->value)
        memcpy(p, i->pixels->value + end, (size_t)behind);
    else if (p && !read_plainly(w, i->pixels->offset + end, p, (size_t)behind, e))
        return false;
    for (uint64_t k = 0; p && k < behind; k++) sum += p[k] != 0;
    arena_rewind(&w->arena, mark);
    if (!sum) return true;
    return err_set(
        e, ERR_UNSUPPORTED, "codec",
        "%s: the pixel data has %llu bytes more than the declared %u frame(s) take, which would be lost; set Number of Frames right, or keep a native "
        "transfer syntax",
        to->name, (unsigned long long)behind, i->frames);
}

// frames: known ones, or NULL.
static bool convert(struct work *w, const struct dcm_dataset *ds, const struct codec_frames *frames, const struct dcm_ts *to, struct transcode_pixels *p,
                    struct codec_object *object, struct err *e) {
    struct codec_frames *found = arena_zero(&w->arena, 1, sizeof *found, e);
    *object = w->t->pixels;
    *p = (struct transcode_pixels){.dataset = ds, .source = object, .to = to, .spool = &w->spool};
    if (!found || !px_image_of(ds, &p->was, e)) return false;
    object->frames = frames ? frames : found;
    if (p->was.encapsulated) {
        if (!frames && !codec_frames_of(&w->arena, ds, object->ts, p->was.frames, object->source, found, e)) return false;
        if (object->frames->count != p->was.frames)
            return err_set(e, ERR_UNDECODABLE, "codec", "Number of Frames is %u, and the pixel data has %u", p->was.frames, object->frames->count);
    }
    if (!p->was.encapsulated && to->encapsulated && !nothing_behind(w, &p->was, to, e)) return false;
    return transcode_frames(p, &w->arena, e);
}

static bool has_fragments(const struct dcm_dataset *ds) {
    const struct dcm_element *el = dcm_find(ds, DCM_PixelData);
    return el && el->flags & DCM_FRAGMENTS;
}

static bool nests_fragments(const struct dcm_dataset *ds, unsigned depth) {
    for (uint32_t i = 0; i < ds->count && depth <= DCM_DEPTH_MAX; i++) {
        const struct dcm_element *el = &ds->elements[i];
        for (uint32_t k = 0; el->vr == DCM_VR_SQ && k < el->item_count; k++)
            if (has_fragments(el->items[k]) || nests_fragments(el->items[k], depth + 1)) return true;
    }
    return false;
}

static bool icons_native(struct work *w, struct dcm_dataset *copy, unsigned depth, struct err *e);

// Pixel data in an item is of the object's transfer syntax or native (PS3.5 A.4): native fits every one.
static struct dcm_dataset *item_native(struct work *w, const struct dcm_dataset *item, unsigned depth, struct err *e) {
    struct dcm_dataset *copy = transcode_copy(&w->arena, item, e);
    struct transcode_pixels p;
    struct codec_object object;
    if (!copy || !icons_native(w, copy, depth + 1, e)) return NULL;
    if (!has_fragments(item)) return copy;
    const struct dcm_ts *to = w->t->to->encapsulated ? dcm_ts_explicit_le : w->t->to;
    return convert(w, item, NULL, to, &p, &object, e) && transcode_describe(&p, copy, e) ? copy : NULL;
}

static bool icons_native(struct work *w, struct dcm_dataset *copy, unsigned depth, struct err *e) {
    if (!nests_fragments(copy, depth)) return true;
    for (uint32_t i = 0; i < copy->count; i++) {
        struct dcm_element *el = &copy->elements[i];
        if (el->vr != DCM_VR_SQ || el->item_count == 0) continue;
        struct dcm_dataset **items = arena_alloc(&w->arena, el->item_count * sizeof(struct dcm_dataset *), e);
        if (!items) return false;
        for (uint32_t k = 0; k < el->item_count; k++) {
            bool touched = has_fragments(el->items[k]) || nests_fragments(el->items[k], depth + 1);
            items[k] = touched ? item_native(w, el->items[k], depth, e) : el->items[k];
            if (!items[k]) return err_wrap(e, "(%04X,%04X) item %u", DCM_GROUP(el->tag), DCM_ELEMENT(el->tag), k + 1);
        }
        el->items = items;
        el->flags |= DCM_ITEMS_SHARED;
    }
    return true;
}

static bool lossy_now(const struct transcode *t) {
    return t->to->encapsulated && t->to->lossy;
}

static bool convert_object(struct work *w, struct dcm_dataset **out, struct err *e) {
    const struct transcode *t = w->t;
    struct transcode_pixels p;
    struct codec_object object;
    struct dcm_dataset *copy = transcode_copy(&w->arena, t->dataset, e);
    *out = copy;
    if (!copy || !icons_native(w, copy, 0, e)) return false;
    if (!dcm_find(t->dataset, DCM_PixelData)) return true;
    if (!convert(w, t->dataset, t->pixels.frames, t->to, &p, &object, e)) return false;
    bool derive = t->uid == TRANSCODE_UID_NEW || (t->uid == TRANSCODE_UID_STANDARD && lossy_now(t));
    return transcode_describe(&p, copy, e) && transcode_tell_loss(&p, copy, e) && (!derive || transcode_derive(&p, copy, e));
}

// ---- the doors ----

static bool needs_codecs(const struct transcode *t) {
    if (same(t->pixels.ts, t->to)) return false;
    return t->to->encapsulated || has_fragments(t->dataset) || nests_fragments(t->dataset, 0);
}

// The data set to write; what it refers to is in w->source.
static bool prepare(struct work *w, const struct transcode *t, const struct dcm_dataset **out, struct err *e) {
    struct dcm_dataset *made;
    *w = (struct work){.t = t};
    arena_init(&w->arena, WORK_ARENA_BYTES);
    spool_init(&w->spool);
    w->source = (struct dcm_source){read_either, w};
    *out = t->dataset;
    if (!possible(t->dataset, t->pixels.ts, t->to, false, e)) return false;
    if (!needs_codecs(t) && !is_wide(t) && t->uid != TRANSCODE_UID_NEW) return true;
    bool ok = needs_codecs(t)               ? convert_object(w, &made, e)
              : t->uid == TRANSCODE_UID_NEW ? transcode_renew(&w->arena, t->dataset, &made, e)
                                            : (made = transcode_copy(&w->arena, t->dataset, e)) != NULL;
    *out = made;
    return ok && (!is_wide(t) || exchange_words(w, made, e));
}

static void done(struct work *w) {
    spool_deinit(&w->spool);
    arena_deinit(&w->arena);
}

bool transcode_write(const struct transcode *t, struct dcm_sink to, struct err *e) {
    struct work w;
    const struct dcm_dataset *ds;
    bool ok =
        prepare(&w, t, &ds, e) && (t->to->deflated ? dcm_write_dataset_deflated(ds, t->to, &w.source, to, e) : dcm_write_dataset(ds, t->to, &w.source, to, e));
    done(&w);
    return ok;
}

bool transcode_part10(const struct transcode *t, struct dcm_sink to, struct err *e) {
    struct work w;
    const struct dcm_dataset *ds;
    bool ok = prepare(&w, t, &ds, e) && dcm_write_part10(ds, t->to, &w.source, to, e);
    done(&w);
    return ok;
}
