// Random numbers for simulation and resampling: the same seed gives the same numbers on every machine. Not for secrets.
#ifndef GANTRY_MATH_RNG_H
#define GANTRY_MATH_RNG_H

#include <stdint.h>

// xoshiro256++ (Blackman and Vigna 2019); the seed is spread by splitmix64.
struct rng {
    uint64_t s[4];
    double spare; // of the pair of normal variates
    int has_spare;
};

void rng_seed(struct rng *r, uint64_t seed);
// Ahead by 2^128 numbers: streams of one seed for several threads or replications.
void rng_jump(struct rng *r);
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n); // [0, n), without bias; n >= 1
double rng_uniform(struct rng *r);             // (0, 1), 53 bits
double rng_normal(struct rng *r);
double rng_exponential(struct rng *r); // mean 1
double rng_gamma(struct rng *r, double shape);
double rng_beta(struct rng *r, double a, double b);
uint64_t rng_poisson(struct rng *r, double mean);
uint64_t rng_binomial(struct rng *r, uint64_t n, double p);

#endif
