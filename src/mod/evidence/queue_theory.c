// Queues in theory: closed forms, the recursive reduction of dimensions for several servers, and the triage of a device.
#include "mod/evidence/queue.h"

#include <math.h>
#include <string.h>

#include "math/matrix.h"
#include "mod/evidence/queue_chain.h"

// ---- closed forms ----

double queue_mmc_wait(unsigned servers, double arrivals, double service) {
    double offered = arrivals / service, load = offered / servers;
    if (!(load < 1) || arrivals < 0) return NAN;
    double blocked = 1; // Erlang B by its recursion, then C
    for (unsigned i = 1; i <= servers; i++) blocked = offered * blocked / (i + offered * blocked);
    double waits = blocked / (1 - load * (1 - blocked));
    return waits / (servers * service - arrivals);
}

void queue_one_server_waits(unsigned count, const double *arrivals, const double *mean, const double *second, double *wait) {
    double before = 0, rest = 0; // load and remaining work of the classes above, then with this one
    for (unsigned i = 0; i < count; i++) {
        double with = before + arrivals[i] * mean[i];
        rest += arrivals[i] * second[i] / 2;
        wait[i] = with < 1 ? mean[i] * before / (1 - before) + rest / ((1 - before) * (1 - with)) : NAN;
        before = with;
    }
}

void queue_same_rate_waits(unsigned servers, unsigned count, const double *arrivals, double service, double *wait) {
    double above = 0, number = 0; // Little: numbers waiting of the classes up to here
    for (unsigned i = 0; i < count; i++) {
        above += arrivals[i];
        double all = above * queue_mmc_wait(servers, above, service);
        wait[i] = arrivals[i] > 0 ? (all - number) / arrivals[i] : NAN;
        number = all;
    }
}

// ---- two classes ----

static bool no_fit(struct err *e) {
    return err_set(e, ERR_UNSUPPORTED, "queue", "no phases fit the busy period of the higher classes: ask the simulation");
}

// States: i of the first class below `servers`, then its busy period.
static bool two_classes(struct arena *scratch, unsigned servers, const struct queue_class *k, double *mean, struct err *e) {
    double moments[3];
    struct queue_phases busy;
    queue_busy_moments(k[0].arrivals, servers * k[0].service, moments);
    if (!queue_phases_fit(moments, &busy)) return no_fit(e);
    struct queue_process p;
    if (!queue_process_init(scratch, &p, servers + busy.erlang + 2, e)) return false;
    for (unsigned i = 0; i < servers; i++) {
        p.free[i] = servers - i;
        if (i + 1 < servers) p.rate[(size_t)i * p.n + i + 1] = k[0].arrivals;
        if (i) p.rate[(size_t)i * p.n + i - 1] = i * k[0].service;
    }
    queue_process_put(&p, servers, &busy, servers - 1, k[0].arrivals, servers - 1);
    return queue_process_mean(scratch, &p, servers, k[1].arrivals, k[1].service, mean, e);
}

// ---- three classes: the two above hold all servers for a time that depends on how it began and ends ----

// Level: patients of both; states: i < servers of the first class, then the phases of its busy period.
struct upper {
    unsigned servers, n;
    struct queue_phases busy;
    double *up, *within, *down, *g, *moment[3];
};

static bool upper_alloc(struct arena *a, struct upper *u, struct err *e) {
    double **all[] = {&u->up, &u->within, &u->down, &u->g, &u->moment[0], &u->moment[1], &u->moment[2]};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        *all[i] = arena_zero(a, (size_t)u->n * u->n, sizeof(double), e);
        if (!*all[i]) return false;
    }
    return true;
}

static void upper_rates(struct upper *u, const struct queue_class *k) {
    struct queue_process busy = {.n = u->n, .rate = u->within};
    unsigned c = u->servers, n = u->n;
    queue_process_put(&busy, c, &u->busy, c - 1, 0, c - 1);
    for (unsigned i = 0; i < n; i++) {
        double *up = u->up + (size_t)i * n, *down = u->down + (size_t)i * n;
        up[i] = k[1].arrivals;
        if (i >= c) { // its end is a level less
            down[c - 1] = u->within[(size_t)i * n + c - 1];
            u->within[(size_t)i * n + c - 1] = 0;
            continue;
        }
        up[i + 1] += k[0].arrivals; // from c - 1 into the first phase
        down[i] += (c - i) * k[1].service;
        if (i) down[i - 1] += i * k[0].service;
    }
    for (unsigned i = 0; i < n; i++) {
        double sum = 0;
        for (unsigned j = 0; j < n; j++) sum += u->up[(size_t)i * n + j] + u->down[(size_t)i * n + j] + (i == j ? 0 : u->within[(size_t)i * n + j]);
        u->within[(size_t)i * n + i] = -sum;
    }
}

