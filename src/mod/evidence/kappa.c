// Agreement beyond chance of two raters, and the coefficients that are built from pairs of them.
#include "mod/evidence/kappa.h"

#include <math.h>

#include "math/dist.h"

// What the variance needs of a table: shares, margins, and the weighted margins.
struct margins {
    double n, total_weight;
    double row[EV_CATEGORIES_MAX], column[EV_CATEGORIES_MAX];                   // shares
    double mean[EV_CATEGORIES_MAX];                                             // of the two
    double row_weighted[EV_CATEGORIES_MAX], column_weighted[EV_CATEGORIES_MAX]; // sum over the other rater's categories of weight times share
};

static bool measure(const double *table, const double *w, unsigned q, struct margins *m, struct err *e) {
    *m = (struct margins){0};
    for (unsigned k = 0; k < q; k++) {
        for (unsigned l = 0; l < q; l++) {
            double count = table[(size_t)k * q + l];
            if (!(count >= 0) || isinf(count))
                return err_set(e, ERR_BAD_INPUT, "evidence", "row %u of the table of ratings holds %g, which is no count", k + 1, count);
            m->n += count;
            m->row[k] += count;
            m->column[l] += count;
            m->total_weight += w[(size_t)k * q + l];
        }
    }
    if (m->n <= 0) return err_set(e, ERR_BAD_INPUT, "evidence", "no subject was rated by both raters");
    for (unsigned k = 0; k < q; k++) {
        m->row[k] /= m->n;
        m->column[k] /= m->n;
        m->mean[k] = (m->row[k] + m->column[k]) / 2;
    }
    for (unsigned k = 0; k < q; k++) {
        for (unsigned l = 0; l < q; l++) {
            m->row_weighted[k] += w[(size_t)k * q + l] * m->column[l];
            m->column_weighted[l] += w[(size_t)k * q + l] * m->row[k];
        }
    }
    return true;
}

static double chance(enum ev_agreement_kind kind, const struct margins *m, const double *w, unsigned q) {
    double sum = 0;
    if (kind == EV_AGREE_PERCENT) return 0;
    if (q == 1) return 1;
    if (kind == EV_AGREE_BRENNAN) return m->total_weight / q / q;
    for (unsigned k = 0; k < q; k++) {
        if (kind == EV_AGREE_GWET) sum += m->mean[k] * (1 - m->mean[k]);
        if (kind == EV_AGREE_COHEN) sum += m->row[k] * m->row_weighted[k];
        if (kind != EV_AGREE_SCOTT && kind != EV_AGREE_KRIPPENDORFF) continue;
        for (unsigned l = 0; l < q; l++) sum += w[(size_t)k * q + l] * m->mean[k] * m->mean[l];
    }
    return kind == EV_AGREE_GWET ? m->total_weight * sum / q / (q - 1) : sum;
}

// What a subject in cell (k, l) adds to twice the chance agreement: its derivative by the cell's share.
static double chance_of_cell(enum ev_agreement_kind kind, const struct margins *m, double pe, unsigned k, unsigned l, unsigned q) {
    switch (kind) {
    case EV_AGREE_COHEN:
        return m->row_weighted[k] + m->column_weighted[l];
    case EV_AGREE_SCOTT:
    case EV_AGREE_KRIPPENDORFF:
        return (m->row_weighted[k] + m->column_weighted[k] + m->row_weighted[l] + m->column_weighted[l]) / 2;
    case EV_AGREE_GWET:
        return q > 1 ? 2 * m->total_weight * (1 - (m->mean[k] + m->mean[l]) / 2) / q / (q - 1) : 0;
    case EV_AGREE_BRENNAN:
        return 2 * pe;
    default:
        return 0;
    }
}

// The variance of a sample of subjects by the delta method (Fleiss, Cohen and Everitt 1969; Gwet 2014, ch. 6), about the mean so that digits stay.
static double variance(enum ev_agreement_kind kind, const struct margins *m, const double *table, const double *w, unsigned q, double value, double pa,
                       double pe) {
    double middle = pa - 2 * (1 - value) * pe, sum = 0;
    if (kind == EV_AGREE_PERCENT) middle = pa;
    for (unsigned k = 0; k < q; k++) {
        for (unsigned l = 0; l < q; l++) {
            double of_cell = w[(size_t)k * q + l] - (1 - value) * chance_of_cell(kind, m, pe, k, l, q) - middle;
            sum += table[(size_t)k * q + l] / m->n * of_cell * of_cell;
        }
    }
    return sum / m->n / (1 - pe) / (1 - pe);
}

