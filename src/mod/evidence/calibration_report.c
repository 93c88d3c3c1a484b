// Calibration told as a report.
#include "mod/evidence/calibration_report.h"

#include <math.h>

#include "mod/evidence/proportion.h"

// A number as text that stays alive; of no memory the report fails itself.
static const char *number(struct ev_report *r, double x) {
    const char *text = arena_printf(r->arena, NULL, "%.6g", x);
    if (!text) r->failed = true;
    return text ? text : "";
}

static void tell_scores(struct ev_report *r, const struct ev_calibration *c) {
    ev_report_value(r, "Cases", (double)c->n);
    ev_report_value(r, "Events", c->events);
    ev_report_value(r, "Brier score", c->brier);
    ev_report_value(r, "Scaled Brier score", c->brier_scaled);
    ev_report_value(r, "Reliability", c->reliability);
    ev_report_value(r, "Resolution", c->resolution);
    ev_report_value(r, "Uncertainty", c->uncertainty);
    ev_report_value(r, "Variance within bins", c->within_variance);
    ev_report_value(r, "Covariance within bins", c->within_covariance);
    ev_report_value(r, "Log loss", c->log_loss);
    ev_report_value(r, "Expected calibration error", c->ece);
    ev_report_value(r, "Maximum calibration error", c->mce);
    ev_report_estimate(r, "Observed / expected events", c->oe, NAN, c->oe_lo, c->oe_hi);
    if (isnan(c->spiegelhalter_z)) return;
    ev_report_value(r, "Spiegelhalter's z", c->spiegelhalter_z);
    ev_report_value(r, "p-value of Spiegelhalter's z", c->spiegelhalter_p);
}

static bool tell_recalibration(struct arena *a, const double *p, const double *y, size_t n, double level, struct ev_report *r, struct err *e) {
    struct ev_recalibration k;
    struct err why = {0};
    ev_report_source(r, "Cox DR. Biometrika 1958;45:562-565");
    if (ev_recalibration(a, p, y, n, level, &k, &why)) {
        ev_report_estimate(r, "Calibration slope", k.slope, k.slope_se, k.slope_lo, k.slope_hi);
        ev_report_estimate(r, "Calibration intercept", k.intercept, k.intercept_se, NAN, NAN);
        ev_report_estimate(r, "Calibration in the large", k.large, k.large_se, k.large_lo, k.large_hi);
        return true;
    }
    if (why.kind != ERR_BAD_INPUT) return err_set(e, why.kind, "evidence", "%s", why.message);
    ev_report_none(r, "Calibration slope", "probabilities of 0 or 1, one outcome only, or outcomes that the probabilities separate");
    return true;
}

static bool tell_hosmer(struct arena *a, const double *p, const double *y, size_t n, const struct ev_calibration_request *q, struct ev_report *r,
                        struct err *e) {
    struct ev_hosmer h;
    struct err why = {0};
    double least = INFINITY;
    ev_report_source(r, "Hosmer DW, Lemeshow S. Commun Stat Theory Methods 1980;9:1043-1069");
    if (!ev_hosmer(a, p, y, n, q->grouping, q->groups, NULL, &h, &why)) {
        if (why.kind != ERR_BAD_INPUT) return err_set(e, why.kind, "evidence", "%s", why.message);
        ev_report_none(r, "Hosmer-Lemeshow chi-square", "too few different probabilities for the groups");
        return true;
    }
    for (unsigned k = 0; k < h.groups; k++) least = fmin(least, fmin(h.group[k].expected, (double)h.group[k].n - h.group[k].expected));
    ev_report_value(r, "Hosmer-Lemeshow chi-square", h.chi2);
    ev_report_value(r, "Hosmer-Lemeshow df", h.df);
    ev_report_value(r, "p-value of Hosmer-Lemeshow", h.p);
    if (least < 1)
        ev_report_warn(r, "A group expects {0} events or non-events: the chi-square distribution of Hosmer and Lemeshow's statistic is not reliable.",
                       number(r, least), NULL);
    return true;
}

