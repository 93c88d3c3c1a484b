// Monitoring told as reports.
#include "mod/evidence/monitoring_report.h"

#include <math.h>

#include "math/rank.h"
#include "mod/evidence/spread.h"

enum { SHIFTS = 17 };

// A number as text that stays alive; of no memory the report fails itself.
static const char *number(struct ev_report *r, double x) {
    const char *text = arena_printf(r->arena, NULL, "%.6g", x);
    if (!text) r->failed = true;
    return text ? text : "";
}

bool ev_process_baseline(struct ev_process *p, size_t baseline, struct err *e) {
    double squares;
    if (baseline < 2 || baseline >= p->n)
        return err_set(e, ERR_BAD_INPUT, "evidence", "a baseline of %zu of %zu points: it takes two at least, and leaves one to watch", baseline, p->n);
    for (size_t i = 0; i < baseline; i++)
        if (!isfinite(p->x[i])) return err_set(e, ERR_BAD_INPUT, "evidence", "point %zu is no finite number", i + 1);
    ev_about_mean(p->x, baseline, ev_unit(p->x, baseline), &p->target, &squares);
    p->sd = ev_sd(p->x, baseline);
    if (!(p->sd > 0)) return err_set(e, ERR_BAD_INPUT, "evidence", "the %zu points of the baseline do not vary", baseline);
    p->baseline = baseline;
    p->x += baseline;
    p->n -= baseline;
    return true;
}

static void tell_process(struct ev_report *r, const struct ev_process *p) {
    ev_report_value(r, "Points", (double)p->n);
    ev_report_value(r, "Target", p->target);
    ev_report_value(r, "Standard deviation", p->sd);
    if (p->baseline) ev_report_method(r, "Target and standard deviation were estimated from the first {0} points.", number(r, (double)p->baseline), NULL);
    if (p->baseline && p->baseline < 100)
        ev_report_warn(r,
                       "The baseline has {0} points: with estimated parameters false alarms come more often than the run length says. 100 or more are advised.",
                       number(r, (double)p->baseline), NULL);
    if (p->left_out) ev_report_warn(r, "{0} rows lack a value and were left out.", number(r, (double)p->left_out), NULL);
    ev_report_method(r, "Run lengths are for independent, normally distributed points.", NULL);
}

static void tell_signal(struct ev_report *r, size_t first, size_t signals, size_t baseline) {
    if (first)
        ev_report_value(r, "First signal at point", (double)(first + baseline));
    else
        ev_report_none(r, "First signal at point", "no signal");
    ev_report_value(r, "Points beyond the limits", (double)signals);
}

static double *points(struct arena *a, size_t n, size_t baseline) {
    double *x = arena_alloc(a, n * sizeof *x, NULL);
    for (size_t i = 0; x && i < n; i++) x[i] = (double)(i + 1 + baseline);
    return x;
}

// A run length, or why there is none.
static void tell_length(struct ev_report *r, const char *name, bool ok, double arl) {
    if (ok)
        ev_report_value(r, name, arl);
    else
        ev_report_none(r, name, "beyond what can be computed");
}

// ---- charts ----

static void plot_cusum(struct arena *a, const struct ev_process *p, const struct ev_cusum *c, struct ev_plot *plot) {
    double *x = points(a, p->n, p->baseline), *lo = x ? arena_alloc(a, p->n * sizeof *lo, NULL) : NULL;
    ev_plot_init(plot, a, "CUSUM chart", "Point", "Cumulative sum");
    if (!lo) {
        plot->failed = true;
        return;
    }
    for (size_t i = 0; i < p->n; i++) lo[i] = -c->lo[i];
    ev_plot_add(plot, &(struct ev_series){.kind = EV_SERIES_LINE, .label = STR_LIT("Upper sum"), .x = x, .y = c->hi, .n = p->n});
    ev_plot_add(plot, &(struct ev_series){.kind = EV_SERIES_LINE, .label = STR_LIT("Lower sum"), .x = x, .y = lo, .n = p->n, .colour = 1});
    ev_plot_signals(plot, x, c->hi, p->n, -INFINITY, c->h);
    ev_plot_signals(plot, x, lo, p->n, -c->h, INFINITY);
    ev_plot_level(plot, "h", c->h, EV_COLOUR_ALARM, true);
    ev_plot_level(plot, "-h", -c->h, EV_COLOUR_ALARM, true);
}

