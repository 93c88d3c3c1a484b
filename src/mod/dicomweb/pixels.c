// Frames of an object, in the form that was chosen.
#include "mod/dicomweb/pixels.h"

#include <stdio.h>

#include "base/limits.h"
#include "codec/transcode.h"
#include "dicom/uids.h"

enum {
    JOB_ARENA_BYTES = 1024 * 1024 * 1024,
    AHEAD_BYTES_MAX = 64 * 1024 * 1024, // decoded frames that wait to be sent
    ALL_FRAMES_MAX = 1 << 20,
};

struct dw_frame_job {
    struct arena arena;
    struct codec_job job;
    bool begun, made;
    size_t index;
    struct str bytes;
};

// ---- opening ----

static int64_t number_of(const struct dcm_dataset *ds, uint32_t tag, int64_t fallback) {
    int64_t v;
    return dcm_i64(ds, tag, 0, &v) ? v : fallback;
}

// Bits of one native frame; 0 when its size cannot be. More liberal than px_image_of: bytes can be handed on that nobody could show.
static uint64_t native_bits(const struct dcm_dataset *ds, bool encapsulated) {
    int64_t rows = number_of(ds, DCM_Rows, 0), columns = number_of(ds, DCM_Columns, 0);
    int64_t samples = number_of(ds, DCM_SamplesPerPixel, 1), bits = number_of(ds, DCM_BitsAllocated, 0);
    if (rows <= 0 || columns <= 0 || rows > 65535 || columns > 65535 || samples < 1 || samples > 4 || bits < 1 || bits > 64) return 0;
    uint64_t all = (uint64_t)rows * (uint64_t)columns * (uint64_t)samples * (uint64_t)bits;
    // two samples of chrominance for two pixels (PS3.3 C.7.6.3.1.2); decoders give all of them
    if (!encapsulated && str_eqz(dcm_text(ds, DCM_PhotometricInterpretation), "YBR_FULL_422")) all = all / 3 * 2;
    return all;
}

static const struct dcm_element *pixel_element(const struct dcm_dataset *ds) {
    static const uint32_t tags[] = {DCM_PixelData, DCM_FloatPixelData, DCM_DoubleFloatPixelData};
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        const struct dcm_element *el = dcm_find(ds, tags[i]);
        if (el) return el;
    }
    return NULL;
}

bool dw_pixels_open(struct dw_pixels *p, struct archive *ar, struct arena *a, const struct instance_ref *ref, struct err *e) {
    *p = (struct dw_pixels){.archive = ar, .arena = a};
    if (!ref->pixel_offset && !(dcm_ts_find(ref->ts_uid) && dcm_ts_find(ref->ts_uid)->deflated))
        return err_set(e, ERR_NOT_FOUND, "dicomweb", "the object has no pixel data");
    if (!retrieve_open(ar, a, ref, &p->object, e)) return dw_stored_err(e);
    const struct dcm_dataset *header = p->object.header;
    p->element = pixel_element(header);
    if (!p->element) {
        dw_pixels_close(p);
        return err_set(e, ERR_NOT_FOUND, "dicomweb", "the object has no pixel data");
    }
    p->encapsulated = p->element->flags & (DCM_FRAGMENTS | DCM_UNDEFINED_LENGTH);
    px_image_of(header, &p->image, &p->image_err);
    uint64_t bits = native_bits(header, p->encapsulated);
    int64_t frames = number_of(header, DCM_NumberOfFrames, 1);
    p->frames = p->object.ts->video ? 1 : frames > 0 && frames <= UINT32_MAX ? (uint32_t)frames : 1;
    p->frame_bytes = (bits + 7) / 8;
    p->aligned = bits > 0 && bits % 8 == 0 && !header->big_endian;
    return true;
}

static void end_job(struct dw_frame_job *j) {
    if (j->begun) codec_job_wait(&j->job, &j->arena, NULL);
    j->begun = j->made = false;
    arena_reset(&j->arena);
}

void dw_pixels_close(struct dw_pixels *p) {
    for (size_t i = 0; i < p->jobs_n; i++) {
        end_job(&p->jobs[i]);
        arena_deinit(&p->jobs[i].arena);
    }
    p->jobs_n = 0;
    retrieve_close(&p->object);
}

void dw_pixels_end(void *pixels) {
    dw_pixels_close(pixels);
}

// ---- choosing ----

