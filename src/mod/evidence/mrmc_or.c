// Obuchowski and Rockette's analysis: mean squares, covariance components, and the tests of three kinds of inference.
#include <math.h>

#include "math/dist.h"
#include "mod/evidence/mrmc.h"

static double theta(const struct ev_or *o, unsigned i, unsigned j) {
    return o->merit->theta[i * o->merit->readers + j];
}

static bool present(const struct ev_or *o, unsigned i, unsigned j) {
    return !isnan(theta(o, i, j));
}

static double covariance(const struct ev_or *o, unsigned i, unsigned j, unsigned k, unsigned l) {
    size_t groups = (size_t)o->merit->treatments * o->merit->readers, r = o->merit->readers;
    return o->merit->cov[(i * r + j) * groups + k * r + l];
}

// A covariance that counts: what rounding leaves of one that is zero does not.
static double positive(double x, double variance) {
    return x > 1e-12 * variance ? x : 0;
}

// A mean square of merits that are all the same is zero, whatever rounding leaves.
static double settled(double ms, double mean) {
    return ms < 1e-28 * mean * mean ? 0 : ms;
}

static unsigned readers_in(const struct ev_or *o, unsigned i) {
    unsigned n = 0;
    for (unsigned j = 0; j < o->merit->readers; j++) n += present(o, i, j);
    return n;
}

static bool nested_readers(const struct ev_or *o) {
    return o->merit->design == EV_DESIGN_READERS_IN_TREATMENT;
}

// Readers of one modality; of different numbers their harmonic mean.
static double readers_each(const struct ev_or *o) {
    double sum = 0;
    for (unsigned i = 0; i < o->merit->treatments; i++) sum += 1.0 / readers_in(o, i);
    return o->merit->treatments / sum;
}

static void take_means(struct ev_or *o) {
    o->mean = 0;
    for (unsigned i = 0; i < o->merit->treatments; i++) {
        double sum = 0;
        for (unsigned j = 0; j < o->merit->readers; j++)
            if (present(o, i, j)) sum += theta(o, i, j);
        o->treatment_mean[i] = sum / readers_in(o, i);
        o->mean += o->treatment_mean[i] / o->merit->treatments;
    }
}

static void take_single_squares(struct ev_or *o) {
    for (unsigned i = 0; i < o->merit->treatments; i++) {
        double sum = 0;
        for (unsigned j = 0; j < o->merit->readers; j++)
            if (present(o, i, j)) sum += pow(theta(o, i, j) - o->treatment_mean[i], 2);
        o->treatment_ms_r[i] = readers_in(o, i) > 1 ? settled(sum / (readers_in(o, i) - 1.0), o->mean) : NAN;
    }
}

static double reader_mean(const struct ev_or *o, unsigned j) {
    double sum = 0;
    for (unsigned i = 0; i < o->merit->treatments; i++) sum += theta(o, i, j);
    return sum / o->merit->treatments;
}

static void take_squares_crossed(struct ev_or *o) {
    unsigned t = o->merit->treatments, r = o->merit->readers;
    double between = 0, within = 0;
    for (unsigned j = 0; j < r; j++) {
        double m = reader_mean(o, j);
        between += pow(m - o->mean, 2);
        for (unsigned i = 0; i < t; i++) within += pow(theta(o, i, j) - o->treatment_mean[i] - m + o->mean, 2);
    }
    o->ms_r = r > 1 ? settled(t * between / (r - 1), o->mean) : NAN;
    o->ms_tr = r > 1 && t > 1 ? settled(within / ((t - 1.0) * (r - 1)), o->mean) : NAN;
}

// Readers within modalities: one pooled mean square; readers as such cannot be told from their modality.
static void take_squares_nested(struct ev_or *o) {
    double sum = 0, df = 0;
    for (unsigned i = 0; i < o->merit->treatments; i++) {
        double n = readers_in(o, i) - 1.0;
        if (n > 0) sum += n * o->treatment_ms_r[i];
        df += n;
    }
    o->ms_r = NAN;
    o->ms_tr = df > 0 ? sum / df : NAN;
}

static void take_squares(struct ev_or *o) {
    unsigned t = o->merit->treatments;
    double between = 0;
    for (unsigned i = 0; i < t; i++) between += pow(o->treatment_mean[i] - o->mean, 2);
    o->ms_t = t > 1 ? settled(readers_each(o) * between / (t - 1), o->mean) : NAN;
    take_single_squares(o);
    if (nested_readers(o))
        take_squares_nested(o);
    else
        take_squares_crossed(o);
}

// A mean that grows.
struct average {
    double sum;
    size_t n;
};

static void average_add(struct average *a, double x) {
    if (isnan(x)) return;
    a->sum += x;
    a->n++;
}

static double average_of(const struct average *a) {
    return a->n ? a->sum / (double)a->n : 0;
}