bool ev_cusum_report(struct arena *a, const struct ev_process *p, double k, double h, double head_start, struct ev_report *out, struct ev_plot *plot,
                     struct err *e) {
    struct ev_cusum c = {.target = p->target, .k = k * p->sd, .h = h * p->sd, .head_start = head_start * p->sd};
    struct err why = {0};
    double arl = NAN;
    if (!(p->sd > 0)) return err_set(e, ERR_BAD_INPUT, "evidence", "the standard deviation is %g; it lies above 0", p->sd);
    if (!ev_cusum(a, p->x, p->n, &c, e)) return false;
    ev_report_init(out, a, "CUSUM chart", 0.95);
    tell_process(out, p);
    ev_report_value(out, "Slack k (SD)", k);
    ev_report_value(out, "Decision interval h (SD)", h);
    if (head_start > 0) ev_report_value(out, "Head start (SD)", head_start);
    tell_signal(out, c.first_signal, c.signals, p->baseline);
    if (c.first_signal) ev_report_text(out, "Direction of the first signal", "%s", c.first_is_hi ? "+" : "-");
    bool ok = ev_cusum_arl(a, EV_TWO_SIDED, k, h, head_start, 0, &arl, &why);
    tell_length(out, "Average run length without a shift", ok, arl);
    ok = ev_cusum_arl(a, EV_TWO_SIDED, k, h, head_start, 1, &arl, &why);
    tell_length(out, "Average run length after a shift of 1 SD", ok, arl);
    ev_report_method(out, "Two-sided tabular CUSUM with slack {0} and decision interval {1} standard deviations; run lengths by Page's integral equation.",
                     number(out, k), number(out, h), NULL);
    ev_report_source(out, "Page ES. Biometrika 1954;41:100-115");
    if (plot) plot_cusum(a, p, &c, plot);
    return ev_report_ok(out, e);
}

bool ev_ewma_report(struct arena *a, const struct ev_process *p, double lambda, double width, bool widening, struct ev_report *out, struct ev_plot *plot,
                    struct err *e) {
    struct ev_ewma c = {.lambda = lambda, .start = p->target, .sd = p->sd, .width = width, .widening = widening};
    struct err why = {0};
    double arl = NAN, *x = points(a, p->n, p->baseline);
    if (!x) return err_nomem(e, "evidence");
    if (!ev_ewma(a, p->x, p->n, &c, e)) return false;
    ev_report_init(out, a, "EWMA chart", 0.95);
    tell_process(out, p);
    ev_report_value(out, "Weight lambda", lambda);
    ev_report_value(out, "Width of the limits (SD)", width);
    ev_report_value(out, "Lower control limit", c.lcl);
    ev_report_value(out, "Upper control limit", c.ucl);
    tell_signal(out, c.first_signal, c.signals, p->baseline);
    bool ok = ev_ewma_arl(a, lambda, width, 0, 0, &arl, &why);
    tell_length(out, "Average run length without a shift", ok, arl);
    ok = ev_ewma_arl(a, lambda, width, 0, 1, &arl, &why);
    tell_length(out, "Average run length after a shift of 1 SD", ok, arl);
    ev_report_method(
        out,
        "EWMA with weight {0} and limits at {1} standard deviations of its long run; run lengths, for limits that are fixed, by Crowder's integral equation.",
        number(out, lambda), number(out, width), NULL);
    if (widening) ev_report_method(out, "The limits begin narrow and widen with the variance of the first points.", NULL);
    ev_report_source(out, "Roberts SW. Technometrics 1959;1:239-250");
    ev_report_source(out, "Crowder SV. Technometrics 1987;29:401-407");
    if (plot && p->n) {
        ev_plot_init(plot, a, "EWMA chart", "Point", "EWMA");
        ev_plot_add(plot, &(struct ev_series){.kind = EV_SERIES_LINE, .x = x, .y = c.z, .n = p->n});
        ev_plot_add(plot, &(struct ev_series){
                              .kind = EV_SERIES_STEP, .label = STR_LIT("Limits"), .x = x, .y = c.lo, .n = p->n, .colour = EV_COLOUR_ALARM, .dashed = true});
        ev_plot_add(plot, &(struct ev_series){.kind = EV_SERIES_STEP, .x = x, .y = c.hi, .n = p->n, .colour = EV_COLOUR_ALARM, .dashed = true});
    }
    return ev_report_ok(out, e);
}

