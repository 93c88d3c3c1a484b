// Scores of an algorithm that drifts, and probabilities that are calibrated so and so.
#include <math.h>

#include "math/dist.h"
#include "math/special.h"
#include "mod/evidence/simulate.h"

static bool cases_ok(size_t cases, struct err *e) {
    return (cases >= 1 && cases <= EV_SIM_CASES_MAX) || err_set(e, ERR_USAGE, "evidence", "from 1 to %d cases are simulated", EV_SIM_CASES_MAX);
}

static bool within(double x, double lo, double hi) { // exclusively
    return x > lo && x < hi;
}

// ---- drift ----

bool ev_sim_drift_check(const struct ev_sim_drift *m, struct err *e) {
    if (!cases_ok(m->cases, e)) return false;
    for (int i = 0; i < 2; i++) {
        if (!(m->prevalence[i] >= 0 && m->prevalence[i] <= 1)) return err_set(e, ERR_USAGE, "evidence", "a prevalence is not from 0 to 1");
        if (!within(m->auc[i], 0, 1)) return err_set(e, ERR_USAGE, "evidence", "a true area is not between 0 and 1");
    }
    if (!within(m->specificity, 0, 1)) return err_set(e, ERR_USAGE, "evidence", "the specificity is not between 0 and 1");
    return fabs(m->shift) < 1e6 || err_set(e, ERR_USAGE, "evidence", "the shift is not a number below a million");
}

static double separation_of(double auc) {
    return dist_norm_quantile(auc, false) * M_SQRT2;
}

// Distribution of the scores of all cases before (0) or after (1).
struct scores {
    const struct ev_sim_drift *m;
    int when;
    double share;
};

static double scores_at(double x, void *with) {
    const struct scores *s = with;
    double p = s->m->prevalence[s->when], shift = s->when ? s->m->shift : 0;
    return (1 - p) * dist_norm(x - shift, false) + p * dist_norm(x - shift - separation_of(s->m->auc[s->when]), false) - s->share;
}

static void distances(const struct ev_sim_drift *m, struct ev_sim_drift_truth *t) {
    enum { TENTHS = 10, STEPS = 20000 };
    struct scores before = {m, 0, 0}, after = {m, 1, 0};
    double lo = -40 - fabs(m->shift), hi = 40 + fabs(m->shift), last = 0;
    for (int k = 1; k <= TENTHS; k++) {
        before.share = (double)k / TENTHS;
        double cut = k < TENTHS ? special_root(scores_at, &before, lo, hi, 0) : INFINITY, upto = scores_at(cut, &after);
        t->psi += (upto - last - 1.0 / TENTHS) * log((upto - last) * TENTHS);
        last = upto;
    }
    before.share = 0;
    double from = -9 + fmin(0, m->shift) + fmin(0, fmin(separation_of(m->auc[0]), separation_of(m->auc[1])));
    double to = 9 + fmax(0, m->shift) + fmax(0, fmax(separation_of(m->auc[0]), separation_of(m->auc[1])));
    for (int i = 0; i <= STEPS; i++) {
        double x = from + (to - from) * i / STEPS;
        t->ks = fmax(t->ks, fabs(scores_at(x, &before) - scores_at(x, &after)));
    }
}

void ev_sim_drift_truth(const struct ev_sim_drift *m, struct ev_sim_drift_truth *out) {
    *out = (struct ev_sim_drift_truth){.threshold = dist_norm_quantile(m->specificity, false)};
    for (int w = 0; w < 2; w++) {
        double p = m->prevalence[w], shift = w ? m->shift : 0, d = separation_of(m->auc[w]);
        out->specificity[w] = dist_norm(out->threshold - shift, false);
        out->sensitivity[w] = dist_norm(out->threshold - shift - d, true);
        out->positive[w] = p * out->sensitivity[w] + (1 - p) * (1 - out->specificity[w]);
        out->mean[w] = shift + p * d;
        out->sd[w] = sqrt(1 + p * (1 - p) * d * d);
    }
    distances(m, out);
}

