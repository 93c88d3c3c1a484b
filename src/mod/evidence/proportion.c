// Proportions: intervals, differences, McNemar's test, clusters.
#include <math.h>

#include "math/dist.h"
#include "math/special.h"
#include "mod/evidence/proportion.h"

static const struct {
    const char *key, *name;
} METHODS[EV_PROPORTION_METHODS] = {
    [EV_WILSON] = {"wilson", "Wilson score"},
    [EV_WILSON_CC] = {"wilson_cc", "Wilson score with continuity correction"},
    [EV_CLOPPER_PEARSON] = {"clopper_pearson", "Clopper-Pearson exact"},
    [EV_AGRESTI_COULL] = {"agresti_coull", "Agresti-Coull"},
    [EV_JEFFREYS] = {"jeffreys", "Jeffreys"},
    [EV_MID_P] = {"mid_p", "mid-p exact"},
    [EV_WALD] = {"wald", "Wald"},
};

bool ev_proportion_method(struct str name, enum ev_proportion_method *out) {
    if (str_eqz(name, "exact")) name = str_of("clopper_pearson");
    for (int i = 0; i < EV_PROPORTION_METHODS; i++)
        if (str_eqz(name, METHODS[i].key)) {
            *out = (enum ev_proportion_method)i;
            return true;
        }
    return false;
}

const char *ev_proportion_method_name(enum ev_proportion_method m) {
    return METHODS[m].name;
}

static struct ev_interval wilson(double k, double n, double z) {
    double p = k / n, q = 1 - p, z2 = z * z;
    double mid = 2 * k + z2, half = z * sqrt(z2 + 4 * k * q), under = 2 * (n + z2);
    struct ev_interval out = {p, (mid - half) / under, (mid + half) / under};
    if (k == 0) out.lo = 0;
    if (k == n) out.hi = 1;
    return out;
}

static struct ev_interval wilson_corrected(double k, double n, double z) {
    double p = k / n, q = 1 - p, z2 = z * z, under = 2 * (n + z2);
    struct ev_interval out = {p, 0, 1};
    if (k > 0) out.lo = fmax(0, (2 * k + z2 - 1 - z * sqrt(fmax(0, z2 - 2 - 1 / n + 4 * p * (n * q + 1)))) / under);
    if (k < n) out.hi = fmin(1, (2 * k + z2 + 1 + z * sqrt(fmax(0, z2 + 2 - 1 / n + 4 * p * (n * q - 1)))) / under);
    return out;
}

static struct ev_interval clopper_pearson(double k, double n, double tail) {
    struct ev_interval out = {k / n, 0, 1};
    if (k > 0) out.lo = dist_beta_quantile(tail, k, n - k + 1, false);
    if (k < n) out.hi = dist_beta_quantile(tail, k + 1, n - k, true);
    return out;
}

static struct ev_interval agresti_coull(double k, double n, double z) {
    double under = n + z * z, p = (k + z * z / 2) / under, half = z * sqrt(p * (1 - p) / under);
    return (struct ev_interval){k / n, fmax(0, p - half), fmin(1, p + half)};
}

static struct ev_interval jeffreys(double k, double n, double tail) {
    struct ev_interval out = {k / n, 0, 1};
    if (k > 0) out.lo = dist_beta_quantile(tail, k + 0.5, n - k + 0.5, false);
    if (k < n) out.hi = dist_beta_quantile(tail, k + 0.5, n - k + 0.5, true);
    return out;
}

struct mid {
    double k, n, tail;
    bool upper; // which limit
};

// P(X beyond k) + P(X = k) / 2 - tail, as a function of the proportion.
static double mid_excess(double p, void *with) {
    const struct mid *m = with;
    double half = dist_binom_density(m->k, m->n, p) / 2;
    double beyond = m->upper ? (m->k > 0 ? dist_binom(m->k - 1, m->n, p, false) : 0) : dist_binom(m->k, m->n, p, true);
    return beyond + half - m->tail;
}

static struct ev_interval mid_p(double k, double n, double tail) {
    struct ev_interval out = {k / n, 0, 1};
    struct mid lower = {k, n, tail, false}, upper = {k, n, tail, true};
    if (k > 0) out.lo = special_root(mid_excess, &lower, 0, k / n, 1e-14);
    if (k < n) out.hi = special_root(mid_excess, &upper, k / n, 1, 1e-14);
    if (k == 0) out.hi = 1 - pow(2 * tail, 1 / n);
    if (k == n) out.lo = pow(2 * tail, 1 / n);
    return out;
}

static struct ev_interval wald(double k, double n, double z) {
    double p = k / n, half = z * sqrt(p * (1 - p) / n);
    return (struct ev_interval){p, fmax(0, p - half), fmin(1, p + half)};
}

struct ev_interval ev_proportion(double k, double n, enum ev_proportion_method method, double level) {
    if (!(n > 0) || !(k >= 0) || !(k <= n) || !isfinite(n) || !(level > 0) || !(level < 1)) return (struct ev_interval){NAN, NAN, NAN};
    double tail = (1 - level) / 2, z = dist_norm_two_sided(level);
    switch (method) {
    case EV_WILSON_CC:
        return wilson_corrected(k, n, z);
    case EV_CLOPPER_PEARSON:
        return clopper_pearson(k, n, tail);
    case EV_AGRESTI_COULL:
        return agresti_coull(k, n, z);
    case EV_JEFFREYS:
        return jeffreys(k, n, tail);
    case EV_MID_P:
        return mid_p(k, n, tail);
    case EV_WALD:
        return wald(k, n, z);
    case EV_WILSON:
    case EV_PROPORTION_METHODS:
        break;
    }
    return wilson(k, n, z);
}