bool ev_run_length_report(struct arena *a, enum ev_sides sides, double k, double h, double head_start, double lambda, double width, struct ev_report *out,
                          struct ev_plot *plot, struct err *e) {
    bool cusum = !isnan(k);
    double *x = arena_alloc(a, 2 * SHIFTS * sizeof *x, e);
    if (!x) return false;
    double *y = x + SHIFTS;
    ev_report_init(out, a, "Run lengths of a chart", 0.95);
    if (cusum) {
        ev_report_value(out, "Slack k (SD)", k);
        ev_report_value(out, "Decision interval h (SD)", h);
        if (head_start > 0) ev_report_value(out, "Head start (SD)", head_start);
        ev_report_method(out, "Average run lengths of a CUSUM by Page's integral equation, for independent normal points.", NULL);
        ev_report_source(out, "Page ES. Biometrika 1954;41:100-115");
    } else {
        ev_report_value(out, "Weight lambda", lambda);
        ev_report_value(out, "Width of the limits (SD)", width);
        ev_report_method(out, "Average run lengths of an EWMA by Crowder's integral equation, for independent normal points.", NULL);
        ev_report_source(out, "Crowder SV. Technometrics 1987;29:401-407");
    }
    for (unsigned i = 0; i < SHIFTS; i++) {
        x[i] = i / 4.0;
        struct err why = {0};
        bool ok = cusum ? ev_cusum_arl(a, sides, k, h, head_start, x[i], &y[i], &why) : ev_ewma_arl(a, lambda, width, 0, x[i], &y[i], &why);
        if (!ok && i > 0) return err_set(e, why.kind, "evidence", "%s", why.message);
        ev_report_group(out, "%.2f SD", x[i]);
        tell_length(out, "Average run length", ok, y[i]);
        y[i] = ok ? log10(y[i]) : NAN;
    }
    if (plot) {
        ev_plot_init(plot, a, "Run lengths of a chart", "Shift (SD)", "Average run length, log10");
        ev_plot_add(plot, &(struct ev_series){.kind = EV_SERIES_LINE, .x = x, .y = y, .n = SHIFTS});
    }
    return ev_report_ok(out, e);
}

// ---- two samples ----

// The distribution functions at the values of one sample.
static void plot_sample(struct arena *a, const double *v, size_t n, struct str label, unsigned colour, struct ev_plot *plot) {
    enum { STEPS = 512 };
    double *sorted = arena_alloc(a, n * sizeof *sorted, NULL), *at = sorted ? arena_alloc(a, 2 * STEPS * sizeof *at, NULL) : NULL;
    struct err why;
    if (!at) {
        plot->failed = true;
        return;
    }
    for (size_t i = 0; i < n; i++) sorted[i] = v[i];
    if (!rank_sort(a, sorted, n, &why)) {
        plot->failed = true;
        return;
    }
    size_t steps = n < STEPS ? n : STEPS;
    for (size_t i = 0; i < steps; i++) {
        size_t rank = (i + 1) * n / steps;
        at[i] = sorted[rank - 1];
        at[STEPS + i] = (double)rank / (double)n;
    }
    ev_plot_add(plot, &(struct ev_series){.kind = EV_SERIES_STEP, .label = label, .x = at, .y = at + STEPS, .n = steps, .colour = colour});
}

bool ev_change_report(struct arena *a, const double *then, size_t n, const double *now, size_t m, unsigned bins, size_t left_out, struct ev_report *out,
                      struct ev_plot *plot, struct err *e) {
    struct ev_ks k;
    struct ev_psi p;
    struct err why = {0};
    if (!ev_ks_two(a, then, n, now, m, &k, e)) return false;
    ev_report_init(out, a, "Change between two samples", 0.95);
    ev_report_value(out, "Reference values", (double)n);
    ev_report_value(out, "Current values", (double)m);
    ev_report_value(out, "Kolmogorov-Smirnov D", k.d);
    ev_report_value(out, "p-value", k.p);
    ev_report_method(out,
                     k.exact ? "Two-sample Kolmogorov-Smirnov test with the exact distribution of D given the ties."
                             : "Two-sample Kolmogorov-Smirnov test with the limiting distribution of D.",
                     NULL);
    ev_report_source(out, "Schroeer G, Trenkler D. Comput Stat Data Anal 1995;20:185-202");
    if (!k.exact && k.ties) ev_report_warn(out, "There are equal values: the limiting p-value is larger than the exact one.", NULL);
    if (ev_psi(a, then, n, now, m, bins, &p, &why)) {
        ev_report_value(out, "Population stability index", p.psi);
        ev_report_value(out, "Bins", p.bins);
        ev_report_value(out, "p-value of the stability index", p.p);
        ev_report_method(out, "Population stability index over bins of equal count of the reference; its p-value by a chi-square approximation.", NULL);
        ev_report_source(out, "Yurdakul B. Statistical properties of population stability index. Western Michigan University, 2018");
        if (p.empty) ev_report_warn(out, "A bin is empty in one sample; half a case was put there.", NULL);
    } else if (why.kind == ERR_BAD_INPUT) {
        ev_report_none(out, "Population stability index", "the reference has one value only");
    } else {
        return err_set(e, why.kind, "evidence", "%s", why.message);
    }
    if (left_out) ev_report_warn(out, "{0} rows lack a value and were left out.", number(out, (double)left_out), NULL);
    if (plot) {
        ev_plot_init(plot, a, "Change between two samples", "Value", "Share at or below");
        plot_sample(a, then, n, STR_LIT("Reference"), 0, plot);
        plot_sample(a, now, m, STR_LIT("Current"), 1, plot);
    }
    return ev_report_ok(out, e);
}

