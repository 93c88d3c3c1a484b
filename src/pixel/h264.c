// Reading H.264 streams as far as laying them into a file needs: where pictures begin, which are key pictures, in which order they are shown.
#include "pixel/video.h"

enum { NALS_MAX = 1 << 22, PACKET_BYTES = 188 };
enum { NAL_SLICE = 1, NAL_IDR = 5, NAL_SPS = 7, NAL_PPS = 8, NAL_DELIMITER = 9, NAL_END = 10, NAL_STREAM_END = 11, NAL_FILLER = 12 };

// ---- bits of a NAL unit, emulation prevention bytes left out (7.3.1) ----

struct bits {
    struct str s;
    size_t byte;
    unsigned bit, zeros;
};

static unsigned take_bit(struct bits *b) {
    if (b->byte >= b->s.n) return 0;
    unsigned v = (unsigned)(b->s.p[b->byte] >> (7 - b->bit)) & 1;
    if (++b->bit < 8) return v;
    b->zeros = b->s.p[b->byte] ? 0 : b->zeros + 1;
    b->bit = 0;
    b->byte++;
    if (b->zeros >= 2 && b->byte < b->s.n && b->s.p[b->byte] == 3) {
        b->byte++;
        b->zeros = 0;
    }
    return v;
}

static uint32_t take_bits(struct bits *b, unsigned n) {
    uint32_t v = 0;
    while (n-- > 0) v = v << 1 | take_bit(b);
    return v;
}

// ue(v), 9.1.
static uint32_t take_ue(struct bits *b) {
    unsigned zeros = 0;
    while (zeros < 32 && b->byte < b->s.n && !take_bit(b)) zeros++;
    return zeros >= 32 ? UINT32_MAX : (1u << zeros) - 1 + take_bits(b, zeros);
}

// ---- sequence parameter set (7.3.2.1.1) ----

struct sequence {
    bool known, frames_only, separate_planes;
    unsigned frame_num_bits, order_type, order_bits;
};

static void skip_scaling_list(struct bits *b, unsigned size) {
    int last = 8, next = 8;
    for (unsigned i = 0; i < size; i++) {
        if (next) {
            uint32_t k = take_ue(b);
            int delta = (int)(k % 2 ? k / 2 + 1 : 0) - (int)(k % 2 ? 0 : k / 2);
            next = (last + delta) & 255;
        }
        last = next ? next : last;
    }
}

static void skip_high_profile(struct bits *b, struct sequence *q) {
    uint32_t chroma = take_ue(b);
    if (chroma == 3) q->separate_planes = take_bit(b);
    take_ue(b); // bit depths
    take_ue(b);
    take_bit(b);
    if (!take_bit(b)) return;
    for (unsigned i = 0; i < (chroma == 3 ? 12u : 8u); i++)
        if (take_bit(b)) skip_scaling_list(b, i < 6 ? 16 : 64);
}

static void read_sequence(struct str nal, struct sequence *q) {
    static const uint8_t high[] = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135};
    struct bits b = {.s = str_sub(nal, 1, nal.n)};
    uint32_t profile = take_bits(&b, 8);
    *q = (struct sequence){.known = true};
    take_bits(&b, 16);
    take_ue(&b);
    for (size_t i = 0; i < sizeof high; i++)
        if (profile == high[i]) skip_high_profile(&b, q);
    q->frame_num_bits = take_ue(&b) % 13 + 4;
    q->order_type = take_ue(&b) & 3;
    if (q->order_type == 0) q->order_bits = take_ue(&b) % 13 + 4;
    if (q->order_type != 0) return;
    take_ue(&b);
    take_bit(&b);
    take_ue(&b);
    take_ue(&b);
    q->frames_only = take_bit(&b);
}

// ---- slices ----

struct slice {
    bool idr, field, bottom;
    uint32_t first_block, frame_num, order_low;
};

static struct slice read_slice(struct str nal, const struct sequence *q) {
    struct bits b = {.s = str_sub(nal, 1, nal.n < 64 ? nal.n : 64)};
    struct slice s = {.idr = (nal.p[0] & 31) == NAL_IDR, .first_block = take_ue(&b)};
    take_ue(&b);
    take_ue(&b);
    if (q->separate_planes) take_bits(&b, 2);
    s.frame_num = take_bits(&b, q->frame_num_bits);
    if (q->order_type != 0) return s;
    if (!q->frames_only) s.field = take_bit(&b);
    if (s.field) s.bottom = take_bit(&b);
    if (s.idr) take_ue(&b);
    s.order_low = take_bits(&b, q->order_bits);
    return s;
}

struct reading {
    struct px_h264 *out;
    struct str *nal;
    struct sequence sequence;
    struct slice last;
    bool open; // the last sample has slices and takes more
    int64_t order_high, order_before;
    uint32_t group;
};

// Order of output (8.2.1.1): the high part is counted from the wraps of the low one.
static int64_t order_of(struct reading *r, const struct slice *s) {
    int64_t period = 1ll << r->sequence.order_bits, low = s->order_low;
    if (r->sequence.order_type != 0) return r->out->sample_count;
    if (s->idr) {
        r->order_high = r->order_before = 0;
        r->group++;
    }
    int64_t before = r->order_before & (period - 1);
    if (low < before && before - low >= period / 2)
        r->order_high += period;
    else if (low > before && low - before > period / 2)
        r->order_high -= period;
    r->order_before = r->order_high + low;
    return r->order_before;
}

