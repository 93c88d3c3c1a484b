// Grouping fragments into frames: by their number, by the offset tables, by the first bytes of codestreams.
#include "codec/frames_find.h"

#include "base/limits.h"

static uint32_t u32(const uint8_t *p) {
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static uint64_t word(const uint8_t *p, unsigned bytes) {
    return bytes == 4 ? u32(p) : (uint64_t)u32(p + 4) << 32 | u32(p);
}

// PS3.5 G.5: the number of segments, then 15 offsets of which the first is 64, the others grow, and those without a segment are 0.
static bool is_rle_header(const uint8_t *p, size_t n) {
    if (n < FRAMES_HEAD_BYTES || u32(p) < 1 || u32(p) > 15 || u32(p + 4) != FRAMES_HEAD_BYTES) return false;
    for (unsigned i = 2; i <= 15; i++) {
        uint32_t before = u32(p + 4 * (i - 1)), offset = u32(p + 4 * i);
        if (i <= u32(p) ? offset <= before : offset != 0) return false;
    }
    return true;
}

enum frames_start frames_start_of(const uint8_t *p, size_t n) {
    static const struct {
        const char *bytes;
        uint8_t n;
        enum frames_start start;
    } KNOWN[] = {
        {"\xFF\xD8\xFF", 3, FRAMES_START_JPEG}, // JPEG-LS too
        {"\xFF\x4F\xFF\x51", 4, FRAMES_START_J2K}, {"\0\0\0\x0C\x6A\x50\x20\x20", 8, FRAMES_START_JP2},
        {"\xFF\x0A", 2, FRAMES_START_JXL},         {"\0\0\0\x0CJXL ", 8, FRAMES_START_JXL},
    };
    for (size_t i = 0; i < sizeof KNOWN / sizeof KNOWN[0]; i++)
        if (n >= KNOWN[i].n && memcmp(p, KNOWN[i].bytes, KNOWN[i].n) == 0) return KNOWN[i].start;
    return is_rle_header(p, n) ? FRAMES_START_RLE : FRAMES_START_NONE;
}

bool frames_declared(const struct dcm_dataset *header, uint64_t *out, struct err *e) {
    const struct dcm_element *el = dcm_find(header, DCM_NumberOfFrames);
    int64_t n = 1;
    if (el && el->length && (!dcm_i64(header, DCM_NumberOfFrames, 0, &n) || n < 1 || n > INT32_MAX))
        return err_set(e, ERR_UNDECODABLE, "codec", "Number of Frames is no number from 1 to %d", INT32_MAX);
    *out = (uint64_t)n;
    return true;
}

// ---- the table ----

struct table {
    uint32_t *first;
    struct codec_run *runs;
};

static bool table_new(struct arena *a, const struct frames_find *f, uint32_t frames, struct table *t, struct err *e) {
    t->first = arena_alloc(a, ((size_t)frames + 1) * sizeof *t->first, e);
    t->runs = t->first ? arena_alloc(a, (size_t)f->count * sizeof *t->runs, e) : NULL;
    if (!t->runs) return false;
    for (uint32_t i = 0; i < f->count; i++) t->runs[i] = (struct codec_run){f->pieces[i].offset, f->pieces[i].length};
    t->first[0] = 0;
    t->first[frames] = f->count;
    return true;
}

static bool all_in_one(struct arena *a, const struct frames_find *f, struct codec_frames *out, struct err *e) {
    struct table t;
    if (!table_new(a, f, 1, &t, e)) return false;
    *out = (struct codec_frames){1, t.first, t.runs};
    return true;
}

// The extended table's lengths do without the byte that makes a fragment's length even (PS3.3 C.7.6.3.1.8).
static void trim(const struct frames_find *f, struct codec_run *runs) {
    if (f->extended_lengths.n / 8 != f->count) return;
    for (uint32_t i = 0; i < f->count; i++) {
        uint64_t n = word((const uint8_t *)f->extended_lengths.p + 8 * (size_t)i, 8);
        if (n + 1 == runs[i].length) runs[i].length = n;
    }
}

static bool one_each(struct arena *a, const struct frames_find *f, struct codec_frames *out, struct err *e) {
    struct table t;
    if (!table_new(a, f, f->count, &t, e)) return false;
    for (uint32_t i = 0; i < f->count; i++) t.first[i] = i;
    trim(f, t.runs);
    *out = (struct codec_frames){f->count, t.first, t.runs};
    return true;
}

// An offset table is right when it has an entry per frame, and these are the item tags of fragments, the first one and then later ones (PS3.5 A.4).
static bool by_offsets(const struct frames_find *f, struct str table, unsigned width, uint32_t *first) {
    const uint8_t *p = (const uint8_t *)table.p;
    if (table.n / width != f->frames || table.n % width) return false;
    uint64_t base = f->pieces[0].offset;
    uint32_t at = 0;
    for (uint32_t i = 0; i < f->frames; i++) {
        uint64_t offset = word(p + (size_t)i * width, width);
        while (at < f->count && f->pieces[at].offset - base < offset) at++;
        if (at == f->count || f->pieces[at].offset - base != offset || (i ? at <= first[i - 1] : at != 0)) return false;
        first[i] = at;
    }
    return true;
}

static bool by_tables(struct arena *a, const struct frames_find *f, struct codec_frames *out, bool *found, struct err *e) {
    struct table t;
    *found = false;
    if (f->frames > f->count || (f->basic.n / 4 != f->frames && f->extended.n / 8 != f->frames)) return true;
    if (!table_new(a, f, (uint32_t)f->frames, &t, e)) return false;
    *found = by_offsets(f, f->extended, 8, t.first) || by_offsets(f, f->basic, 4, t.first);
    *out = (struct codec_frames){(uint32_t)f->frames, t.first, t.runs};
    return true;
}

static bool read_starts(const struct frames_find *f, struct err *e) {
    uint8_t head[FRAMES_HEAD_BYTES];
    for (uint32_t i = 0; f->source && i < f->count; i++) {
        size_t n = f->pieces[i].length < sizeof head ? f->pieces[i].length : sizeof head;
        if (n && !f->source->read_at(f->source->ctx, f->pieces[i].offset, head, n, e)) return err_wrap(e, "reading fragment %u", i + 1);
        f->pieces[i].start = frames_start_of(head, n);
    }
    return true;
}

static bool by_starts(struct arena *a, const struct frames_find *f, struct codec_frames *out, struct err *e) {
    struct table t;
    uint32_t starts = 0, kind = f->pieces[0].start;
    for (uint32_t i = 0; i < f->count; i++) starts += kind != FRAMES_START_NONE && f->pieces[i].start == kind;
    if (starts == 0 || starts > f->frames)
        return err_set(e, ERR_UNDECODABLE, "codec",
                       "%llu frames are declared, in %u fragments of which %u begin a codestream, and no offset table tells which are whose",
                       (unsigned long long)f->frames, f->count, starts);
    if (!table_new(a, f, starts, &t, e)) return false;
    uint32_t at = 0;
    for (uint32_t i = 0; i < f->count; i++)
        if (f->pieces[i].start == kind) t.first[at++] = i;
    *out = (struct codec_frames){starts, t.first, t.runs};
    return true;
}

bool frames_find(struct arena *a, const struct frames_find *f, struct codec_frames *out, struct err *e) {
    bool found;
    if (f->count == 0) return err_set(e, ERR_UNDECODABLE, "codec", "the pixel data has no fragments");
    if (f->frames == f->count && !f->video) return one_each(a, f, out, e);
    if (f->video || f->frames == 1) return all_in_one(a, f, out, e);
    if (!by_tables(a, f, out, &found, e)) return false;
    return found || (read_starts(f, e) && by_starts(a, f, out, e));
}
