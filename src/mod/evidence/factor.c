// Levels of a column, in an order that does not hang on the order of rows.
#include "mod/evidence/factor.h"

#include <stdlib.h>

struct named {
    struct str name;
    double value;
    uint32_t was;
};

static int by_value(const void *a, const void *b) {
    double x = ((const struct named *)a)->value, y = ((const struct named *)b)->value;
    return (x > y) - (x < y);
}

static int by_bytes(const void *a, const void *b) {
    struct str x = ((const struct named *)a)->name, y = ((const struct named *)b)->name;
    size_t n = x.n < y.n ? x.n : y.n;
    int c = n ? memcmp(x.p, y.p, n) : 0;
    return c ? c : (x.n > y.n) - (x.n < y.n);
}

static void sort_levels(struct named *v, unsigned n) {
    bool numbers = true;
    for (unsigned i = 0; i < n; i++) numbers = str_to_f64(v[i].name, &v[i].value) && numbers;
    qsort(v, n, sizeof *v, numbers ? by_value : by_bytes);
}

static bool mark_used(const struct csv *t, const struct csv_levels *l, const char *what, const bool *left_out, bool *used, struct err *e) {
    for (size_t i = 0; i < t->rows; i++) {
        if (left_out && left_out[i]) continue;
        if (l->of[i] < 0) return err_set(e, ERR_BAD_INPUT, "evidence", "line %u: the %s is missing", t->line[i], what);
        used[l->of[i]] = true;
    }
    return true;
}

static bool one_level(struct arena *a, const struct csv *t, struct ev_factor *out, struct err *e) {
    out->count = 1;
    out->names = arena_zero(a, 1, sizeof *out->names, e);
    out->of = arena_zero(a, t->rows, sizeof *out->of, e);
    if (!out->names || !out->of) return false;
    out->names[0] = STR_LIT("1");
    return true;
}

bool ev_factor_of(struct arena *a, const struct csv *t, int column, const char *what, const bool *left_out, struct ev_factor *out, struct err *e) {
    *out = (struct ev_factor){0};
    if (column < 0) return one_level(a, t, out, e);
    struct csv_levels l;
    if (!csv_levels(t, (unsigned)column, &l, e)) return false;
    bool *used = arena_zero(a, l.count, sizeof *used, e);
    struct named *v = arena_zero(a, l.count, sizeof *v, e);
    int32_t *to = arena_zero(a, l.count, sizeof *to, e);
    out->names = arena_zero(a, l.count, sizeof *out->names, e);
    out->of = arena_zero(a, t->rows, sizeof *out->of, e);
    if (!used || !v || !to || !out->names || !out->of || !mark_used(t, &l, what, left_out, used, e)) return false;
    for (unsigned i = 0; i < l.count; i++) {
        to[i] = -1;
        if (used[i]) v[out->count++] = (struct named){.name = l.names[i], .was = i};
    }
    sort_levels(v, out->count);
    for (unsigned i = 0; i < out->count; i++) {
        out->names[i] = v[i].name;
        to[v[i].was] = (int32_t)i;
    }
    for (size_t i = 0; i < t->rows; i++) out->of[i] = l.of[i] < 0 ? -1 : to[l.of[i]];
    return true;
}

int ev_factor_find(const struct str *names, unsigned n, struct str name) {
    for (unsigned i = 0; i < n; i++)
        if (str_eq(names[i], name)) return (int)i;
    return -1;
}

bool ev_factor_match(struct arena *a, const struct str *names, unsigned n, const struct str *others, unsigned other_count, int32_t **out, struct err *e) {
    struct named *sorted = arena_zero(a, other_count, sizeof *sorted, e);
    if (!sorted || !(*out = arena_zero(a, n, sizeof **out, e))) return false;
    for (unsigned i = 0; i < other_count; i++) sorted[i] = (struct named){.name = others[i], .was = i};
    if (other_count) qsort(sorted, other_count, sizeof *sorted, by_bytes);
    for (unsigned i = 0; i < n; i++) {
        struct named key = {.name = names[i]};
        const struct named *at = other_count ? bsearch(&key, sorted, other_count, sizeof *sorted, by_bytes) : NULL;
        (*out)[i] = at ? (int32_t)at->was : -1;
    }
    return true;
}
