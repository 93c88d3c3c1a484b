// Placements of cases, areas and their covariances.
#include <math.h>
#include <string.h>

#include "base/thread.h"
#include "math/dist.h"
#include "math/matrix.h"
#include "math/rank.h"
#include "mod/evidence/roc_part.h"

bool ev_roc_check(const struct ev_roc_data *d, size_t *n0, size_t *n1, struct err *e) {
    *n0 = *n1 = 0;
    if (d->n > UINT32_MAX) return err_set(e, ERR_TOO_LARGE, "evidence", "%zu cases: at most 4294967295 are taken", d->n);
    for (size_t i = 0; i < d->n; i++) {
        if (!isfinite(d->score[i]))
            return err_set(e, ERR_BAD_INPUT, "evidence", "the score of case %zu is missing or infinite: leave the case out, or give it a number", i + 1);
        *n1 += d->positive[i] ? 1 : 0;
    }
    *n0 = d->n - *n1;
    if (*n0 == 0 || *n1 == 0)
        return err_set(e, ERR_BAD_INPUT, "evidence", "all %zu cases are of one class (%s): a ROC analysis needs positive and negative cases", d->n,
                       *n1 ? "positive" : "negative");
    return true;
}

// Cases in one order of scores; equal scores lie together.
struct walk {
    const uint8_t *positive;
    const uint32_t *order;
    const uint8_t *same;   // by place in the order: as the one before
    double *place;         // by case
    uint64_t pairs, equal; // pairs with the positive above; pairs that are equal
};

// The group of equal scores [from, to) with in1 positives: cases below it are known.
static void place_group(struct walk *w, size_t from, size_t to, size_t in1, size_t below0, size_t below1, const struct ev_placements *out) {
    size_t in0 = to - from - in1;
    // by class: a branch on it would be guessed wrongly half of the time
    const double of[2] = {((double)(out->n1 - below1 - in1) + 0.5 * (double)in1) / (double)out->n1, ((double)below0 + 0.5 * (double)in0) / (double)out->n0};
    for (size_t i = from; i < to; i++) w->place[w->order[i]] = of[w->positive[w->order[i]] != 0];
    w->pairs += (uint64_t)in1 * below0;
    w->equal += (uint64_t)in1 * in0;
}

static void place_all(struct walk *w, size_t n, const struct ev_placements *out) {
    size_t below0 = 0, below1 = 0;
    for (size_t from = 0, to; from < n; from = to) {
        size_t in1 = w->positive[w->order[from]] != 0;
        for (to = from + 1; to < n && w->same[to]; to++) in1 += w->positive[w->order[to]] != 0;
        place_group(w, from, to, in1, below0, below1, out);
        below1 += in1;
        below0 += to - from - in1;
    }
}

static void part_by_class(const struct walk *w, size_t n, struct ev_placements *out) {
    size_t in0 = 0, in1 = 0;
    for (size_t i = 0; i < n; i++) {
        bool positive = w->positive[i] != 0;
        double *to = positive ? out->positive + in1 : out->negative + in0;
        *to = w->place[i];
        in1 += positive;
        in0 += !positive;
    }
}

static bool placements_room(struct arena *a, const struct ev_roc_data *d, struct ev_placements *out, struct err *e) {
    *out = (struct ev_placements){0};
    if (!ev_roc_check(d, &out->n0, &out->n1, e)) return false;
    out->negative = arena_alloc(a, out->n0 * sizeof(double), e);
    out->positive = out->negative ? arena_alloc(a, out->n1 * sizeof(double), e) : NULL;
    return out->positive != NULL;
}

static bool placements_fill(struct arena *scratch, const struct ev_roc_data *d, struct ev_placements *out, struct err *e) {
    uint32_t *order = NULL;
    uint8_t *same = NULL;
    struct arena_mark mark = arena_mark(scratch);
    double *place = arena_alloc(scratch, d->n * sizeof *place, e);
    if (!place || !rank_groups(scratch, d->score, d->n, &order, &same, e)) return false;
    struct walk w = {d->positive, order, same, place, 0, 0};
    place_all(&w, d->n, out);
    part_by_class(&w, d->n, out);
    arena_rewind(scratch, mark);
    double pairs = (double)out->n0 * (double)out->n1;
    out->auc = ((double)w.pairs + 0.5 * (double)w.equal) / pairs;
    out->equal = (double)w.equal / pairs;
    return true;
}

