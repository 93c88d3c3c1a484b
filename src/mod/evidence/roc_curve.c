// The empirical curve: partial areas, operating points.
#include <math.h>

#include "math/rank.h"
#include "mod/evidence/roc_part.h"

bool ev_roc_curve_room(struct arena *a, size_t n, struct ev_roc_curve *out, struct err *e) {
    out->threshold = arena_alloc(a, (n + 1) * sizeof(double), e);
    out->fp = out->threshold ? arena_alloc(a, (n + 1) * sizeof(double), e) : NULL;
    out->tp = out->fp ? arena_alloc(a, (n + 1) * sizeof(double), e) : NULL;
    return out->tp != NULL;
}

// A threshold t with below <= t < above, near their middle also where the sum would overflow.
static double halfway(double below, double above) {
    double t = below / 2 + above / 2;
    return t >= above || t < below ? below : t;
}

static size_t distinct(const struct ev_roc_data *d, const uint32_t *order) {
    size_t count = 1;
    for (size_t i = 1; i < d->n; i++) count += d->score[order[i]] != d->score[order[i - 1]];
    return count;
}

bool ev_roc_curve(struct arena *a, const struct ev_roc_data *d, struct ev_roc_curve *out, struct err *e) {
    uint32_t *order = NULL;
    *out = (struct ev_roc_curve){0};
    if (!ev_roc_check(d, &out->n0, &out->n1, e) || !rank_order(a, d->score, d->n, &order, e)) return false;
    if (!ev_roc_curve_room(a, distinct(d, order), out, e)) return false;
    double fp = 0, tp = 0;
    out->threshold[0] = INFINITY;
    out->fp[0] = out->tp[0] = 0;
    for (size_t i = d->n; i > 0;) {
        double value = d->score[order[i - 1]];
        while (i > 0 && d->score[order[i - 1]] == value) {
            tp += d->positive[order[i - 1]] ? 1 : 0;
            fp += d->positive[order[i - 1]] ? 0 : 1;
            i--;
        }
        size_t k = ++out->count;
        out->threshold[k] = i > 0 ? halfway(d->score[order[i - 1]], value) : -INFINITY;
        out->fp[k] = fp;
        out->tp[k] = tp;
    }
    out->count++;
    return true;
}

double ev_roc_area(const struct ev_roc_curve *c) {
    double twice = 0;
    for (size_t k = 1; k < c->count; k++) twice += (c->fp[k] - c->fp[k - 1]) * (c->tp[k] + c->tp[k - 1]);
    return twice / 2 / ((double)c->n0 * (double)c->n1);
}

// Area under y(x) for x in [lo, hi], where points ascend in x from 0 to 1.
static double area_between(const double *x, double nx, const double *y, double ny, size_t count, double lo, double hi) {
    double sum = 0;
    for (size_t k = 1; k < count; k++) {
        double x0 = x[k - 1] / nx, x1 = x[k] / nx, from = fmax(x0, lo), to = fmin(x1, hi);
        if (!(to > from)) continue;
        double y0 = y[k - 1] / ny, slope = (y[k] / ny - y0) / (x1 - x0);
        sum += (to - from) * (y0 + slope * ((from - x0) + (to - x0)) / 2);
    }
    return sum;
}

double ev_roc_partial(const struct ev_roc_curve *c, enum ev_focus focus, double lo, double hi, bool corrected) {
    double n0 = (double)c->n0, n1 = (double)c->n1, area, least;
    if (!(lo >= 0) || !(hi <= 1) || !(lo < hi)) return NAN;
    if (focus == EV_SPECIFICITY_FOCUS) {
        area = area_between(c->fp, n0, c->tp, n1, c->count, 1 - hi, 1 - lo);
        least = (hi - lo) * (2 - hi - lo) / 2;
    } else { // specificity over sensitivity: what lies right of the curve
        area = (hi - lo) - area_between(c->tp, n1, c->fp, n0, c->count, lo, hi);
        least = (hi - lo) * (2 - hi - lo) / 2;
    }
    if (!corrected) return area;
    if (area < least * (1 - 1e-14)) return NAN;
    return (1 + (area - least) / (hi - lo - least)) / 2;
}

// The greatest y where the curve's x is `at`; both as shares.
static double highest_at(const double *x, double nx, const double *y, double ny, size_t count, double at) {
    for (size_t k = count; k-- > 0;) {
        double x0 = x[k] / nx;
        if (x0 > at) continue;
        if (x0 == at || k + 1 == count) return y[k] / ny;
        double share = (at - x0) / (x[k + 1] / nx - x0);
        return (y[k] + share * (y[k + 1] - y[k])) / ny;
    }
    return NAN;
}

// 1 - p where p came as a decimal: back to the nearest count when it is one within rounding.
static double rounded_share(double share, double n) {
    double count = share * n, whole = round(count);
    return fabs(count - whole) < 1e-9 * fmax(1, whole) ? whole / n : share;
}

double ev_roc_sensitivity_at(const struct ev_roc_curve *c, double specificity) {
    if (!(specificity >= 0) || !(specificity <= 1)) return NAN;
    return highest_at(c->fp, (double)c->n0, c->tp, (double)c->n1, c->count, rounded_share(1 - specificity, (double)c->n0));
}

double ev_roc_specificity_at(const struct ev_roc_curve *c, double sensitivity) {
    double n0 = (double)c->n0, n1 = (double)c->n1;
    if (!(sensitivity >= 0) || !(sensitivity <= 1)) return NAN;
    double at = rounded_share(sensitivity, n1);
    for (size_t k = 0; k < c->count; k++) { // the first point that reaches it has the greatest specificity
        double y1 = c->tp[k] / n1;
        if (y1 < at) continue;
        if (y1 == at || k == 0) return 1 - c->fp[k] / n0;
        double y0 = c->tp[k - 1] / n1, share = (at - y0) / (y1 - y0);
        return 1 - (c->fp[k - 1] + share * (c->fp[k] - c->fp[k - 1])) / n0;
    }
    return NAN;
}

size_t ev_roc_best(const struct ev_roc_curve *c, enum ev_best how, double weight, size_t *equals) {
    double n0 = (double)c->n0, n1 = (double)c->n1, best = -INFINITY;
    size_t at = 0, same = 0;
    for (size_t k = 0; k < c->count; k++) {
        double se = c->tp[k] / n1, sp = (n0 - c->fp[k]) / n0;
        // in whole counts, so that equal points are equal
        double merit = how == EV_BEST_YOUDEN ? weight * c->tp[k] * n0 + (n0 - c->fp[k]) * n1 : -(weight * (1 - se) * (1 - se) + (1 - sp) * (1 - sp));
        if (merit == best) same++;
        if (!(merit > best)) continue;
        best = merit;
        at = k;
        same = 1;
    }
    if (equals) *equals = same;
    return at;
}

double ev_roc_index(const struct ev_roc_curve *c, const struct ev_wanted *w) {
    switch (w->index) {
    case EV_INDEX_PARTIAL:
        return ev_roc_partial(c, w->focus, w->lo, w->hi, w->corrected);
    case EV_INDEX_SENSITIVITY_AT:
        return ev_roc_sensitivity_at(c, w->lo);
    case EV_INDEX_SPECIFICITY_AT:
        return ev_roc_specificity_at(c, w->lo);
    case EV_INDEX_AUC:
        break;
    }
    return ev_roc_area(c);
}
