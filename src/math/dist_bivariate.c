// Two correlated normal variables.
#include <math.h>

#include "math/dist.h"
#include "math/special.h"

struct corner {
    double h, k;
};

// By the arc sine of the correlation (Drezner and Wesolowsky 1990, Journal of Statistical Computation and Simulation 35:101-107, as Genz 2004 has it).
static double density_at(double angle, void *with) {
    const struct corner *c = with;
    double s = sin(angle), cosine = cos(angle);
    double q = (c->h - c->k) * (c->h - c->k) + 2 * c->h * c->k * (1 - s);
    return exp(-q / (2 * cosine * cosine));
}

double dist_norm2(double h, double k, double rho) {
    if (!(fabs(rho) <= 1) || isnan(h) || isnan(k)) return NAN;
    double ph = dist_norm(h, false), pk = dist_norm(k, false);
    if (isinf(h) || isinf(k) || rho == 0) return ph * pk;
    if (rho == 1) return fmin(ph, pk);
    if (rho == -1) return fmax(0, ph - dist_norm(k, true));
    struct corner c = {h, k};
    double end = asin(rho), middle = end * 0.9; // the second part is short, for what is steep near the end
    double part = special_integral(density_at, &c, 0, middle, 48) + special_integral(density_at, &c, middle, end, 96);
    return fmin(fmin(ph, pk), fmax(0, ph * pk + part / (2 * M_PI)));
}
