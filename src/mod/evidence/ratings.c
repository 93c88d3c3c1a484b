// Ratings as categories; weights between categories.
#include "mod/evidence/ratings.h"

#include <math.h>
#include <stdlib.h>

// ---- categories ----

struct label {
    struct str text;
    double number; // NaN: a word
};

static int by_number(const void *a, const void *b) {
    double x = ((const struct label *)a)->number, y = ((const struct label *)b)->number;
    return (x > y) - (x < y);
}

static int by_text(const void *a, const void *b) {
    return str_cmp(((const struct label *)a)->text, ((const struct label *)b)->text);
}

static bool collect(const struct csv *t, const unsigned *columns, unsigned raters, struct label *all, size_t *count) {
    bool numeric = true;
    *count = 0;
    for (size_t i = 0; i < t->rows; i++) {
        for (unsigned j = 0; j < raters; j++) {
            struct str field = csv_at(t, i, columns[j]);
            if (csv_missing(field)) continue;
            struct label *l = &all[(*count)++];
            l->text = str_trim(field);
            if (!str_to_f64(l->text, &l->number)) {
                l->number = NAN;
                numeric = false;
            }
        }
    }
    return numeric;
}

static size_t unique(struct label *all, size_t count, int (*order)(const void *, const void *)) {
    size_t kept = 0;
    if (count) qsort(all, count, sizeof *all, order);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || order(&all[kept - 1], &all[i]) != 0) all[kept++] = all[i];
    return kept;
}

static bool name_categories(struct arena *a, const struct label *all, struct ev_ratings *out, struct err *e) {
    struct str *names = arena_alloc(a, out->categories * sizeof *names, e);
    double *scores = names ? arena_alloc(a, out->categories * sizeof *scores, e) : NULL;
    if (!scores) return false;
    for (unsigned k = 0; k < out->categories; k++) {
        names[k] = all[k].text;
        scores[k] = out->numeric ? all[k].number : k + 1;
    }
    out->names = names;
    out->scores = scores;
    return true;
}

static void place(const struct csv *t, const unsigned *columns, const struct label *all, const struct ev_ratings *r, int32_t *of) {
    int (*order)(const void *, const void *) = r->numeric ? by_number : by_text;
    for (size_t i = 0; i < t->rows; i++) {
        for (unsigned j = 0; j < r->raters; j++, of++) {
            struct label l = {.text = str_trim(csv_at(t, i, columns[j]))};
            *of = -1;
            if (csv_missing(l.text)) continue;
            if (r->numeric && !str_to_f64(l.text, &l.number)) continue;
            const struct label *found = bsearch(&l, all, r->categories, sizeof *all, order);
            if (found) *of = (int32_t)(found - all);
        }
    }
}

bool ev_ratings_read(struct arena *a, const struct csv *t, const unsigned *columns, unsigned raters, struct ev_ratings *out, struct err *e) {
    size_t count;
    if (raters < 2 || raters > EV_RATERS_MAX)
        return err_set(e, ERR_BAD_INPUT, "evidence", "agreement needs 2 to %d raters (columns), not %u", EV_RATERS_MAX, raters);
    if (t->rows == 0) return err_set(e, ERR_BAD_INPUT, "evidence", "the table has no rows: no subject was rated");
    struct label *all = arena_zero(a, t->rows * raters, sizeof *all, e);
    int32_t *of = all ? arena_zero(a, t->rows * raters, sizeof *of, e) : NULL;
    if (!of) return false;
    *out = (struct ev_ratings){.subjects = t->rows, .raters = raters, .of = of};
    out->numeric = collect(t, columns, raters, all, &count);
    count = unique(all, count, out->numeric ? by_number : by_text);
    if (count == 0) return err_set(e, ERR_BAD_INPUT, "evidence", "every rating is missing");
    if (count > EV_CATEGORIES_MAX)
        return err_set(e, ERR_TOO_LARGE, "evidence", "%zu different ratings; at most %d are taken as categories (measurements go to icc, bland-altman or ccc)",
                       count, EV_CATEGORIES_MAX);
    out->categories = (unsigned)count;
    place(t, columns, all, out, of);
    return name_categories(a, all, out, e);
}

// ---- subsets ----

static bool rated_by_all(const int32_t *row, const unsigned *raters, unsigned count) {
    for (unsigned j = 0; j < count; j++)
        if (row[raters[j]] < 0) return false;
    return true;
}

static size_t copy_complete(const struct ev_ratings *r, const unsigned *raters, unsigned count, int32_t *of, int32_t *index) {
    size_t kept = 0;
    for (size_t i = 0; i < r->subjects; i++) {
        const int32_t *row = r->of + i * r->raters;
        if (!rated_by_all(row, raters, count)) continue;
        for (unsigned j = 0; j < count; j++) {
            of[kept * count + j] = row[raters[j]];
            index[row[raters[j]]] = 1;
        }
        kept++;
    }
    return kept;
}

