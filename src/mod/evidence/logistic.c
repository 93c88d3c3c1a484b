// Logistic regression by Newton's method with halved steps, on columns of one scale.
#include "mod/evidence/logistic.h"

#include <math.h>
#include <string.h>

#include "math/matrix.h"
#include "mod/evidence/spread.h"

enum { ITERATIONS_MAX = 100 };

struct fit {
    const double *x, *y, *offset;
    size_t n;
    unsigned p;
    double *scale, *beta, *step, *trial, *gradient, *hessian; // of columns divided by their scale
};

// log(1 + exp(t)) without overflow.
static double softplus(double t) {
    return t > 0 ? t + log1p(exp(-t)) : log1p(exp(t));
}

static double predictor(const struct fit *f, const double *beta, size_t i) {
    double eta = f->offset ? f->offset[i] : 0;
    for (unsigned j = 0; j < f->p; j++) eta += beta[j] * (f->x[i * f->p + j] / f->scale[j]);
    return eta;
}

static double log_likelihood(const struct fit *f, const double *beta) {
    struct ev_sum sum = {0};
    for (size_t i = 0; i < f->n; i++) {
        double eta = predictor(f, beta, i);
        ev_add(&sum, f->y[i] != 0 ? -softplus(-eta) : -softplus(eta));
    }
    return ev_total(&sum);
}

static void derive(struct fit *f) {
    unsigned p = f->p;
    memset(f->gradient, 0, p * sizeof *f->gradient);
    memset(f->hessian, 0, (size_t)p * p * sizeof *f->hessian);
    for (size_t i = 0; i < f->n; i++) {
        double eta = predictor(f, f->beta, i), q = 1 / (1 + exp(fabs(eta))), mu = eta > 0 ? 1 - q : q, weight = q * (1 - q);
        double rest = f->y[i] != 0 ? (eta > 0 ? q : 1 - q) : -mu;
        for (unsigned j = 0; j < p; j++) {
            double xj = f->x[i * p + j] / f->scale[j];
            f->gradient[j] += xj * rest;
            for (unsigned k = 0; k <= j; k++) f->hessian[j * p + k] += weight * xj * (f->x[i * p + k] / f->scale[k]);
        }
    }
    for (unsigned j = 0; j < p; j++)
        for (unsigned k = j + 1; k < p; k++) f->hessian[j * p + k] = f->hessian[k * p + j];
}

static bool check(const struct fit *f, double *events, struct err *e) {
    *events = 0;
    for (size_t i = 0; i < f->n; i++) {
        if (f->y[i] != 0 && f->y[i] != 1) return err_set(e, ERR_BAD_INPUT, "evidence", "row %zu: an outcome is 0 or 1, not %g", i + 1, f->y[i]);
        *events += f->y[i];
        if (f->offset && !isfinite(f->offset[i])) return err_set(e, ERR_BAD_INPUT, "evidence", "row %zu: the offset is not finite", i + 1);
        for (unsigned j = 0; j < f->p; j++)
            if (!isfinite(f->x[i * f->p + j])) return err_set(e, ERR_BAD_INPUT, "evidence", "row %zu: predictor %u is not finite", i + 1, j + 1);
    }
    if (*events == 0 || *events == (double)f->n)
        return err_set(e, ERR_BAD_INPUT, "evidence", "every outcome is %d: a logistic model needs both outcomes", *events != 0);
    if (f->n <= f->p) return err_set(e, ERR_BAD_INPUT, "evidence", "%zu rows for %u coefficients", f->n, f->p);
    return true;
}

static bool prepare(struct arena *a, struct fit *f, struct err *e) {
    unsigned p = f->p;
    double *memory = arena_zero(a, 5 * (size_t)p + (size_t)p * p, sizeof *memory, e);
    if (!memory) return false;
    f->scale = memory;
    f->beta = memory + p;
    f->step = memory + 2 * (size_t)p;
    f->trial = memory + 3 * (size_t)p;
    f->gradient = memory + 4 * (size_t)p;
    f->hessian = memory + 5 * (size_t)p;
    for (size_t i = 0; i < f->n * p; i++) f->scale[i % p] = fmax(f->scale[i % p], fabs(f->x[i]));
    for (unsigned j = 0; j < p; j++)
        if (f->scale[j] == 0) return err_set(e, ERR_BAD_INPUT, "evidence", "predictor %u is 0 in every row", j + 1);
    return true;
}

