// Preparing in the background: a subscriber of the event log that waits for series to come to rest.
#include "core/prepare.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/thread.h"
#include "core/events.h"
#include "core/metadata.h"
#include "core/prepare_shared.h"
#include "db/db.h"
#include "sys/file.h"

enum { WAITING_MAX = 512, STEP_MS = 500, QUIET_MS = 3000 };

// A series that something came to.
struct waiting {
    char study_uid[65], series_uid[65];
    int64_t changed_ms; // monotonic
};

struct preparer {
    struct archive *ar;
    struct follower *shared; // of an archive of several nodes it does everything
    pthread_t thread;
    int quiet_ms;
    pthread_mutex_t lock;
    pthread_cond_t stop;
    _Atomic bool stopping;
    int64_t seq;
    struct waiting waiting[WAITING_MAX];
    unsigned count;
};

static struct waiting *find(struct preparer *p, struct str series_uid) {
    for (unsigned i = p->count; i > 0; i--)
        if (str_eqz(series_uid, p->waiting[i - 1].series_uid)) return &p->waiting[i - 1];
    return NULL;
}

// When there are too many the one that came first is left to whoever asks for it.
static void note(struct preparer *p, struct str study_uid, struct str series_uid, int64_t now_ms) {
    struct waiting *w = find(p, series_uid);
    if (!w && p->count == WAITING_MAX) p->waiting[0] = p->waiting[--p->count];
    if (!w) w = &p->waiting[p->count++];
    snprintf(w->study_uid, sizeof w->study_uid, "%.*s", STR_FMT(str_sub(study_uid, 0, 64)));
    snprintf(w->series_uid, sizeof w->series_uid, "%.*s", STR_FMT(str_sub(series_uid, 0, 64)));
    w->changed_ms = now_ms;
}

// Of objects, and of them no more than what is needed here: most of a log is reads.
static const char COMINGS[] = "SELECT seq, study_uid, series_uid FROM events WHERE seq > ?1 AND seq <= ?2 AND type >= 'instance.' AND type < 'instance/' "
                              "AND series_uid <> '' ORDER BY seq";

static bool read_comings(struct preparer *p, struct db *d, int64_t to) {
    struct db_stmt *s = db_prepare(d, COMINGS, NULL);
    enum db_step step;
    int64_t now_ms = clock_mono_ms();
    if (!s) return false;
    db_bind_int(s, 1, p->seq);
    db_bind_int(s, 2, to);
    while ((step = db_next(s, NULL)) == DB_ROW) note(p, db_text(s, 1), db_text(s, 2), now_ms);
    db_done(s);
    return step == DB_END;
}

static void read_events(struct preparer *p, int64_t to) {
    struct db *d = db_reader(archive_db(p->ar), NULL);
    if (d && read_comings(p, d, to)) p->seq = to;
    db_return(archive_db(p->ar), d);
}

static void prepare_quiet(struct preparer *p) {
    int64_t now_ms = clock_mono_ms();
    for (unsigned i = 0; i < p->count && !p->stopping;) {
        struct waiting w = p->waiting[i];
        if (now_ms - w.changed_ms < p->quiet_ms) {
            i++;
            continue;
        }
        p->waiting[i] = p->waiting[--p->count];
        metadata_prepare(p->ar, str_of(w.study_uid), str_of(w.series_uid));
    }
}

// One step, or until it is to stop.
static void rest(struct preparer *p) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += STEP_MS * 1000000L;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_mutex_lock(&p->lock);
    if (!p->stopping) pthread_cond_timedwait(&p->stop, &p->lock, &until);
    pthread_mutex_unlock(&p->lock);
}

// Looks once a step, however many events come.
static void *run(void *arg) {
    struct preparer *p = arg;
    sys_be_background();
    while (!p->stopping) {
        rest(p);
        int64_t last = events_last(p->ar);
        if (last > p->seq) read_events(p, last);
        prepare_quiet(p);
    }
    return NULL;
}

bool prepare_start(struct archive *ar, int quiet_ms, struct preparer **out, struct err *e) {
    struct preparer *p = calloc(1, sizeof *p);
    if (!p) return err_nomem(e, "prepare");
    p->ar = ar;
    p->quiet_ms = quiet_ms ? quiet_ms : QUIET_MS;
    p->seq = events_last(ar);
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&p->stop, &attr);
    pthread_condattr_destroy(&attr);
    bool several = db_pool_engine(archive_db(ar)) == DB_POSTGRES;
    if (several ? follower_start(ar, p->quiet_ms, &p->shared, e) : thread_start(&p->thread, "prepare", run, p, e)) {
        *out = p;
        return true;
    }
    free(p);
    return false;
}

void prepare_stop(struct preparer *p) {
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_signal(&p->stop);
    pthread_mutex_unlock(&p->lock);
    if (p->shared)
        follower_stop(p->shared);
    else
        pthread_join(p->thread, NULL);
    free(p);
}
