// The event log.
#include "core/events.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "core/audit.h"
#include "core/nodes.h"
#include "core/state.h"
#include "sys/digest.h"
#include "text/utf8.h"

#define CHANNEL "gantry_events"

enum { EVENT_BYTES_MAX = 64 << 20 };

static const char SELECT_AFTER[] = "SELECT seq, time_ms, type, actor, study_uid, series_uid, sop_instance_uid, detail, hash FROM events WHERE seq > ?1 "
                                   "ORDER BY seq LIMIT ?2";

void events_init(struct archive *ar) {
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&ar->tail.lock, NULL);
    pthread_cond_init(&ar->tail.grew, &attr);
    pthread_condattr_destroy(&attr);
    ar->tail.seen = INT64_MAX;
}

void events_deinit(struct archive *ar) {
    pthread_mutex_destroy(&ar->tail.lock);
    pthread_cond_destroy(&ar->tail.grew);
    digest_deinit(&ar->tail.digest);
}

// hash(n) = SHA-256(hash(n-1) || seq || time || type || actor || subject || detail): numbers as 8 bytes, texts after their length, little endian.
bool event_hash(struct digest *d, const uint8_t before[32], const struct event *ev, uint8_t out[32], struct err *e) {
    const struct str texts[] = {ev->type, ev->actor, ev->study_uid, ev->series_uid, ev->sop_instance_uid, ev->detail};
    uint8_t bytes[2048];
    size_t n = 0;
    if (!digest_reset(d, e)) return false;
    memcpy(bytes, before, 32), n = 32;
    memcpy(bytes + n, &ev->seq, 8), n += 8;
    memcpy(bytes + n, &ev->time_ms, 8), n += 8;
    for (unsigned i = 0; i < 6; i++) {
        uint64_t length = texts[i].n;
        bool fits = length + 8 <= sizeof bytes - n;
        if (!fits) digest_add(d, bytes, n), n = 0; // what does not fit goes in pieces
        memcpy(bytes + n, &length, 8), n += 8;
        if (length <= sizeof bytes - n)
            memcpy(bytes + n, length ? texts[i].p : "", length), n += length;
        else
            digest_add(d, bytes, n), digest_add(d, texts[i].p, length), n = 0;
    }
    digest_add(d, bytes, n);
    return digest_final(d, out, e);
}

// Of one thread after another; made when it is first needed.
static bool chain(struct digest *d, const uint8_t before[32], const struct event *ev, uint8_t out[32], struct err *e) {
    return (d->ctx || digest_init(d, e)) && event_hash(d, before, ev, out, e);
}

// What the transaction must know at its beginning, in one statement. The types that are named change nothing that a process remembers.
static const char READ_TAIL[] =
    "SELECT e.seq, e.time_ms, e.hash, {now}, (SELECT count(*) FROM searchable_attributes), CASE WHEN EXISTS (SELECT 1 FROM events WHERE seq > ?1 AND type NOT "
    "IN ('instance.stored', 'instance.conflict', 'copy.apart', 'object.quarantined', 'store.alarm', " AUDIT_NOTE_TYPES
    ")) THEN 1 ELSE 0 END, (SELECT node FROM leases WHERE name = '" LEASE_ALONE
    "' AND until_ms > {now} AND node <> ?2), (SELECT max(id) FROM realms) FROM (SELECT 1 AS one) o LEFT JOIN events e ON e.seq "
    "= "
    "(SELECT max(seq) FROM events)";

// A log of which all but nothing was taken away by a rule goes on from there.
static bool take_cut(struct event_tail *t, struct db *w, struct err *e) {
    if (t->seq) return true;
    struct db_stmt *s = db_prepare(w, "SELECT seq, time_ms, hash FROM audit_cuts ORDER BY seq DESC LIMIT 1", e);
    enum db_step step = s ? db_next(s, e) : DB_FAIL;
    if (step == DB_ROW) {
        struct str hash = db_blob(s, 2);
        t->seq = db_int(s, 0);
        t->time_ms = db_int(s, 1);
        if (hash.n == sizeof t->hash) memcpy(t->hash, hash.p, hash.n);
    }
    db_done(s);
    return step != DB_FAIL;
}

static void take_tail(struct event_tail *t, struct db_stmt *s) {
    struct str hash = db_blob(s, 2);
    t->seq = db_int(s, 0);
    t->time_ms = db_int(s, 1);
    memset(t->hash, 0, sizeof t->hash);
    if (hash.n) memcpy(t->hash, hash.p, hash.n < 32 ? hash.n : 32);
    t->now_ms = db_int(s, 3);
    t->declared = db_int(s, 4);
    t->outdated = db_int(s, 5) != 0;
    t->realms = db_int(s, 7) > 0;
}

