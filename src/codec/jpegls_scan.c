// The JPEG-LS decoder's inner loops (T.87 Annex A).
//
// A pixel depends on its left neighbour, so the time of one is the way from the left value to its own: gradient, context, prediction, error. Everything else (the
// gradients above, the length of the code, the context's next Golomb parameter) is kept off that way, and choices that the data makes are selects and no branches.
#include "codec/jpegls_scan.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

static const uint8_t J[32] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15};

// ---- parameters ----

static unsigned clamp_threshold(unsigned v, unsigned low, unsigned maxval) {
    return v > maxval || v < low ? low : v;
}

// T.87 C.2.4.1.1.1
static void set_defaults(struct jls_coding *c) {
    if (!c->maxval) c->maxval = (1u << c->precision) - 1;
    unsigned near = c->near, t1, t2, t3;
    if (c->maxval >= 128) {
        unsigned factor = ((c->maxval < 4095 ? c->maxval : 4095) + 128) / 256;
        t1 = factor + 2 + 3 * near;
        t2 = factor * 4 + 3 + 5 * near;
        t3 = factor * 17 + 4 + 7 * near;
    } else {
        unsigned factor = 256 / (c->maxval + 1);
        t1 = 3 / factor + 3 * near;
        t2 = 7 / factor + 5 * near;
        t3 = 21 / factor + 7 * near;
        t1 = t1 < 2 ? 2 : t1;
        t2 = t2 < 3 ? 3 : t2;
        t3 = t3 < 4 ? 4 : t3;
    }
    if (!c->t1) c->t1 = clamp_threshold(t1, near + 1, c->maxval);
    if (!c->t2) c->t2 = clamp_threshold(t2, c->t1, c->maxval);
    if (!c->t3) c->t3 = clamp_threshold(t3, c->t2, c->maxval);
    if (!c->reset) c->reset = 64;
}

static unsigned bits_for(unsigned count) {
    return count <= 1 ? 0 : 32 - (unsigned)__builtin_clz(count - 1);
}

static bool make_quantizer(struct jls_scan *s, struct arena *a, struct err *e) {
    const struct jls_coding *c = &s->coding;
    unsigned top = c->maxval;
    int8_t *table = arena_alloc(a, 2 * (size_t)top + 1, e);
    if (!table) return false;
    // |gradient| up to near: 0; below t1: 1; below t2: 2; below t3: 3; else 4
    unsigned begin[6] = {0, c->near + 1, c->t1, c->t2, c->t3, top + 1};
    for (int q = 0; q < 5; q++) {
        if (begin[q + 1] <= begin[q]) continue;
        size_t n = begin[q + 1] - begin[q];
        memset(table + top + begin[q], q, n);
        memset(table + top + 1 - begin[q + 1], -q, n);
    }
    s->quantized = table + top;
    return true;
}

bool jls_scan_init(struct jls_scan *s, struct arena *a, const struct jls_coding *coding, struct err *e) {
    s->coding = *coding;
    struct jls_coding *c = &s->coding;
    set_defaults(c);
    bool thresholds = c->near < c->t1 && c->t1 <= c->t2 && c->t2 <= c->t3 && c->t3 <= c->maxval;
    if (c->maxval < 1 || c->maxval >= 1u << c->precision || c->near > 255 || c->near > c->maxval / 2 || !thresholds || c->reset < 3 || c->reset > 65535)
        return err_set(e, ERR_UNDECODABLE, "jpeg-ls", "coding parameters MAXVAL %u, NEAR %u, T1 %u, T2 %u, T3 %u, RESET %u cannot be", c->maxval, c->near,
                       c->t1, c->t2, c->t3, c->reset);
    s->step = 2 * c->near + 1;
    s->range = (c->maxval + 2 * c->near) / s->step + 1;
    s->qbpp = bits_for(s->range);
    s->bpp = bits_for(c->maxval + 1);
    if (s->bpp < 2) s->bpp = 2;
    s->limit = 2 * (s->bpp + (s->bpp > 8 ? s->bpp : 8));
    s->mapped_max = 2 * (uint64_t)s->range + 2;
    return make_quantizer(s, a, e);
}

