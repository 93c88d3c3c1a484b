// A column of a table as categories, by a hash table of its different values.
#include <stdlib.h>

#include "text/csv.h"

struct level {
    struct str name;
    double value; // when all are numbers
    int32_t first;
};

struct levels {
    int32_t *slot; // into level, -1: free
    size_t mask;
    struct level *level;
    size_t count;
};

static uint64_t hash_of(struct str s) { // FNV-1a
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < s.n; i++) h = (h ^ (unsigned char)s.p[i]) * 1099511628211u;
    return h ^ h >> 29;
}

static int32_t level_of(struct levels *l, struct str field) {
    for (size_t i = hash_of(field) & l->mask;; i = (i + 1) & l->mask) {
        if (l->slot[i] < 0) {
            l->level[l->count] = (struct level){.name = field, .first = (int32_t)l->count};
            return l->slot[i] = (int32_t)l->count++;
        }
        if (str_eq(l->level[l->slot[i]].name, field)) return l->slot[i];
    }
}

static bool levels_init(struct levels *l, const struct csv *t, struct err *e) {
    size_t size = 16;
    while (size < t->rows * 2) size *= 2;
    *l = (struct levels){.mask = size - 1};
    l->level = arena_alloc(t->arena, t->rows * sizeof *l->level, e);
    l->slot = l->level ? arena_alloc(t->arena, size * sizeof *l->slot, e) : NULL;
    if (!l->slot) return false;
    memset(l->slot, 0xFF, size * sizeof *l->slot);
    return true;
}

static int by_value(const void *a, const void *b) {
    const struct level *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

static bool all_numbers(struct levels *l) {
    for (size_t i = 0; i < l->count; i++)
        if (!str_to_f64(l->level[i].name, &l->level[i].value)) return false;
    return true;
}

bool csv_levels(const struct csv *t, unsigned column, struct csv_levels *out, struct err *e) {
    struct levels l;
    *out = (struct csv_levels){.of = arena_alloc(t->arena, t->rows * sizeof *out->of, e)};
    if (!out->of || !levels_init(&l, t, e)) return false;
    for (size_t i = 0; i < t->rows; i++) {
        struct str field = csv_at(t, i, column);
        out->of[i] = csv_missing(field) ? -1 : level_of(&l, field);
    }
    out->names = arena_alloc(t->arena, l.count * sizeof *out->names, e);
    int32_t *now = arena_alloc(t->arena, l.count * sizeof *now, e); // where each level stands after sorting
    if (!out->names || !now) return false;
    bool numbers = l.count && all_numbers(&l);
    if (numbers) qsort(l.level, l.count, sizeof *l.level, by_value);
    for (size_t i = 0; i < l.count; i++) {
        bool same = numbers && i > 0 && l.level[i].value == l.level[i - 1].value; // 1 and 1.0
        if (!same) out->names[out->count++] = l.level[i].name;
        now[l.level[i].first] = (int32_t)out->count - 1;
    }
    for (size_t i = 0; i < t->rows; i++)
        if (out->of[i] >= 0) out->of[i] = now[out->of[i]];
    return true;
}