static bool second_field(const struct reading *r, const struct slice *s) {
    return r->out->sample_count && s->field && r->last.field && s->bottom != r->last.bottom && s->frame_num == r->last.frame_num && !s->idr;
}

static void take_slice(struct reading *r, struct str nal) {
    struct px_h264 *o = r->out;
    struct slice s = read_slice(nal, &r->sequence);
    bool goes_on = r->open && s.first_block != 0;
    if (!goes_on && !second_field(r, &s)) {
        int64_t order = order_of(r, &s);
        o->samples[o->sample_count++] = (struct px_sample){.first = o->nal_count, .key = s.idr, .order = order, .group = r->group};
        r->last = s;
    } else if (!goes_on) {
        r->last.field = false; // both are there
    }
    r->open = true;
    r->nal[o->nal_count++] = nal;
    struct px_sample *sample = &o->samples[o->sample_count - 1];
    sample->count = o->nal_count - sample->first;
}

static void take_nal(struct reading *r, struct str nal) {
    struct px_h264 *o = r->out;
    unsigned kind = nal.p[0] & 31u;
    if (kind == NAL_SPS && nal.n >= 4) {
        if (!o->sps.n) o->sps = nal;
        read_sequence(nal, &r->sequence);
    } else if (kind == NAL_PPS && o->pps_count < 32) {
        bool known = false;
        for (unsigned i = 0; i < o->pps_count; i++) known |= str_eq(o->pps[i], nal);
        if (!known) o->pps[o->pps_count++] = nal;
    } else if ((kind == NAL_SLICE || kind == NAL_IDR) && r->sequence.known) {
        take_slice(r, nal);
        return;
    } else if (kind >= 2 && kind <= 4 && r->open) { // data partitions
        r->nal[o->nal_count++] = nal;
        o->samples[o->sample_count - 1].count++;
        return;
    }
    if (kind >= 6 && kind <= NAL_FILLER) r->open = false;
}

// The next unit from *at on, without its start code and the zeros behind it.
static bool next_nal(struct str s, size_t *at, struct str *out) {
    const char *mark = *at < s.n ? memmem(s.p + *at, s.n - *at, "\0\0\1", 3) : NULL;
    if (!mark) return false;
    const char *begin = mark + 3, *end = memmem(begin, (size_t)(s.p + s.n - begin), "\0\0\1", 3);
    size_t n = (size_t)((end ? end : s.p + s.n) - begin);
    *at = (size_t)(begin - s.p) + n;
    while (n > 0 && begin[n - 1] == 0) n--;
    *out = (struct str){begin, n};
    return true;
}

bool px_h264_parse(struct arena *a, struct str stream, struct px_h264 *out, struct err *e) {
    struct str nal;
    uint32_t count = 0;
    *out = (struct px_h264){0};
    for (size_t at = 0; next_nal(stream, &at, &nal);)
        if (++count > NALS_MAX) return err_set(e, ERR_TOO_LARGE, "pixel", "the video has more than %d units", NALS_MAX);
    struct reading r = {.out = out, .nal = arena_alloc(a, count * sizeof *r.nal, e)};
    out->samples = r.nal ? arena_alloc(a, count * sizeof *out->samples, e) : NULL;
    if (!out->samples) return false;
    for (size_t at = 0; next_nal(stream, &at, &nal);)
        if (nal.n) take_nal(&r, nal);
    out->nal = r.nal;
    if (out->sample_count && out->sps.n && out->pps_count && out->sps.n <= 65535) return true;
    return err_set(e, ERR_UNDECODABLE, "pixel", "the pixel data is no H.264 stream that can be shown: it has %u pictures%s", out->sample_count,
                   out->sps.n && out->pps_count ? "" : " and no parameter sets");
}

// ---- transport streams ----

// The payload of a packet, or n 0.
static struct str payload_of(struct str packet) {
    const uint8_t *p = (const uint8_t *)packet.p;
    size_t at = 4;
    if (p[0] != 0x47 || !(p[3] & 0x10)) return (struct str){NULL, 0};
    if (p[3] & 0x20) at += 1 + (size_t)p[4];
    return at < PACKET_BYTES ? str_sub(packet, at, PACKET_BYTES - at) : (struct str){NULL, 0};
}

bool px_ts_h264(struct arena *a, struct str ts, struct str *out, struct err *e) {
    char *to = arena_alloc(a, ts.n, e);
    size_t n = 0;
    int pid = -1;
    if (!to) return false;
    for (size_t at = 0; at + PACKET_BYTES <= ts.n; at += PACKET_BYTES) {
        struct str packet = str_sub(ts, at, PACKET_BYTES), body = payload_of(packet);
        const uint8_t *p = (const uint8_t *)packet.p, *b = (const uint8_t *)body.p;
        int this_pid = (p[1] & 31) << 8 | p[2];
        if (!body.n) continue;
        bool begins = p[1] & 0x40 && body.n >= 9 && b[0] == 0 && b[1] == 0 && b[2] == 1 && (b[3] & 0xF0) == 0xE0; // a PES of video
        if (begins && pid < 0) pid = this_pid;
        if (this_pid != pid) continue;
        if (begins) body = str_sub(body, 9 + (size_t)b[8], body.n);
        memcpy(to + n, body.p, body.n);
        n += body.n;
    }
    *out = (struct str){to, n};
    return pid >= 0 || err_set(e, ERR_UNDECODABLE, "pixel", "there is no video in the transport stream");
}