// Solves (within + up G) M + up M G = -right for M: one linear system of n^2 unknowns.
static bool moment_solve(struct arena *scratch, const struct upper *u, const double *right, double *m, struct err *e) {
    size_t n = u->n, cells = n * n;
    double *a = arena_zero(scratch, cells * cells, sizeof *a, e), *left = arena_zero(scratch, cells, sizeof *left, e);
    if (!a || !left) return false;
    matrix_multiply(u->up, u->g, u->n, left);
    for (size_t i = 0; i < cells; i++) left[i] += u->within[i];
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            double *row = a + (i * n + j) * cells;
            for (size_t k = 0; k < n; k++) row[k * n + j] += left[i * n + k];
            for (size_t k = 0; k < n; k++) {
                double f = u->up[i * n + k];
                for (size_t l = 0; f != 0 && l < n; l++) row[k * n + l] += f * u->g[l * n + j];
            }
            m[i * n + j] = -right[i * n + j];
        }
    }
    return matrix_solve(a, (unsigned)cells, m, 1) || err_set(e, ERR_BAD_INPUT, "queue", "the queue has no steady state");
}

// Moments of the first passage with where it ends: derivatives of within G(s) - s G(s) + down + up G(s)^2 = 0 at s = 0 (Neuts).
static bool upper_moments(struct arena *scratch, struct upper *u, struct err *e) {
    size_t cells = (size_t)u->n * u->n;
    double *right = arena_zero(scratch, cells, sizeof *right, e), *t = arena_zero(scratch, cells, sizeof *t, e), *s = arena_zero(scratch, cells, sizeof *s, e);
    if (!right || !t || !s) return false;
    if (!moment_solve(scratch, u, u->g, u->moment[0], e)) return false;
    matrix_multiply(u->moment[0], u->moment[0], u->n, t);
    matrix_multiply(u->up, t, u->n, right);
    for (size_t i = 0; i < cells; i++) right[i] = 2 * (u->moment[0][i] + right[i]);
    if (!moment_solve(scratch, u, right, u->moment[1], e)) return false;
    matrix_multiply(u->moment[0], u->moment[1], u->n, t);
    matrix_multiply(u->moment[1], u->moment[0], u->n, s);
    for (size_t i = 0; i < cells; i++) t[i] += s[i];
    matrix_multiply(u->up, t, u->n, right);
    for (size_t i = 0; i < cells; i++) right[i] = 3 * (u->moment[1][i] + right[i]);
    return moment_solve(scratch, u, right, u->moment[2], e);
}

static bool upper_init(struct arena *scratch, struct upper *u, unsigned servers, const struct queue_class *k, struct err *e) {
    double moments[3];
    queue_busy_moments(k[0].arrivals, servers * k[0].service, moments);
    if (!queue_phases_fit(moments, &u->busy)) return no_fit(e);
    u->servers = servers;
    u->n = servers + u->busy.erlang + 2;
    if (!upper_alloc(scratch, u, e)) return false;
    upper_rates(u, k);
    return queue_first_passage(scratch, u->up, u->within, u->down, u->n, u->g, e) && upper_moments(scratch, u, e);
}

struct pair {
    double probability;
    struct queue_phases phases;
};

enum { PAIRS_MAX = (QUEUE_READERS_THREE_MAX + 1) * QUEUE_READERS_THREE_MAX };

// What the published program leaves out of a fit.
static void as_published(unsigned servers, unsigned start, unsigned end, struct queue_phases *p) {
    if (servers != 2) return; // it has no theory for more
    bool kept = (start == 0 && end == 1) || (start == 2 && end == 0);
    unsigned most = kept ? 1 : 0;
    if (p->erlang > most) p->erlang = most;
}

// start: patients of the first class when all servers become busy (servers: all of them); end: when one is free again.
static bool pairs_fit(const struct upper *u, enum queue_fit fit, struct pair *pairs, unsigned *states, struct err *e) {
    unsigned c = u->servers;
    for (unsigned start = 0; start <= c; start++) {
        for (unsigned end = 0; end < c; end++) {
            struct pair *p = &pairs[start * c + end];
            size_t at = (size_t)start * u->n + end; // the busy period begins in its first phase: state c
            p->probability = u->g[at];
            if (p->probability < 1e-13) {
                p->probability = 0;
                continue;
            }
            double moments[3] = {u->moment[0][at] / p->probability, u->moment[1][at] / p->probability, u->moment[2][at] / p->probability};
            if (!queue_phases_fit(moments, &p->phases)) return no_fit(e);
            if (fit == QUEUE_FIT_AS_PUBLISHED) as_published(c, start, end, &p->phases);
            *states += p->phases.erlang + 2;
        }
    }
    return true;
}

// The state of i of the first class and j of the second, i + j < servers.
static unsigned below(unsigned i, unsigned j) {
    return (i + j) * (i + j + 1) / 2 + i;
}

// All servers become busy from state `from`; each way that it can end is a run of phases of its own, laid once.
struct busy_runs {
    unsigned first[PAIRS_MAX];
};

