// Candidates where a statement costs a trip to the server: the server walks the months, newest first, and stops when it has enough.
#ifndef GANTRY_CORE_QUERY_WALK_H
#define GANTRY_CORE_QUERY_WALK_H

#include "core/query_stream.h"

// Whether the stream's keys go into one statement, and it is worth it.
bool qwalk_can(const struct qstream *s, const struct db *d);
// Puts the next places, max or some more or fewer, in order and each once; sets ended when nothing comes after them.
bool qwalk_fill(struct qstream *s, struct db *d, unsigned max, struct err *e);

// Of a stream that walks at once: how many places are still to come, counted to max or until the clock (monotonic) says that it took long enough.
// Nothing more can be read from it.
bool qwalk_count(struct qstream *s, struct db *d, uint64_t max, int64_t until_us, uint64_t *n, bool *more, struct err *e);

// How many keys of the newest months with studies are in the ranges of each of n probes, counting no further than max, by one statement. False and
// *done false when they do not go into one.
bool qwalk_estimate(struct db *d, const struct qprobe *probes, unsigned n, int64_t at_from, int64_t at_to, unsigned max, unsigned *counts, bool *done,
                    struct err *e);

#endif
