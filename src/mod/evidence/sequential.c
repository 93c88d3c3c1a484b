// Boundaries of group sequential tests by alpha spending.
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "math/dist.h"
#include "math/special.h"
#include "mod/evidence/drift.h"

enum { NODES_MAX = 512 };

static const struct {
    const char *name;
    enum ev_spending spending;
} NAMES[] = {
    {"obrien-fleming", EV_SPEND_OBRIEN_FLEMING},
    {"obrien_fleming", EV_SPEND_OBRIEN_FLEMING},
    {"obf", EV_SPEND_OBRIEN_FLEMING},
    {"pocock", EV_SPEND_POCOCK},
    {"power", EV_SPEND_POWER},
    {"gamma", EV_SPEND_GAMMA},
    {"hsd", EV_SPEND_GAMMA},
};

bool ev_spending_named(const char *name, enum ev_spending *out) {
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (str_eq_nocase(str_of(name), str_of(NAMES[i].name))) return *out = NAMES[i].spending, true;
    return false;
}

// Of one side.
static double spent(enum ev_spending spending, double parameter, double alpha, double t) {
    switch (spending) {
    case EV_SPEND_OBRIEN_FLEMING:
        return 2 * dist_norm(dist_norm_quantile(alpha / 2, true) / sqrt(t), true);
    case EV_SPEND_POCOCK:
        return alpha * log1p((M_E - 1) * t);
    case EV_SPEND_POWER:
        return alpha * pow(t, parameter);
    default:
        return parameter == 0 ? alpha * t : alpha * expm1(-parameter * t) / expm1(-parameter);
    }
}

// The part of the score Z sqrt(t) that has not stopped: mass at nodes.
struct going {
    unsigned n;
    double at[NODES_MAX], mass[NODES_MAX];
    double step, drift; // to the next look: share of information, and its drift
};

// The mass beyond the score at the next look, above (and below, by symmetry of the boundary).
static double above(const struct going *g, double score) {
    double sd = sqrt(g->step), sum = 0;
    for (unsigned i = 0; i < g->n; i++) sum += g->mass[i] * dist_norm((score - g->at[i] - g->drift * g->step) / sd, true);
    return sum;
}

static double below(const struct going *g, double score) {
    double sd = sqrt(g->step), sum = 0;
    for (unsigned i = 0; i < g->n; i++) sum += g->mass[i] * dist_norm((score - g->at[i] - g->drift * g->step) / sd, false);
    return sum;
}

static void advance(struct going *g, double lo, double hi, double next_step) {
    struct going to = {.drift = g->drift, .step = next_step};
    double weight[NODES_MAX], sd = sqrt(g->step), least = sqrt(fmin(g->step, next_step));
    to.n = (unsigned)fmin(NODES_MAX, 60 + 4 * (hi - lo) / least);
    special_gauss_legendre(to.n, to.at, weight);
    for (unsigned j = 0; j < to.n; j++) {
        double sum = 0;
        to.at[j] = lo + (to.at[j] + 1) / 2 * (hi - lo);
        for (unsigned i = 0; i < g->n; i++) sum += g->mass[i] * dist_norm_density((to.at[j] - g->at[i] - g->drift * g->step) / sd);
        to.mass[j] = sum / sd * weight[j] * (hi - lo) / 2;
    }
    *g = to;
}

struct goal {
    const struct going *g;
    double root_t, wanted;
};

static double excess(double z, void *with) {
    const struct goal *goal = with;
    return log(above(goal->g, z * goal->root_t)) - log(goal->wanted);
}

static bool check(enum ev_spending spending, double parameter, double alpha, unsigned sides, double drift, const struct ev_look *look, unsigned looks,
                  struct err *e) {
    if (looks == 0 || looks > EV_LOOKS_MAX) return err_set(e, ERR_BAD_INPUT, "evidence", "%u looks; 1 to %d are taken", looks, EV_LOOKS_MAX);
    if (!(alpha > 1e-8 && alpha < 0.5) || sides < 1 || sides > 2 || !(fabs(drift) <= 20))
        return err_set(e, ERR_BAD_INPUT, "evidence", "alpha %g, %u sides, drift %g: alpha lies in 0 to 0.5, sides are 1 or 2, drift within 20", alpha, sides,
                       drift);
    if ((spending == EV_SPEND_POWER && !(parameter > 0 && parameter <= 20)) || (spending == EV_SPEND_GAMMA && !(fabs(parameter) <= 40)))
        return err_set(e, ERR_BAD_INPUT, "evidence", "the spending function's parameter %g is out of range (power above 0 to 20, gamma -40 to 40)", parameter);
    for (unsigned i = 0; i < looks; i++) {
        double step = look[i].t - (i ? look[i - 1].t : 0);
        if (!(step >= 0.001) || look[i].t > 1)
            return err_set(e, ERR_BAD_INPUT, "evidence", "look %u at %g: shares of the information ascend to at most 1, at least 0.001 apart", i + 1,
                           look[i].t);
    }
    return true;
}

// The bound of one look, and the probability to stop at it under each drift.
static bool one_look(struct going *null, struct going *drift, struct ev_look *look, double fresh, unsigned sides, struct err *e) {
    struct goal goal = {.g = null, .root_t = sqrt(look->t), .wanted = fresh};
    // What rounding leaves of a bound that is never reached.
    look->z = fresh < 1e-14 ? INFINITY : special_root(excess, &goal, -10, 10, 1e-11);
    if (isnan(look->z)) return err_set(e, ERR_BAD_INPUT, "evidence", "no bound spends %g at %g of the information", fresh, look->t);
    double score = look->z * goal.root_t;
    look->nominal_p = sides * dist_norm(look->z, true);
    look->stop_null = sides * above(null, score);
    look->stop_drift = above(drift, score) + (sides == 2 ? below(drift, -score) : 0);
    return true;
}

bool ev_sequential(struct arena *a, enum ev_spending spending, double parameter, double alpha, unsigned sides, double drift, struct ev_look *look,
                   unsigned looks, struct err *e) {
    if (!check(spending, parameter, alpha, sides, drift, look, looks, e)) return false;
    struct going *null = arena_zero(a, 2, sizeof *null, e);
    if (!null) return false;
    struct going *with = null + 1;
    double before = 0;
    *null = *with = (struct going){.n = 1, .mass = {1}, .step = look[0].t};
    with->drift = drift;
    for (unsigned i = 0; i < looks; i++) {
        double now = spent(spending, parameter, alpha / sides, look[i].t);
        look[i].spent = sides * now;
        if (!one_look(null, with, &look[i], now - before, sides, e)) return false;
        before = now;
        if (i) look[i].stop_null += look[i - 1].stop_null;
        if (i) look[i].stop_drift += look[i - 1].stop_drift;
        if (i + 1 == looks) break;
        // Beyond ten deviations nothing is left.
        double root = sqrt(look[i].t), step = look[i + 1].t - look[i].t, shift = fabs(drift) * look[i].t;
        double far = 10 * root, bound = look[i].z * root, hi = fmin(bound, far), hi_drift = fmin(bound, far + shift);
        advance(null, sides == 2 ? -hi : -far, hi, step);
        advance(with, sides == 2 ? -hi_drift : -far - shift, hi_drift, step);
    }
    return true;
}