void ev_sim_drift_draw(const struct ev_sim_drift *m, size_t index, struct rng *r, bool *truth, double *score) {
    double done = index < m->before ? 0 : index - m->before >= m->over ? 1 : (double)(index - m->before + 1) / (double)(m->over + 1);
    double p = m->prevalence[0] + done * (m->prevalence[1] - m->prevalence[0]);
    double d = (1 - done) * separation_of(m->auc[0]) + done * separation_of(m->auc[1]);
    *truth = rng_uniform(r) < p;
    *score = rng_normal(r) + done * m->shift + (*truth ? d : 0);
}

// ---- calibration ----

bool ev_sim_calibration_check(const struct ev_sim_calibration *m, struct err *e) {
    if (!cases_ok(m->cases, e)) return false;
    if (!(m->sd > 0 && m->sd <= 100) || !(fabs(m->mean) <= 100) || !(fabs(m->intercept) <= 100) || !(fabs(m->slope) <= 100))
        return err_set(e, ERR_USAGE, "evidence", "mean, deviation, intercept and slope of a calibration are at most 100 (the deviation above 0)");
    return true;
}

static double risk_of(double logit) {
    return 1 / (1 + exp(-logit));
}

enum moment { PREVALENCE, BRIER, LOG_LOSS, ECE };

struct moment_of {
    const struct ev_sim_calibration *m;
    enum moment which;
};

// By the standardised logit of the probability.
static double moment_at(double z, void *with) {
    const struct moment_of *w = with;
    double l = w->m->mean + w->m->sd * z, p = risk_of(l), q = risk_of(w->m->intercept + w->m->slope * l), value = q;
    switch (w->which) {
    case PREVALENCE:
        break;
    case BRIER:
        value = q * (1 - p) * (1 - p) + (1 - q) * p * p;
        break;
    case LOG_LOSS: // log(1 + e^x) without overflow
        value = q * (l > 0 ? log1p(exp(-l)) : log1p(exp(l)) - l) + (1 - q) * (l > 0 ? l + log1p(exp(-l)) : log1p(exp(l)));
        break;
    case ECE:
        value = fabs(p - q);
        break;
    }
    return value * dist_norm_density(z);
}

// Parted where probability and risk are equal and their distance has its corner.
static double moment(const struct ev_sim_calibration *m, enum moment which) {
    struct moment_of w = {m, which};
    double corner = m->slope == 1 ? 0 : (m->intercept / (1 - m->slope) - m->mean) / m->sd, s = 0, at = -9;
    if (!(fabs(corner) < 9)) corner = 0;
    for (int side = 0; side < 2; side++) {
        double end = side ? 9 : corner;
        for (int k = 0; k < 8; k++) s += special_integral(moment_at, &w, at + (end - at) * k / 8, at + (end - at) * (k + 1) / 8, 40);
        at = end;
    }
    return s;
}

// P(score of a case with the condition > that of one without it), by sums over a fine grid.
static double calibration_area(const struct ev_sim_calibration *m) {
    enum { STEPS = 20000 };
    double with = 0, without = 0, area = 0;
    for (int i = 0; i < STEPS; i++) {
        double z = -9 + 18 * (i + 0.5) / STEPS, f = dist_norm_density(z), q = risk_of(m->intercept + m->slope * (m->mean + m->sd * z));
        area += q * f * (without + (1 - q) * f / 2);
        with += q * f;
        without += (1 - q) * f;
    }
    return area / with / without;
}

void ev_sim_calibration_truth(const struct ev_sim_calibration *m, struct ev_sim_calibration_truth *out) {
    *out = (struct ev_sim_calibration_truth){
        .prevalence = moment(m, PREVALENCE), .brier = moment(m, BRIER), .log_loss = moment(m, LOG_LOSS), .ece = moment(m, ECE), .auc = calibration_area(m)};
}

void ev_sim_calibration_draw(const struct ev_sim_calibration *m, struct rng *r, bool *truth, double *probability) {
    double l = m->mean + m->sd * rng_normal(r);
    *probability = risk_of(l);
    *truth = rng_uniform(r) < risk_of(m->intercept + m->slope * l);
}