void dw_pixels_offers(const struct dw_pixels *p, bool single, struct dw_offer *out) {
    const char *stored = p->encapsulated ? dw_media_of(p->object.ts) : NULL;
    size_t n = 0;
    out[n++] = (struct dw_offer){"application/octet-stream", DCM_UID_ExplicitVRLittleEndian, true, single};
    for (int round = 0; round < 2; round++)
        for (const struct dw_media_type *t = DW_MEDIA_TYPES; t->media && n + 1 < DW_PIXEL_OFFERS; t++) {
            bool own = stored && strcmp(t->media, stored) == 0;
            if (t->by_default && own == (round == 0)) out[n++] = (struct dw_offer){t->media, t->ts, true, single};
        }
    out[n] = (struct dw_offer){NULL, NULL, false, false};
}

static bool is_ts(const struct dcm_ts *ts, const struct dcm_ts *other) {
    return ts == other;
}

static bool take(struct dw_pixels *p, enum dw_pixel_form form, const char *media, const struct dcm_ts *ts) {
    p->form = form;
    p->to = ts;
    snprintf(p->type, sizeof p->type, "%s%s%s", media, ts ? "; transfer-syntax=" : "", ts ? ts->uid : "");
    return true;
}

static bool fit_octets(struct dw_pixels *p, const struct dw_choice *c) {
    const struct dcm_ts *stored = p->object.ts;
    bool plain = !c->any_ts && is_ts(c->ts, dcm_ts_explicit_le);
    if (!p->encapsulated) return (plain || c->any_ts) && take(p, p->aligned ? DW_PIXELS_NATIVE : DW_PIXELS_DECODED, c->offer->media, dcm_ts_explicit_le);
    if (c->any_ts || (c->named_ts && is_ts(c->ts, stored))) return take(p, DW_PIXELS_STORED, c->offer->media, stored);
    return plain && codec_can_decode(stored) && take(p, DW_PIXELS_DECODED, c->offer->media, dcm_ts_explicit_le);
}

static bool fit_compressed(struct dw_pixels *p, const struct dw_choice *c) {
    const struct dcm_ts *stored = p->object.ts, *standard = dcm_ts_find(str_of(c->offer->ts)), *to = c->named_ts ? c->ts : standard;
    const char *media = p->encapsulated ? dw_media_of(stored) : NULL;
    bool own = media && strcmp(media, c->offer->media) == 0;
    if (own && (c->any_ts || is_ts(to, stored))) return take(p, DW_PIXELS_STORED, media, stored);
    // "unless the origin server has only access to the pixel data in lossy compressed form" (8.7.3)
    if (own && !c->named_ts && stored->lossy) return take(p, DW_PIXELS_STORED, media, stored);
    const char *to_media = dw_media_of(to);
    if (!to_media || strcmp(to_media, c->offer->media) != 0) return false;
    if (to->video || (to->lossy && !c->named_ts) || !codec_can_encode(to)) return false;
    if (p->encapsulated ? !codec_can_decode(stored) : p->image_err.kind != ERR_NONE) return false;
    if (p->image_err.kind == ERR_NONE && !codec_has_place(&p->image, to, NULL)) return false;
    return take(p, DW_PIXELS_CODED, to_media, to);
}

bool dw_pixels_fit(void *pixels, struct dw_choice *c) {
    struct dw_pixels *p = pixels;
    return strcmp(c->offer->media, "application/octet-stream") == 0 ? fit_octets(p, c) : fit_compressed(p, c);
}

const char *dw_pixels_outer_ts(const struct dw_pixels *p) {
    const struct dcm_ts *ts = p->form == DW_PIXELS_CODED ? p->to : p->form == DW_PIXELS_STORED ? p->object.ts : NULL;
    return ts ? ts->uid : NULL;
}

bool dw_pixels_all(struct dw_pixels *p, struct arena *a, struct err *e) {
    if (p->frames > ALL_FRAMES_MAX) return err_set(e, ERR_UNDECODABLE, "dicomweb", "the object says that it has %u frames", p->frames);
    uint32_t *order = arena_zero(a, p->frames, sizeof *order, e);
    if (!order) return false;
    for (uint32_t i = 0; i < p->frames; i++) order[i] = i;
    p->order = order;
    p->count = p->frames;
    return true;
}

// ---- making frames ----

static bool begin_native(struct dw_pixels *p, struct dw_frame_job *j, uint32_t frame, struct px_frame *out, struct err *e) {
    const struct px_reader reader = px_reader_native(&p->object.source);
    return reader.read(reader.ctx, &j->arena, &p->image, frame, out, e);
}

// Of frames that do not begin at a whole byte: as if they did, with zeros behind the last pixel.
static bool put_in_order(struct arena *a, const struct px_frame *f, uint64_t n, struct str *out, struct err *e) {
    uint64_t bits = px_frame_bits(&f->image);
    uint8_t *to = arena_zero(a, (size_t)n, 1, e);
    if (!to) return false;
    for (uint64_t i = 0; i < n; i++) {
        unsigned v = f->bytes[i] >> f->bit_offset;
        if (f->bit_offset && i + 1 < f->n) v |= (unsigned)f->bytes[i + 1] << (8 - f->bit_offset);
        to[i] = (uint8_t)v;
    }
    if (bits % 8) to[n - 1] &= (uint8_t)(0xFF >> (8 - bits % 8));
    *out = (struct str){(const char *)to, (size_t)n};
    return true;
}

