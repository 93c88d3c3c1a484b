// Phases fitted to three moments, and the quasi-birth-death chain of a class beside a process of free servers.
#include "mod/evidence/queue_chain.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "math/matrix.h"

void queue_busy_moments(double arrivals, double service, double moments[3]) {
    double load = arrivals / service, rest = 1 - load;
    moments[0] = 1 / (service * rest);
    moments[1] = 2 / (service * service * pow(rest, 3));
    moments[2] = 6 * (1 + load) / (pow(service, 3) * pow(rest, 5));
}

// ---- phases ----

// Two Coxian stages of these moments (normalised second and third).
static bool coxian(double mean, double m2, double m3, struct queue_phases *out) {
    double denominator = 3 * m2 - 2 * m3;
    if (fabs(denominator) < 1e-9) { // one exponential stage is the limit
        out->first = out->second = 1 / mean;
        out->on = 0;
        return true;
    }
    double u = (6 - 2 * m3) / denominator, v = (12 - 6 * m2) / (m2 * denominator), root = sqrt(fmax(u * u - 4 * v, 0));
    out->first = (u + root) / (2 * mean);
    out->second = (u - root) / (2 * mean);
    out->on = out->second * (out->first * mean - 1) / out->first;
    return out->first > 0 && out->second > 1e-12 * out->first && out->on > -1e-9 && out->on < 1 + 1e-9;
}

bool queue_phases_fit(const double moments[3], struct queue_phases *out) {
    double mean = moments[0], m2 = moments[1] / (mean * mean), m3 = moments[2] / (mean * moments[1]);
    *out = (struct queue_phases){.enter = 1};
    if (!(mean > 0) || !(m2 > 1) || !(m3 > m2 * (1 - 1e-12))) return false;
    if (m2 > 2 && m3 > 2 * m2 - 1) return coxian(mean, m2, m3, out);
    if (m3 < 2 * m2 - 1 - 1e-12) out->enter = 1 / (2 * m2 - m3);
    double w2 = out->enter * m2, w3 = out->enter * m3, stages = ceil(w2 / (w2 - 1));
    if (!(stages <= QUEUE_STAGES_MAX)) return false;
    double n = fmax(stages, 2), x2 = ((n - 3) * w2 - (n - 2)) / ((n - 2) * w2 - (n - 1));
    double scale = (n - 2) * x2 - (n - 3), x1 = mean / out->enter / scale;
    double alpha = (n - 2) * (x2 - 1) * (n * (n - 1) * x2 * x2 - n * (2 * n - 5) * x2 + (n - 1) * (n - 3));
    double x3 = (((n - 1) * x2 - (n - 2)) * scale * scale * w3 - alpha) / x2;
    out->erlang = (unsigned)n - 2;
    if (out->erlang) out->erlang_rate = 1 / (x1 * (x2 - 1));
    return coxian(x1, x2, x3, out);
}

// ---- the process of free servers ----

bool queue_process_init(struct arena *a, struct queue_process *p, unsigned n, struct err *e) {
    p->n = n;
    p->rate = arena_zero(a, (size_t)n * n, sizeof *p->rate, e);
    p->free = p->rate ? arena_zero(a, n, sizeof *p->free, e) : NULL;
    return p->free != NULL;
}

static void add(struct queue_process *p, unsigned from, unsigned to, double rate) {
    p->rate[(size_t)from * p->n + to] += rate;
}

unsigned queue_process_put(struct queue_process *p, unsigned from, const struct queue_phases *phases, unsigned by, double rate, unsigned to) {
    add(p, by, from, rate * phases->enter);
    if (by != to) add(p, by, to, rate * (1 - phases->enter));
    unsigned at = from;
    for (unsigned i = 0; i < phases->erlang; i++, at++) add(p, at, at + 1, phases->erlang_rate);
    add(p, at, at + 1, phases->on * phases->first);
    add(p, at, to, (1 - phases->on) * phases->first);
    add(p, at + 1, to, phases->second);
    return at + 2;
}

// ---- levels ----

static double *square(struct arena *a, unsigned n, struct err *e) {
    return arena_zero(a, (size_t)n * n, sizeof(double), e);
}

static bool squares(struct arena *a, unsigned n, double **m, unsigned count, struct err *e) {
    for (unsigned i = 0; i < count; i++) {
        m[i] = square(a, n, e);
        if (!m[i]) return false;
    }
    return true;
}

