// The first headers of lately seen series: what the headers of their other objects are compressed against, on any thread.
#ifndef GANTRY_CORE_BASES_H
#define GANTRY_CORE_BASES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "core/facts.h"

enum { BASES_MAX = 64, BASE_BYTES_MAX = 64 * 1024 };

struct base {
    uint8_t place[FACTS_PLACE_BYTES];
    int64_t id; // row of header_bases; 0: the series is known but has no base
    struct str bytes;
    _Atomic unsigned refs;
    _Atomic bool stale; // its row went away: what was compressed against it must be done again
};

struct bases {
    pthread_mutex_t lock;
    struct base *slots[BASES_MAX];
};

void bases_init(struct bases *b);
void bases_deinit(struct bases *b);
// A reference to the base of a place, or NULL when it is not among the recent ones.
struct base *bases_get(struct bases *b, const uint8_t place[FACTS_PLACE_BYTES]);
void bases_release(struct base *base); // NULL is taken
// Remembers; bytes are copied. Failure to remember harms nothing.
void bases_put(struct bases *b, const uint8_t place[FACTS_PLACE_BYTES], int64_t id, struct str bytes);
// Forgets all, and marks them stale for those who hold one.
void bases_clear(struct bases *b);

#endif
