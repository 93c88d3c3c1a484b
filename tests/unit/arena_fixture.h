// An arena and an error for each test of a file: what its group is set up with.
#ifndef GANTRY_TESTS_ARENA_FIXTURE_H
#define GANTRY_TESTS_ARENA_FIXTURE_H

#include "base/arena.h"

static struct arena arena;
static struct err why;

static int set_up(void **state) {
    (void)state;
    arena_init(&arena, (size_t)1 << 30);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_deinit(&arena);
    return 0;
}

#endif