bool events_tail(struct archive *ar, struct db *w, struct err *e) {
    struct event_tail *t = &ar->tail;
    if (t->known && (!ar->shared || t->transaction == db_transaction(w))) return true;
    t->known = t->told = false;
    struct db_stmt *s = db_prepare(w, READ_TAIL, e);
    if (!s) return false;
    db_bind_int(s, 1, t->seen);
    db_bind_text(s, 2, str_of(ar->node));
    enum db_step step = db_next(s, e);
    if (step == DB_ROW) take_tail(t, s);
    bool refused = step == DB_ROW && db_text(s, 6).n && !lease_refuse(db_text(s, 6), e);
    db_done(s);
    if (t->realms) ar->many_realms = true;
    t->known = step == DB_ROW && !refused && take_cut(t, w, e);
    t->transaction = db_transaction(w);
    return t->known;
}

bool archive_begin(struct archive *ar, struct db *w, struct err *e) {
    return db_begin(w, e) && (!ar->shared || events_tail(ar, w, e));
}

static struct str not_null(struct str s) {
    return s.p ? s : STR_LIT("");
}

static bool is_clean(struct str s) {
    return utf8_valid(s) && !memchr(s.p, 0, s.n);
}

// PostgreSQL keeps no other text than UTF-8 without NUL, and the hash is of what is kept.
static bool clean_texts(struct event *ev, struct buf *room, struct err *e) {
    struct str *texts[] = {&ev->type, &ev->actor, &ev->study_uid, &ev->series_uid, &ev->sop_instance_uid, &ev->detail};
    size_t ends[6];
    for (int i = 0; i < 6; i++) {
        unsigned bad = 0;
        size_t from = room->n;
        if (texts[i]->n && !is_clean(*texts[i])) utf8_add_clean(room, *texts[i], &bad);
        for (char *nul = room->p + from; room->n > from && (nul = memchr(nul, 0, room->n - (size_t)(nul - room->p)));) *nul = ' ';
        ends[i] = room->n;
    }
    for (int i = 0; i < 6; i++) {
        size_t from = i ? ends[i - 1] : 0;
        if (ends[i] > from) *texts[i] = (struct str){room->p + from, ends[i] - from};
    }
    return buf_ok(room, e);
}

static bool tell_others(struct archive *ar, struct db *writer, struct err *e) {
    struct event_tail *t = &ar->tail;
    if (!ar->shared || t->told) return true;
    t->told = db_notify(writer, CHANNEL, e);
    return t->told;
}

static bool put(struct archive *ar, struct db *writer, const struct event *ev, struct err *e) {
    struct event_tail *t = &ar->tail;
    if (!tell_others(ar, writer, e)) return false;
    struct db_stmt *s = db_prepare(writer, "INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)", e);
    if (!s) return false;
    const struct str texts[] = {ev->type, ev->actor, ev->study_uid, ev->series_uid, ev->sop_instance_uid, ev->detail};
    db_bind_int(s, 1, ev->seq);
    db_bind_int(s, 2, ev->time_ms);
    for (int i = 0; i < 6; i++) db_bind_text(s, 3 + i, not_null(texts[i]));
    db_bind_blob(s, 9, (struct str){(const char *)ev->hash, 32});
    bool ok = db_next(s, e) == DB_END;
    db_done(s);
    if (!ok) return false;
    t->seq = ev->seq;
    t->time_ms = ev->time_ms;
    memcpy(t->hash, ev->hash, 32);
    return true;
}

static bool append(struct archive *ar, struct db *writer, struct event *ev, struct err *e) {
    struct event_tail *t = &ar->tail;
    int64_t now = ar->shared ? t->now_ms : clock_wall_ms();
    ev->seq = t->seq + 1;
    ev->time_ms = now > t->time_ms ? now : t->time_ms; // a clock that jumps back changes no order
    return chain(&t->digest, t->hash, ev, ev->hash, e) && put(ar, writer, ev, e);
}

bool event_append(struct archive *ar, struct db *writer, struct event *ev, struct err *e) {
    struct buf room;
    struct event clean = *ev;
    if (!events_tail(ar, writer, e)) return false;
    buf_init(&room, EVENT_BYTES_MAX);
    bool ok = clean_texts(&clean, &room, e) && append(ar, writer, &clean, e);
    buf_deinit(&room);
    ev->seq = clean.seq;
    ev->time_ms = clean.time_ms;
    memcpy(ev->hash, clean.hash, sizeof ev->hash);
    return ok;
}

bool event_take_over(struct archive *ar, struct db *writer, const struct event *ev, struct err *e) {
    struct event_tail *t = &ar->tail;
    uint8_t hash[32];
    if (!events_tail(ar, writer, e) || !chain(&t->digest, t->hash, ev, hash, e)) return false;
    if (ev->seq != t->seq + 1 || ev->time_ms < t->time_ms || memcmp(hash, ev->hash, sizeof hash) != 0)
        return err_set(e, ERR_CORRUPT, "events", "the chain of events breaks at number %lld", (long long)ev->seq);
    return put(ar, writer, ev, e);
}

static void tell_waiters(struct event_tail *t, int64_t seq) {
    pthread_mutex_lock(&t->lock);
    if (seq > t->committed) {
        t->committed = seq;
        pthread_cond_broadcast(&t->grew);
    }
    pthread_mutex_unlock(&t->lock);
}

