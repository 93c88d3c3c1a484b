// What follows from the components: the pseudovalue analysis of variance, and power for readers and cases.
#include <math.h>

#include "math/dist.h"
#include "mod/evidence/mrmc.h"

enum { PLAN_CASES_MAX = 10 * 1000 * 1000, PLAN_READERS_MAX = 10 * 1000 };

// Hillis et al. 2005, table 2: the covariances of jackknifed merits are those of the pseudovalues over the number of cases.
struct ev_dbm ev_dbm_of(const struct ev_or *o) {
    double t = o->merit->treatments, r = o->merit->readers, k = o->merit->cases;
    double v = o->var_error, c1 = o->cov1, c2 = o->cov2, c3 = o->cov3;
    struct ev_dbm d = {
        .ms_t = k * o->ms_t,
        .ms_r = k * o->ms_r,
        .ms_tr = k * o->ms_tr,
        .ms_c = k * (v + (t - 1) * c1 + (r - 1) * c2 + (t - 1) * (r - 1) * c3),
        .ms_tc = k * (v - c1 + (r - 1) * (c2 - c3)),
        .ms_rc = k * (v - c2 + (t - 1) * (c1 - c3)),
        .ms_trc = k * (v - c1 - c2 + c3),
    };
    d.var_error = d.ms_trc;
    d.var_tc = k * (c2 - c3);
    d.var_rc = k * (c1 - c3);
    d.var_c = k * c3;
    d.var_tr = o->var_tr;
    d.var_r = o->var_r;
    return d;
}

struct ev_or_plan ev_or_plan_of(const struct ev_or *o) {
    double apart = o->cov2 - o->cov3 > 0 ? o->cov2 - o->cov3 : 0;
    return (struct ev_or_plan){.var_tr = o->ms_tr - o->var_error + o->cov1 + apart, // Hillis 2011, equation 9: constrained
                               .var_error = o->var_error,
                               .cov1 = o->cov1,
                               .cov2 = o->cov2,
                               .cov3 = o->cov3,
                               .cases = o->merit->cases};
}

// Half the variance of a reader's difference, as random readers see it, random cases, or both; *within what the degrees of freedom rest on.
static double term(const struct ev_or_plan *p, enum ev_generalise g, double readers, double cases, double *within) {
    double scale = p->cases / cases, apart = p->cov2 > p->cov3 ? p->cov2 - p->cov3 : 0, tr = p->var_tr > 0 ? p->var_tr : 0;
    *within = tr + scale * (p->var_error - p->cov1 - apart);
    if (g == EV_RRFC) return *within;
    return (g == EV_RRRC ? tr : 0) + scale * (p->var_error - p->cov1 + (readers - 1) * apart);
}

struct ev_power ev_or_power(const struct ev_or_plan *p, enum ev_generalise g, double readers, double cases, double effect, double alpha) {
    struct ev_power x = {.power = NAN, .ncp = NAN, .df1 = 1, .df2 = NAN, .critical = NAN};
    double within, d = term(p, g, readers, cases, &within);
    if (!(readers >= (g == EV_FRRC ? 1 : 2) && cases >= 2 && d > 0)) return x;
    x.df2 = g == EV_RRRC ? d * d / (within * within / (readers - 1)) : g == EV_RRFC ? readers - 1 : cases - 1;
    x.ncp = effect * effect * readers / 2 / d;
    x.critical = dist_f_quantile(alpha, 1, x.df2, true);
    x.power = dist_f_noncentral(x.critical, 1, x.df2, x.ncp, true);
    return x;
}

// Power grows with either number: doubling, then halving the interval.
static unsigned smallest(const struct ev_or_plan *p, enum ev_generalise g, double fixed, bool cases, double effect, double alpha, double power) {
    unsigned most = cases ? PLAN_CASES_MAX : PLAN_READERS_MAX, hi = 2, lo = 1;
    for (;;) {
        double at = cases ? ev_or_power(p, g, fixed, hi, effect, alpha).power : ev_or_power(p, g, hi, fixed, effect, alpha).power;
        if (at >= power) break;
        if (hi >= most) return 0;
        lo = hi;
        hi = hi > most / 2 ? most : hi * 2;
    }
    while (hi - lo > 1) {
        unsigned mid = lo + (hi - lo) / 2;
        double at = cases ? ev_or_power(p, g, fixed, mid, effect, alpha).power : ev_or_power(p, g, mid, fixed, effect, alpha).power;
        if (at >= power)
            hi = mid;
        else
            lo = mid;
    }
    return hi;
}

unsigned ev_or_cases(const struct ev_or_plan *p, enum ev_generalise g, double readers, double effect, double alpha, double power) {
    return smallest(p, g, readers, true, effect, alpha, power);
}

unsigned ev_or_readers(const struct ev_or_plan *p, enum ev_generalise g, double cases, double effect, double alpha, double power) {
    return smallest(p, g, cases, false, effect, alpha, power);
}
