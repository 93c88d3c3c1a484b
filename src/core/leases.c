// Leases: one row each, taken when it has run out, its token growing; a thread keeps those that we hold.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "core/nodes.h"
#include "core/state.h"

static const char TAKE[] = "INSERT INTO leases (name, node, token, until_ms) VALUES (?1, ?2, 1, {now} + ?3) "
                           "ON CONFLICT (name) DO UPDATE SET node = excluded.node, token = leases.token + 1, until_ms = excluded.until_ms "
                           "WHERE leases.until_ms <= {now} RETURNING token";
static const char KEEP[] = "UPDATE leases SET until_ms = {now} + ?3 WHERE name = ?1 AND token = ?2 RETURNING token";
static const char DROP[] = "UPDATE leases SET until_ms = 0, token = token + 1 WHERE name = ?1 AND token = ?2";

struct lease_keeper {
    struct archive *ar;
    pthread_mutex_t lock; // everything below
    pthread_cond_t stop;
    pthread_t thread;
    bool running, stopping;
    struct lease *held;
};

bool leases_init(struct archive *ar, struct err *e) {
    struct lease_keeper *k = calloc(1, sizeof *k);
    if (!k) return err_nomem(e, "leases");
    k->ar = ar;
    pthread_mutex_init(&k->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&k->stop, &attr);
    pthread_condattr_destroy(&attr);
    ar->leases = k;
    return true;
}

void leases_deinit(struct archive *ar) {
    struct lease_keeper *k = ar->leases;
    if (!k) return;
    pthread_mutex_lock(&k->lock);
    k->stopping = true;
    pthread_cond_signal(&k->stop);
    bool running = k->running;
    pthread_mutex_unlock(&k->lock);
    if (running) pthread_join(k->thread, NULL);
    pthread_mutex_destroy(&k->lock);
    pthread_cond_destroy(&k->stop);
    free(k);
    ar->leases = NULL;
}

// One statement of a lease on a side connection; *token is what it returns, 0 when nothing.
static bool run_one(struct archive *ar, const char *sql, const char *name, int64_t second, struct str node, int64_t *token, struct err *e) {
    struct db *d = db_side(ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, sql, e) : NULL;
    enum db_step step = DB_FAIL;
    if (s) {
        db_bind_text(s, 1, str_of(name));
        if (node.p)
            db_bind_text(s, 2, node);
        else
            db_bind_int(s, 2, second);
        if (sql != DROP) db_bind_int(s, 3, NODE_LEASE_MS);
        step = db_next(s, e);
        *token = step == DB_ROW ? db_int(s, 0) : 0;
        while (step == DB_ROW) step = db_next(s, e);
    }
    db_done(s);
    db_return(ar->db, d);
    return step == DB_END;
}

// ---- keeping ----

// A lease that another has is lost at once; while the database cannot be asked it is believed in as long as it lasts.
static void keep_one(struct archive *ar, struct lease *l) {
    struct err e = {0};
    int64_t token, before = clock_mono_ms();
    if (!run_one(ar, KEEP, l->name, l->token, (struct str){0}, &token, &e)) {
        log_line(LOG_WARN, "leases", "lease '%s' could not be renewed: %s", l->name, e.message);
        return;
    }
    l->believe_ms = token ? before + NODE_LEASE_MS : 0;
    if (!token) log_line(LOG_WARN, "leases", "lease '%s' was taken by another node", l->name);
}

// The lock is held but for the statements: the list is walked by position, whatever is dropped or taken meanwhile.
static void keep_all(struct lease_keeper *k) {
    for (unsigned i = 0; !k->stopping; i++) {
        struct lease *l = k->held, copy;
        for (unsigned n = 0; l && n < i; n++) l = l->next;
        if (!l) return;
        snprintf(copy.name, sizeof copy.name, "%s", l->name);
        copy.token = l->token;
        copy.believe_ms = l->believe_ms;
        if (copy.believe_ms == 0) continue;
        pthread_mutex_unlock(&k->lock);
        keep_one(k->ar, &copy);
        pthread_mutex_lock(&k->lock);
        for (l = k->held; l; l = l->next)
            if (l->token == copy.token && strcmp(l->name, copy.name) == 0) l->believe_ms = copy.believe_ms;
    }
}

static void *run(void *arg) {
    struct lease_keeper *k = arg;
    pthread_mutex_lock(&k->lock);
    while (!k->stopping) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += NODE_BEAT_MS / 1000;
        pthread_cond_timedwait(&k->stop, &k->lock, &until);
        keep_all(k);
    }
    pthread_mutex_unlock(&k->lock);
    return NULL;
}