struct ev_interval ev_proportion_difference(double k1, double n1, double k2, double n2, double level) {
    struct ev_interval a = ev_proportion(k1, n1, EV_WILSON, level), b = ev_proportion(k2, n2, EV_WILSON, level);
    double d = a.value - b.value;
    return (struct ev_interval){d, d - hypot(a.value - a.lo, b.hi - b.value), d + hypot(a.hi - a.value, b.value - b.lo)};
}

// With p21, the probability of c, estimated under the difference delta (Tango's quadratic).
double ev_tango_z(double b, double c, double n, double delta) {
    if (!(n > 0)) return NAN;
    double A = 2 * n, B = -b - c + (2 * n - b + c) * delta, C = -c * delta * (1 - delta);
    double root = sqrt(fmax(0, B * B - 4 * A * C));
    double p21 = fmax(0, B <= 0 ? (root - B) / (2 * A) : -2 * C / (B + root));
    double above = b - c - n * delta, under = n * (2 * p21 + delta * (1 - delta));
    if (under > 0) return above / sqrt(under);
    return above == 0 ? 0 : copysign(INFINITY, above);
}

struct tango {
    double b, c, n, z;
};

static double tango_excess(double delta, void *with) {
    const struct tango *t = with;
    double z = ev_tango_z(t->b, t->c, t->n, delta);
    return fmax(-1e9, fmin(1e9, z)) - t->z;
}

struct ev_interval ev_proportion_difference_paired(double b, double c, double n, double level) {
    if (!(n > 0) || !(b >= 0) || !(c >= 0) || !(b + c <= n)) return (struct ev_interval){NAN, NAN, NAN};
    double d = (b - c) / n, z = dist_norm_two_sided(level);
    struct tango lower = {b, c, n, z}, upper = {b, c, n, -z};
    struct ev_interval out = {d, -1, 1};
    if (d > -1) out.lo = special_root(tango_excess, &lower, -1, d, 1e-14);
    if (d < 1) out.hi = special_root(tango_excess, &upper, d, 1, 1e-14);
    if (isnan(out.lo)) out.lo = -1;
    if (isnan(out.hi)) out.hi = 1;
    return out;
}

struct ev_mcnemar ev_mcnemar(double b, double c) {
    double n = b + c, gap = fabs(b - c), less = fmin(b, c);
    if (!(b >= 0) || !(c >= 0)) return (struct ev_mcnemar){NAN, NAN, NAN, NAN, NAN, NAN};
    if (n == 0) return (struct ev_mcnemar){NAN, NAN, NAN, NAN, 1, 1};
    double corrected = fmax(0, gap - 1), tail = dist_binom(less, n, 0.5, false);
    struct ev_mcnemar out = {.chi2 = gap * gap / n, .chi2_cc = corrected * corrected / n};
    out.p = dist_chi2(out.chi2, 1, true);
    out.p_cc = dist_chi2(out.chi2_cc, 1, true);
    out.p_exact = fmin(1, 2 * tail);
    out.p_mid = b == c ? 1 - dist_binom_density(less, n, 0.5) : 2 * tail - dist_binom_density(less, n, 0.5);
    return out;
}

static bool cluster_totals(struct arena *a, const uint8_t *hit, const int32_t *cluster, size_t n, int32_t *count, double **hits, double **sizes,
                           struct err *e) {
    int32_t top = -1;
    for (size_t i = 0; i < n; i++) {
        if (cluster[i] < 0) return err_set(e, ERR_BAD_INPUT, "evidence", "observation %zu has no cluster", i + 1);
        if (cluster[i] > top) top = cluster[i];
    }
    *count = top + 1;
    *hits = arena_zero(a, (size_t)top + 1, sizeof **hits, e);
    *sizes = *hits ? arena_zero(a, (size_t)top + 1, sizeof **sizes, e) : NULL;
    if (!*sizes) return false;
    for (size_t i = 0; i < n; i++) {
        (*hits)[cluster[i]] += hit[i] ? 1 : 0;
        (*sizes)[cluster[i]] += 1;
    }
    return true;
}

bool ev_proportion_clustered(struct arena *a, const uint8_t *hit, const int32_t *cluster, size_t n, double level, struct ev_clustered_proportion *out,
                             struct err *e) {
    double *hits, *sizes, total = 0, sum = 0, *used = NULL;
    int32_t count;
    if (n == 0) return err_set(e, ERR_BAD_INPUT, "evidence", "a proportion of no observations");
    if (!cluster_totals(a, hit, cluster, n, &count, &hits, &sizes, e)) return false;
    used = sizes;
    *out = (struct ev_clustered_proportion){0};
    for (int32_t i = 0; i < count; i++) total += hits[i];
    double p = total / (double)n;
    for (int32_t i = 0; i < count; i++) {
        double r = hits[i] - p * sizes[i];
        if (used[i] > 0) out->clusters++;
        sum += r * r;
    }
    double m = (double)out->clusters, variance = m > 1 ? m / (m - 1) * sum / ((double)n * (double)n) : NAN, simple = p * (1 - p) / (double)n;
    out->se = sqrt(variance);
    out->design_effect = simple > 0 ? variance / simple : 1;
    out->effective_n = out->design_effect > 0 ? (double)n / out->design_effect : (double)n;
    out->interval = isnan(variance) ? (struct ev_interval){p, NAN, NAN} : ev_proportion(p * out->effective_n, out->effective_n, EV_WILSON, level);
    return true;
}