bool ev_placements(struct arena *a, const struct ev_roc_data *d, struct ev_placements *out, struct err *e) {
    return placements_room(a, d, out, e) && placements_fill(a, d, out, e);
}

// Of two sets of placements about their areas.
static double covariance_about(const double *x, double mean_x, const double *y, double mean_y, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (x[i] - mean_x) * (y[i] - mean_y);
    return n > 1 ? sum / (double)(n - 1) : NAN;
}

static bool delong_room(struct arena *a, unsigned tests, size_t n, struct ev_delong *out, struct err *e) {
    if (tests == 0 || tests > EV_TESTS_MAX)
        return err_set(e, ERR_TOO_LARGE, "evidence", "%u tests: between 1 and %d are compared at once", tests, EV_TESTS_MAX);
    (void)n;
    *out = (struct ev_delong){.tests = tests};
    out->auc = arena_zero(a, tests, sizeof(double), e);
    out->covariance = out->auc ? arena_zero(a, (size_t)tests * tests, sizeof(double), e) : NULL;
    out->of_positive = out->covariance ? arena_zero(a, (size_t)tests * tests, sizeof(double), e) : NULL;
    out->of_negative = out->of_positive ? arena_zero(a, (size_t)tests * tests, sizeof(double), e) : NULL;
    out->placed = out->of_negative ? arena_zero(a, tests, sizeof *out->placed, e) : NULL;
    return out->placed != NULL;
}

// One test's work on a thread of its own, in memory of its own.
struct placing {
    struct ev_roc_data d;
    struct ev_placements *out;
    struct arena scratch;
    struct err e;
    bool ok;
};

static void *place_aside(void *arg) {
    struct placing *p = arg;
    p->ok = placements_fill(&p->scratch, &p->d, p->out, &p->e);
    return NULL;
}

enum { ASIDE_MIN = 100 * 1000 }; // cases from which a thread is worth its start

// The first of the tests that are left, and the second beside it.
static bool place_two(struct arena *a, unsigned left, const double *const *score, const uint8_t *positive, size_t n, struct ev_placements *out, struct err *e) {
    struct ev_roc_data first = {score[0], positive, n};
    if (left < 2) return placements_fill(a, &first, out, e);
    struct placing p = {.d = {score[1], positive, n}, .out = out + 1};
    arena_init(&p.scratch, a->ceiling);
    pthread_t thread;
    if (n < ASIDE_MIN || !thread_start(&thread, "evidence", place_aside, &p, NULL))
        return placements_fill(a, &first, out, e) && placements_fill(a, &p.d, out + 1, e);
    bool ok = placements_fill(a, &first, out, e);
    pthread_join(thread, NULL);
    arena_deinit(&p.scratch);
    if (ok && !p.ok && e) *e = p.e;
    return ok && p.ok;
}

static bool place_tests(struct arena *a, unsigned tests, const double *const *score, const uint8_t *positive, size_t n, struct ev_delong *out, struct err *e) {
    if (!delong_room(a, tests, n, out, e)) return false;
    for (unsigned t = 0; t < tests; t++) {
        struct ev_roc_data d = {score[t], positive, n};
        if (!placements_room(a, &d, &out->placed[t], e)) return false;
    }
    for (unsigned t = 0; t < tests; t += 2)
        if (!place_two(a, tests - t, score + t, positive, n, &out->placed[t], e)) return false;
    for (unsigned t = 0; t < tests; t++) out->auc[t] = out->placed[t].auc;
    out->n0 = out->placed[0].n0;
    out->n1 = out->placed[0].n1;
    return true;
}

bool ev_delong(struct arena *a, unsigned tests, const double *const *score, const uint8_t *positive, size_t n, struct ev_delong *out, struct err *e) {
    if (!place_tests(a, tests, score, positive, n, out, e)) return false;
    for (unsigned t = 0; t < tests; t++)
        for (unsigned u = 0; u <= t; u++) {
            const struct ev_placements *x = &out->placed[t], *y = &out->placed[u];
            size_t at = (size_t)t * tests + u, mirrored = (size_t)u * tests + t;
            out->of_positive[at] = out->of_positive[mirrored] = covariance_about(x->positive, x->auc, y->positive, y->auc, out->n1);
            out->of_negative[at] = out->of_negative[mirrored] = covariance_about(x->negative, x->auc, y->negative, y->auc, out->n0);
            out->covariance[at] = out->covariance[mirrored] = out->of_positive[at] / (double)out->n1 + out->of_negative[at] / (double)out->n0;
        }
    return true;
}