static void become_busy(struct queue_process *p, const struct upper *u, const struct pair *pairs, const struct busy_runs *runs, unsigned from, unsigned start,
                        double rate) {
    unsigned c = u->servers;
    for (unsigned end = 0; end < c; end++) {
        const struct pair *pr = &pairs[start * c + end];
        if (pr->probability == 0) continue;
        unsigned to = below(end, c - 1 - end);
        p->rate[(size_t)from * p->n + runs->first[start * c + end]] += rate * pr->probability * pr->phases.enter;
        if (to != from) p->rate[(size_t)from * p->n + to] += rate * pr->probability * (1 - pr->phases.enter);
    }
}

static void lay_runs(struct queue_process *p, const struct upper *u, const struct pair *pairs, struct busy_runs *runs) {
    unsigned c = u->servers, at = c * (c + 1) / 2;
    for (unsigned i = 0; i < (c + 1) * c; i++) {
        runs->first[i] = at;
        unsigned end = i % c, to = below(end, c - 1 - end);
        if (pairs[i].probability > 0) at = queue_process_put(p, at, &pairs[i].phases, to, 0, to);
    }
}

static void lay_states(struct queue_process *p, const struct upper *u, const struct queue_class *k, const struct pair *pairs, const struct busy_runs *runs) {
    unsigned c = u->servers;
    for (unsigned i = 0; i < c; i++) {
        for (unsigned j = 0; i + j < c; j++) {
            unsigned s = below(i, j);
            p->free[s] = c - i - j;
            if (i) p->rate[(size_t)s * p->n + below(i - 1, j)] += i * k[0].service;
            if (j) p->rate[(size_t)s * p->n + below(i, j - 1)] += j * k[1].service;
            if (i + j + 1 < c) {
                p->rate[(size_t)s * p->n + below(i + 1, j)] += k[0].arrivals;
                p->rate[(size_t)s * p->n + below(i, j + 1)] += k[1].arrivals;
            } else {
                become_busy(p, u, pairs, runs, s, i + 1, k[0].arrivals);
                become_busy(p, u, pairs, runs, s, i, k[1].arrivals);
            }
        }
    }
}

static bool three_classes(struct arena *scratch, unsigned servers, const struct queue_class *k, enum queue_fit fit, double *mean, struct err *e) {
    struct upper u;
    struct pair pairs[PAIRS_MAX];
    struct busy_runs runs = {{0}};
    struct queue_process p;
    memset(pairs, 0, sizeof pairs);
    unsigned states = servers * (servers + 1) / 2;
    if (!upper_init(scratch, &u, servers, k, e) || !pairs_fit(&u, fit, pairs, &states, e) || !queue_process_init(scratch, &p, states, e)) return false;
    lay_runs(&p, &u, pairs, &runs);
    lay_states(&p, &u, k, pairs, &runs);
    return queue_process_mean(scratch, &p, servers, k[2].arrivals, k[2].service, mean, e);
}

static bool exponential_one_server(const struct queue_class *classes, unsigned count, double *wait) {
    double arrivals[3], mean[3], second[3], waits[3];
    for (unsigned i = 0; i < count; i++) {
        arrivals[i] = classes[i].arrivals;
        mean[i] = 1 / classes[i].service;
        second[i] = 2 * mean[i] * mean[i];
    }
    queue_one_server_waits(count, arrivals, mean, second, waits);
    *wait = waits[count - 1];
    return true;
}

bool queue_lowest_wait(struct arena *scratch, unsigned servers, const struct queue_class *classes, unsigned count, enum queue_fit fit, double *wait,
                       struct err *e) {
    double load = 0;
    if (servers < 1 || servers > QUEUE_READERS_MAX || (count == 3 && servers > QUEUE_READERS_THREE_MAX)) {
        return err_set(e, ERR_UNSUPPORTED, "queue", "the theory of %u classes takes up to %d radiologists, not %u: ask the simulation", count,
                       count == 3 ? QUEUE_READERS_THREE_MAX : QUEUE_READERS_MAX, servers);
    }
    if (count < 1 || count > 3) return err_set(e, ERR_UNSUPPORTED, "queue", "one, two or three classes, not %u", count);
    for (unsigned i = 0; i < count; i++) {
        if (!(classes[i].arrivals > 0) || !(classes[i].service > 0)) return err_set(e, ERR_BAD_INPUT, "queue", "class %u: rates must be positive", i + 1);
        load += classes[i].arrivals / classes[i].service / servers;
    }
    if (!(load < 1)) return err_set(e, ERR_BAD_INPUT, "queue", "the queue has no steady state: its load is %g", load);
    if (servers == 1) return exponential_one_server(classes, count, wait);
    double mean;
    struct arena_mark mark = arena_mark(scratch);
    const struct queue_class *last = &classes[count - 1];
    if (count == 1) {
        *wait = queue_mmc_wait(servers, last->arrivals, last->service);
        return true;
    }
    bool ok = count == 2 ? two_classes(scratch, servers, classes, &mean, e) : three_classes(scratch, servers, classes, fit, &mean, e);
    arena_rewind(scratch, mark);
    if (ok) *wait = mean / last->arrivals - 1 / last->service;
    return ok;
}