// Sorts one covariance into all averages it belongs to.
static void add_covariance(struct ev_or *o, struct average all[4], struct average *t_cov2, struct average *r_cov1, const unsigned at[4]) {
    unsigned i = at[0], j = at[1], k = at[2], l = at[3];
    if (!present(o, i, j) || !present(o, k, l)) return;
    double c = covariance(o, i, j, k, l);
    if (i == k && j == l) {
        average_add(&all[0], c);
    } else if (j == l) {
        average_add(&all[1], c);
        average_add(&r_cov1[j], c);
    } else if (i == k) {
        average_add(&all[2], c);
        average_add(&t_cov2[i], c);
    } else {
        average_add(&all[3], c);
    }
}

static void take_variances(struct ev_or *o) {
    unsigned t = o->merit->treatments, r = o->merit->readers;
    for (unsigned i = 0; i < t; i++) {
        struct average v = {0};
        for (unsigned j = 0; j < r; j++)
            if (present(o, i, j)) average_add(&v, covariance(o, i, j, i, j));
        o->treatment_var[i] = average_of(&v);
    }
    for (unsigned j = 0; j < r; j++) {
        struct average v = {0};
        for (unsigned i = 0; i < t; i++)
            if (present(o, i, j)) average_add(&v, covariance(o, i, j, i, j));
        o->reader_var[j] = average_of(&v);
    }
}

// What a design makes independent is zero, not the little that the jackknife's own means leave.
static void apply_design(struct ev_or *o) {
    bool own_by_reader = o->merit->design == EV_DESIGN_CASES_IN_READER, own_by_treatment = o->merit->design == EV_DESIGN_CASES_IN_TREATMENT;
    if (own_by_reader) o->cov2 = o->cov3 = 0;
    if (own_by_treatment) o->cov1 = o->cov3 = 0;
    for (unsigned i = 0; own_by_reader && i < o->merit->treatments; i++) o->treatment_cov2[i] = 0;
    for (unsigned j = 0; own_by_treatment && j < o->merit->readers; j++) o->reader_cov1[j] = 0;
}

static bool take_components(struct arena *a, struct ev_or *o, struct err *e) {
    unsigned t = o->merit->treatments, r = o->merit->readers, at[4];
    struct average all[4] = {{0}}, *t_cov2 = arena_zero(a, t, sizeof *t_cov2, e), *r_cov1 = arena_zero(a, r, sizeof *r_cov1, e);
    if (!t_cov2 || !r_cov1) return false;
    for (at[0] = 0; at[0] < t; at[0]++)
        for (at[1] = 0; at[1] < r; at[1]++)
            for (at[2] = 0; at[2] < t; at[2]++)
                for (at[3] = 0; at[3] < r; at[3]++) add_covariance(o, all, t_cov2, r_cov1, at);
    o->var_error = average_of(&all[0]);
    o->cov1 = average_of(&all[1]);
    o->cov2 = average_of(&all[2]);
    o->cov3 = average_of(&all[3]);
    for (unsigned i = 0; i < t; i++) o->treatment_cov2[i] = average_of(&t_cov2[i]);
    for (unsigned j = 0; j < r; j++) o->reader_cov1[j] = average_of(&r_cov1[j]);
    take_variances(o);
    apply_design(o);
    o->var_r = (o->ms_r - o->ms_tr) / t - o->cov1 + o->cov3;
    o->var_tr = o->ms_tr - o->var_error + o->cov1 + o->cov2 - o->cov3;
    if (nested_readers(o)) o->var_r = o->var_tr = NAN;
    return true;
}

static bool check(const struct ev_merit *m, struct err *e) {
    for (unsigned i = 0; i < m->treatments; i++) {
        unsigned n = 0;
        for (unsigned j = 0; j < m->readers; j++) n += !isnan(m->theta[i * m->readers + j]);
        if (n == 0) return err_set(e, ERR_BAD_INPUT, "evidence", "modality %u of %u has no reader", i + 1, m->treatments);
        if (n < m->readers && m->design != EV_DESIGN_READERS_IN_TREATMENT)
            return err_set(e, ERR_BAD_INPUT, "evidence",
                           "%u of %u readers have no figure of merit in modality %u: each reader must have worked in every modality", m->readers - n,
                           m->readers, i + 1);
    }
    return true;
}

bool ev_or_analyse(struct arena *a, const struct ev_merit *m, struct ev_or *out, struct err *e) {
    *out = (struct ev_or){.merit = m};
    unsigned t = m->treatments, r = m->readers;
    if (!check(m, e)) return false;
    if (!(out->treatment_mean = arena_zero(a, t, sizeof(double), e)) || !(out->treatment_ms_r = arena_zero(a, t, sizeof(double), e)) ||
        !(out->treatment_var = arena_zero(a, t, sizeof(double), e)) || !(out->treatment_cov2 = arena_zero(a, t, sizeof(double), e)) ||
        !(out->reader_var = arena_zero(a, r, sizeof(double), e)) || !(out->reader_cov1 = arena_zero(a, r, sizeof(double), e)))
        return false;
    take_means(out);
    take_squares(out);
    return take_components(a, out, e);
}

