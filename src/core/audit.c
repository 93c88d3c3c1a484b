// Noting what was done, and the thread that brings it from the spool into the chain.
#include "core/audit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "core/access.h"
#include "core/audit_part.h"
#include "core/audit_retain.h"
#include "core/audit_search.h"
#include "sys/file.h"
#include "text/json.h"

enum { DETAIL_BYTES_MAX = 128 * 1024, PATH_BYTES = 4096, PAUSE_MS = 250, WAIT_MS = 1000, TROUBLE_MS = 2000, MOVE_ARENA_BYTES = 96 << 20, INDEX_RUNS = 64 };

static const char *const OUTCOMES[] = {[AUDIT_SUCCESS] = "success", [AUDIT_DENIED] = "denied", [AUDIT_FAILED] = "failed"};

// ---- what is said ----

static void put_if(struct json_writer *j, const char *key, struct str value) {
    if (value.n) json_put_str(j, key, value);
}

static void put_roles(struct json_writer *j, const struct principal *p) {
    char text[512];
    size_t n = 0;
    for (unsigned i = 0; i < p->grant_count; i++) {
        bool known = p->grants[i].role.n == 0 || n + p->grants[i].role.n + 2 > sizeof text;
        for (unsigned k = 0; k < i && !known; k++) known = str_eq(p->grants[k].role, p->grants[i].role);
        if (known) continue;
        if (n) text[n++] = ',';
        memcpy(text + n, p->grants[i].role.p, p->grants[i].role.n);
        n += p->grants[i].role.n;
    }
    put_if(j, "role", (struct str){text, n});
}

void audit_put_actor(struct json_writer *j, const struct actor *who) {
    const struct principal *p = access_principal(who);
    put_if(j, "user", p && p->name.n ? p->name : who->user);
    if (p) put_roles(j, p);
    put_if(j, "address", who->address);
    put_if(j, "purpose", who->purpose.n ? who->purpose : p ? p->glass : (struct str){0});
    put_if(j, "trace", who->trace);
}

static void put_detail(struct json_writer *j, const struct actor *who, const struct audit_note *n, int64_t now_ms) {
    json_begin_object(j);
    if (who) audit_put_actor(j, who);
    json_put_strz(j, "outcome", OUTCOMES[n->outcome]);
    put_if(j, "patient", n->patient_id);
    put_if(j, "issuer", n->issuer);
    if (n->count) json_put_uint(j, "count", n->count);
    json_put_int(j, "at_ms", now_ms);
    json_end_object(j);
}

// The caller's members go before the closing brace: they are JSON already.
static bool write_detail(struct buf *to, const struct actor *who, const struct audit_note *n, int64_t now_ms, struct err *e) {
    struct json_writer j;
    json_init(&j, to, false);
    put_detail(&j, who, n, now_ms);
    if (n->detail.n && buf_ok(to, NULL)) {
        to->n--;
        buf_addc(to, ',');
        buf_add_str(to, n->detail);
        buf_addc(to, '}');
    }
    return buf_ok(to, e);
}

bool audit_append(struct archive *ar, struct event *ev, struct err *e) {
    struct db *w = db_writer(ar->db, e);
    bool ok = w && archive_begin(ar, w, e) && event_append(ar, w, ev, e) && db_commit(w, e);
    if (w && !ok) db_rollback(w);
    if (w) events_settle(ar, ok);
    db_return(ar->db, w);
    return ok;
}

// who NULL: the text says it.
static bool note(struct archive *ar, const struct actor *who, struct str actor, const struct audit_note *n, struct err *e) {
    struct buf detail;
    int64_t now = clock_wall_ms();
    buf_init(&detail, DETAIL_BYTES_MAX);
    struct event ev = {.time_ms = now,
                       .type = str_of(n->type),
                       .actor = actor,
                       .study_uid = n->study_uid,
                       .series_uid = n->series_uid,
                       .sop_instance_uid = n->sop_instance_uid};
    bool ok = write_detail(&detail, who, n, now, e);
    ev.detail = buf_str(&detail);
    if (ok) ok = ar->audit ? audit_spool_add(&ar->audit->spool, &ev, e) : audit_append(ar, &ev, e);
    buf_deinit(&detail);
    return ok;
}

bool audit_note(struct archive *ar, const struct actor *who, const struct audit_note *n, struct err *e) {
    char actor[256];
    actor_text(who, actor);
    return note(ar, who, str_of(actor), n, e);
}

bool audit_note_text(struct archive *ar, struct str actor, const struct audit_note *n, struct err *e) {
    return note(ar, NULL, actor, n, e);
}

// ---- from the spool into the chain ----

static bool move_all(struct archive *ar, struct db *w, const char *lineage, struct audit_record *records, unsigned n, struct err *e) {
    int64_t taken = 0;
    bool found;
    if (!archive_begin(ar, w, e) || !sql_one(w, "SELECT taken FROM audit_spools WHERE lineage = ?1", SQL_VALUES(SQL_T(str_of(lineage))), &taken, 1, &found, e))
        return false;
    for (unsigned i = 0; i < n; i++)
        if ((int64_t)records[i].number > taken && !event_append(ar, w, &records[i].event, e)) return false;
    return sql_run(w,
                   "INSERT INTO audit_spools (lineage, taken) VALUES (?1, ?2) ON CONFLICT (lineage) DO UPDATE SET taken = {greatest}(audit_spools.taken, "
                   "excluded.taken)",
                   SQL_VALUES(SQL_T(str_of(lineage)), SQL_I(records[n - 1].number)), e) &&
           db_commit(w, e);
}

