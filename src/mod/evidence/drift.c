// Kolmogorov-Smirnov tests and the population stability index.
#include "mod/evidence/drift.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "math/dist.h"
#include "math/rank.h"
#include "math/special.h"
#include "mod/evidence/spread.h"

enum { EXACT_ONE_MAX = 2000 };
static const double EXACT_TWO_MAX = 4e8;

static bool sorted(struct arena *a, const double *x, size_t n, double **out, struct err *e) {
    if (n == 0) return err_set(e, ERR_BAD_INPUT, "evidence", "a sample is empty");
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return err_set(e, ERR_BAD_INPUT, "evidence", "value %zu is no finite number", i + 1);
    *out = arena_alloc(a, n * sizeof **out, e);
    if (!*out) return false;
    memcpy(*out, x, n * sizeof *x);
    return rank_sort(a, *out, n, e);
}

// Kolmogorov's limiting distribution, upper tail: by the series that is short there.
static double limiting(double lambda) {
    double sum = 0;
    if (lambda < 1e-8) return 1;
    if (lambda < 1) {
        for (int k = 1; k < 20; k += 2) sum += exp(-k * k * M_PI * M_PI / (8 * lambda * lambda));
        return 1 - sqrt(2 * M_PI) / lambda * sum;
    }
    for (int k = 1; k < 20; k++) sum += (k % 2 ? 2 : -2) * exp(-2.0 * k * k * lambda * lambda);
    return fmin(1, sum);
}

// ---- two samples ----

// The largest |i m - j n| over the places between different values, in whole numbers; marks the ends of ties by pooled count.
static uint64_t largest_gap(const double *x, size_t n, const double *y, size_t m, uint8_t *end, bool *ties) {
    uint64_t most = 0;
    size_t i = 0, j = 0;
    *ties = false;
    while (i < n || j < m) {
        double at = j >= m || (i < n && x[i] <= y[j]) ? x[i] : y[j];
        size_t before = i + j;
        while (i < n && x[i] == at) i++;
        while (j < m && y[j] == at) j++;
        *ties |= i + j - before > 1;
        if (end) end[i + j] = 1;
        uint64_t p = (uint64_t)i * m, q = (uint64_t)j * n, gap = p > q ? p - q : q - p;
        if (gap > most) most = gap;
    }
    return most;
}

// Of all ways to draw n of the pooled values, the share that reaches the gap at the end of some tie. reached[j]: with i of x and j of y drawn, given that.
static double share_that_reaches(uint64_t gap, size_t n, size_t m, const uint8_t *end, double *reached) {
    for (size_t i = 0; i <= n; i++) {
        for (size_t j = 0; j <= m; j++) {
            uint64_t p = (uint64_t)i * m, q = (uint64_t)j * n;
            double total = (double)(i + j), by_x = i ? reached[j] * ((double)i / total) : 0, by_y = j ? reached[j - 1] * ((double)j / total) : 0;
            reached[j] = end[i + j] && (p > q ? p - q : q - p) >= gap ? 1 : by_x + by_y;
        }
    }
    return reached[m];
}

// P(D >= d), both samples sorted.
static bool exact_two(struct arena *a, const double *x, size_t n, const double *y, size_t m, double *p, struct err *e) {
    bool ties;
    uint8_t *end = arena_zero(a, n + m + 1, 1, e);
    double *reached = end ? arena_zero(a, m + 1, sizeof *reached, e) : NULL;
    if (!reached) return false;
    uint64_t gap = largest_gap(x, n, y, m, end, &ties);
    *p = gap ? share_that_reaches(gap, n, m, end, reached) : 1;
    return true;
}

bool ev_ks_two(struct arena *a, const double *x, size_t n, const double *y, size_t m, struct ev_ks *out, struct err *e) {
    double *u, *v, count = (double)n, other = (double)m;
    *out = (struct ev_ks){0};
    if (n > UINT32_MAX || m > UINT32_MAX) return err_set(e, ERR_TOO_LARGE, "evidence", "samples of more than 4294967295 values are not compared");
    if (!sorted(a, x, n, &u, e) || !sorted(a, y, m, &v, e)) return false;
    out->d = (double)largest_gap(u, n, v, m, NULL, &out->ties) / (count * other);
    out->exact = count * other <= EXACT_TWO_MAX;
    out->p = limiting(out->d * sqrt(count * (other / (count + other))));
    return !out->exact || exact_two(a, u, n, v, m, &out->p, e);
}

// ---- one sample ----