bool ev_ratings_complete(struct arena *a, const struct ev_ratings *r, const unsigned *raters, unsigned count, struct ev_ratings *out, struct err *e) {
    int32_t *of = arena_zero(a, r->subjects * count, sizeof *of, e);
    int32_t *index = of ? arena_zero(a, r->categories, sizeof *index, e) : NULL;
    struct str *names = index ? arena_zero(a, r->categories, sizeof *names, e) : NULL;
    double *scores = names ? arena_zero(a, r->categories, sizeof *scores, e) : NULL;
    if (!scores) return false;
    *out = (struct ev_ratings){.raters = count, .numeric = r->numeric, .of = of, .names = names, .scores = scores};
    out->subjects = copy_complete(r, raters, count, of, index);
    if (out->subjects == 0) return err_set(e, ERR_BAD_INPUT, "evidence", "no subject was rated by all %u raters", count);
    for (unsigned k = 0; k < r->categories; k++) {
        if (!index[k]) continue;
        names[out->categories] = r->names[k];
        scores[out->categories] = r->scores[k];
        index[k] = (int32_t)out->categories++;
    }
    for (size_t i = 0; i < out->subjects * count; i++) of[i] = index[of[i]];
    return true;
}

bool ev_ratings_table(struct arena *a, const struct ev_ratings *r, unsigned first, unsigned second, double **table, struct err *e) {
    double *count = arena_zero(a, (size_t)r->categories * r->categories, sizeof *count, e);
    if (!count) return false;
    for (size_t i = 0; i < r->subjects; i++) {
        int32_t x = r->of[i * r->raters + first], y = r->of[i * r->raters + second];
        if (x >= 0 && y >= 0) count[(size_t)x * r->categories + (size_t)y]++;
    }
    *table = count;
    return true;
}

// ---- weights ----

static const struct {
    const char *name;
    enum ev_weighting weighting;
} WEIGHTINGS[] = {
    // The first of each is what we call it.
    {"unweighted", EV_WEIGHT_IDENTITY}, {"linear", EV_WEIGHT_LINEAR},      {"quadratic", EV_WEIGHT_QUADRATIC}, {"ordinal", EV_WEIGHT_ORDINAL},
    {"radical", EV_WEIGHT_RADICAL},     {"ratio", EV_WEIGHT_RATIO},        {"circular", EV_WEIGHT_CIRCULAR},   {"bipolar", EV_WEIGHT_BIPOLAR},
    {"identity", EV_WEIGHT_IDENTITY},   {"none", EV_WEIGHT_IDENTITY},      {"nominal", EV_WEIGHT_IDENTITY},    {"equal", EV_WEIGHT_LINEAR},
    {"squared", EV_WEIGHT_QUADRATIC},   {"interval", EV_WEIGHT_QUADRATIC},
};

bool ev_weighting_named(struct str name, enum ev_weighting *out) {
    for (size_t i = 0; i < sizeof WEIGHTINGS / sizeof *WEIGHTINGS; i++)
        if (str_eq_nocase(name, str_of(WEIGHTINGS[i].name))) return *out = WEIGHTINGS[i].weighting, true;
    return false;
}

const char *ev_weighting_name(enum ev_weighting w) {
    return WEIGHTINGS[w].name;
}

// How far two categories are from each other; 0 for the same one.
static double distance(enum ev_weighting kind, double x, double y, double lo, double hi) {
    double d = fabs(x - y);
    switch (kind) {
    case EV_WEIGHT_LINEAR:
        return d;
    case EV_WEIGHT_QUADRATIC:
        return d * d;
    case EV_WEIGHT_RADICAL:
        return sqrt(d);
    case EV_WEIGHT_RATIO:
        return d == 0 ? 0 : (d / (x + y)) * (d / (x + y));
    case EV_WEIGHT_CIRCULAR:
        return pow(sin(M_PI * d / (hi - lo + 1)), 2);
    case EV_WEIGHT_BIPOLAR:
        return d == 0 ? 0 : d * d / ((x + y - 2 * lo) * (2 * hi - x - y));
    case EV_WEIGHT_ORDINAL: // of positions: the pairs of categories between them
        return d * (d + 1) / 2;
    default:
        return d != 0;
    }
}

void ev_weights(enum ev_weighting kind, const double *scores, unsigned q, double *w) {
    bool positions = !scores || kind == EV_WEIGHT_ORDINAL;
    double lo = positions ? 1 : scores[0], hi = positions ? q : scores[q - 1], most = 0;
    for (unsigned k = 0; k < q; k++) {
        for (unsigned l = 0; l < q; l++) {
            double d = distance(kind, positions ? k + 1 : scores[k], positions ? l + 1 : scores[l], lo, hi);
            w[(size_t)k * q + l] = d;
            // The scale of the ratio is that of the ends, which is not always the largest.
            if (kind == EV_WEIGHT_RATIO ? k == 0 && l + 1 == q : d > most) most = d;
        }
    }
    for (size_t i = 0; i < (size_t)q * q; i++) w[i] = most > 0 ? 1 - w[i] / most : 1;
}