void jls_scan_begin(struct jls_scan *s, const uint8_t *p, size_t n) {
    unsigned first = (s->range + 32) / 64;
    if (first < 2) first = 2;
    unsigned k = 0;
    while (1u << k < first) k++;
    for (size_t i = 0; i < 365; i++) s->context[i] = (struct jls_context){.a = first, .n = 1, .k = (uint8_t)k};
    for (unsigned i = 0; i < 2; i++) s->run[i] = (struct jls_run_context){.a = first, .n = 1, .type = i};
    memset(s->run_index, 0, sizeof s->run_index);
    s->bits = (struct jls_bits){.p = p, .end = p + n};
    s->failed = false;
}

bool jls_scan_ok(const struct jls_scan *s) {
    return !s->failed && s->bits.overrun <= s->bits.have;
}

// ---- bits ----

static __attribute__((noinline)) struct jls_bits fill_by_bytes(struct jls_bits b) {
    while (b.have < 56) {
        unsigned width = b.after_ff ? 7 : 8;
        uint64_t byte = 0;
        if (b.p < b.end)
            byte = *b.p++;
        else
            b.overrun += width;
        b.after_ff = byte == 0xff;
        b.acc |= byte << (64 - width - b.have);
        b.have += width;
    }
    return b;
}

// At least 56 bits. A byte after FF has no highest bit to give: such eight are taken one by one.
INLINE struct jls_bits fill(struct jls_bits b) {
    if (__builtin_expect(b.after_ff || b.end - b.p < 8, 0)) return fill_by_bytes(b);
    uint64_t w;
    memcpy(&w, b.p, 8);
    uint64_t inverted = ~w;
    if (__builtin_expect(((inverted - 0x0101010101010101u) & w & 0x8080808080808080u) != 0, 0)) return fill_by_bytes(b);
    b.acc |= __builtin_bswap64(w) >> b.have;
    unsigned bytes = (63 - b.have) >> 3;
    b.p += bytes;
    b.have += bytes * 8;
    return b;
}

INLINE uint64_t take(struct jls_bits *b, unsigned n) {
    uint64_t v = b->acc >> 1 >> (63 - n);
    b->acc <<= n;
    b->have -= n;
    return v;
}

// A code of any length: zeros beyond what the accumulator holds, and the escape (A.5.3).
static __attribute__((noinline)) uint64_t golomb_long(struct jls_scan *s, unsigned k, unsigned limit) {
    struct jls_bits b = fill(s->bits);
    unsigned zeros = 0;
    while (!(b.acc >> 63)) {
        if (++zeros > limit || (b.overrun > b.have)) {
            s->failed = true;
            return 0;
        }
        take(&b, 1);
        if (b.have < 32) b = fill(b);
    }
    take(&b, 1);
    if (b.have < 32) b = fill(b);
    bool escaped = zeros >= limit - s->qbpp - 1;
    uint64_t v = escaped ? take(&b, s->qbpp) + 1 : (uint64_t)zeros << (k & 31) | take(&b, k < 32 ? k : 32);
    s->bits = b;
    return v;
}

// ---- regular mode (A.4 to A.6) ----

// Smallest k with n * 2^k >= a.
INLINE unsigned golomb_parameter(uint32_t a, uint32_t n) {
    int k = __builtin_clz(n) - __builtin_clz(a | 1);
    k = k < 0 ? 0 : k;
    return (unsigned)k + ((uint64_t)n << k < a);
}

INLINE void update(struct jls_context *x, int32_t error, int32_t step, unsigned reset, bool lossless) {
    uint32_t a = x->a + (uint32_t)(error < 0 ? -error : error);
    int32_t b = x->b + error * step, n = x->n, c = x->c;
    if (n == (int32_t)reset) {
        a >>= 1;
        b >>= 1;
        n >>= 1;
    }
    n++;
    int32_t low = b <= -n, high = b > 0, up = b + n, down = b - n;
    up = up < 1 - n ? 1 - n : up;
    down = down > 0 ? 0 : down;
    b = low ? up : b;
    b = high ? down : b;
    c += (high & (c < 127)) - (low & (c > -128));
    unsigned k = golomb_parameter(a, (uint32_t)n);
    x->a = a;
    x->b = b;
    x->n = (uint16_t)n;
    x->c = (int16_t)c;
    x->k = (uint8_t)k;
    x->flip = lossless ? (int8_t) - (k == 0 && 2 * b <= -n) : 0;
}

INLINE int32_t predict(int32_t a, int32_t b, int32_t c) {
    int32_t low = a < b ? a : b, high = a < b ? b : a, p = a + b - c;
    p = p < low ? low : p;
    return p > high ? high : p;
}