// Smirnov's one-sided probability (Birnbaum ZW, Tingey FH. Ann Math Stat 1951;22:592-596): a sum of positive terms.
static double one_sided(size_t n, double d) {
    double count = (double)n, sum = 0;
    for (size_t j = 0; (double)j < count * (1 - d); j++) {
        double at = d + (double)j / count;
        sum += exp(special_log_choose(count, (double)j) + ((double)j - 1) * log(at) + (count - (double)j) * log1p(-at));
    }
    return d * sum;
}

// c = a b, scaled so that its middle stays in range.
static void multiply(const double *x, int ex, const double *y, int ey, double *out, int *exponent, unsigned m) {
    *exponent = ex + ey;
    for (unsigned i = 0; i < m; i++) {
        double *row = out + (size_t)i * m;
        memset(row, 0, m * sizeof *row);
        for (unsigned k = 0; k < m; k++) {
            double f = x[(size_t)i * m + k];
            for (unsigned j = 0; f != 0 && j < m; j++) row[j] += f * y[(size_t)k * m + j];
        }
    }
    if (out[(size_t)(m / 2) * m + m / 2] > 0x1p460) {
        for (size_t i = 0; i < (size_t)m * m; i++) out[i] *= 0x1p-460;
        *exponent += 460;
    }
}

// Durbin's matrix for d = (k - h) / n.
static void durbin(double *matrix, unsigned m, double h) {
    for (unsigned i = 0; i < m; i++)
        for (unsigned j = 0; j < m; j++) matrix[(size_t)i * m + j] = j <= i + 1;
    for (unsigned i = 0; i < m; i++) {
        matrix[(size_t)i * m] -= pow(h, i + 1);
        matrix[(size_t)(m - 1) * m + i] -= pow(h, m - i);
    }
    if (2 * h - 1 > 0) matrix[(size_t)(m - 1) * m] += pow(2 * h - 1, m);
    for (unsigned i = 0; i < m; i++)
        for (unsigned j = 0; j <= i; j++)
            for (unsigned g = 1; g <= i + 1 - j; g++) matrix[(size_t)i * m + j] /= g;
}

// P(D < d) by Marsaglia, Tsang and Wang: the middle of the n-th power of the matrix, times n! / n^n.
static bool by_matrix(struct arena *a, size_t n, double d, double *below, struct err *e) {
    unsigned k = (unsigned)((double)n * d) + 1, m = 2 * k - 1;
    size_t cells = (size_t)m * m;
    double *base = arena_alloc(a, 3 * cells * sizeof *base, e);
    int eb = 0, ep = 0, en = 0;
    if (!base) return false;
    double *power = base + cells, *next = base + 2 * cells;
    durbin(base, m, k - (double)n * d);
    memset(power, 0, cells * sizeof *power);
    for (unsigned i = 0; i < m; i++) power[(size_t)i * m + i] = 1;
    for (size_t left = n; left; left >>= 1) {
        if (left & 1) {
            multiply(power, ep, base, eb, next, &en, m);
            double *swap = power;
            power = next;
            next = swap;
            ep = en;
        }
        if (left == 1) break;
        multiply(base, eb, base, eb, next, &en, m);
        double *swap = base;
        base = next;
        next = swap;
        eb = en;
    }
    double middle = power[(size_t)(k - 1) * m + k - 1];
    *below = middle <= 0 ? 0 : exp(log(middle) + ep * M_LN2 + lgamma((double)n + 1) - (double)n * log((double)n));
    return true;
}

bool ev_ks_tail(struct arena *a, size_t n, double d, double *p, struct err *e) {
    double below, count = (double)n;
    if (d <= 0.5 / count) return *p = 1, true;
    if (d >= 1) return *p = 0, true;
    // Beyond this, both sides at once are less likely than 1e-10 of either.
    if (count * d * d >= 4) return *p = fmin(1, 2 * one_sided(n, d)), true;
    if (n > EXACT_ONE_MAX) return *p = limiting(d * sqrt(count)), true;
    if (!by_matrix(a, n, d, &below, e)) return false;
    *p = fmin(1, fmax(0, 1 - below));
    return true;
}

static double law_below(enum ev_law law, double first, double second, double x) {
    if (law == EV_LAW_NORMAL) return dist_norm((x - first) / second, false);
    if (law == EV_LAW_UNIFORM) return fmin(1, fmax(0, (x - first) / (second - first)));
    return x <= 0 ? 0 : -expm1(-first * x);
}