// Sums of placements, less the area, by cluster: one row of `clusters` numbers per test.
struct cluster_sums {
    double *positive, *negative;
    size_t clusters, with_positive, with_negative, used;
};

static bool cluster_count(struct arena *a, const uint8_t *positive, const int32_t *cluster, size_t n, struct cluster_sums *s, struct err *e) {
    for (size_t i = 0; i < n; i++) {
        if (cluster[i] < 0) return err_set(e, ERR_BAD_INPUT, "evidence", "case %zu has no cluster", i + 1);
        if ((size_t)cluster[i] >= s->clusters) s->clusters = (size_t)cluster[i] + 1;
    }
    uint8_t *seen = arena_zero(a, s->clusters, 1, e);
    if (!seen) return false;
    for (size_t i = 0; i < n; i++) seen[cluster[i]] |= positive[i] ? 1 : 2;
    for (size_t i = 0; i < s->clusters; i++) {
        s->with_positive += seen[i] & 1;
        s->with_negative += seen[i] >> 1;
        s->used += seen[i] != 0;
    }
    return true;
}

static bool cluster_sum(struct arena *a, const struct ev_delong *d, const uint8_t *positive, const int32_t *cluster, size_t n, struct cluster_sums *s,
                        struct err *e) {
    if (!cluster_count(a, positive, cluster, n, s, e)) return false;
    s->positive = arena_zero(a, s->clusters * d->tests, sizeof(double), e);
    s->negative = s->positive ? arena_zero(a, s->clusters * d->tests, sizeof(double), e) : NULL;
    if (!s->negative) return false;
    for (unsigned t = 0; t < d->tests; t++) {
        const struct ev_placements *p = &d->placed[t];
        double *of1 = s->positive + t * s->clusters, *of0 = s->negative + t * s->clusters;
        size_t i1 = 0, i0 = 0;
        for (size_t i = 0; i < n; i++) {
            if (positive[i])
                of1[cluster[i]] += p->positive[i1++] - p->auc;
            else
                of0[cluster[i]] += p->negative[i0++] - p->auc;
        }
    }
    return true;
}

static double dot(const double *x, const double *y, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] * y[i];
    return sum;
}

static double times(size_t clusters) { // I / (I - 1)
    return clusters > 1 ? (double)clusters / (double)(clusters - 1) : NAN;
}

bool ev_delong_clustered(struct arena *a, unsigned tests, const double *const *score, const uint8_t *positive, const int32_t *cluster, size_t n,
                         struct ev_delong *out, struct err *e) {
    struct cluster_sums s = {0};
    if (!place_tests(a, tests, score, positive, n, out, e) || !cluster_sum(a, out, positive, cluster, n, &s, e)) return false;
    double n1 = (double)out->n1, n0 = (double)out->n0;
    for (unsigned t = 0; t < tests; t++)
        for (unsigned u = 0; u < tests; u++) {
            const double *t1 = s.positive + t * s.clusters, *u1 = s.positive + u * s.clusters, *t0 = s.negative + t * s.clusters,
                         *u0 = s.negative + u * s.clusters;
            size_t at = (size_t)t * tests + u;
            out->of_positive[at] = times(s.with_positive) / n1 * dot(t1, u1, s.clusters);
            out->of_negative[at] = times(s.with_negative) / n0 * dot(t0, u0, s.clusters);
            double crossed = times(s.used) * (dot(t1, u0, s.clusters) + dot(u1, t0, s.clusters));
            out->covariance[at] = out->of_positive[at] / n1 + out->of_negative[at] / n0 + crossed / (n1 * n0);
        }
    return true;
}

struct ev_auc ev_auc_of(double auc, double variance, enum ev_auc_interval method, double level) {
    double se = sqrt(variance), z = dist_norm_two_sided(level);
    struct ev_auc out = {auc, se, NAN, NAN};
    if (isnan(se)) return out;
    if (method == EV_AUC_LOGIT) {
        if (!(auc > 0) || !(auc < 1)) return out;
        double logit = log(auc / (1 - auc)), half = z * se / (auc * (1 - auc));
        out.lo = 1 / (1 + exp(half - logit));
        out.hi = 1 / (1 + exp(-half - logit));
        return out;
    }
    out.lo = fmax(0, auc - z * se);
    out.hi = fmin(1, auc + z * se);
    return out;
}

