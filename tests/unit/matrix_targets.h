// The studies that the matrices of routes and services ask for: one of each nearness to an asker whose home is tenant T, site S, department D.
#ifndef GANTRY_TESTS_MATRIX_TARGETS_H
#define GANTRY_TESTS_MATRIX_TARGETS_H

#include "core_fixture.h"

struct target {
    const char *study, *series, *instance, *name;
};

extern const struct target OWN;     // of T/S/D, with the label L
extern const struct target SIBLING; // of T, elsewhere in it
extern const struct target FOREIGN; // of tenant F
extern const struct target MISSING; // of nobody: never stored

// Stores all but MISSING, each as a peer of its home sends it. Asserts that it succeeds.
void targets_store(struct fixture *f);
// One, as this sender sends it. Asserts that it is told as stored.
void target_store(struct fixture *f, const struct target *t, const struct principal *sender);

#endif