bool ev_ks_one(struct arena *a, const double *x, size_t n, enum ev_law law, double first, double second, struct ev_ks *out, struct err *e) {
    double *u;
    *out = (struct ev_ks){0};
    bool fine = law == EV_LAW_NORMAL ? second > 0 : law == EV_LAW_UNIFORM ? second > first : first > 0;
    if (!fine || !isfinite(first)) return err_set(e, ERR_BAD_INPUT, "evidence", "the distribution's parameters %g and %g are out of range", first, second);
    if (!sorted(a, x, n, &u, e)) return false;
    for (size_t i = 0; i < n; i++) {
        double f = law_below(law, first, second, u[i]);
        out->d = fmax(out->d, fmax((double)(i + 1) / (double)n - f, f - (double)i / (double)n));
        out->ties |= i && u[i] == u[i - 1];
    }
    out->exact = n <= EXACT_ONE_MAX || (double)n * out->d * out->d >= 4;
    return ev_ks_tail(a, n, out->d, &out->p, e);
}

// ---- population stability index ----

bool ev_psi_counts(struct arena *a, const double *then, const double *now, unsigned bins, struct ev_psi *out, struct err *e) {
    double n = 0, m = 0;
    *out = (struct ev_psi){.bins = bins, .end = NULL};
    if (bins < 2) return err_set(e, ERR_BAD_INPUT, "evidence", "%u bin: the stability index needs two at least", bins);
    for (unsigned k = 0; k < bins; k++) {
        if (!(then[k] >= 0) || !(now[k] >= 0)) return err_set(e, ERR_BAD_INPUT, "evidence", "bin %u: %g and %g are no counts", k + 1, then[k], now[k]);
        n += then[k];
        m += now[k];
    }
    if (!(n > 0 && m > 0) || !isfinite(n + m)) return err_set(e, ERR_BAD_INPUT, "evidence", "one of the samples is empty");
    out->then = arena_alloc(a, bins * sizeof *out->then, e);
    out->now = out->then ? arena_alloc(a, bins * sizeof *out->now, e) : NULL;
    if (!out->now) return false;
    struct ev_sum sum = {0};
    for (unsigned k = 0; k < bins; k++) {
        if (then[k] == 0 && now[k] == 0) {
            out->then[k] = out->now[k] = 0;
            continue;
        }
        out->empty |= then[k] == 0 || now[k] == 0;
        out->then[k] = fmax(then[k], 0.5) / n;
        out->now[k] = fmax(now[k], 0.5) / m;
        if (then[k] > 0 && then[k] < 0.5) out->then[k] = then[k] / n; // shares, not counts
        if (now[k] > 0 && now[k] < 0.5) out->now[k] = now[k] / m;
        ev_add(&sum, (out->now[k] - out->then[k]) * log(out->now[k] / out->then[k]));
    }
    out->psi = ev_total(&sum);
    out->df = bins - 1.0;
    out->chi2 = out->psi / (1 / n + 1 / m);
    out->p = dist_chi2(out->chi2, out->df, true);
    return true;
}

bool ev_psi(struct arena *a, const double *x, size_t n, const double *y, size_t m, unsigned bins, struct ev_psi *out, struct err *e) {
    double *u, *v;
    *out = (struct ev_psi){0};
    if (bins < 2 || bins > 10000) return err_set(e, ERR_BAD_INPUT, "evidence", "%u bins: the stability index takes 2 to 10000", bins);
    if (!sorted(a, x, n, &u, e) || !sorted(a, y, m, &v, e)) return false;
    double *end = arena_alloc(a, bins * sizeof *end, e), *then = end ? arena_zero(a, bins, sizeof *then, e) : NULL,
           *now = then ? arena_zero(a, bins, sizeof *now, e) : NULL;
    if (!now) return false;
    unsigned made = 0;
    size_t from = 0, current = 0;
    for (unsigned k = 0; k < bins && from < n; k++) {
        size_t to = (size_t)(((unsigned __int128)n * (k + 1) + bins - 1) / bins);
        if (to <= from) continue;
        while (to < n && u[to] == u[to - 1]) to++;
        end[made] = to == n ? INFINITY : u[to - 1];
        then[made++] = (double)(to - from);
        from = to;
    }
    for (unsigned k = 0; k < made; k++)
        for (; current < m && v[current] <= end[k]; current++) now[k]++;
    if (made < 2) return err_set(e, ERR_BAD_INPUT, "evidence", "the reference sample has one value only: it makes no bins");
    if (!ev_psi_counts(a, then, now, made, out, e)) return false;
    out->end = end;
    return true;
}
