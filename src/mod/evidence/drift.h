// Have the numbers changed? Kolmogorov and Smirnov, the population stability index, and repeated looks at accumulating data.
#ifndef GANTRY_MOD_EVIDENCE_DRIFT_H
#define GANTRY_MOD_EVIDENCE_DRIFT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

// ---- Kolmogorov-Smirnov, two-sided ----
struct ev_ks {
    double d, p;
    bool exact; // p: else by the limiting distribution
    bool ties;
};

// Two samples. Exact: the distribution of D over all ways to divide the pooled values as they are, ties and all (Schroeer G, Trenkler D. Comput Stat Data Anal 1995;20:185-202), when n m <= 4e8.
bool ev_ks_two(struct arena *a, const double *x, size_t n, const double *y, size_t m, struct ev_ks *out, struct err *e);

enum ev_law { EV_LAW_NORMAL, EV_LAW_UNIFORM, EV_LAW_EXPONENTIAL }; // (mean, sd), (min, max), (rate)
// One sample against a distribution that was known before. Exact for n <= 2000: Marsaglia G, Tsang WW, Wang J. J Stat Softw 2003;8(18), far tails by twice Smirnov's one-sided
// probability (Simard R, L'Ecuyer P. J Stat Softw 2011;39(11)). Ties, which a continuous distribution does not have, make p too small or too great: said by `ties`.
bool ev_ks_one(struct arena *a, const double *x, size_t n, enum ev_law law, double first, double second, struct ev_ks *out, struct err *e);
// P(D >= d) for n values.
bool ev_ks_tail(struct arena *a, size_t n, double d, double *p, struct err *e);

// ---- population stability index: sum of (share now - share then) ln(share now / share then) ----
struct ev_psi {
    double psi, chi2, df, p; // chi2 = psi / (1/n + 1/m), bins - 1: Yurdakul B. Statistical properties of population stability index, 2018
    unsigned bins;
    double *then, *now, *end; // shares; upper ends of the bins, the last one infinite
    bool empty;               // a share was 0: half a case was put there
};
// Bins are those of equal count of the reference (x); equal values stay together. Refuses fewer than 2 bins in effect.
bool ev_psi(struct arena *a, const double *x, size_t n, const double *y, size_t m, unsigned bins, struct ev_psi *out, struct err *e);
// Of counts by category.
bool ev_psi_counts(struct arena *a, const double *then, const double *now, unsigned bins, struct ev_psi *out, struct err *e);

// ---- alpha spending: Lan KKG, DeMets DL. Biometrika 1983;70:659-663 ----
enum ev_spending {
    EV_SPEND_OBRIEN_FLEMING, // 2 (1 - Phi(z(alpha/2) / sqrt t)) of each side
    EV_SPEND_POCOCK,         // alpha ln(1 + (e - 1) t)
    EV_SPEND_POWER,          // alpha t^parameter (Kim and DeMets 1987)
    EV_SPEND_GAMMA,          // alpha (1 - exp(-parameter t)) / (1 - exp(-parameter)) (Hwang, Shih and De Cani 1990)
};
bool ev_spending_named(const char *name, enum ev_spending *out);
enum { EV_LOOKS_MAX = 100 };
struct ev_look {
    double t;          // share of the information, ascending to at most 1
    double spent;      // of alpha, up to and with this look, both sides together
    double z;          // stop when |Z| (one-sided: Z) reaches it
    double nominal_p;  // of z, by as many sides
    double stop_null;  // probability to have stopped by this look without a difference: spent again, as a check
    double stop_drift; // ... and with the drift
};
// t of each look is given, the rest is computed by recursive numerical integration (Armitage P, McPherson CK, Rowe BC. J R Stat Soc A 1969;132:235-244), z to 1e-6.
// drift: mean of Z at t = 1. Refuses looks less than 0.001 apart.
bool ev_sequential(struct arena *a, enum ev_spending spending, double parameter, double alpha, unsigned sides, double drift, struct ev_look *look,
                   unsigned looks, struct err *e);

#endif