// ---- looks ----

static const char *const SPENDING[] = {
    [EV_SPEND_OBRIEN_FLEMING] = "Alpha {0}, {1}-sided, spent as O'Brien and Fleming's boundary would (Lan and DeMets).",
    [EV_SPEND_POCOCK] = "Alpha {0}, {1}-sided, spent as Pocock's boundary would (Lan and DeMets).",
    [EV_SPEND_POWER] = "Alpha {0}, {1}-sided, spent as the power {2} of the information (Kim and DeMets).",
    [EV_SPEND_GAMMA] = "Alpha {0}, {1}-sided, spent by the gamma family with {2} (Hwang, Shih and De Cani).",
};

static void tell_observed(struct ev_report *r, const struct ev_sequential_request *q, const struct ev_look *look) {
    if (!q->observed) return;
    for (unsigned i = 0; i < q->observed && i < q->looks; i++) {
        double z = q->sides == 2 ? fabs(q->z[i]) : q->z[i];
        if (z < look[i].z) continue;
        ev_report_value(r, "Stopped at look", i + 1.0);
        return;
    }
    ev_report_none(r, "Stopped at look", "no boundary was reached");
}

bool ev_sequential_report(struct arena *a, const struct ev_sequential_request *q, struct ev_report *out, struct ev_plot *plot, struct err *e) {
    struct ev_look *look = arena_zero(a, EV_LOOKS_MAX, sizeof *look, e);
    double *x = look ? arena_alloc(a, 3 * EV_LOOKS_MAX * sizeof *x, e) : NULL;
    if (!x) return false;
    for (unsigned i = 0; i < q->looks; i++) look[i].t = q->t[i];
    if (!ev_sequential(a, q->spending, q->parameter, q->alpha, q->sides, q->drift, look, q->looks, e)) return false;
    ev_report_init(out, a, "Sequential test", 1 - q->alpha);
    tell_observed(out, q, look);
    for (unsigned i = 0; i < q->looks; i++) {
        ev_report_group(out, "%u", i + 1);
        ev_report_value(out, "Share of the information", look[i].t);
        ev_report_value(out, "Alpha spent", look[i].spent);
        if (isinf(look[i].z))
            ev_report_none(out, "Boundary of Z", "nothing to spend yet");
        else
            ev_report_value(out, "Boundary of Z", look[i].z);
        ev_report_value(out, "Nominal p-value", look[i].nominal_p);
        if (q->drift != 0) ev_report_value(out, "Probability to have stopped", look[i].stop_drift);
        if (i < q->observed) ev_report_value(out, "Observed Z", q->z[i]);
        x[i] = look[i].t;
        x[EV_LOOKS_MAX + i] = look[i].z;
        x[2 * EV_LOOKS_MAX + i] = i < q->observed ? q->z[i] : NAN;
    }
    ev_report_method(out, SPENDING[q->spending], number(out, q->alpha), number(out, q->sides), number(out, q->parameter), NULL);
    if (q->drift != 0)
        ev_report_method(out, "Probabilities to stop are for a drift of {0}: the mean of Z with all of the information.", number(out, q->drift), NULL);
    ev_report_source(out, "Lan KKG, DeMets DL. Biometrika 1983;70:659-663");
    ev_report_source(out, "Armitage P, McPherson CK, Rowe BC. J R Stat Soc A 1969;132:235-244");
    if (plot) {
        ev_plot_init(plot, a, "Sequential test", "Share of the information", "Z");
        ev_plot_add(plot,
                    &(struct ev_series){
                        .kind = EV_SERIES_LINE, .label = STR_LIT("Boundary of Z"), .x = x, .y = x + EV_LOOKS_MAX, .n = q->looks, .colour = EV_COLOUR_ALARM});
        ev_plot_add(plot, &(struct ev_series){.kind = EV_SERIES_DOTS, .label = STR_LIT("Observed Z"), .x = x, .y = x + 2 * EV_LOOKS_MAX, .n = q->looks});
    }
    return ev_report_ok(out, e);
}