static bool finish_native(struct dw_pixels *p, struct dw_frame_job *j, const struct px_frame *f, struct err *e) {
    uint64_t n = (px_frame_bits(&f->image) + 7) / 8;
    if (f->bit_offset || px_frame_bits(&f->image) % 8) return put_in_order(&j->arena, f, n, &j->bytes, e);
    j->bytes = (struct str){(const char *)f->bytes, (size_t)n};
    (void)p;
    return true;
}

// Native frames are read and, when they are to be coded, handed to a worker.
static bool begin_from_native(struct dw_pixels *p, struct dw_frame_job *j, struct err *e) {
    struct px_frame frame;
    if (!begin_native(p, j, p->order[j->index], &frame, e)) return false;
    if (p->form == DW_PIXELS_DECODED) return j->made = finish_native(p, j, &frame, e);
    j->job = (struct codec_job){.task = CODEC_ENCODE, .from = dcm_ts_explicit_le, .to = p->to, .image = frame.image, .bit_offset = frame.bit_offset};
    j->job.input = (struct str){(const char *)frame.bytes, frame.n};
    return j->begun = codec_job_begin(&j->job, e);
}

bool dw_no_frames(const struct dw_pixels *p, struct err *e) {
    if (p->object.frames_err.kind == ERR_NONE) return err_set(e, ERR_UNDECODABLE, "dicomweb", "the pixel data has fewer frames than it declares");
    if (e) *e = p->object.frames_err;
    return false;
}

static bool begin_from_codestream(struct dw_pixels *p, struct dw_frame_job *j, struct err *e) {
    const struct codec_object o = {.ts = p->object.ts, .source = &p->object.source, .frames = &p->object.frames};
    if (p->order[j->index] >= p->object.frames.count) return dw_no_frames(p, e);
    bool coding = p->form == DW_PIXELS_CODED;
    j->job = (struct codec_job){.task = coding ? CODEC_TRANSCODE : CODEC_DECODE, .from = p->object.ts, .to = coding ? p->to : NULL, .image = p->image};
    if (!codec_read_frame(&j->arena, &o, p->order[j->index], &j->job.input, e)) return false;
    return j->begun = codec_job_begin(&j->job, e);
}

static bool begin(struct dw_pixels *p, size_t i, struct err *e) {
    struct dw_frame_job *j = &p->jobs[i % p->jobs_n];
    end_job(j);
    j->index = i;
    if (p->image_err.kind) {
        if (e) *e = p->image_err;
        return false;
    }
    return p->encapsulated ? begin_from_codestream(p, j, e) : begin_from_native(p, j, e);
}

static bool finish(struct dw_pixels *p, struct dw_frame_job *j, struct err *e) {
    if (j->made) return true;
    if (!j->begun) return err_set(e, ERR_INTERNAL, "dicomweb", "a frame was not begun");
    j->begun = false;
    if (!codec_job_wait(&j->job, &j->arena, e)) {
        if (e && e->kind == ERR_UNSUPPORTED) e->kind = ERR_NOT_ACCEPTABLE;
        return err_wrap(e, "frame %u", p->order[j->index] + 1);
    }
    j->made = true;
    if (p->form == DW_PIXELS_DECODED) return finish_native(p, j, &j->job.frame, e);
    j->bytes = j->job.codestream;
    return true;
}

static bool make_jobs(struct dw_pixels *p, struct err *e) {
    size_t n = codec_pool_size() + 1;
    if (n > DW_AHEAD_MAX) n = DW_AHEAD_MAX;
    while (n > 1 && n * p->frame_bytes > AHEAD_BYTES_MAX) n--;
    if (n > p->count) n = p->count;
    p->jobs = arena_zero(p->arena, n, sizeof *p->jobs, e);
    if (!p->jobs) return false;
    for (size_t i = 0; i < n; i++) arena_init(&p->jobs[i].arena, JOB_ARENA_BYTES);
    p->jobs_n = n;
    return true;
}