void events_settle(struct archive *ar, bool committed) {
    struct event_tail *t = &ar->tail;
    bool known = t->known;
    if (!committed || ar->shared) t->known = false;
    if (committed && known) tell_waiters(t, t->seq);
}

// After each commit of whichever process, and after each time when some may have been missed.
static void on_news(void *ctx) {
    struct archive *ar = ctx;
    struct db *d = db_reader(ar->db, NULL);
    struct db_stmt *s = d ? db_prepare(d, "SELECT max(seq) FROM events", NULL) : NULL;
    if (s && db_next(s, NULL) == DB_ROW) tell_waiters(&ar->tail, db_int(s, 0));
    db_done(s);
    db_return(ar->db, d);
}

bool events_listen(struct archive *ar, struct err *e) {
    return db_listen(ar->db, CHANNEL, on_news, ar, &ar->tail.listener, e);
}

void events_unlisten(struct archive *ar) {
    db_unlisten(ar->tail.listener);
    ar->tail.listener = NULL;
}

int64_t events_last(struct archive *ar) {
    pthread_mutex_lock(&ar->tail.lock);
    int64_t last = ar->tail.committed;
    pthread_mutex_unlock(&ar->tail.lock);
    return last;
}

bool events_wait(struct archive *ar, int64_t seq, int timeout_ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_mutex_lock(&ar->tail.lock);
    int waited = 0;
    while (ar->tail.committed <= seq && waited != ETIMEDOUT) waited = pthread_cond_timedwait(&ar->tail.grew, &ar->tail.lock, &until);
    bool there = ar->tail.committed > seq;
    pthread_mutex_unlock(&ar->tail.lock);
    return there;
}

static bool take(struct arena *a, struct db_stmt *s, struct event *ev, struct err *e) {
    struct str *texts[] = {&ev->type, &ev->actor, &ev->study_uid, &ev->series_uid, &ev->sop_instance_uid, &ev->detail};
    ev->seq = db_int(s, 0);
    ev->time_ms = db_int(s, 1);
    for (int i = 0; i < 6; i++)
        if (!arena_dup(a, db_text(s, 2 + i), texts[i], e)) return false;
    struct str hash = db_blob(s, 8);
    if (hash.n != 32) return err_set(e, ERR_CORRUPT, "events", "event %lld has no whole hash", (long long)ev->seq);
    memcpy(ev->hash, hash.p, 32);
    return true;
}

static bool read_after(struct db *d, struct arena *a, int64_t seq, unsigned max, struct event *out, unsigned *n, struct err *e) {
    struct db_stmt *s = db_prepare(d, SELECT_AFTER, e);
    if (!s) return false;
    db_bind_int(s, 1, seq);
    db_bind_int(s, 2, max);
    enum db_step step = DB_ROW;
    bool ok = true;
    for (*n = 0; ok && *n < max && (step = db_next(s, e)) == DB_ROW; ++*n) ok = take(a, s, &out[*n], e);
    db_done(s);
    return ok && step != DB_FAIL;
}

bool events_after(struct archive *ar, struct arena *a, int64_t seq, unsigned max, struct event **out, unsigned *n, struct err *e) {
    *n = 0;
    *out = arena_zero(a, max, sizeof **out, e);
    struct db *d = *out ? db_reader(ar->db, e) : NULL;
    if (!d) return false;
    bool ok = read_after(d, a, seq, max, *out, n, e);
    db_return(ar->db, d);
    return ok;
}

// Where the log begins: behind what a rule of retention took away.
static bool beginning(struct archive *ar, struct event_tail *t, struct err *e) {
    struct db *d = db_reader(ar->db, e);
    bool ok = d && take_cut(t, d, e);
    db_return(ar->db, d);
    return ok;
}

bool events_verify(struct archive *ar, int64_t *checked, struct err *e) {
    enum { BATCH = 256 };
    uint8_t before[32], hash[32];
    struct event_tail cut = {.seq = 0};
    *checked = 0;
    if (!beginning(ar, &cut, e)) return false;
    int64_t seq = cut.seq, time_ms = cut.time_ms;
    memcpy(before, cut.hash, sizeof before);
    struct arena a;
    struct digest d = {0};
    arena_init(&a, 64 << 20);
    bool ok = true;
    for (unsigned n = 1; ok && n;) {
        struct event *list;
        arena_reset(&a);
        ok = events_after(ar, &a, seq, BATCH, &list, &n, e);
        for (unsigned i = 0; ok && i < n; i++) {
            ok = chain(&d, before, &list[i], hash, e);
            bool fits = ok && list[i].seq == seq + 1 && list[i].time_ms >= time_ms && memcmp(hash, list[i].hash, 32) == 0;
            if (ok && !fits) ok = err_set(e, ERR_CORRUPT, "events", "the chain of events breaks at number %lld", (long long)(seq + 1));
            seq++;
            time_ms = list[i].time_ms;
            memcpy(before, hash, 32);
        }
    }
    digest_deinit(&d);
    arena_deinit(&a);
    *checked = seq - cut.seq;
    return ok;
}
