// Frame tables as the index keeps them: numbers of seven bits a byte, a few bytes per frame.
//
// Layout: 1; frames; runs; per frame its number of runs (left out when there is one each); per run its length and the gap since the end of the run before.
#include "base/limits.h"
#include "codec/frames.h"

enum { VERSION = 1, NUMBER_BYTES_MAX = 10 };

static void put(struct buf *to, uint64_t v) {
    uint8_t bytes[NUMBER_BYTES_MAX];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7) bytes[n++] = (uint8_t)(v | 0x80);
    bytes[n++] = (uint8_t)v;
    buf_add(to, bytes, n);
}

static bool get(struct str *from, uint64_t *out) {
    uint64_t v = 0;
    for (size_t i = 0; i < from->n && i < NUMBER_BYTES_MAX; i++) {
        uint8_t byte = (uint8_t)from->p[i];
        if (i == NUMBER_BYTES_MAX - 1 && byte > 1) return false;
        v |= (uint64_t)(byte & 0x7F) << (7 * i);
        if (byte & 0x80) continue;
        *from = str_sub(*from, i + 1, from->n);
        *out = v;
        return true;
    }
    return false;
}

bool codec_frames_pack(const struct codec_frames *f, struct buf *to, struct err *e) {
    uint32_t runs = f->first[f->count];
    uint64_t end = 0;
    put(to, VERSION);
    put(to, f->count);
    put(to, runs);
    for (uint32_t i = 0; runs != f->count && i < f->count; i++) put(to, f->first[i + 1] - f->first[i]);
    for (uint32_t i = 0; i < runs; i++) {
        if (f->runs[i].offset < end) return err_set(e, ERR_INTERNAL, "codec", "the runs of a frame table are not in order");
        put(to, f->runs[i].length);
        put(to, f->runs[i].offset - end);
        end = f->runs[i].offset + f->runs[i].length;
    }
    return buf_ok(to, e);
}

static bool get_first(struct str *from, uint32_t count, uint32_t runs, uint32_t *first) {
    uint64_t at = 0, n = 1;
    for (uint32_t i = 0; i < count; i++) {
        first[i] = (uint32_t)at;
        if (runs != count && (!get(from, &n) || n > runs)) return false;
        at += n;
        if (at > runs) return false;
    }
    first[count] = (uint32_t)at;
    return at == runs;
}

static bool get_runs(struct str *from, uint32_t n, struct codec_run *runs) {
    uint64_t end = 0, gap;
    for (uint32_t i = 0; i < n; i++) {
        if (!get(from, &runs[i].length) || !get(from, &gap) || __builtin_add_overflow(end, gap, &runs[i].offset)) return false;
        if (__builtin_add_overflow(runs[i].offset, runs[i].length, &end)) return false;
    }
    return from->n == 0;
}

bool codec_frames_unpack(struct arena *a, struct str packed, struct codec_frames *out, struct err *e) {
    uint64_t version, count, runs;
    if (!get(&packed, &version) || version != VERSION || !get(&packed, &count) || !get(&packed, &runs) || count > runs || runs > DCM_FRAGMENTS_MAX ||
        runs > packed.n / 2)
        return err_set(e, ERR_CORRUPT, "codec", "the kept frame table is damaged");
    uint32_t *first = arena_alloc(a, ((size_t)count + 1) * sizeof *first, e);
    struct codec_run *list = first ? arena_alloc(a, (size_t)runs * sizeof *list, e) : NULL;
    if (!list) return false;
    *out = (struct codec_frames){(uint32_t)count, first, list};
    return (get_first(&packed, (uint32_t)count, (uint32_t)runs, first) && get_runs(&packed, (uint32_t)runs, list)) ||
           err_set(e, ERR_CORRUPT, "codec", "the kept frame table is damaged");
}