static double largest_row(const double *m, unsigned n) {
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t j = 0; j < n; j++) sum += fabs(m[i * n + j]);
        most = fmax(most, sum);
    }
    return most;
}

// H and L of the next doubling of levels: (I - HL - LH)^-1 H^2 and L^2.
static bool double_levels(double *h, double *l, double *t[4], unsigned n) {
    size_t cells = (size_t)n * n;
    matrix_multiply(h, l, n, t[0]);
    matrix_multiply(l, h, n, t[1]);
    for (size_t i = 0; i < cells; i++) t[0][i] = (i % (n + 1) == 0 ? 1 : 0) - t[0][i] - t[1][i];
    if (!matrix_invert(t[0], n, t[1])) return false;
    matrix_multiply(h, h, n, t[2]);
    matrix_multiply(l, l, n, t[3]);
    matrix_multiply(t[1], t[2], n, h);
    matrix_multiply(t[1], t[3], n, l);
    return true;
}

enum { DOUBLINGS_MAX = 64 };

bool queue_first_passage(struct arena *scratch, const double *up, const double *within, const double *down, unsigned n, double *g, struct err *e) {
    size_t cells = (size_t)n * n;
    double *m[8]; // minus within and its inverse, H, L, product, three more
    if (!squares(scratch, n, m, 8, e)) return false;
    for (size_t i = 0; i < cells; i++) m[0][i] = -within[i];
    if (!matrix_invert(m[0], n, m[1])) return err_set(e, ERR_BAD_INPUT, "queue", "the queue has no steady state");
    double *h = m[2], *l = m[3], *product = m[4], *t[4] = {m[0], m[5], m[6], m[7]};
    matrix_multiply(m[1], up, n, h);
    matrix_multiply(m[1], down, n, l);
    memcpy(g, l, cells * sizeof *g);
    memcpy(product, h, cells * sizeof *product);
    for (unsigned i = 0; i < DOUBLINGS_MAX && largest_row(product, n) > 1e-17; i++) {
        if (!double_levels(h, l, t, n)) break; // both are as small as they get
        matrix_multiply(product, l, n, t[0]);
        for (size_t k = 0; k < cells; k++) g[k] += t[0][k];
        matrix_multiply(product, h, n, t[0]);
        memcpy(product, t[0], cells * sizeof *product);
    }
    return true;
}

// ---- the mean number of the class ----

struct levels {
    const struct queue_process *p;
    unsigned servers;
    double arrivals, service;
    double *sum; // of each state's rates to others
};

static double served(const struct levels *lv, unsigned state, unsigned level) {
    unsigned s = lv->p->free[state] < level ? lv->p->free[state] : level;
    return s * lv->service;
}

// The block within a level: A1(level).
static void within(const struct levels *lv, unsigned level, double *out) {
    size_t n = lv->p->n;
    memcpy(out, lv->p->rate, n * n * sizeof *out);
    for (size_t i = 0; i < n; i++) out[i * n + i] = -(lv->sum[i] + lv->arrivals + served(lv, (unsigned)i, level));
}

// R(level) = A0 (-(A1(level) + R(level + 1) A2(level + 1)))^-1, A0 = arrivals I.
static bool rate_matrix(const struct levels *lv, unsigned level, const double *above, double *work, double *r) {
    size_t n = lv->p->n;
    within(lv, level, work);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            work[i * n + j] += above[i * n + j] * served(lv, (unsigned)j, level + 1);
            work[i * n + j] = -work[i * n + j];
        }
    }
    if (!matrix_invert(work, lv->p->n, r)) return false;
    for (size_t i = 0; i < n * n; i++) r[i] *= lv->arrivals;
    return true;
}

static bool repeating(struct arena *scratch, const struct levels *lv, double *r, struct err *e) {
    unsigned n = lv->p->n;
    double *m[4]; // up, down, within, G
    if (!squares(scratch, n, m, 4, e)) return false;
    for (size_t i = 0; i < n; i++) {
        m[0][i * n + i] = lv->arrivals;
        m[1][i * n + i] = served(lv, (unsigned)i, lv->servers);
    }
    within(lv, lv->servers, m[2]);
    if (!queue_first_passage(scratch, m[0], m[2], m[1], n, m[3], e)) return false;
    for (size_t i = 0; i < (size_t)n * n; i++) m[2][i] = -(m[2][i] + lv->arrivals * m[3][i]); // A1 + A0 G
    if (!matrix_invert(m[2], n, r)) return err_set(e, ERR_BAD_INPUT, "queue", "the queue has no steady state");
    for (size_t i = 0; i < (size_t)n * n; i++) r[i] *= lv->arrivals;
    return true;
}

