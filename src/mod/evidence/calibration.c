// Scores and bins of probabilities.
#include "mod/evidence/calibration.h"

#include <math.h>

#include "math/dist.h"
#include "math/rank.h"
#include "mod/evidence/logistic.h"
#include "mod/evidence/spread.h"

enum { BINS_MAX = 100000 };

static bool usable(const double *p, const double *y, size_t n, struct err *e) {
    if (n == 0) return err_set(e, ERR_BAD_INPUT, "evidence", "there are no rows");
    for (size_t i = 0; i < n; i++) {
        if (!(p[i] >= 0 && p[i] <= 1)) return err_set(e, ERR_BAD_INPUT, "evidence", "row %zu: a probability lies in 0 to 1, not %g", i + 1, p[i]);
        if (y[i] != 0 && y[i] != 1) return err_set(e, ERR_BAD_INPUT, "evidence", "row %zu: an outcome is 0 or 1, not %g", i + 1, y[i]);
    }
    return true;
}

// ---- bins ----

// The bin of a probability: (lo, hi], where the ends are the numbers i / count as they are in floating point.
static unsigned bin_of(double p, unsigned count) {
    double k = ceil(p * count) - 1;
    if (k < 0) k = 0;
    if (k > count - 1) k = count - 1;
    if (k > 0 && p <= k / count) k--;
    if (k < count - 1 && p > (k + 1) / count) k++;
    return (unsigned)k;
}

static void by_width(const double *p, const double *y, size_t n, unsigned count, struct ev_bin *bin) {
    for (unsigned k = 0; k < count; k++) bin[k] = (struct ev_bin){.lo = (double)k / count, .hi = (k + 1.0) / count};
    for (size_t i = 0; i < n; i++) {
        struct ev_bin *b = &bin[bin_of(p[i], count)];
        b->n++;
        b->mean += (p[i] - b->mean) / (double)b->n;
        b->rate += y[i];
    }
}

static bool by_count(struct arena *a, const double *p, const double *y, size_t n, unsigned count, struct ev_bin *bin, struct err *e) {
    uint32_t *order;
    size_t at = 0;
    if (!rank_order(a, p, n, &order, e)) return false;
    for (unsigned k = 0; k < count; k++) {
        struct ev_bin *b = &bin[k];
        size_t end = (size_t)(((unsigned __int128)n * (k + 1) + count - 1) / count);
        *b = (struct ev_bin){.lo = NAN, .hi = NAN};
        for (; at < n && (at < end || p[order[at]] == p[order[at - 1]]); at++) {
            if (b->n++ == 0) b->lo = p[order[at]];
            b->hi = p[order[at]];
            b->mean += (p[order[at]] - b->mean) / (double)b->n;
            b->rate += y[order[at]];
        }
    }
    return true;
}

bool ev_bins(struct arena *a, const double *p, const double *y, size_t n, enum ev_binning binning, unsigned count, struct ev_bin *bin, struct err *e) {
    if (count == 0 || count > BINS_MAX) return err_set(e, ERR_BAD_INPUT, "evidence", "%u bins; 1 to %d are taken", count, BINS_MAX);
    if (!usable(p, y, n, e)) return false;
    if (binning == EV_BINS_WIDTH)
        by_width(p, y, n, count, bin);
    else if (!by_count(a, p, y, n, count, bin, e))
        return false;
    for (unsigned k = 0; k < count; k++) {
        bin[k].rate = bin[k].n ? bin[k].rate / (double)bin[k].n : NAN;
        if (!bin[k].n) bin[k].mean = NAN;
    }
    return true;
}

// ---- scores ----

static void score(const double *p, const double *y, size_t n, struct ev_calibration *out) {
    struct ev_sum brier = {0}, loss = {0}, expected = {0}, over = {0}, under = {0};
    for (size_t i = 0; i < n; i++) {
        double d = p[i] - y[i], flip = 1 - 2 * p[i];
        out->events += y[i];
        ev_add(&brier, d * d);
        ev_add(&expected, p[i]);
        ev_add(&over, -d * flip);
        ev_add(&under, flip * flip * p[i] * (1 - p[i]));
        double l = y[i] != 0 ? -log(p[i]) : -log1p(-p[i]);
        if (isinf(l))
            out->log_loss = INFINITY;
        else
            ev_add(&loss, l);
    }
    double count = (double)n, rate = out->events / count;
    out->brier = ev_total(&brier) / count;
    out->log_loss += ev_total(&loss) / count;
    out->uncertainty = rate * (1 - rate);
    out->brier_scaled = out->uncertainty > 0 ? 1 - out->brier / out->uncertainty : NAN;
    out->oe = out->events / ev_total(&expected);
    out->spiegelhalter_z = ev_total(&over) / sqrt(ev_total(&under));
    out->spiegelhalter_p = 2 * dist_norm(fabs(out->spiegelhalter_z), true);
}