// A code of at most limit bits with k low ones.
INLINE uint64_t golomb(struct jls_scan *s, struct jls_bits *b, unsigned k, unsigned limit) {
    if (b->have < 32) *b = fill(*b);
    unsigned zeros = (unsigned)__builtin_clzll(b->acc | 1), length = zeros + 1 + k;
    uint64_t v;
    if (__builtin_expect(length <= b->have && zeros < limit - s->qbpp - 1, 1)) {
        v = (uint64_t)zeros << k | b->acc << zeros << 1 >> 1 >> (63 - k);
        b->acc = b->acc << zeros << 1 << k;
        b->have -= length;
    } else {
        s->bits = *b;
        v = golomb_long(s, k, limit);
        *b = s->bits;
    }
    if (__builtin_expect(v > s->mapped_max, 0)) {
        s->failed = true;
        v = 0;
    }
    return v;
}

// The error that the bits hold for a context, not yet signed.
INLINE int32_t read_error(struct jls_scan *s, struct jls_bits *b, const struct jls_context *x) {
    int32_t m = (int32_t)golomb(s, b, x->k, s->limit);
    return ((m >> 1) ^ -(m & 1)) ^ x->flip;
}

INLINE int32_t reconstruct(const struct jls_scan *s, int32_t p, int32_t error, bool exact) {
    int32_t maxval = (int32_t)s->coding.maxval;
    if (exact) return (p + error) & maxval;
    int32_t near = (int32_t)s->coding.near, span = (int32_t)(s->range * s->step), v = p + error * (int32_t)s->step;
    if (v < -near) // seldom: a branch is foretold, a select would be waited for
        v += span;
    else if (v > maxval + near)
        v -= span;
    return v < 0 ? 0 : v > maxval ? maxval : v;
}

INLINE int32_t regular(struct jls_scan *s, struct jls_bits *bits, int32_t q, int32_t a, int32_t b, int32_t c, bool exact) {
    int32_t sign = -(q < 0), maxval = (int32_t)s->coding.maxval;
    struct jls_context *x = &s->context[(q ^ sign) - sign];
    int32_t p = predict(a, b, c) + ((x->c ^ sign) - sign);
    p = p < 0 ? 0 : p;
    p = p > maxval ? maxval : p;
    int32_t error = read_error(s, bits, x);
    update(x, error, exact ? 1 : (int32_t)s->step, s->coding.reset, exact || s->coding.near == 0);
    return reconstruct(s, p, (error ^ sign) - sign, exact);
}

// ---- run mode (A.7) ----

// Pixels of the run, at most left.
static uint32_t run_length(struct jls_scan *s, uint32_t left, unsigned *index) {
    struct jls_bits b = s->bits;
    uint32_t n = 0;
    for (;;) {
        if (b.have < 32) b = fill(b);
        if (b.overrun > b.have) break;
        uint32_t block = 1u << J[*index];
        if (!take(&b, 1)) {
            n += (uint32_t)take(&b, J[*index]);
            break;
        }
        if (block > left - n) block = left - n;
        n += block;
        if (block == 1u << J[*index] && *index < 31) ++*index;
        if (n == left) break;
    }
    s->bits = b;
    if (n > left) s->failed = true;
    return n > left ? left : n;
}

// The error of the sample that ends a run (A.7.2).
static int32_t run_error(struct jls_scan *s, struct jls_run_context *x, unsigned index) {
    uint32_t target = x->a + (x->type ? x->n >> 1 : 0);
    unsigned k = golomb_parameter(target, x->n);
    struct jls_bits b = s->bits;
    unsigned mapped = (unsigned)golomb(s, &b, k, s->limit - J[index] - 1), t = mapped + x->type, odd = t & 1;
    s->bits = b;
    int32_t magnitude = (int32_t)((t + odd) / 2);
    int32_t error = (k != 0 || 2 * x->nn >= x->n) == odd ? -magnitude : magnitude;
    x->nn += error < 0;
    x->a += (mapped + 1 - x->type) >> 1;
    if (x->n == s->coding.reset) {
        x->a >>= 1;
        x->n >>= 1;
        x->nn >>= 1;
    }
    x->n++;
    return error;
}

static int32_t run_end(struct jls_scan *s, int32_t a, int32_t b, unsigned index, bool by_pixel) {
    int32_t gap = a < b ? b - a : a - b;
    if (!by_pixel && gap <= (int32_t)s->coding.near) return reconstruct(s, a, run_error(s, &s->run[1], index), false);
    int32_t error = run_error(s, &s->run[0], index);
    return reconstruct(s, b, b < a ? -error : error, false);
}

