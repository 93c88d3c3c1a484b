// Radix sort of doubles by their bits; order and midranks from it.
#include "math/rank.h"

#include <math.h>
#include <string.h>

enum {
    INSERTION_MAX = 40,
    SMALL_MAX = 8192, // digits of 8 bits below: their counts fit the work
    DIGIT_MAX = 11,
    PASSES_MAX = 8
};

// Unsigned keys in the order of the doubles: all bits of negative numbers are turned over, of others the sign. Adding 0 makes -0 a 0.
static uint64_t key_of(double x) {
    uint64_t u;
    x += 0.0;
    memcpy(&u, &x, sizeof u);
    return u ^ (-(u >> 63) | 1ull << 63);
}

static double value_of(uint64_t key) {
    uint64_t u = key ^ (((key >> 63) - 1) | 1ull << 63);
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

// Keys with what goes along with them (NULL: nothing), and as much room again.
struct sort {
    uint64_t *key, *other_key;
    uint32_t *tag, *other_tag;
    size_t n;
    unsigned bits, passes;
    size_t (*count)[1 << DIGIT_MAX]; // of each digit, by pass
};

static void insertion(struct sort *s) {
    for (size_t i = 1; i < s->n; i++) {
        uint64_t key = s->key[i];
        uint32_t tag = s->tag ? s->tag[i] : 0;
        size_t j = i;
        for (; j > 0 && s->key[j - 1] > key; j--) {
            s->key[j] = s->key[j - 1];
            if (s->tag) s->tag[j] = s->tag[j - 1];
        }
        s->key[j] = key;
        if (s->tag) s->tag[j] = tag;
    }
}

static void count_digits(const struct sort *s) {
    uint64_t mask = (1u << s->bits) - 1;
    memset(s->count, 0, s->passes * sizeof *s->count);
    for (size_t i = 0; i < s->n; i++) {
        uint64_t key = s->key[i];
        for (unsigned p = 0; p < s->passes; p++) s->count[p][key >> p * s->bits & mask]++;
    }
}

// Moves everything to the other half of the room by one digit; nothing when all have the same one.
static void pass(struct sort *s, unsigned p) {
    unsigned shift = p * s->bits;
    uint64_t mask = (1u << s->bits) - 1;
    size_t *at = s->count[p], sum = 0;
    if (at[s->key[0] >> shift & mask] == s->n) return;
    for (size_t d = 0; d <= mask; d++) {
        size_t n = at[d];
        at[d] = sum;
        sum += n;
    }
    for (size_t i = 0; i < s->n; i++) {
        size_t to = at[s->key[i] >> shift & mask]++;
        s->other_key[to] = s->key[i];
        if (s->tag) s->other_tag[to] = s->tag[i];
    }
    uint64_t *key = s->key;
    s->key = s->other_key;
    s->other_key = key;
    uint32_t *tag = s->tag;
    s->tag = s->other_tag;
    s->other_tag = tag;
}

static bool in_order(const struct sort *s) {
    for (size_t i = 1; i < s->n; i++)
        if (s->key[i - 1] > s->key[i]) return false;
    return true;
}

// Stable.
static bool run(struct arena *a, struct sort *s, struct err *e) {
    if (in_order(s)) return true;
    if (s->n <= INSERTION_MAX) {
        insertion(s);
        return true;
    }
    s->bits = s->n <= SMALL_MAX ? 8 : DIGIT_MAX;
    s->passes = (64 + s->bits - 1) / s->bits;
    s->count = arena_alloc(a, PASSES_MAX * sizeof *s->count, e);
    if (!s->count || !(s->other_key = arena_alloc(a, s->n * sizeof *s->key, e))) return false;
    if (s->tag && !(s->other_tag = arena_alloc(a, s->n * sizeof *s->tag, e))) return false;
    count_digits(s);
    for (unsigned p = 0; p < s->passes; p++) pass(s, p);
    return true;
}

static bool keys_of(struct arena *a, const double *x, size_t n, struct sort *s, struct err *e) {
    if (n > SIZE_MAX / 64) return err_set(e, ERR_TOO_LARGE, "math", "%zu numbers are too many to sort", n);
    *s = (struct sort){.n = n, .key = arena_alloc(a, n * sizeof *s->key, e)};
    if (!s->key) return false;
    for (size_t i = 0; i < n; i++) {
        if (isnan(x[i])) return err_set(e, ERR_BAD_INPUT, "math", "value %zu is no number and has no rank", i + 1);
        s->key[i] = key_of(x[i]);
    }
    return true;
}

bool rank_sort(struct arena *a, double *x, size_t n, struct err *e) {
    struct arena_mark mark = arena_mark(a);
    struct sort s;
    bool ok = keys_of(a, x, n, &s, e) && run(a, &s, e);
    for (size_t i = 0; ok && i < n; i++) x[i] = value_of(s.key[i]);
    arena_rewind(a, mark);
    return ok;
}

// The sorted keys beside the order; tags lie in the arena, at the caller's place when the number of passes made it so.
static bool sort_tagged(struct arena *a, const double *x, size_t n, struct sort *s, struct err *e) {
    if (n > UINT32_MAX) return err_set(e, ERR_TOO_LARGE, "math", "%zu numbers are too many to order", n);
    if (!keys_of(a, x, n, s, e) || !(s->tag = arena_alloc(a, n * sizeof *s->tag, e))) return false;
    for (size_t i = 0; i < n; i++) s->tag[i] = (uint32_t)i;
    return run(a, s, e);
}

bool rank_order(struct arena *a, const double *x, size_t n, uint32_t **order, struct err *e) {
    uint32_t *out = arena_alloc(a, n * sizeof *out, e); // first, so that the rest can be given back
    if (!out) return false;
    struct arena_mark mark = arena_mark(a);
    struct sort s;
    bool ok = sort_tagged(a, x, n, &s, e);
    if (ok && n) memcpy(out, s.tag, n * sizeof *out);
    arena_rewind(a, mark);
    *order = out;
    return ok;
}

bool rank_mid(struct arena *a, const double *x, size_t n, double *rank, struct err *e) {
    struct arena_mark mark = arena_mark(a);
    struct sort s;
    bool ok = sort_tagged(a, x, n, &s, e);
    for (size_t i = 0, end; ok && i < n; i = end) {
        for (end = i + 1; end < n && s.key[end] == s.key[i];) end++;
        double mid = ((double)(i + 1) + (double)end) / 2;
        for (size_t k = i; k < end; k++) rank[s.tag[k]] = mid;
    }
    arena_rewind(a, mark);
    return ok;
}
