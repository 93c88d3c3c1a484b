// The follower and its jobs. Each series is one job that moves with everything that comes to it; its place in the log is kept with the jobs, so that whoever
// takes the lease over goes on where the last one was.
#include "core/prepare_shared.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/thread.h"
#include "core/events.h"
#include "core/jobs.h"
#include "core/metadata.h"
#include "core/nodes.h"
#include "core/state.h"

#define KIND "prepare"
#define CURSOR "prepare.seq"

enum {
    EVENTS_MAX = 500, // at once
    STEP_MS = 500,
    ASK_STEPS = 6,           // of them between asking for a lease that another has
    BEHIND_MAX = 100 * 1000, // events: older ones are left to whoever asks for their series
    ARENA_BYTES_MAX = 64 << 20,
};

struct follower {
    struct archive *ar;
    int quiet_ms;
    struct lease lease;
    int64_t begun; // the log's end at start: where following begins when nobody has followed before
    int64_t seq;
    struct arena arena;
    struct job_worker *worker;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool stopping;
};

// ---- working ----

static bool prepare_one(void *ctx, const struct job *j, struct err *e) {
    struct archive *ar = ctx;
    struct str series = str_of(j->subject), study = str_split(&series, '|');
    (void)e;
    metadata_prepare(ar, study, series);
    return true;
}

// ---- following ----

static bool read_cursor(struct follower *f, struct err *e) {
    int64_t last = events_last(f->ar);
    struct db *d = db_side(f->ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, "SELECT value FROM settings WHERE name = '" CURSOR "'", e) : NULL;
    enum db_step step = s ? db_next(s, e) : DB_FAIL;
    f->seq = f->begun;
    if (step == DB_ROW && !str_to_i64(db_text(s, 0), &f->seq)) f->seq = f->begun;
    db_done(s);
    db_return(f->ar->db, d);
    if (f->seq < last - BEHIND_MAX) f->seq = last - BEHIND_MAX;
    return step != DB_FAIL;
}

static bool write_cursor(struct db *d, int64_t seq, struct err *e) {
    char text[24];
    struct db_stmt *s =
        db_prepare(d, "INSERT INTO settings (name, value) VALUES ('" CURSOR "', ?1) ON CONFLICT (name) DO UPDATE SET value = excluded.value", e);
    if (!s) return false;
    snprintf(text, sizeof text, "%lld", (long long)seq);
    db_bind_text(s, 1, str_of(text));
    bool ok = db_next(s, e) == DB_END;
    db_done(s);
    return ok;
}

static bool was_put(struct event *const *put, unsigned n, const struct event *ev) {
    for (unsigned i = n; i > 0; i--)
        if (str_eq(put[i - 1]->series_uid, ev->series_uid) && str_eq(put[i - 1]->study_uid, ev->study_uid)) return true;
    return false;
}

// Each series once, however many of its objects came.
static bool put_all(struct follower *f, struct db *d, struct event *events, unsigned n, struct err *e) {
    struct event *put[EVENTS_MAX];
    char subject[JOB_SUBJECT_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < n; i++) {
        if (!events[i].series_uid.n || !str_starts(events[i].type, STR_LIT("instance.")) || was_put(put, count, &events[i])) continue;
        put[count++] = &events[i];
        snprintf(subject, sizeof subject, "%.*s|%.*s", STR_FMT(str_sub(events[i].study_uid, 0, 64)), STR_FMT(str_sub(events[i].series_uid, 0, 64)));
        if (!job_put(d, KIND, str_of(subject), f->quiet_ms, e)) return false;
    }
    return write_cursor(d, events[n - 1].seq, e);
}

static bool follow(struct follower *f, unsigned *n, struct err *e) {
    struct event *events;
    arena_reset(&f->arena);
    if (!events_after(f->ar, &f->arena, f->seq, EVENTS_MAX, &events, n, e) || *n == 0) return *n == 0;
    struct db *d = db_side(f->ar->db, e);
    bool ok = d && db_begin(d, e) && lease_check(d, &f->lease, e) && put_all(f, d, events, *n, e) && db_commit(d, e);
    if (ok) f->seq = events[*n - 1].seq;
    if (d && !ok) db_rollback(d);
    db_return(f->ar->db, d);
    return ok;
}

static bool is_stopping(struct follower *f) {
    pthread_mutex_lock(&f->lock);
    bool stopping = f->stopping;
    pthread_mutex_unlock(&f->lock);
    return stopping;
}

static void rest(struct follower *f) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += STEP_MS * 1000000L;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_mutex_lock(&f->lock);
    if (!f->stopping) pthread_cond_timedwait(&f->stop, &f->lock, &until);
    pthread_mutex_unlock(&f->lock);
}

static bool be_follower(struct follower *f, struct err *e) {
    bool taken;
    lease_drop(f->ar, &f->lease);
    bool ok = lease_take(f->ar, KIND, &f->lease, &taken, e) && (!taken || read_cursor(f, e));
    if (!ok) lease_drop(f->ar, &f->lease); // who does not know where the last one was does not follow
    return ok;
}

static void *run(void *arg) {
    struct follower *f = arg;
    bool troubled = false;
    for (unsigned step = 0; !is_stopping(f); step++) {
        struct err e = {0};
        unsigned n = 0;
        bool ok = true;
        if (!lease_held(&f->lease) && step % ASK_STEPS == 0) ok = be_follower(f, &e);
        if (ok && lease_held(&f->lease) && events_last(f->ar) > f->seq) ok = follow(f, &n, &e);
        if (e.kind == ERR_CONFLICT) lease_drop(f->ar, &f->lease);
        if (!ok && !troubled) log_err(&e, "what is to be prepared");
        troubled = !ok;
        if (n < EVENTS_MAX) rest(f);
    }
    lease_drop(f->ar, &f->lease);
    return NULL;
}

// ---- start and stop ----

static void free_follower(struct follower *f) {
    job_worker_stop(f->worker);
    arena_deinit(&f->arena);
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->stop);
    free(f);
}

bool follower_start(struct archive *ar, int quiet_ms, struct follower **out, struct err *e) {
    struct follower *f = calloc(1, sizeof *f);
    if (!f) return err_nomem(e, "prepare");
    f->ar = ar;
    f->quiet_ms = quiet_ms;
    f->begun = events_last(ar);
    arena_init(&f->arena, ARENA_BYTES_MAX);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->stop, &attr);
    pthread_condattr_destroy(&attr);
    const struct job_kind kind = {.name = KIND, .run = prepare_one, .ctx = ar};
    if (job_worker_start(ar, &kind, &f->worker, e) && thread_start(&f->thread, "prepare", run, f, e)) {
        *out = f;
        return true;
    }
    free_follower(f);
    return false;
}

void follower_stop(struct follower *f) {
    if (!f) return;
    pthread_mutex_lock(&f->lock);
    f->stopping = true;
    pthread_cond_signal(&f->stop);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    free_follower(f);
}