// One step uphill; false when there is none (singular). *better: what it brought.
static bool climb(struct fit *f, double *at, double *better, struct err *e) {
    unsigned p = f->p;
    double reached = -INFINITY, part = 1;
    derive(f);
    memcpy(f->step, f->gradient, p * sizeof *f->step);
    double least = INFINITY, most = 0;
    if (!matrix_cholesky(f->hessian, p)) return err_set(e, ERR_BAD_INPUT, "evidence", "the predictors determine each other, or separate the outcomes");
    for (unsigned j = 0; j < p; j++) {
        least = fmin(least, f->hessian[j * p + j]);
        most = fmax(most, f->hessian[j * p + j]);
    }
    if (least < 1e-8 * most) return err_set(e, ERR_BAD_INPUT, "evidence", "the predictors determine each other, or separate the outcomes");
    matrix_cholesky_solve(f->hessian, p, f->step);
    for (unsigned half = 0; half < 40 && !(reached >= *at - 1e-13 * fabs(*at)); half++) {
        for (unsigned j = 0; j < p; j++) f->trial[j] = f->beta[j] + part * f->step[j];
        reached = log_likelihood(f, f->trial);
        part /= 2;
    }
    *better = reached - *at;
    *at = reached;
    memcpy(f->beta, f->trial, p * sizeof *f->beta);
    return true;
}

static bool finish(struct arena *a, struct fit *f, struct ev_logistic *out, struct err *e) {
    unsigned p = f->p;
    derive(f);
    if (!matrix_inverse_spd(a, f->hessian, p, e)) return err_set(e, ERR_BAD_INPUT, "evidence", "the predictors determine each other, or separate the outcomes");
    out->coefficient = f->beta;
    out->se = f->step;
    out->covariance = f->hessian;
    // Where only some are separated, the likelihood levels off while their coefficients run away.
    for (unsigned j = 0; j < p; j++)
        if (!(f->hessian[j * p + j] < 1e8))
            return err_set(e, ERR_BAD_INPUT, "evidence", "the predictors separate some of the outcomes: the likelihood has no maximum");
    for (size_t i = 0; i < f->n && !out->extreme; i++) out->extreme = fabs(predictor(f, f->beta, i)) > 20.7;
    for (unsigned j = 0; j < p; j++) {
        f->beta[j] /= f->scale[j];
        f->step[j] = sqrt(f->hessian[j * p + j]) / f->scale[j];
        for (unsigned k = 0; k < p; k++) f->hessian[j * p + k] = f->hessian[j * p + k] / f->scale[j] / f->scale[k];
    }
    return true;
}

bool ev_logistic(struct arena *a, const double *x, const double *y, const double *offset, size_t n, unsigned columns, struct ev_logistic *out, struct err *e) {
    struct fit f = {.x = x, .y = y, .offset = offset, .n = n, .p = columns};
    double events, better = INFINITY;
    *out = (struct ev_logistic){.columns = columns};
    if (columns == 0 || columns > EV_PREDICTORS_MAX)
        return err_set(e, ERR_TOO_LARGE, "evidence", "a logistic model takes 1 to %d coefficients, not %u", EV_PREDICTORS_MAX, columns);
    if (!check(&f, &events, e) || !prepare(a, &f, e)) return false;
    double share = events / (double)n, at = log_likelihood(&f, f.beta);
    out->null_log_likelihood = events * log(share) + ((double)n - events) * log1p(-share);
    for (; out->iterations < ITERATIONS_MAX && fabs(better) > 1e-12 * (fabs(at) + 1e-3); out->iterations++)
        if (!climb(&f, &at, &better, e)) return false;
    // Once more: Newton's last step doubles the digits.
    if (!climb(&f, &at, &better, e)) return false;
    out->log_likelihood = at;
    if (at > -1e-6 * (double)n || out->iterations == ITERATIONS_MAX)
        return err_set(e, ERR_BAD_INPUT, "evidence", "the predictors separate the outcomes: the likelihood has no maximum");
    return finish(a, &f, out, e);
}