// Cohen's null hypothesis: the raters are independent (Fleiss, Cohen and Everitt 1969, eq. 9).
static void null_of_cohen(const struct margins *m, const double *w, unsigned q, double pe, struct ev_agreement *out) {
    double sum = 0;
    for (unsigned k = 0; k < q; k++) {
        for (unsigned l = 0; l < q; l++) {
            double of_cell = w[(size_t)k * q + l] - (m->row_weighted[k] + m->column_weighted[l]) + pe;
            sum += m->row[k] * m->column[l] * of_cell * of_cell;
        }
    }
    out->se_null = sqrt(sum / m->n) / (1 - pe);
    out->z = out->value / out->se_null;
    out->p = 2 * dist_norm(fabs(out->z), true);
}

static void interval(struct ev_agreement *out, double level) {
    double t = out->n >= 2 ? dist_t_quantile((1 - level) / 2, out->n - 1, true) : NAN;
    out->lo = out->value - t * out->se;
    out->hi = fmin(1, out->value + t * out->se);
    if (isnan(t)) out->lo = out->hi = NAN;
}

bool ev_agreement_table(enum ev_agreement_kind kind, const double *table, const double *w, unsigned q, double level, struct ev_agreement *out, struct err *e) {
    struct margins m;
    double pa = 0, observed;
    if (q == 0 || q > EV_CATEGORIES_MAX)
        return err_set(e, ERR_TOO_LARGE, "evidence", "a table of ratings takes 1 to %d categories, not %u", EV_CATEGORIES_MAX, q);
    if (!measure(table, w, q, &m, e)) return false;
    for (size_t i = 0; i < (size_t)q * q; i++) pa += w[i] * table[i] / m.n;
    observed = pa;
    double pe = chance(kind, &m, w, q);
    if (!(1 - pe > 1e-14)) return err_set(e, ERR_BAD_INPUT, "evidence", "every rating falls into one category: agreement beyond chance is not defined");
    double plain = (pa - pe) / (1 - pe);
    if (kind == EV_AGREE_KRIPPENDORFF) observed = pa + (1 - pa) / (2 * m.n);
    *out = (struct ev_agreement){.n = m.n, .observed = observed, .chance = pe, .value = (observed - pe) / (1 - pe), .se_null = NAN, .z = NAN, .p = NAN};
    out->se = m.n >= 2 ? sqrt(variance(kind, &m, table, w, q, plain, pa, pe)) : NAN;
    if (kind == EV_AGREE_COHEN) null_of_cohen(&m, w, q, pe, out);
    interval(out, level);
    return true;
}

bool ev_light(struct arena *a, const struct ev_ratings *r, const double *w, double *kappa, struct err *e) {
    double sum = 0, pairs = (double)r->raters * (r->raters - 1) / 2;
    for (unsigned i = 0; i < r->raters; i++) {
        for (unsigned j = i + 1; j < r->raters; j++) {
            struct arena_mark mark = arena_mark(a);
            struct ev_agreement pair;
            double *table;
            bool ok = ev_ratings_table(a, r, i, j, &table, e) && ev_agreement_table(EV_AGREE_COHEN, table, w, r->categories, 0.95, &pair, e);
            arena_rewind(a, mark);
            if (!ok) return err_wrap(e, "raters %u and %u", i + 1, j + 1);
            sum += pair.value;
        }
    }
    *kappa = sum / pairs;
    return true;
}

bool ev_fleiss(struct arena *a, const struct ev_ratings *r, double level, struct ev_agreement *out, double *by_category, struct err *e) {
    double n = (double)r->subjects, m = r->raters, pq = 0, skew = 0;
    double *w = arena_zero(a, (size_t)r->categories * r->categories, sizeof *w, e);
    double *total = w ? arena_zero(a, r->categories, sizeof *total, e) : NULL;
    double *pairs = total ? arena_zero(a, r->categories, sizeof *pairs, e) : NULL; // of raters of one subject who both chose the category, twice
    if (!pairs) return false;
    ev_weights(EV_WEIGHT_IDENTITY, NULL, r->categories, w);
    if (!ev_agreement_raters(a, EV_AGREE_SCOTT, r, w, level, out, e)) return false;
    for (size_t i = 0; i < r->subjects; i++) {
        const int32_t *row = r->of + i * r->raters;
        for (unsigned j = 0; j < r->raters; j++) {
            if (row[j] < 0)
                return err_set(e, ERR_BAD_INPUT, "evidence", "rater %u did not rate subject %zu: Fleiss's test needs complete ratings", j + 1, i + 1);
            total[row[j]]++;
            for (unsigned l = 0; l < r->raters; l++) pairs[row[j]] += l != j && row[l] == row[j];
        }
    }
    for (unsigned k = 0; k < r->categories; k++) {
        double p = total[k] / (n * m), both = pairs[k] / (n * m * (m - 1) * p);
        if (by_category) by_category[k] = (both - p) / (1 - p);
        pq += p * (1 - p);
        skew += p * (1 - p) * (1 - 2 * p);
    }
    out->se_null = sqrt(2 / (n * m * (m - 1)) * (pq * pq - skew)) / pq;
    out->z = out->value / out->se_null;
    out->p = 2 * dist_norm(fabs(out->z), true);
    return true;
}
