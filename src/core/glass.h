// Breaking the glass: somebody who may do so sees, for a reason and for a while, what is else not in reach, within the tenant that he works for.
//
// It is announced (an event, a line of the log, the page of those who review) and reviewed afterwards. Seeing is finding, reading and following events: nothing is
// changed, sent or exported by it.
#ifndef GANTRY_CORE_GLASS_H
#define GANTRY_CORE_GLASS_H

#include "base/arena.h"
#include "core/access.h"
#include "core/archive.h"

struct db;
struct json_writer;

enum { GLASS_MINUTES = 60, GLASS_MINUTES_MAX = 12 * 60, GLASS_REASON_LEAST = 10, GLASS_REASON_MAX = 500 };

struct glass_ask {
    struct str reason; // GLASS_REASON_LEAST characters at least
    struct str scope;  // "tenant:T", "site:T/S", "department:T/S/D"; empty: the tenant of the grant that permits breaking it
    unsigned minutes;  // 0: GLASS_MINUTES
};
// who->principal is the user. *until_ms: wall clock. ERR_FORBIDDEN: no grant of his permits it in that tenant. ERR_CONFLICT: one of his is broken already.
bool glass_break(struct archive *ar, const struct actor *who, const struct glass_ask *ask, int64_t *until_ms, struct err *e);
// Before its time is over. ERR_NOT_FOUND: none is broken.
bool glass_close(struct archive *ar, const struct actor *who, struct err *e);
// verdict: "justified" or "not justified". Nobody reviews his own. ERR_NOT_FOUND also for one outside of the reviewer's reach.
bool glass_review(struct archive *ar, const struct actor *who, int64_t id, struct str verdict, struct str remark, struct err *e);

// One value: an array, latest first, of those that who may review; open_only: not yet reviewed.
bool glasses_json(struct archive *ar, const struct actor *who, bool open_only, struct json_writer *to, struct err *e);
// One value: the own glass that is broken, {"reason", "scope", "until_ms"}, or null.
bool glass_own_json(struct archive *ar, const struct actor *who, struct json_writer *to, struct err *e);
// How many wait for this reviewer, his own not counted.
bool glasses_waiting(struct archive *ar, const struct actor *who, unsigned *count, struct err *e);

// For those who make a user's principal: the reason of the glass that is broken now, in a; empty when none is.
bool glass_reason(struct db *d, struct arena *a, int64_t user, struct str *reason, struct err *e);
#endif
