// The threads of a server that keep its volumes in order.
#include "core/keeper.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "core/hold.h"
#include "core/index.h"
#include "core/jobs.h"
#include "core/state.h"

#define KEEP_JOB "keep"

enum { WORKERS = 3, MINUTE = 60 * 1000, DAY = 24 * 60 * MINUTE };

struct keeper {
    struct archive *ar;
    struct merge_options options;
    _Atomic bool stopping;
    struct job_worker *workers[WORKERS];
};

// ---- what comes again by itself ----

static bool plan_merges(struct keeper *k, struct err *e) {
    unsigned batches;
    return merge_plan(k->ar, &k->options, &batches, e);
}

static bool plan_compaction(struct keeper *k, struct err *e) {
    unsigned batches;
    return k->options.dead_percent > 100 || compact_plan(k->ar, k->options.dead_percent, &batches, e);
}

static bool reap(struct keeper *k, struct err *e) {
    unsigned removed = 0;
    uint64_t bytes;
    bool ok = reap_volumes(k->ar, &k->options, false, &removed, &bytes, e);
    pthread_mutex_lock(&k->ar->kept_lock);
    k->ar->kept.reaped += removed;
    pthread_mutex_unlock(&k->ar->kept_lock);
    return ok;
}

static bool find_orphans(struct keeper *k, struct err *e) {
    unsigned found = 0;
    bool ok = orphans_find(k->ar, &k->options, &found, e);
    pthread_mutex_lock(&k->ar->kept_lock);
    k->ar->kept.orphans += found;
    pthread_mutex_unlock(&k->ar->kept_lock);
    return ok;
}

static bool apply_tiers(struct keeper *k, struct err *e) {
    unsigned moved;
    return tiers_apply(k->ar, &k->options, &moved, e);
}

static bool abort_uploads(struct keeper *k, struct err *e) {
    unsigned aborted;
    return orphans_abort(k->ar, &aborted, e);
}

static bool settle_holds(struct keeper *k, struct err *e) {
    struct hold_flags flags;
    return hold_settle(k->ar, &flags, e);
}

static int64_t merge_period(const struct merge_options *o) {
    return o->quiet_ms / 6;
}
static int64_t compact_period(const struct merge_options *o) {
    return o->compact_ms;
}
static int64_t reap_period(const struct merge_options *o) {
    return o->removed_ms / 2;
}
static int64_t orphan_period(const struct merge_options *o) {
    return o->orphan_ms;
}
static int64_t upload_period(const struct merge_options *o) {
    (void)o;
    return DAY;
}

// remote: there is nothing of it to do in a directory.
static const struct chore {
    const char *name;
    bool remote;
    bool (*run)(struct keeper *k, struct err *e);
    int64_t (*period)(const struct merge_options *o);
} CHORES[] = {
    {"merge", true, plan_merges, merge_period},     {"compact", false, plan_compaction, compact_period}, {"reap", false, reap, reap_period},
    {"orphans", true, find_orphans, orphan_period}, {"tiers", true, apply_tiers, compact_period},        {"uploads", true, abort_uploads, upload_period},
    {"holds", true, settle_holds, merge_period},
};
enum { CHORE_COUNT = sizeof CHORES / sizeof *CHORES };

static bool put_chore(struct archive *ar, const struct chore *c, int64_t delay_ms, struct err *e) {
    struct db *d = db_side(ar->db, e);
    bool ok = d && db_begin(d, e) && job_put(d, KEEP_JOB, str_of(c->name), delay_ms, e) && db_commit(d, e);
    if (d && !ok) db_rollback(d);
    db_return(ar->db, d);
    return ok;
}

bool keeper_soon(struct archive *ar, const char *name, struct err *e) {
    for (int i = 0; i < CHORE_COUNT; i++)
        if (strcmp(CHORES[i].name, name) == 0 && (!CHORES[i].remote || ar->remote)) return put_chore(ar, &CHORES[i], 0, e);
    return true;
}

// A chore never dies: when it fails it is tried again at its next time.
static bool run_chore(void *ctx, const struct job *j, struct err *e) {
    struct keeper *k = ctx;
    for (int i = 0; i < CHORE_COUNT; i++) {
        const struct chore *c = &CHORES[i];
        struct err why = {0};
        if (strcmp(c->name, j->subject) != 0) continue;
        int64_t period = c->period(&k->options);
        if (!c->run(k, &why)) log_err(&why, "keeping volumes (%s)", c->name);
        return put_chore(k->ar, c, period > 0 ? period : 1, e);
    }
    return true; // of another version
}

// ---- batches ----

static void count(struct keeper *k, const struct merge_report *r, bool ok) {
    pthread_mutex_lock(&k->ar->kept_lock);
    struct keeper_figures *f = &k->ar->kept;
    f->batches += ok;
    f->failures += !ok;
    f->volumes_in += r->volumes_in;
    f->volumes_out += r->volumes_out;
    f->bytes_in += r->bytes_in;
    f->bytes_out += r->bytes_out;
    f->entries += r->entries;
    f->damaged += r->damaged;
    pthread_mutex_unlock(&k->ar->kept_lock);
}

static bool run_batch(void *ctx, const struct job *j, struct err *e) {
    struct keeper *k = ctx;
    struct merge_report report;
    bool ok = merge_batch(k->ar, &k->options, j, strtoll(j->subject, NULL, 10), &report, e);
    count(k, &report, ok);
    return ok;
}

// ---- life ----

static bool is_remote(const struct archive *ar) {
    return ar->remote;
}

static bool start_workers(struct keeper *k, struct err *e) {
    const struct job_kind kinds[WORKERS] = {{KEEP_JOB, run_chore, NULL, k}, {COMPACT_JOB, run_batch, NULL, k}, {MERGE_JOB, run_batch, NULL, k}};
    for (int i = 0; i < WORKERS; i++) {
        if (strcmp(kinds[i].name, MERGE_JOB) == 0 && !is_remote(k->ar)) continue;
        if (!job_worker_start(k->ar, &kinds[i], &k->workers[i], e)) return false;
    }
    return true;
}

// Soon after a start, which may follow a crash.
static int64_t first_delay(const struct keeper *k, const struct chore *c) {
    int64_t period = c->period(&k->options) / 2;
    return period < MINUTE ? period : MINUTE;
}

static bool put_chores(struct keeper *k, struct err *e) {
    for (int i = 0; i < CHORE_COUNT; i++)
        if ((!CHORES[i].remote || is_remote(k->ar)) && !put_chore(k->ar, &CHORES[i], first_delay(k, &CHORES[i]), e)) return false;
    return true;
}

bool keeper_start(struct archive *ar, const struct merge_options *o, struct keeper **out, struct err *e) {
    struct keeper *k = calloc(1, sizeof *k);
    if (!k) return err_nomem(e, "merge");
    k->ar = ar;
    k->options = *o;
    merge_defaults(&k->options);
    k->options.stopping = &k->stopping;
    if (put_chores(k, e) && start_workers(k, e)) {
        *out = k;
        return true;
    }
    keeper_stop(k);
    return false;
}

void keeper_stop(struct keeper *k) {
    if (!k) return;
    k->stopping = true;
    for (int i = 0; i < WORKERS; i++) job_worker_stop(k->workers[i]);
    free(k);
}

void keeper_figures_get(struct archive *ar, struct keeper_figures *out) {
    pthread_mutex_lock(&ar->kept_lock);
    *out = ar->kept;
    pthread_mutex_unlock(&ar->kept_lock);
}
