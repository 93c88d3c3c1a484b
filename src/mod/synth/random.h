// A seeded generator for phantoms: the same seed gives the same bytes on every machine.
#ifndef GANTRY_MOD_SYNTH_RANDOM_H
#define GANTRY_MOD_SYNTH_RANDOM_H

#include <stdint.h>

// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014).
struct synth_random {
    uint64_t state;
};

uint64_t synth_random_next(struct synth_random *r);
// Uniform in [0, 1).
double synth_random_unit(struct synth_random *r);
// Uniform whole number in [0, n).
unsigned synth_random_below(struct synth_random *r, unsigned n);
// Normal deviate with mean 0 and deviation 1 (sum of twelve uniforms: no libm, so bit-equal everywhere).
double synth_random_normal(struct synth_random *r);
// A UID under 2.25 from the seed and a path of numbers: study, series, instance.
void synth_uid(uint64_t seed, uint32_t a, uint32_t b, uint32_t c, char out[65]);

#endif