bool dw_pixels_make(struct dw_pixels *p, size_t i, struct str *out, struct err *e) {
    if (p->jobs_n == 0 && !make_jobs(p, e)) return false;
    if (p->jobs_n == 0) return err_set(e, ERR_INTERNAL, "dicomweb", "no frames were asked for");
    struct dw_frame_job *j = &p->jobs[i % p->jobs_n];
    bool under_way = p->begun > 0 && j->index == i && (j->begun || j->made);
    if (!under_way) {
        if (!begin(p, i, e)) return false;
        p->begun = i + 1;
    }
    // The others after it, until there are as many as workers; a failure shows when its turn comes.
    while (p->begun < p->count && p->begun < i + p->jobs_n && begin(p, p->begun, NULL)) p->begun++;
    if (!finish(p, j, e)) return false;
    *out = j->bytes;
    return true;
}

// ---- as pieces of a body ----

// Offsets count decoded frames of the order, each frame_bytes long.
static bool read_decoded(void *ctx, uint64_t offset, void *to, size_t n, struct err *e) {
    struct dw_pixels *p = ctx;
    for (char *at = to; n > 0;) {
        size_t i = (size_t)(offset / p->frame_bytes), from = (size_t)(offset % p->frame_bytes);
        size_t some = p->frame_bytes - from < n ? (size_t)(p->frame_bytes - from) : n;
        struct str frame;
        if (!dw_pixels_make(p, i, &frame, e)) return false;
        if (frame.n != p->frame_bytes)
            return err_set(e, ERR_UNDECODABLE, "dicomweb", "frame %u decodes to %zu bytes where the object's attributes make it %llu", p->order[i] + 1, frame.n,
                           (unsigned long long)p->frame_bytes);
        memcpy(at, frame.p + from, some);
        at += some, offset += some, n -= some;
    }
    return true;
}

size_t dw_pixels_pieces(const struct dw_pixels *p) {
    size_t n = 0;
    if (p->form != DW_PIXELS_STORED || !p->object.frames.first) return p->count;
    for (size_t i = 0; i < p->count; i++)
        if (p->order[i] < p->object.frames.count) n += p->object.frames.first[p->order[i] + 1] - p->object.frames.first[p->order[i]];
    return n;
}

// Stored bytes at an offset of the data set: from the file where they lie there.
static void add_stored(struct dw_pixels *p, struct dw_body *b, uint64_t offset, uint64_t length) {
    const struct dcm_ts *ts = dcm_ts_find(p->object.ref->ts_uid);
    if (ts && ts->deflated)
        dw_body_add(b, &(struct dw_piece){.kind = DW_SOURCE, .source = &p->object.source, .offset = offset, .length = length});
    else
        dw_body_object(b, p->object.ref, p->object.ref->dataset_offset + offset, length);
}

static bool add_native(struct dw_pixels *p, struct dw_body *b, size_t i, struct err *e) {
    uint64_t at = p->order[i] * p->frame_bytes, whole = p->object.ref->loc.length;
    const struct dcm_ts *ts = dcm_ts_find(p->object.ref->ts_uid);
    bool deflated = ts && ts->deflated;
    bool within = at <= p->element->length && p->frame_bytes <= p->element->length - at;
    if (within && !deflated) within = p->object.ref->dataset_offset + p->element->offset + at + p->frame_bytes <= whole;
    if (!within) return err_set(e, ERR_UNDECODABLE, "dicomweb", "the pixel data is too short for frame %u", p->order[i] + 1);
    add_stored(p, b, p->element->offset + at, p->frame_bytes);
    return true;
}

bool dw_pixels_length(const struct dw_pixels *p, size_t i, uint64_t *length) {
    *length = p->frame_bytes;
    if (p->form == DW_PIXELS_CODED) return false;
    if (p->form != DW_PIXELS_STORED) return true;
    *length = 0;
    if (p->order[i] >= p->object.frames.count) return true;
    for (uint32_t k = p->object.frames.first[p->order[i]]; k < p->object.frames.first[p->order[i] + 1]; k++) *length += p->object.frames.runs[k].length;
    return true;
}

bool dw_pixels_add(struct dw_pixels *p, struct dw_body *b, size_t i, struct err *e) {
    const struct codec_frames *f = &p->object.frames;
    switch (p->form) {
    case DW_PIXELS_NATIVE:
        return add_native(p, b, i, e);
    case DW_PIXELS_STORED:
        for (uint32_t k = f->first[p->order[i]]; k < f->first[p->order[i] + 1]; k++) add_stored(p, b, f->runs[k].offset, f->runs[k].length);
        return true;
    case DW_PIXELS_DECODED:
        p->native = (struct dcm_source){read_decoded, p};
        dw_body_add(b, &(struct dw_piece){.kind = DW_SOURCE, .source = &p->native, .offset = i * p->frame_bytes, .length = p->frame_bytes});
        return true;
    case DW_PIXELS_CODED:
        break;
    }
    struct str made, kept;
    if (!dw_pixels_make(p, i, &made, e) || !arena_dup(b->arena, made, &kept, e)) return false;
    dw_body_text(b, kept);
    return true;
}