static bool tell_bins(struct arena *a, const double *p, const double *y, size_t n, const struct ev_calibration_request *q, double level, struct ev_report *r,
                      struct ev_plot *plot, struct err *e) {
    struct ev_bin *bin = arena_alloc(a, q->bins * sizeof *bin, e);
    double *memory = bin ? arena_alloc(a, 4 * (size_t)q->bins * sizeof *memory, e) : NULL;
    if (!memory || !ev_bins(a, p, y, n, q->binning, q->bins, bin, e)) return false;
    double *x = memory, *rate = memory + q->bins, *ends = memory + 2 * (size_t)q->bins;
    size_t shown = 0;
    for (unsigned k = 0; k < q->bins; k++) {
        if (!bin[k].n) continue;
        struct ev_interval i = ev_proportion(round(bin[k].rate * (double)bin[k].n), (double)bin[k].n, EV_WILSON, level);
        ev_report_group(r, "%.4g - %.4g", bin[k].lo, bin[k].hi);
        ev_report_value(r, "Cases", (double)bin[k].n);
        ev_report_value(r, "Mean probability", bin[k].mean);
        ev_report_estimate(r, "Observed share", bin[k].rate, NAN, i.lo, i.hi);
        x[shown] = bin[k].mean;
        rate[shown] = bin[k].rate;
        ends[2 * shown] = i.lo;
        ends[2 * shown + 1] = i.hi;
        shown++;
    }
    if (!plot) return true;
    ev_plot_init(plot, a, "Calibration", "Predicted probability", "Observed share");
    plot->x_lo = plot->y_lo = 0;
    plot->x_hi = plot->y_hi = 1;
    plot->square = plot->diagonal = true;
    ev_plot_add(plot, &(struct ev_series){.kind = EV_SERIES_LINE, .x = x, .y = rate, .n = shown});
    ev_plot_add(plot, &(struct ev_series){.kind = EV_SERIES_BARS, .x = x, .y = rate, .y2 = ends, .n = shown});
    return true;
}

bool ev_calibration_report(struct arena *a, const double *p, const double *y, size_t n, const struct ev_calibration_request *q, double level,
                           struct ev_report *out, struct ev_plot *plot, struct err *e) {
    struct ev_calibration c;
    if (!ev_calibration(a, p, y, n, q->binning, q->bins, level, &c, e)) return false;
    ev_report_init(out, a, "Calibration", level);
    tell_scores(out, &c);
    ev_report_source(out, "Brier GW. Mon Weather Rev 1950;78:1-3");
    ev_report_source(out, "Stephenson DB, Coelho CAS, Jolliffe IT. Weather Forecast 2008;23:752-757");
    if (!tell_recalibration(a, p, y, n, level, out, e) || !tell_hosmer(a, p, y, n, q, out, e) || !tell_bins(a, p, y, n, q, level, out, plot, e)) return false;
    ev_report_method(out,
                     q->binning == EV_BINS_WIDTH ? "Calibration errors over {0} bins of equal width, open below and closed above."
                                                 : "Calibration errors over {0} bins of equal count, equal probabilities together.",
                     number(out, q->bins), NULL);
    ev_report_method(out,
                     q->grouping == EV_GROUPS_COUNT ? "Hosmer-Lemeshow test with {0} groups of equal count, equal probabilities together."
                                                    : "Hosmer-Lemeshow test with {0} groups cut at quantiles of type 7.",
                     number(out, q->groups), NULL);
    ev_report_method(
        out, "Calibration slope and intercept by logistic regression of the outcome on the logit of the probability; in the large with the slope held at 1.",
        NULL);
    if (q->left_out) ev_report_warn(out, "{0} rows lack a value and were left out.", number(out, (double)q->left_out), NULL);
    if (fmin(c.events, (double)n - c.events) < 10) ev_report_warn(out, "Fewer than {0} cases of one outcome: intervals may not cover as they say.", "10", NULL);
    if (isinf(c.log_loss)) ev_report_warn(out, "A probability of 0 or 1 was wrong: the log loss is infinite.", NULL);
    return ev_report_ok(out, e);
}