// Of MS(T) under equality of the modalities, and its degrees of freedom.
static double denominator(const struct ev_or *o, enum ev_generalise g, double *df) {
    double t = o->merit->treatments, r = readers_each(o), apart = positive(o->cov2 - o->cov3, o->var_error);
    double df_tr = (t - 1) * (o->merit->readers - 1.0);
    if (nested_readers(o)) df_tr = o->merit->readers - t;
    if (g == EV_FRRC) {
        *df = INFINITY;
        return o->var_error - (nested_readers(o) ? o->cov3 : o->cov1) + (r - 1) * apart;
    }
    if (g == EV_RRFC) {
        *df = df_tr;
        return o->ms_tr;
    }
    double d = o->ms_tr + r * apart;
    *df = o->ms_tr > 0 ? d * d / (o->ms_tr * o->ms_tr / df_tr) : INFINITY; // Hillis 2007
    return d;
}

struct ev_or_test ev_or_equality(const struct ev_or *o, enum ev_generalise g) {
    struct ev_or_test x = {.df1 = o->merit->treatments - 1.0};
    x.denominator = denominator(o, g, &x.df2);
    if (o->merit->treatments < 2 || !(x.denominator > 0)) {
        x.statistic = x.p = NAN;
        return x;
    }
    double f = o->ms_t / x.denominator;
    x.statistic = g == EV_FRRC ? f * x.df1 : f;
    x.p = g == EV_FRRC ? dist_chi2(x.statistic, x.df1, true) : dist_f(f, x.df1, x.df2, true);
    return x;
}

static struct ev_estimate estimate(double value, double variance, double df, double level) {
    struct ev_estimate x = {.value = value, .se = variance >= 0 ? sqrt(variance) : NAN, .df = df};
    double q = isinf(df) ? dist_norm_two_sided(level) : dist_t_quantile((1 - level) / 2, df, true);
    x.statistic = x.se > 0 ? value / x.se : NAN;
    x.p = x.se > 0 ? 2 * dist_t(fabs(x.statistic), df, true) : NAN;
    x.lo = value - q * x.se;
    x.hi = value + q * x.se;
    return x;
}

// Of a difference of two modalities with other numbers of readers than the rest.
static double nested_variance(const struct ev_or *o, enum ev_generalise g, unsigned i, unsigned k) {
    double a = readers_in(o, i), b = readers_in(o, k), apart = positive(o->cov2 - o->cov3, o->var_error);
    if (g == EV_FRRC) return (1 / a + 1 / b) * (o->var_error - o->cov3) + ((a - 1) / a + (b - 1) / b) * apart;
    return (1 / a + 1 / b) * o->ms_tr + (g == EV_RRRC ? 2 * apart : 0);
}

struct ev_estimate ev_or_difference(const struct ev_or *o, enum ev_generalise g, unsigned i, unsigned k, double level) {
    double df, d = denominator(o, g, &df), variance = 2 / readers_each(o) * d;
    if (nested_readers(o)) variance = nested_variance(o, g, i, k);
    return estimate(o->treatment_mean[i] - o->treatment_mean[k], variance, df, level);
}

struct ev_estimate ev_or_treatment(const struct ev_or *o, enum ev_generalise g, unsigned i, double level) {
    double r = readers_in(o, i), ms = o->treatment_ms_r[i], cov2 = positive(o->treatment_cov2[i], o->treatment_var[i]);
    if (g == EV_FRRC) return estimate(o->treatment_mean[i], (o->treatment_var[i] + (r - 1) * cov2) / r, INFINITY, level);
    if (g == EV_RRFC) return estimate(o->treatment_mean[i], ms / r, r - 1, level);
    double d = ms + r * cov2, df = ms > 0 ? d * d / (ms * ms / (r - 1)) : isnan(ms) ? NAN : INFINITY;
    return estimate(o->treatment_mean[i], d / r, df, level);
}

struct ev_estimate ev_or_reader_difference(const struct ev_or *o, unsigned reader, unsigned i, unsigned k, double level) {
    return estimate(theta(o, i, reader) - theta(o, k, reader), 2 * (o->reader_var[reader] - o->reader_cov1[reader]), INFINITY, level);
}

struct ev_estimate ev_or_reader(const struct ev_or *o, unsigned reader, unsigned i, double level) {
    return estimate(theta(o, i, reader), covariance(o, i, reader, i, reader), INFINITY, level);
}
