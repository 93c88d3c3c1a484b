// Frames from the source through the workers into the spool, a few at a time and in order.
#include <stdlib.h>

#include "base/limits.h"
#include "codec/transcode_part.h"

enum { LANES_MAX = 16, LANE_BYTES_MAX = 40 * 1024 * 1024 }; // frames at once; what they may take together when there is more than one

// One frame in work.
struct lane {
    struct arena input, output;
    struct codec_job job;
    bool busy;
};

struct conveyor {
    struct transcode_pixels *p;
    struct lane *lanes;
    unsigned count;
    uint32_t done;         // frames in the spool
    uint8_t bits;          // of 1-bit native frames: those of the last byte that is not full
    unsigned bits_pending; // how many
};

// ---- before encoding: samples together by pixel, chrominance for every pixel ----

static void by_pixel(const struct px_frame *f, uint8_t *to) {
    size_t pixels = (size_t)f->image.rows * f->image.columns, unit = f->image.bits_allocated / 8;
    for (size_t i = 0; i < pixels; i++)
        for (unsigned s = 0; s < f->image.samples; s++)
            for (size_t b = 0; b < unit; b++) to[(i * f->image.samples + s) * unit + b] = f->bytes[(s * pixels + i) * unit + b];
}

// PS3.3 C.7.6.3.1.2: two Y values, then the Cb and Cr that belong to both.
static void every_chrominance(const struct px_frame *f, uint8_t *to) {
    size_t pairs = (size_t)f->image.rows * f->image.columns / 2, unit = f->image.bits_allocated / 8;
    for (size_t i = 0; i < pairs; i++)
        for (unsigned k = 0; k < 6; k++) {
            static const uint8_t FROM[6] = {0, 2, 3, 1, 2, 3};
            memcpy(to + (i * 6 + k) * unit, f->bytes + (i * 4 + FROM[k]) * unit, unit);
        }
}

static bool normalise(struct arena *a, struct px_frame *f, struct err *e) {
    bool halved = f->image.photometric == PX_YBR_FULL_422;
    if (f->image.samples != 3 || (!halved && !f->image.planar)) return true;
    size_t n = (size_t)f->image.rows * f->image.columns * 3 * (f->image.bits_allocated / 8);
    uint8_t *p = n > PX_FRAME_BYTES_MAX ? (err_set(e, ERR_TOO_LARGE, "codec", "a frame of %zu bytes", n), NULL) : arena_alloc(a, n, e);
    if (!p) return false;
    if (halved)
        every_chrominance(f, p);
    else
        by_pixel(f, p);
    f->image.planar = false;
    if (halved) f->image.photometric = PX_YBR_FULL;
    f->bytes = p;
    f->n = n;
    return true;
}

// ---- a frame begins ----

static bool begin_native(struct conveyor *c, struct lane *l, uint32_t frame, struct err *e) {
    struct px_reader reader = px_reader_native(c->p->source->source);
    struct px_frame f = {0};
    if (!reader.read(reader.ctx, &l->input, &c->p->was, frame, &f, e) || !normalise(&l->input, &f, e)) return false;
    l->job = (struct codec_job){.task = CODEC_ENCODE,
                                .to = c->p->to,
                                .image = f.image,
                                .input = {(const char *)f.bytes, f.n},
                                .bit_offset = f.bit_offset,
                                .options = c->p->source->options};
    return true;
}

static bool begin_encapsulated(struct conveyor *c, struct lane *l, uint32_t frame, struct err *e) {
    struct str codestream;
    if (!codec_read_frame(&l->input, c->p->source, frame, &codestream, e)) return false;
    c->p->codestream_bytes += codestream.n;
    l->job = (struct codec_job){.task = c->p->to->encapsulated ? CODEC_TRANSCODE : CODEC_DECODE,
                                .from = c->p->source->ts,
                                .to = c->p->to,
                                .image = c->p->was,
                                .input = codestream,
                                .options = c->p->source->options};
    return true;
}

static bool begin(struct conveyor *c, struct lane *l, uint32_t frame, struct err *e) {
    arena_reset(&l->input);
    arena_reset(&l->output);
    bool ok = c->p->was.encapsulated ? begin_encapsulated(c, l, frame, e) : begin_native(c, l, frame, e);
    l->busy = ok && codec_job_begin(&l->job, e);
    return l->busy || err_wrap(e, "frame %u", frame + 1);
}

// ---- a frame ends ----

static bool same_form(const struct px_image *a, const struct px_image *b) {
    return a->rows == b->rows && a->columns == b->columns && a->samples == b->samples && a->bits_allocated == b->bits_allocated &&
           a->bits_stored == b->bits_stored && a->high_bit == b->high_bit && a->is_signed == b->is_signed && a->planar == b->planar &&
           a->photometric == b->photometric;
}

// Lossy frames may need more bits than the data set declares, and one frame more than another: the data set tells of the most. Right-justified samples are the
// same values in either.
static void settle_depth(struct px_image *a, struct px_image *b) {
    if (a->high_bit + 1 != a->bits_stored || b->high_bit + 1 != b->bits_stored) return;
    a->bits_stored = b->bits_stored = a->bits_stored > b->bits_stored ? a->bits_stored : b->bits_stored;
    a->high_bit = b->high_bit = a->bits_stored - 1;
}

