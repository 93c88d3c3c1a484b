// Radix sort of doubles by their bits; order and midranks from it.
//
// The upper half of a double's bits tells nearly all of the order: items of that half and an index (8 bytes) are sorted by it, and only the few runs that agree in it are looked at once more.
#include "math/rank.h"

#include <math.h>
#include <string.h>

enum {
    INSERTION_MAX = 40,
    SMALL_MAX = 8192, // digits of 8 bits below: their counts fit the work
    DIGIT_MAX = 11,
    PASSES_MAX = 4
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

struct sort {
    const double *x; // items are the upper half of a key and an index into it; NULL: items are whole keys
    uint64_t *item, *other;
    size_t n;
    size_t (*count)[1 << DIGIT_MAX]; // of each digit, by pass
};

static uint32_t upper(uint64_t item) {
    return (uint32_t)(item >> 32);
}

static uint64_t whole_key(const struct sort *s, uint64_t item) {
    return s->x ? key_of(s->x[(uint32_t)item]) : item;
}

// ---- by digits ----

static void count_digits(struct sort *s, const uint64_t *item, size_t n, unsigned low, unsigned bits, unsigned passes) {
    uint64_t mask = (1u << bits) - 1;
    for (unsigned p = 0; p < passes; p++) memset(s->count[p], 0, (mask + 1) * sizeof **s->count);
    for (size_t i = 0; i < n; i++) {
        uint64_t v = item[i] >> low;
        for (unsigned p = 0; p < passes; p++) s->count[p][v >> p * bits & mask]++;
    }
}

static void scatter(size_t *at, const uint64_t *item, uint64_t *to, size_t n, unsigned shift, uint64_t mask) {
    size_t sum = 0;
    for (size_t d = 0; d <= mask; d++) {
        size_t count = at[d];
        at[d] = sum;
        sum += count;
    }
    for (size_t i = 0; i < n; i++) to[at[item[i] >> shift & mask]++] = item[i];
}

// Stable, by the 32 bits from low on, of the part [from, from + n). Digits that are all alike cost no pass.
static void by_digits(struct sort *s, size_t from, size_t n, unsigned low) {
    unsigned bits = n <= SMALL_MAX ? 8 : DIGIT_MAX, passes = n <= SMALL_MAX ? 4 : 3;
    uint64_t *item = s->item + from, *other = s->other + from, mask = (1u << bits) - 1;
    count_digits(s, item, n, low, bits, passes);
    for (unsigned p = 0; p < passes; p++) {
        unsigned shift = low + p * bits;
        if (s->count[p][item[0] >> shift & mask] == n) continue;
        scatter(s->count[p], item, other, n, shift, mask);
        uint64_t *t = item;
        item = other;
        other = t;
    }
    if (item != s->item + from) memcpy(s->item + from, item, n * sizeof *item);
}

// ---- by comparing ----

static void by_insertion(const struct sort *s, uint64_t *item, size_t n) {
    for (size_t i = 1; i < n; i++) {
        uint64_t moved = item[i], key = whole_key(s, moved);
        size_t j = i;
        for (; j > 0 && whole_key(s, item[j - 1]) > key; j--) item[j] = item[j - 1];
        item[j] = moved;
    }
}

static bool in_order(const struct sort *s, const uint64_t *item, size_t n) {
    uint64_t before = whole_key(s, item[0]);
    for (size_t i = 1; i < n; i++) {
        uint64_t key = whole_key(s, item[i]);
        if (key < before) return false;
        before = key;
    }
    return true;
}

// A long run of one upper half, by the lower one.
static void by_lower(struct sort *s, size_t from, size_t n) {
    uint64_t *item = s->item + from;
    uint64_t half = (uint64_t)upper(item[0]) << 32;
    if (!s->x) {
        by_digits(s, from, n, 0);
        return;
    }
    for (size_t i = 0; i < n; i++) item[i] = key_of(s->x[(uint32_t)item[i]]) << 32 | (uint32_t)item[i];
    by_digits(s, from, n, 32);
    for (size_t i = 0; i < n; i++) item[i] = half | (uint32_t)item[i];
}

static void finish_runs(struct sort *s) {
    for (size_t from = 0, to; from < s->n; from = to) {
        uint32_t half = upper(s->item[from]);
        for (to = from + 1; to < s->n && upper(s->item[to]) == half;) to++;
        size_t n = to - from;
        if (n == 1 || in_order(s, s->item + from, n)) continue;
        if (n <= INSERTION_MAX)
            by_insertion(s, s->item + from, n);
        else
            by_lower(s, from, n);
    }
}

// Stable.
static bool run(struct arena *a, struct sort *s, struct err *e) {
    if (s->n <= INSERTION_MAX) {
        by_insertion(s, s->item, s->n);
        return true;
    }
    if (in_order(s, s->item, s->n)) return true;
    s->count = arena_alloc(a, PASSES_MAX * sizeof *s->count, e);
    if (!s->count || !(s->other = arena_alloc(a, s->n * sizeof *s->other, e))) return false;
    by_digits(s, 0, s->n, 32);
    finish_runs(s);
    return true;
}

// with_index: items hold an index; else the whole key.
static bool items_of(struct arena *a, const double *x, size_t n, bool with_index, struct sort *s, struct err *e) {
    if (n > UINT32_MAX) return err_set(e, ERR_TOO_LARGE, "math", "%zu numbers are too many to order", n);
    *s = (struct sort){.x = with_index ? x : NULL, .n = n, .item = arena_alloc(a, n * sizeof *s->item, e)};
    if (!s->item) return false;
    uint64_t keep = with_index ? 0xFFFFFFFF00000000u : UINT64_MAX;
    for (size_t i = 0; i < n; i++) {
        if (isnan(x[i])) return err_set(e, ERR_BAD_INPUT, "math", "value %zu is no number and has no rank", i + 1);
        s->item[i] = (key_of(x[i]) & keep) | (with_index ? i : 0);
    }
    return true;
}

bool rank_sort(struct arena *a, double *x, size_t n, struct err *e) {
    struct arena_mark mark = arena_mark(a);
    struct sort s;
    bool ok = items_of(a, x, n, false, &s, e) && run(a, &s, e);
    for (size_t i = 0; ok && i < n; i++) x[i] = value_of(s.item[i]);
    arena_rewind(a, mark);
    return ok;
}

static bool equal(const struct sort *s, size_t i, size_t k) {
    return upper(s->item[i]) == upper(s->item[k]) && s->x[(uint32_t)s->item[i]] == s->x[(uint32_t)s->item[k]];
}

// same may be NULL.
static bool order_into(struct arena *a, const double *x, size_t n, uint32_t *order, uint8_t *same, struct err *e) {
    struct arena_mark mark = arena_mark(a);
    struct sort s;
    bool ok = items_of(a, x, n, true, &s, e) && run(a, &s, e);
    for (size_t i = 0; ok && i < n; i++) order[i] = (uint32_t)s.item[i];
    for (size_t i = 0; ok && same && i < n; i++) same[i] = i > 0 && equal(&s, i - 1, i);
    arena_rewind(a, mark);
    return ok;
}

bool rank_order(struct arena *a, const double *x, size_t n, uint32_t **order, struct err *e) {
    *order = arena_alloc(a, n * sizeof **order, e);
    return *order && order_into(a, x, n, *order, NULL, e);
}

bool rank_groups(struct arena *a, const double *x, size_t n, uint32_t **order, uint8_t **same, struct err *e) {
    *order = arena_alloc(a, n * sizeof **order, e);
    *same = *order ? arena_alloc(a, n, e) : NULL;
    return *same && order_into(a, x, n, *order, *same, e);
}

bool rank_mid(struct arena *a, const double *x, size_t n, double *rank, struct err *e) {
    struct arena_mark mark = arena_mark(a);
    struct sort s;
    bool ok = items_of(a, x, n, true, &s, e) && run(a, &s, e);
    for (size_t i = 0, end; ok && i < n; i = end) {
        for (end = i + 1; end < n && equal(&s, i, end);) end++;
        double mid = ((double)(i + 1) + (double)end) / 2;
        for (size_t k = i; k < end; k++) rank[(uint32_t)s.item[k]] = mid;
    }
    arena_rewind(a, mark);
    return ok;
}