static void times(const double *row, const double *m, unsigned n, double *out) {
    for (size_t j = 0; j < n; j++) {
        out[j] = 0;
        for (size_t i = 0; i < n; i++) out[j] += row[i] * m[i * n + j];
    }
}

static double total(const double *x, unsigned n) {
    double sum = 0;
    for (unsigned i = 0; i < n; i++) sum += x[i];
    return sum;
}

// The empty level: pi (A1(0) + R(1) A2(1)) = 0, its first component fixed at 1.
static bool lowest_level(struct arena *scratch, const struct levels *lv, const double *r1, double *pi, struct err *e) {
    unsigned n = lv->p->n;
    double *m[2];
    if (!squares(scratch, n, m, 2, e)) return false;
    within(lv, 0, m[0]);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) m[1][j * n + i] = m[0][i * n + j] + r1[i * n + j] * served(lv, (unsigned)j, 1);
    }
    for (size_t j = 0; j < n; j++) m[1][j] = j == 0; // instead of one balance that follows from the others
    memset(pi, 0, n * sizeof *pi);
    pi[0] = 1;
    return matrix_solve(m[1], n, pi, 1) || err_set(e, ERR_BAD_INPUT, "queue", "the queue has no steady state");
}

// Sums over the levels from `servers` up: p (I - R)^-1 and its number of patients.
static bool tail(struct arena *scratch, const struct levels *lv, const double *r, const double *p, double *mass, double *number, struct err *e) {
    unsigned n = lv->p->n;
    double *m[2], *row[2];
    if (!squares(scratch, n, m, 2, e)) return false;
    for (unsigned i = 0; i < 2; i++) {
        row[i] = arena_zero(scratch, n, sizeof(double), e);
        if (!row[i]) return false;
    }
    for (size_t i = 0; i < (size_t)n * n; i++) m[0][i] = (i % (n + 1) == 0 ? 1 : 0) - r[i];
    if (!matrix_invert(m[0], n, m[1])) return err_set(e, ERR_BAD_INPUT, "queue", "the queue has no steady state");
    times(p, m[1], n, row[0]);      // sum of p R^k
    times(row[0], m[1], n, row[1]); // sum of (k + 1) p R^k
    double once = total(row[0], n);
    *mass += once;
    *number += lv->servers * once + total(row[1], n) - once;
    return true;
}

static bool mean_of_levels(struct arena *scratch, const struct levels *lv, double **r, double *mean, struct err *e) {
    unsigned n = lv->p->n, c = lv->servers;
    double *work = square(scratch, n, e), *pi = arena_zero(scratch, n, sizeof *pi, e), *next = arena_zero(scratch, n, sizeof *next, e);
    if (!work || !pi || !next || !repeating(scratch, lv, r[c], e)) return false;
    for (unsigned level = c - 1; level >= 1; level--) { // from c on all are the same
        if (!rate_matrix(lv, level, r[level + 1], work, r[level])) return err_set(e, ERR_BAD_INPUT, "queue", "the queue has no steady state");
    }
    if (!lowest_level(scratch, lv, r[1], pi, e)) return false;
    double mass = total(pi, n), number = 0;
    for (unsigned level = 1; level < c; level++) {
        times(pi, r[level], n, next);
        memcpy(pi, next, n * sizeof *pi);
        mass += total(pi, n);
        number += level * total(pi, n);
    }
    times(pi, r[c], n, next);
    if (!tail(scratch, lv, r[c], next, &mass, &number, e)) return false;
    *mean = number / mass;
    return true;
}

bool queue_process_mean(struct arena *scratch, const struct queue_process *p, unsigned servers, double arrivals, double service, double *mean, struct err *e) {
    struct levels lv = {.p = p, .servers = servers, .arrivals = arrivals, .service = service};
    lv.sum = arena_zero(scratch, p->n, sizeof *lv.sum, e);
    double **r = arena_zero(scratch, servers + 1, sizeof *r, e);
    if (!lv.sum || !r || !squares(scratch, p->n, r, servers + 1, e)) return false;
    for (size_t i = 0; i < p->n; i++) {
        for (size_t j = 0; j < p->n; j++) {
            if (i != j) lv.sum[i] += p->rate[i * p->n + j];
        }
    }
    return mean_of_levels(scratch, &lv, r, mean, e);
}