// A run of one component from x; its end, and the sample behind it if the line has one. Returns where the line goes on.
static __attribute__((noinline)) uint32_t run_mode(struct jls_scan *s, const uint16_t *previous, uint16_t *current, uint32_t x, unsigned *index) {
    uint32_t left = s->coding.width - x, n = run_length(s, left, index);
    uint16_t a = current[(int64_t)x - 1];
    for (uint32_t i = 0; i < n; i++) current[x + i] = a;
    if (n == left) return x + n;
    current[x + n] = (uint16_t)run_end(s, a, previous[x + n], *index, false);
    if (*index) --*index;
    return x + n + 1;
}

// ---- lines ----

INLINE void line(struct jls_scan *s, uint16_t *previous, uint16_t *current, unsigned *index, bool exact) {
    const int8_t *Q = s->quantized;
    uint32_t width = s->coding.width, x = 0;
    previous[width] = previous[width - 1];
    current[-1] = previous[0];
    struct jls_bits bits = s->bits;
    int32_t a = current[-1], b = previous[0], c = previous[-1];
    while (x < width) {
        int32_t d = previous[x + 1], q = 81 * Q[d - b] + 9 * Q[b - c] + Q[c - a];
        if (q) {
            a = regular(s, &bits, q, a, b, c, exact);
            current[x++] = (uint16_t)a;
            c = b;
            b = d;
            continue;
        }
        s->bits = bits;
        x = run_mode(s, previous, current, x, index);
        bits = s->bits;
        a = current[(int64_t)x - 1];
        c = previous[(int64_t)x - 1];
        b = previous[x < width ? x : width];
    }
    s->bits = bits;
}

// Lossless over all values of the bits, which nearly everything is: no wrapping and clamping but a mask.
static bool is_exact(const struct jls_scan *s) {
    return s->coding.near == 0 && (s->coding.maxval & (s->coding.maxval + 1)) == 0;
}

void jls_scan_line(struct jls_scan *s, uint16_t *previous, uint16_t *current, unsigned component) {
    if (is_exact(s))
        line(s, previous, current, &s->run_index[component], true);
    else
        line(s, previous, current, &s->run_index[component], false);
}

static uint32_t run_mode3(struct jls_scan *s, const uint16_t *previous, uint16_t *current, uint32_t x, unsigned *index) {
    uint32_t left = s->coding.width - x, n = run_length(s, left, index);
    for (int64_t i = (int64_t)x * 3; i < ((int64_t)x + n) * 3; i++) current[i] = current[i - 3];
    if (n == left) return x + n;
    for (int64_t i = ((int64_t)x + n) * 3, end = i + 3; i < end; i++) current[i] = (uint16_t)run_end(s, current[i - 3], previous[i], *index, true);
    if (*index) --*index;
    return x + n + 1;
}

INLINE void line3(struct jls_scan *s, uint16_t *previous, uint16_t *current, bool exact) {
    const int8_t *Q = s->quantized;
    uint32_t width = s->coding.width, x = 0;
    for (int64_t i = 0; i < 3; i++) {
        previous[(int64_t)width * 3 + i] = previous[(int64_t)width * 3 - 3 + i];
        current[i - 3] = previous[i];
    }
    struct jls_bits bits = s->bits;
    while (x < width) {
        int32_t q[3], any = 0;
        const uint16_t *above = previous + (size_t)x * 3;
        uint16_t *at = current + (size_t)x * 3;
        for (int i = 0; i < 3; i++) {
            q[i] = 81 * Q[above[i + 3] - above[i]] + 9 * Q[above[i] - above[i - 3]] + Q[above[i - 3] - at[i - 3]];
            any |= q[i];
        }
        if (any) {
            for (int i = 0; i < 3; i++) at[i] = (uint16_t)regular(s, &bits, q[i], at[i - 3], above[i], above[i - 3], exact);
            x++;
            continue;
        }
        s->bits = bits;
        x = run_mode3(s, previous, current, x, &s->run_index[0]);
        bits = s->bits;
    }
    s->bits = bits;
}

void jls_scan_line3(struct jls_scan *s, uint16_t *previous, uint16_t *current) {
    if (is_exact(s))
        line3(s, previous, current, true);
    else
        line3(s, previous, current, false);
}