// The terms of the decomposition; those within bins need each value again.
static void decompose(const double *p, const double *y, size_t n, const struct ev_bin *bin, unsigned bins, bool width, struct ev_calibration *out) {
    double count = (double)n, rate = out->events / count;
    struct ev_sum variance = {0}, covariance = {0};
    for (unsigned k = 0; k < bins; k++) {
        if (!bin[k].n) continue;
        double share = (double)bin[k].n / count, gap = bin[k].mean - bin[k].rate;
        out->reliability += share * gap * gap;
        out->resolution += share * (bin[k].rate - rate) * (bin[k].rate - rate);
        out->ece += share * fabs(gap);
        out->mce = fmax(out->mce, fabs(gap));
    }
    for (size_t i = 0; i < n; i++) {
        unsigned k = 0, hi = bins;
        if (width) k = bin_of(p[i], bins);
        while (!width && hi - k > 1) { // the last bin that begins at p or below; empty ones come at the end
            unsigned mid = (k + hi) / 2;
            if (bin[mid].n && bin[mid].lo <= p[i])
                k = mid;
            else
                hi = mid;
        }
        ev_add(&variance, (p[i] - bin[k].mean) * (p[i] - bin[k].mean));
        ev_add(&covariance, 2 * (p[i] - bin[k].mean) * (y[i] - bin[k].rate));
    }
    out->within_variance = ev_total(&variance) / count;
    out->within_covariance = ev_total(&covariance) / count;
}

// Empty bins to the end, so that the others ascend.
static unsigned pack(struct ev_bin *bin, unsigned bins) {
    unsigned kept = 0;
    for (unsigned k = 0; k < bins; k++)
        if (bin[k].n) bin[kept++] = bin[k];
    return kept;
}

bool ev_calibration(struct arena *a, const double *p, const double *y, size_t n, enum ev_binning binning, unsigned bins, double level,
                    struct ev_calibration *out, struct err *e) {
    *out = (struct ev_calibration){.n = n};
    struct ev_bin *bin = bins && bins <= BINS_MAX ? arena_zero(a, bins, sizeof *bin, e) : NULL;
    if (!bin && bins && bins <= BINS_MAX) return false;
    if (!ev_bins(a, p, y, n, binning, bins, bin, e)) return false;
    score(p, y, n, out);
    if (binning == EV_BINS_COUNT) bins = pack(bin, bins);
    decompose(p, y, n, bin, bins, binning == EV_BINS_WIDTH, out);
    double z = dist_norm_two_sided(level), se = sqrt((1 - out->events / (double)n) / out->events);
    out->oe_lo = out->events > 0 ? out->oe * exp(-z * se) : NAN;
    out->oe_hi = out->events > 0 ? out->oe * exp(z * se) : NAN;
    return true;
}

// ---- recalibration ----

bool ev_recalibration(struct arena *a, const double *p, const double *y, size_t n, double level, struct ev_recalibration *out, struct err *e) {
    struct ev_logistic both, one;
    *out = (struct ev_recalibration){0};
    if (!usable(p, y, n, e)) return false;
    double *x = arena_alloc(a, 2 * n * sizeof *x, e), *logit = x ? arena_alloc(a, n * sizeof *logit, e) : NULL,
           *ones = logit ? arena_alloc(a, n * sizeof *ones, e) : NULL;
    if (!ones) return false;
    for (size_t i = 0; i < n; i++) {
        if (p[i] <= 0 || p[i] >= 1) return err_set(e, ERR_BAD_INPUT, "evidence", "row %zu: a probability of %g has no logit", i + 1, p[i]);
        logit[i] = log(p[i]) - log1p(-p[i]);
        x[2 * i] = ones[i] = 1;
        x[2 * i + 1] = logit[i];
    }
    double z = dist_norm_two_sided(level);
    if (!ev_logistic(a, ones, y, logit, n, 1, &one, e)) return false;
    out->large = one.coefficient[0];
    out->large_se = one.se[0];
    out->large_lo = out->large - z * out->large_se;
    out->large_hi = out->large + z * out->large_se;
    if (!ev_logistic(a, x, y, NULL, n, 2, &both, e)) return err_wrap(e, "calibration slope");
    out->intercept = both.coefficient[0];
    out->intercept_se = both.se[0];
    out->slope = both.coefficient[1];
    out->slope_se = both.se[1];
    out->slope_lo = out->slope - z * out->slope_se;
    out->slope_hi = out->slope + z * out->slope_se;
    return true;
}
