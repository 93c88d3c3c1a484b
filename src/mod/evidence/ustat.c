// Moments of products of successes over readers, diseased and normal cases.
#include "mod/evidence/ustat.h"

#include <math.h>

#include "math/dist.h"
#include "mod/evidence/reading.h"

#define NORMAL_ABOVE_DF 50

// Sums over pairs of readings: of the successes' products, and of the same of "was read" (the number of products in each).
struct sums {
    double product[EV_BDG_MOMENTS];
    double total[2];
};

struct work {
    struct arena *a;
    const struct ev_study *s;
    unsigned at[2];                // modalities
    struct ev_reading *reading[2]; // by reader
    struct sums success, readings;
    struct err *e;
};

static bool read_all(struct work *w) {
    for (unsigned m = 0; m < 2; m++) {
        if (!(w->reading[m] = arena_zero(w->a, w->s->readers, sizeof *w->reading[m], w->e))) return false;
        for (unsigned r = 0; r < w->s->readers; r++) {
            struct ev_reading *x = &w->reading[m][r];
            if (!ev_reading_of(w->a, w->s, w->at[m], r, x, w->e)) return false;
            w->success.total[m] += x->pairs.total;
            w->readings.total[m] += (double)x->pairs.f_count * x->pairs.t_count;
        }
    }
    return true;
}

static void add(struct sums *s, const struct ev_products *p, bool same_reader) {
    for (unsigned i = same_reader ? 0 : 4; i < EV_BDG_MOMENTS; i += 4) {
        s->product[i] += p->both;
        s->product[i + 1] += p->diseased;
        s->product[i + 2] += p->normal;
        s->product[i + 3] += p->any;
    }
}

static bool add_all(struct work *w) {
    if (!read_all(w)) return false;
    for (unsigned r = 0; r < w->s->readers; r++) {
        for (unsigned q = 0; q < w->s->readers; q++) {
            struct ev_products hits, n = ev_reading_counts(&w->reading[0][r], &w->reading[1][q]);
            if (!ev_reading_products(w->a, &w->reading[0][r], &w->reading[1][q], &hits, w->e)) return false;
            add(&w->success, &hits, r == q);
            add(&w->readings, &n, r == q);
        }
    }
    return true;
}

// Sums over all pairs become sums over pairs that share no more than they must (Gallas 2009, equation 12): out of those that share less are taken those that share more.
static void without_shared(const double in[EV_BDG_MOMENTS], double out[EV_BDG_MOMENTS]) {
    out[0] = in[0];
    out[1] = in[1] - in[0];
    out[2] = in[2] - in[0];
    out[3] = in[3] - in[2] - in[1] + in[0];
    out[4] = in[4] - in[0];
    out[5] = in[5] - in[4] - out[1];
    out[6] = in[6] - in[4] - out[2];
    out[7] = in[7] - in[6] - in[5] + in[4] - out[3];
}

// Gallas 2009, equation 19.
static void components_of(const double m[EV_BDG_MOMENTS], double out[EV_BCK_COUNT]) {
    out[EV_BCK_N] = m[6] - m[7];
    out[EV_BCK_D] = m[5] - m[7];
    out[EV_BCK_ND] = m[4] - m[5] - m[6] + m[7];
    out[EV_BCK_R] = m[3] - m[7];
    out[EV_BCK_NR] = m[2] - m[3] - m[6] + m[7];
    out[EV_BCK_DR] = m[1] - m[3] - m[5] + m[7];
    out[EV_BCK_RND] = m[0] - m[1] - m[2] + m[3] - m[4] + m[5] + m[6] - m[7];
}

static void coefficients_of(const double c[EV_BDG_MOMENTS], double out[EV_BCK_COUNT]) {
    out[EV_BCK_N] = c[0] + c[2] + c[4] + c[6];
    out[EV_BCK_D] = c[0] + c[1] + c[4] + c[5];
    out[EV_BCK_ND] = c[0] + c[4];
    out[EV_BCK_R] = c[0] + c[1] + c[2] + c[3];
    out[EV_BCK_NR] = c[0] + c[2];
    out[EV_BCK_DR] = c[0] + c[1];
    out[EV_BCK_RND] = c[0];
}

// What rounding leaves of a variance that is zero: sums of eight moments of the size of the areas' product.
static double settled(double variance, const double auc[2]) {
    return fabs(variance) < 1e-15 * auc[0] * auc[1] ? 0 : variance;
}

