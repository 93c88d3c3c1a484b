// Random numbers: xoshiro256++ and the usual distributions drawn from it.
#include "math/rng.h"

#include <math.h>
#include <stdbool.h>

static uint64_t rotate(uint64_t x, unsigned k) {
    return x << k | x >> (64 - k);
}

// splitmix64 (Steele, Lea and Flood 2014).
static uint64_t spread(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

void rng_seed(struct rng *r, uint64_t seed) {
    *r = (struct rng){0};
    for (unsigned i = 0; i < 4; i++) r->s[i] = spread(&seed);
}

uint64_t rng_u64(struct rng *r) {
    uint64_t *s = r->s, out = rotate(s[0] + s[3], 23) + s[0], t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return out;
}

void rng_jump(struct rng *r) {
    // The generator's characteristic polynomial at 2^128 steps, as its authors give it.
    static const uint64_t jump[4] = {0x180ec6d33cfd0aba, 0xd5a61266f0c9392c, 0xa9582618e03fc9aa, 0x39abdc4529b1661c};
    uint64_t to[4] = {0};
    for (unsigned bit = 0; bit < 256; bit++) {
        bool taken = jump[bit / 64] >> bit % 64 & 1;
        for (unsigned i = 0; taken && i < 4; i++) to[i] ^= r->s[i];
        rng_u64(r);
    }
    for (unsigned i = 0; i < 4; i++) r->s[i] = to[i];
    r->has_spare = 0;
}

// The high half of a product is uniform but for the first few low halves, which are drawn again (Lemire 2019).
uint64_t rng_below(struct rng *r, uint64_t n) {
    if (n < 2) return 0;
    unsigned __int128 m = (unsigned __int128)rng_u64(r) * n;
    if ((uint64_t)m < n) {
        uint64_t refused = -n % n;
        while ((uint64_t)m < refused) m = (unsigned __int128)rng_u64(r) * n;
    }
    return (uint64_t)(m >> 64);
}

double rng_uniform(struct rng *r) {
    uint64_t u;
    do u = rng_u64(r) >> 11;
    while (u == 0);
    return (double)u * 0x1p-53;
}

// Marsaglia's polar method gives two at once.
double rng_normal(struct rng *r) {
    if (r->has_spare) {
        r->has_spare = 0;
        return r->spare;
    }
    double x, y, s;
    do {
        x = 2 * rng_uniform(r) - 1;
        y = 2 * rng_uniform(r) - 1;
        s = x * x + y * y;
    } while (s >= 1 || s == 0);
    double k = sqrt(-2 * log(s) / s);
    r->spare = y * k;
    r->has_spare = 1;
    return x * k;
}

double rng_exponential(struct rng *r) {
    return -log(rng_uniform(r));
}

// log of a gamma variate: shapes near 0 give values that a double cannot hold. Marsaglia and Tsang 2000, ACM TOMS 26:363-372.
static double log_gamma_variate(struct rng *r, double shape) {
    double boost = 0;
    if (shape < 1) {
        boost = log(rng_uniform(r)) / shape;
        shape += 1;
    }
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = rng_normal(r), v = 1 + c * x;
        if (v <= 0) continue;
        v = v * v * v;
        double u = rng_uniform(r);
        if (u < 1 - 0.0331 * x * x * x * x || log(u) < 0.5 * x * x + d * (1 - v + log(v))) return log(d * v) + boost;
    }
}

double rng_gamma(struct rng *r, double shape) {
    return shape > 0 ? exp(log_gamma_variate(r, shape)) : NAN;
}

double rng_beta(struct rng *r, double a, double b) {
    if (!(a > 0) || !(b > 0)) return NAN;
    double x = log_gamma_variate(r, a), y = log_gamma_variate(r, b);
    return 1 / (1 + exp(y - x));
}

static double log_factorial(double k) {
    int sign;
    return lgamma_r(k + 1, &sign);
}

// Products of uniforms: as many numbers as the mean.
static uint64_t poisson_small(struct rng *r, double mean) {
    double limit = exp(-mean), p = rng_uniform(r);
    uint64_t k = 0;
    for (; p > limit; k++) p *= rng_uniform(r);
    return k;
}

// Transformed rejection with squeeze: PTRS of Hormann 1993, Insurance: Mathematics and Economics 12:39-45.
uint64_t rng_poisson(struct rng *r, double mean) {
    if (!(mean > 0)) return 0;
    if (mean < 10) return poisson_small(r, mean);
    double root = sqrt(mean), b = 0.931 + 2.53 * root, a = -0.059 + 0.02483 * b;
    double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4), vr = 0.9277 - 3.6224 / (b - 2), log_mean = log(mean);
    for (;;) {
        double u = rng_uniform(r) - 0.5, v = rng_uniform(r), us = 0.5 - fabs(u);
        double k = floor((2 * a / us + b) * u + mean + 0.43);
        if (us >= 0.07 && v <= vr) return (uint64_t)k;
        if (k < 0 || (us < 0.013 && v > us)) continue;
        if (log(v * inverse_alpha / (a / (us * us) + b)) <= k * log_mean - mean - log_factorial(k)) return (uint64_t)k;
    }
}

// Inversion from 0 upwards: as many steps as the mean.
static uint64_t binomial_small(struct rng *r, uint64_t n, double p) {
    double odds = p / (1 - p), start = exp((double)n * log1p(-p));
    for (;;) {
        double u = rng_uniform(r), f = start;
        for (uint64_t k = 0; k <= n; k++) {
            if (u <= f) return k;
            u -= f;
            f *= odds * (double)(n - k) / (double)(k + 1);
        }
    }
}

// BTRS of Hormann 1993, Journal of Statistical Computation and Simulation 46:101-110; p <= 1/2.
static uint64_t binomial_large(struct rng *r, uint64_t count, double p) {
    double n = (double)count, q = 1 - p, root = sqrt(n * p * q), b = 1.15 + 2.53 * root, a = -0.0873 + 0.0248 * b + 0.01 * p;
    double alpha = (2.83 + 5.1 / b) * root, vr = 0.92 - 4.2 / b, mode = floor((n + 1) * p), log_odds = log(p / q);
    double h = log_factorial(mode) + log_factorial(n - mode);
    for (;;) {
        double u = rng_uniform(r) - 0.5, v = rng_uniform(r), us = 0.5 - fabs(u);
        double k = floor((2 * a / us + b) * u + n * p + 0.5);
        if (k < 0 || k > n) continue;
        if (us >= 0.07 && v <= vr) return (uint64_t)k;
        if (log(v * alpha / (a / (us * us) + b)) <= h - log_factorial(k) - log_factorial(n - k) + (k - mode) * log_odds) return (uint64_t)k;
    }
}

uint64_t rng_binomial(struct rng *r, uint64_t n, double p) {
    if (!(p > 0) || n == 0) return 0;
    if (p >= 1) return n;
    if (p > 0.5) return n - rng_binomial(r, n, 1 - p);
    return (double)n * p < 10 ? binomial_small(r, n, p) : binomial_large(r, n, p);
}