// ---- taking, dropping, checking ----

static bool note_held(struct lease_keeper *k, struct lease *l, struct err *e) {
    pthread_mutex_lock(&k->lock);
    bool ok = k->running || thread_start(&k->thread, "leases", run, k, e);
    k->running = ok;
    if (ok) {
        l->next = k->held;
        k->held = l;
    }
    pthread_mutex_unlock(&k->lock);
    return ok;
}

bool lease_take(struct archive *ar, const char *name, struct lease *out, bool *taken, struct err *e) {
    int64_t before = clock_mono_ms();
    out->held = *taken = false;
    out->believe_ms = 0;
    snprintf(out->name, sizeof out->name, "%s", name);
    if (!run_one(ar, TAKE, name, 0, str_of(ar->node), &out->token, e)) return err_wrap(e, "lease '%s'", name);
    if (out->token == 0) return true;
    out->believe_ms = before + NODE_LEASE_MS;
    if (!note_held(ar->leases, out, e)) return false;
    out->held = *taken = true;
    return true;
}

void lease_drop(struct archive *ar, struct lease *l) {
    struct lease_keeper *k = ar->leases;
    int64_t token;
    if (!l->held) return;
    pthread_mutex_lock(&k->lock);
    for (struct lease **at = &k->held; *at; at = &(*at)->next) {
        if (*at != l) continue;
        *at = l->next;
        break;
    }
    pthread_mutex_unlock(&k->lock);
    l->held = false;
    l->believe_ms = 0;
    run_one(ar, DROP, l->name, l->token, (struct str){0}, &token, NULL); // else it runs out by itself
}

bool lease_held(const struct lease *l) {
    return l->held && clock_mono_ms() < l->believe_ms;
}

bool lease_refuse(struct str command, struct err *e) {
    return err_set(e, ERR_BUSY, "nodes", "%.*s works on this archive alone: try again when it is done", STR_FMT(str_sub(command, 0, 63)));
}

// ---- alone ----

// One that was killed has it until it runs out.
static bool wait_alone(struct archive *ar, struct lease *l, struct err *e) {
    const struct timespec pause = {.tv_nsec = 200 * 1000000};
    int64_t until = clock_mono_ms() + NODE_LEASE_MS + 1000;
    bool taken;
    while (lease_take(ar, LEASE_ALONE, l, &taken, e)) {
        if (taken) return true;
        if (clock_mono_ms() > until) return err_set(e, ERR_BUSY, "cluster", "another command works on this archive alone");
        nanosleep(&pause, NULL);
    }
    return false;
}

static bool nobody_lives(struct archive *ar, struct err *e) {
    unsigned n;
    char name[NODE_NAME_MAX];
    if (!cluster_living(ar, &n, name, e)) return false;
    return n == 0 || err_set(e, ERR_BUSY, "cluster", "%u nodes work on this archive (%s%s): stop them first", n, name, n > 1 ? ", ..." : "");
}

// Whoever is in the writing order came there before the lease was taken; who comes after it sees the lease.
static bool pass_the_order(struct archive *ar, struct err *e) {
    enum { TRIES = 3 }; // the database ends the transaction of a process that stands still, later than a statement gives up
    bool ok = false;
    for (int i = 0; i < TRIES && !ok; i++) {
        struct db *w = db_writer(ar->db, e);
        ok = w && archive_begin(ar, w, e) && db_commit(w, e);
        if (w && !ok) db_rollback(w);
        events_settle(ar, false);
        db_return(ar->db, w);
    }
    return ok || err_wrap(e, "wait for what was being written");
}

bool lease_take_alone(struct archive *ar, struct lease *out, struct err *e) {
    out->held = false;
    if (!nobody_lives(ar, e) || !wait_alone(ar, out, e)) return false; // nodes that live are not disturbed by the attempt
    if (nobody_lives(ar, e) && pass_the_order(ar, e)) return true;
    lease_drop(ar, out);
    return false;
}

bool lease_check(struct db *w, const struct lease *l, struct err *e) {
    struct db_stmt *s = db_prepare(w, KEEP, e); // locks the row until the transaction ends
    if (!s) return false;
    db_bind_text(s, 1, str_of(l->name));
    db_bind_int(s, 2, l->token);
    db_bind_int(s, 3, NODE_LEASE_MS);
    enum db_step step = db_next(s, e);
    bool ours = step == DB_ROW;
    while (step == DB_ROW) step = db_next(s, e);
    db_done(s);
    if (step == DB_FAIL) return false;
    return ours || err_set(e, ERR_CONFLICT, "leases", "lease '%s' is another node's by now", l->name);
}
