// Finding events: of a patient, a study, somebody, a time, without reading all of the log.
//
// Behind the log a thread notes for each run of AUDIT_BLOCK events which studies, patients and people it has something of; a search reads those runs alone, and
// what is newer than the last run.
#ifndef GANTRY_CORE_AUDIT_SEARCH_H
#define GANTRY_CORE_AUDIT_SEARCH_H

#include "core/events.h"
#include "text/json.h"

struct audit_filter { // what is empty or 0 matches everything
    struct str patient_id, issuer;
    struct str study_uid;
    struct str user;    // its name, or an AE title
    struct str type;    // "study.read", or "study." for all that begin so
    struct str outcome; // "denied"
    int64_t from_ms, to_ms;
    int64_t after;  // a number
    unsigned limit; // 0: all
};

// An event as it was found, its detail read.
struct audit_hit {
    const struct event *event;
    const struct json *detail; // NULL when it is no JSON
    struct arena *arena;       // of this hit alone
};

// In the order of the log. *more (may be NULL): there are others behind the limit. visit's false ends it, *e is then its own.
bool audit_search(struct archive *ar, const struct audit_filter *f, bool (*visit)(void *ctx, const struct audit_hit *h, struct err *e), void *ctx, bool *more,
                  struct err *e);

// Notes runs that are not noted yet, at most max of them; *left: there are more. Any node; one at a time does it.
bool audit_index_step(struct archive *ar, unsigned max, bool *left, struct err *e);

// Whose a study is, or was; empty where nobody knows.
bool audit_patient_of(struct archive *ar, struct arena *a, struct str study_uid, struct str *patient, struct str *issuer, struct err *e);

// Of an event, for people and for messages: its user (or AE title) and address, from the detail or else the actor's text.
struct str audit_user_of(const struct event *ev, const struct json *detail);
struct str audit_address_of(const struct event *ev, const struct json *detail);

#endif