// Every frame has to come out in the one form that the data set can tell of.
static bool agree(struct conveyor *c, const struct px_image *now, struct err *e) {
    const struct px_image *was = &c->p->was;
    if (now->rows != was->rows || now->columns != was->columns || now->samples != was->samples || now->is_signed != was->is_signed)
        return err_set(e, ERR_UNDECODABLE, "codec", "the frame is %u x %u with %u samples per pixel where the data set has %u x %u with %u", now->columns,
                       now->rows, now->samples, was->columns, was->rows, was->samples);
    if (c->done == 0) c->p->now = *now;
    struct px_image as_wide = *now;
    settle_depth(&as_wide, &c->p->now);
    return same_form(&as_wide, &c->p->now) ||
           err_set(e, ERR_UNDECODABLE, "codec", "the frame has another colour model or bit depth (%s, %u bits) than the first (%s, %u)",
                   px_photometric_name(now->photometric), now->bits_stored, px_photometric_name(c->p->now.photometric), c->p->now.bits_stored);
}

// Native frames of single bits follow one another without padding (PS3.5 8.1.1).
static bool add_bits(struct conveyor *c, const struct px_frame *f, struct err *e) {
    uint64_t bits = px_frame_bits(&f->image);
    for (uint64_t i = 0; i < bits; i++) {
        uint64_t at = i + f->bit_offset;
        c->bits |= (uint8_t)((f->bytes[at / 8] >> (at % 8) & 1) << c->bits_pending);
        if (++c->bits_pending < 8) continue;
        if (!spool_add(c->p->spool, &c->bits, 1, e)) return false;
        c->bits = 0;
        c->bits_pending = 0;
    }
    return true;
}

static bool take_native(struct conveyor *c, const struct px_frame *f, struct err *e) {
    uint64_t bits = px_frame_bits(&f->image);
    if (!agree(c, &f->image, e)) return false;
    if (f->n < (f->bit_offset + bits + 7) / 8)
        return err_set(e, ERR_INTERNAL, "codec", "the decoder gave %zu bytes for %llu bits", f->n, (unsigned long long)bits);
    if (f->image.bits_allocated == 1 && (bits % 8 || f->bit_offset || c->bits_pending)) return add_bits(c, f, e);
    return spool_add(c->p->spool, f->bytes, bits / 8, e);
}

static bool take_codestream(struct conveyor *c, const struct lane *l, struct err *e) {
    struct str s = l->job.codestream;
    if (!agree(c, &l->job.result_image, e)) return false;
    if (s.n == 0 || s.n >= UINT32_MAX - 1) return err_set(e, ERR_INTERNAL, "codec", "the encoder gave %zu bytes", s.n);
    c->p->fragments[c->done + 1] = (struct dcm_fragment){TRANSCODE_SPOOL_BASE + c->p->spool->n, (uint32_t)(s.n + s.n % 2)};
    return spool_add(c->p->spool, s.p, s.n, e) && (s.n % 2 == 0 || spool_add(c->p->spool, "", 1, e));
}

static bool finish(struct conveyor *c, struct lane *l, struct err *e) {
    l->busy = false;
    bool ok = codec_job_wait(&l->job, &l->output, e);
    if (ok) ok = l->job.task == CODEC_DECODE ? take_native(c, &l->job.frame, e) : take_codestream(c, l, e);
    if (!ok) return err_wrap(e, "frame %u", c->done + 1);
    c->done++;
    return true;
}

// ---- all of them ----

// As many as keep the workers busy, fewer when frames are large.
static unsigned lanes_for(const struct px_image *image) {
    uint64_t each = px_frame_bits(image) / 8 * 3; // in, out and what is between
    unsigned n = codec_pool_size() + 1;
    if (n > image->frames) n = image->frames;
    if (n > LANES_MAX) n = LANES_MAX;
    while (n > 1 && each * n > LANE_BYTES_MAX) n--;
    return n;
}

static bool run(struct conveyor *c, struct err *e) {
    uint32_t frames = c->p->was.frames;
    for (uint32_t i = 0; i < frames; i++) {
        struct lane *l = &c->lanes[i % c->count];
        if ((l->busy && !finish(c, l, e)) || !begin(c, l, i, e)) return false;
    }
    while (c->done < frames)
        if (!finish(c, &c->lanes[c->done % c->count], e)) return false;
    if (c->bits_pending && !spool_add(c->p->spool, &c->bits, 1, e)) return false;
    return (c->p->spool->n - c->p->offset) % 2 == 0 || spool_add(c->p->spool, "", 1, e); // values are of even length
}

static bool open_lanes(struct conveyor *c, struct err *e) {
    c->count = lanes_for(&c->p->was);
    c->lanes = calloc(c->count, sizeof *c->lanes);
    if (!c->lanes) return err_nomem(e, "codec");
    for (unsigned i = 0; i < c->count; i++) {
        arena_init(&c->lanes[i].input, (size_t)PX_FRAME_BYTES_MAX * 3);
        arena_init(&c->lanes[i].output, (size_t)PX_FRAME_BYTES_MAX * 3);
    }
    return true;
}

static void close_lanes(struct conveyor *c) {
    for (unsigned i = 0; i < c->count && c->lanes; i++) {
        struct err ignored;
        if (c->lanes[i].busy) codec_job_wait(&c->lanes[i].job, &c->lanes[i].output, &ignored);
        arena_deinit(&c->lanes[i].input);
        arena_deinit(&c->lanes[i].output);
    }
    free(c->lanes);
}

bool transcode_frames(struct transcode_pixels *p, struct arena *a, struct err *e) {
    struct conveyor c = {.p = p};
    p->offset = p->spool->n;
    p->codestream_bytes = 0;
    if (p->to->encapsulated) {
        if (p->was.frames >= DCM_FRAGMENTS_MAX) return err_set(e, ERR_TOO_LARGE, "codec", "%u frames", p->was.frames);
        p->fragments = arena_zero(a, (size_t)p->was.frames + 1, sizeof *p->fragments, e);
        if (!p->fragments) return false;
    }
    bool ok = open_lanes(&c, e) && run(&c, e);
    close_lanes(&c);
    p->length = p->spool->n - p->offset;
    return ok;
}