double ev_hanley_mcneil_se(double auc, double n1, double n0) {
    double q1 = auc / (2 - auc), q2 = 2 * auc * auc / (1 + auc), square = auc * auc;
    return sqrt((auc * (1 - auc) + (n1 - 1) * (q1 - square) + (n0 - 1) * (q2 - square)) / (n1 * n0));
}

double ev_auc_variance_unbiased(const struct ev_placements *p) {
    double n0 = (double)p->n0, n1 = (double)p->n1, pairs = n0 * n1;
    if (p->n0 < 2 || p->n1 < 2) return NAN;
    double squares = pairs * (p->auc - p->equal / 4); // sum of kernel^2: a tie's quarter instead of its half
    double of_positive = n0 * n0 * dot(p->positive, p->positive, p->n1), of_negative = n1 * n1 * dot(p->negative, p->negative, p->n0);
    double m1 = squares / pairs;
    double m2 = (of_positive - squares) / (pairs * (n0 - 1)); // two negatives, one positive
    double m3 = (of_negative - squares) / (pairs * (n1 - 1)); // one negative, two positives
    double m4 = (pairs * pairs * p->auc * p->auc - of_positive - of_negative + squares) / (pairs * (n0 - 1) * (n1 - 1));
    return (m1 + (n0 - 1) * m2 + (n1 - 1) * m3 + (n0 - 1) * (n1 - 1) * m4) / pairs - m4;
}

static struct ev_auc_test test_of(double difference, double se, double df, double level) {
    struct ev_auc_test t = {difference, se, NAN, df, NAN, NAN, NAN};
    if (isnan(se)) return t;
    double q = dist_t_quantile((1 - level) / 2, df, true);
    t.statistic = difference == 0 ? 0 : difference / se;
    t.p = difference == 0 ? 1 : 2 * dist_t(fabs(t.statistic), df, true);
    t.lo = difference - q * se;
    t.hi = difference + q * se;
    return t;
}

struct ev_auc_test ev_auc_paired(const struct ev_delong *d, unsigned a, unsigned b, double level) {
    const double *c = d->covariance;
    double variance = c[(size_t)a * d->tests + a] + c[(size_t)b * d->tests + b] - 2 * c[(size_t)a * d->tests + b];
    return test_of(d->auc[a] - d->auc[b], sqrt(fmax(0, variance)) + (isnan(variance) ? NAN : 0), INFINITY, level);
}

struct ev_auc_test ev_auc_unpaired(double auc1, double variance1, size_t n1, double auc2, double variance2, size_t n2, double level) {
    double variance = variance1 + variance2;
    double under = variance1 * variance1 / ((double)n1 - 1) + variance2 * variance2 / ((double)n2 - 1);
    return test_of(auc1 - auc2, sqrt(variance), under > 0 ? variance * variance / under : INFINITY, level);
}

bool ev_auc_all_alike(struct arena *a, const struct ev_delong *d, double *chi2, double *df, double *p, struct err *e) {
    unsigned t = d->tests, k = t - 1;
    if (t < 2) return err_set(e, ERR_USAGE, "evidence", "one test cannot be compared: give two or more");
    double *m = arena_alloc(a, (size_t)k * k * sizeof(double), e), *x = m ? arena_alloc(a, 2 * (size_t)k * sizeof(double), e) : NULL;
    if (!x) return false;
    for (unsigned i = 0; i < k; i++) { // contrasts of each test with the last
        x[i] = x[k + i] = d->auc[i] - d->auc[k];
        for (unsigned j = 0; j < k; j++)
            m[i * k + j] =
                d->covariance[(size_t)i * t + j] - d->covariance[(size_t)i * t + k] - d->covariance[(size_t)k * t + j] + d->covariance[(size_t)k * t + k];
    }
    if (!matrix_solve(m, k, x, 1)) return err_set(e, ERR_BAD_INPUT, "evidence", "the tests' areas vary together: a test stands twice, or too few cases");
    *chi2 = dot(x, x + k, k);
    *df = k;
    *p = dist_chi2(*chi2, k, true);
    return true;
}

struct ev_margin_test ev_margin(double difference, double se, double margin, double level) {
    struct ev_margin_test t;
    double alpha = (1 - level) / 2, z = dist_norm_quantile(alpha, true);
    t.z_lower = (difference + margin) / se;
    t.z_upper = (difference - margin) / se;
    t.p_noninferior = dist_norm(t.z_lower, true);
    t.p_equivalent = fmax(t.p_noninferior, dist_norm(t.z_upper, false));
    t.lo = difference - z * se;
    t.hi = difference + z * se;
    return t;
}