static void conclude(struct work *w, struct ev_ustat *x) {
    double hits[EV_BDG_MOMENTS], count[EV_BDG_MOMENTS];
    without_shared(w->success.product, hits);
    without_shared(w->readings.product, count);
    for (unsigned m = 0; m < 2; m++) x->auc[m] = w->success.total[m] / w->readings.total[m];
    for (unsigned i = 0; i < EV_BDG_MOMENTS; i++) {
        x->moment[i] = count[i] > 0 ? hits[i] / count[i] : NAN;
        x->moment_mle[i] = w->readings.product[i] > 0 ? w->success.product[i] / w->readings.product[i] : NAN;
        x->coefficient[i] = count[i] / w->readings.product[7] - (i == 7);
        if (x->coefficient[i] == 0) continue; // no such products: nothing is missed
        x->variance += x->coefficient[i] * x->moment[i];
        x->variance_mle += x->coefficient[i] * x->moment_mle[i];
    }
    x->variance = settled(x->variance, x->auc);
    x->variance_mle = settled(x->variance_mle, x->auc);
    components_of(x->moment, x->component);
    components_of(x->moment_mle, x->component_mle);
    coefficients_of(x->coefficient, x->component_coefficient);
    x->df_n = rint(1 / x->component_coefficient[EV_BCK_N] - 1);
    x->df_d = rint(1 / x->component_coefficient[EV_BCK_D] - 1);
    x->df_r = rint(1 / x->component_coefficient[EV_BCK_R] - 1);
}

static void count_read(struct work *w, struct ev_ustat *x) {
    for (unsigned r = 0; r < w->s->readers; r++) {
        bool any = false;
        for (unsigned m = 0; m < 2; m++) any = any || w->reading[m][r].read > 0;
        x->readers += any;
    }
    for (unsigned c = 0; c < w->s->cases; c++) {
        bool any = false;
        for (unsigned r = 0; r < w->s->readers; r++) any = any || w->reading[0][r].level[c] || w->reading[1][r].level[c];
        x->diseased += any && w->s->diseased[c];
        x->normals += any && !w->s->diseased[c];
    }
}

bool ev_ustat_pair(struct arena *a, const struct ev_study *s, unsigned modality, unsigned other, struct ev_ustat *out, struct err *e) {
    *out = (struct ev_ustat){0};
    struct work w = {.a = a, .s = s, .at = {modality, other}, .e = e};
    struct arena_mark m = arena_mark(a);
    if (!add_all(&w)) return false;
    for (unsigned i = 0; i < 2; i++)
        if (!(w.readings.total[i] > 0))
            return err_set(e, ERR_BAD_INPUT, "evidence", "no reader has read cases with and cases without disease in modality \"%.*s\"",
                           STR_FMT(s->treatment[w.at[i]]));
    conclude(&w, out);
    count_read(&w, out);
    arena_rewind(a, m);
    return true;
}

// sb: the variance of the variance, by its components of cases and readers.
static double df_of(double variance, double sb, double least) {
    if (variance < 0) return NAN;
    double df = variance * variance / sb;
    return df < least ? least : df;
}

static double part(double component, double df) {
    return component * component / (df * df * df);
}

static struct ev_ustat_result result_of(double value, double variance, double df, double null, double level) {
    struct ev_ustat_result x = {value, variance, df, NAN, NAN, NAN, NAN, NAN, NAN};
    if (!(variance > 0)) return x;
    double se = sqrt(variance), z = fabs(value - null) / se, q = dist_norm_two_sided(level), whole = floor(df);
    x.p = x.p_normal = 2 * dist_norm(z, true);
    x.lo = x.lo_normal = value - q * se;
    x.hi = x.hi_normal = value + q * se;
    if (!(df <= NORMAL_ABOVE_DF)) return x;
    q = dist_t_quantile((1 - level) / 2, whole, true);
    x.p = 2 * dist_t(z, whole, true);
    x.lo = value - q * se;
    x.hi = value + q * se;
    return x;
}

struct ev_ustat_result ev_ustat_single(const struct ev_ustat *x, bool mle, double level) {
    double sb = part(x->component_mle[EV_BCK_N], x->df_n) + part(x->component_mle[EV_BCK_D], x->df_d) + part(x->component_mle[EV_BCK_R], x->df_r);
    double variance = mle ? x->variance_mle : x->variance;
    return result_of(x->auc[0], variance, df_of(variance, sb, fmin(x->df_r, fmin(x->df_n, x->df_d))), 0.5, level);
}

struct ev_ustat_result ev_ustat_difference(const struct ev_ustat *x, const struct ev_ustat *y, const struct ev_ustat *xy, bool mle, double level) {
    static const enum ev_bck KIND[3] = {EV_BCK_N, EV_BCK_D, EV_BCK_R};
    double df[3] = {fmin(x->df_n, y->df_n), fmin(x->df_d, y->df_d), fmin(x->df_r, y->df_r)}, sb = 0;
    for (unsigned i = 0; i < 3; i++) sb += part(x->component_mle[KIND[i]] + y->component_mle[KIND[i]] - 2 * xy->component_mle[KIND[i]], df[i]);
    double variance = mle ? x->variance_mle + y->variance_mle - 2 * xy->variance_mle : x->variance + y->variance - 2 * xy->variance;
    return result_of(x->auc[0] - y->auc[0], variance, df_of(variance, sb, fmin(df[0], fmin(df[1], df[2]))), 0, level);
}
