// Work in the background, by whichever node is free: a row per kind and subject, taken under a lease, tried again with back-off, kept aside when that does not help.
//
// At least once: a job whose node died is taken by another. With effect once: what a job changes it changes in a transaction that begins with job_check.
// One process with SQLite has the same queue.
#ifndef GANTRY_CORE_JOBS_H
#define GANTRY_CORE_JOBS_H

#include "base/arena.h"
#include "core/archive.h"

struct db;

enum { JOB_SUBJECT_MAX = 160, JOB_ATTEMPTS_MAX = 10, JOB_LEASE_MS = 60 * 1000 };

struct job {
    int64_t id, token, puts; // puts: how often it was put when it was taken
    char subject[JOB_SUBJECT_MAX];
    unsigned attempts; // this one included
};

// Makes or moves a job: due so many milliseconds from now. In the open transaction of d.
bool job_put(struct db *d, const char *kind, struct str subject, int64_t delay_ms, struct err *e);
// The job of this kind that is due longest, leased to this node; *found false: none is.
bool job_take(struct archive *ar, const char *kind, struct job *out, bool *found, struct err *e);
// More time for one that takes long. ERR_CONFLICT: another node has it by now.
bool job_keep(struct archive *ar, const struct job *j, struct err *e);
// First in the transaction that makes the job's effect.
bool job_check(struct db *w, const struct job *j, struct err *e);
// The row goes, unless it was put again meanwhile.
bool job_done(struct archive *ar, const struct job *j, struct err *e);
// Again later; after JOB_ATTEMPTS_MAX it is dead, and an event says so.
bool job_failed(struct archive *ar, const struct job *j, const struct err *why, struct err *e);

// A thread that takes and runs jobs of one kind until it is stopped. run: false is a failure of the job. idle (may be NULL) is called about once a second
// with nothing to do.
struct job_worker;
struct job_kind {
    const char *name;
    bool (*run)(void *ctx, const struct job *j, struct err *e);
    void (*idle)(void *ctx);
    void *ctx;
};
bool job_worker_start(struct archive *ar, const struct job_kind *kind, struct job_worker **out, struct err *e);
void job_worker_stop(struct job_worker *w); // waits for the job under way; NULL is fine

// Dead ones, newest first, as a JSON array in a; and one of them tried again at once (ERR_NOT_FOUND).
bool jobs_dead_json(struct archive *ar, struct arena *a, unsigned limit, struct str *out, struct err *e);
bool job_retry(struct archive *ar, int64_t id, struct err *e);

#endif