bool audit_move(struct audit *a, unsigned *moved, struct err *e) {
    struct archive *ar = a->ar;
    struct arena arena;
    uint64_t to = 0;
    arena_init(&arena, MOVE_ARENA_BYTES);
    *moved = 0;
    struct audit_record *records = arena_alloc(&arena, AUDIT_BATCH * sizeof *records, e);
    bool ok = records && audit_spool_next(&a->spool, &arena, AUDIT_BATCH, records, moved, &to, e);
    struct db *w = ok && *moved ? db_writer(ar->db, e) : NULL;
    if (ok && *moved) ok = w && move_all(ar, w, a->spool.lineage, records, *moved, e);
    if (w && !ok) db_rollback(w);
    if (w) events_settle(ar, ok);
    db_return(ar->db, w);
    if (ok) audit_spool_taken(&a->spool, to), a->moved_seq = *moved ? records[*moved - 1].event.seq : a->moved_seq;
    arena_deinit(&arena);
    return ok;
}

static bool move_rest(struct audit *a, struct err *e) {
    for (unsigned n = 1; n;) // fewer than a batch may be all that one block holds
        if (!audit_move(a, &n, e)) return false;
    return true;
}

static void pause_ms(int ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

// Administrators make checkpoints, too.
static void read_flushed(struct audit_watch *w, int64_t *seq, int64_t *at_ms) {
    pthread_mutex_lock(&w->lock);
    *seq = w->flushed_seq;
    *at_ms = w->flushed_ms;
    pthread_mutex_unlock(&w->lock);
}

// Once what the log has of it survives a power cut, the spool is empty.
static void follow(struct audit *a) {
    struct audit_watch *w = &a->ar->watch;
    struct err e = {0};
    int64_t seq, before_ms, now_ms;
    read_flushed(w, &seq, &before_ms);
    if (!audit_watch_step(a->ar, false, &e)) log_err(&e, "the head of the audit trail stays behind");
    bool left;
    if (!audit_index_step(a->ar, INDEX_RUNS, &left, &e)) log_err(&e, "the search of the audit trail stays behind");
    read_flushed(w, &seq, &now_ms);
    if (now_ms != before_ms && seq >= a->moved_seq && !audit_spool_empty(&a->spool, &e)) log_err(&e, "the spool of the audit trail grows");
}

static void *run(void *arg) {
    struct audit *a = arg;
    while (!a->stopping) {
        struct err e = {0};
        unsigned n = 0;
        bool there = audit_spool_wait(&a->spool, WAIT_MS);
        follow(a);
        if (!there) continue;
        bool ok = audit_move(a, &n, &e);
        if (!ok) log_err(&e, "the audit trail waits in the spool");
        if (!a->stopping && (!ok || n < AUDIT_BATCH / 2)) pause_ms(ok ? PAUSE_MS : TROUBLE_MS); // what comes meanwhile goes with the next transaction
    }
    return NULL;
}

// ---- life ----

// Numbers go on behind what the log has of this lineage, whatever became of the file's records.
static bool meet(struct audit *a, struct err *e) {
    struct db *d = db_reader(a->ar->db, e);
    int64_t taken = 0;
    bool found, ok = d && sql_one(d, "SELECT taken FROM audit_spools WHERE lineage = ?1", SQL_VALUES(SQL_T(str_of(a->spool.lineage))), &taken, 1, &found, e);
    db_return(a->ar->db, d);
    if (ok && (uint64_t)taken >= a->spool.next) a->spool.next = (uint64_t)taken + 1;
    return ok;
}

static bool open_spool(struct audit *a, struct err *e) {
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%.4000s/audit", a->ar->dir);
    if (!sys_mkdir(path, e)) return false;
    snprintf(path, sizeof path, "%.4000s/audit/spool", a->ar->dir);
    return audit_spool_open(&a->spool, path, e);
}

bool audit_start(struct archive *ar, const struct audit_options *o, struct err *e) {
    struct audit *a = calloc(1, sizeof *a);
    if (!a) return err_nomem(e, "audit");
    a->ar = ar;
    for (unsigned i = 0; i < o->elsewhere_count && i < AUDIT_ELSEWHERE_MAX; i++) ar->watch.elsewhere[ar->watch.elsewhere_count++] = o->elsewhere[i];
    if (!open_spool(a, e)) return free(a), false;
    if (a->spool.kept_before) log_line(LOG_INFO, "audit", "what was noted before the last end is carried over into the log");
    if (o->checkpoint_s) ar->watch.checkpoint_every_ms = o->checkpoint_s * 1000LL;
    bool ok = audit_watch_start(ar, e) && audit_retain_settle(ar, e) && meet(a, e) && move_rest(a, e) && thread_start(&a->thread, "audit", run, a, e);
    if (ok)
        ar->audit = a;
    else
        audit_spool_close(&a->spool), free(a);
    return ok;
}

void audit_stop(struct archive *ar) {
    struct audit *a = ar->audit;
    struct err e = {0};
    if (!a) return;
    a->stopping = true;
    audit_spool_wake(&a->spool);
    pthread_join(a->thread, NULL);
    if (!move_rest(a, &e)) log_err(&e, "the rest of the audit trail stays in the spool until the next start");
    ar->audit = NULL;
    audit_spool_close(&a->spool);
    free(a);
}
