// Chunks of the log are checked side by side: the hash before each event is in the log, so that no chunk waits for another.
#include "core/audit_verify.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "core/audit_part.h"
#include "core/audit_retain.h"
#include "sys/file.h"

enum { CHUNK = 8192, FINDINGS_MAX = 10000, THREADS_MAX = 16, PATH_BYTES = 4096, WITNESS_BYTES = 4 };

static const char *const FAULTS[FAULT_KINDS] = {"changed", "missing", "rewritten", "cut", "inserted", "forged", "unproven"};

const char *audit_fault_name(enum audit_fault fault) {
    return FAULTS[fault];
}

struct proof {
    struct audit_mark *marks;
    size_t mark_count, mark_room;
    struct audit_trust trust;
};

struct verify {
    struct archive *ar;
    const struct audit_verify_options *o;
    struct audit_verify_report *out;
    struct proof proof;
    struct audit_cut_row cut;
    uint8_t before[DIGEST_BYTES]; // the hash before the first event
    uint8_t *witness;
    size_t witness_bytes;
    _Atomic int64_t next;   // chunk
    _Atomic int64_t unlike; // the first event that the witness knows otherwise
    pthread_mutex_t lock;   // what follows
    struct audit_finding *found;
    size_t found_count;
    struct err why;
    _Atomic bool failed; // looked at without the lock, too
};

// ---- findings ----

__attribute__((format(printf, 5, 6))) static void find(struct verify *v, enum audit_fault fault, int64_t seq, int64_t to, const char *format, ...) {
    va_list args;
    pthread_mutex_lock(&v->lock);
    v->out->findings++;
    if (v->found_count < FINDINGS_MAX) {
        struct audit_finding *f = &v->found[v->found_count++];
        *f = (struct audit_finding){.fault = fault, .seq = seq, .to = to};
        va_start(args, format);
        vsnprintf(f->text, sizeof f->text, format, args);
        va_end(args);
    }
    pthread_mutex_unlock(&v->lock);
}

static void fail(struct verify *v, const struct err *e) {
    pthread_mutex_lock(&v->lock);
    if (!v->failed) v->why = *e;
    v->failed = true;
    pthread_mutex_unlock(&v->lock);
}

static bool is_stopped(const struct verify *v, struct err *e) {
    const _Atomic bool *stopping = v->o->stopping;
    return stopping && *stopping && !err_set(e, ERR_CANCELLED, "audit", "the log was not read to its end: this process is ending");
}

static int by_place(const void *a, const void *b) {
    const struct audit_finding *x = a, *y = b;
    return x->seq != y->seq ? (x->seq < y->seq ? -1 : 1) : (int)x->fault - (int)y->fault;
}

static void missing(struct verify *v, int64_t from, int64_t to) {
    find(v, FAULT_MISSING, from, to, from == to ? "event %lld is missing" : "events %lld to %lld are missing", (long long)from, (long long)to);
}

// ---- marks ----

static bool take_mark(void *ctx, const struct audit_mark *m, struct err *e) {
    struct verify *v = ctx;
    struct proof *p = &v->proof;
    char boot[AUDIT_BOOT_BYTES];
    if (!m->holds || !audit_trusts(&p->trust, m->key)) {
        find(v, FAULT_FORGED, m->seq, m->seq, "a %s of event %lld is not signed by a key that is trusted", audit_mark_kind_name(m->kind), (long long)m->seq);
        return true;
    }
    audit_boot(boot);
    if (m->kind == MARK_SOFT && strcmp(boot, m->boot) != 0) return true; // the power may have gone since
    if (p->mark_count == p->mark_room) {
        size_t room = p->mark_room ? 2 * p->mark_room : 64;
        struct audit_mark *more = realloc(p->marks, room * sizeof *more);
        if (!more) return err_nomem(e, "audit");
        p->marks = more;
        p->mark_room = room;
    }
    p->marks[p->mark_count++] = *m;
    return true;
}

static int by_seq(const void *a, const void *b) {
    const struct audit_mark *x = a, *y = b;
    if (x->seq != y->seq) return x->seq < y->seq ? -1 : 1;
    return x->at_ms < y->at_ms ? -1 : x->at_ms > y->at_ms;
}

static bool load_marks(struct verify *v, struct err *e) {
    struct proof *p = &v->proof;
    const char *dir = v->o->dir ? v->o->dir : v->ar->watch.dir;
    bool ok = true;
    for (unsigned i = 0; ok && i < v->o->key_count; i++) ok = audit_trust_add(&p->trust, str_of(v->o->keys[i]), e);
    if (ok && !v->o->key_count) ok = audit_trust_read(&p->trust, dir, e);
    ok = ok && audit_marks_each(dir, take_mark, v, e);
    for (unsigned i = 0; ok && i < v->o->dir_count; i++) ok = audit_marks_each(v->o->dirs[i], take_mark, v, e);
    if (p->mark_count) qsort(p->marks, p->mark_count, sizeof *p->marks, by_seq);
    v->out->marks = p->mark_count;
    return ok;
}

static bool map_witness(struct verify *v, struct err *e) {
    char path[PATH_BYTES];
    struct sys_stat st;
    int fd;
    void *at = NULL;
    snprintf(path, sizeof path, "%.4000s/witness", v->o->dir ? v->o->dir : v->ar->watch.dir);
    if (access(path, R_OK) != 0) return true;
    if (!sys_open(NULL, path, O_RDONLY, 0, &fd, e)) return false;
    bool ok = sys_stat_fd(fd, &st, e) && sys_map(fd, st.size, &at, e);
    sys_close(NULL, fd);
    v->witness = at;
    v->witness_bytes = ok ? st.size : 0;
    return ok;
}

// ---- the chain ----

static void note_unlike(struct verify *v, int64_t seq) {
    int64_t known = v->unlike;
    while (seq < known && !atomic_compare_exchange_weak(&v->unlike, &known, seq)) continue;
}

static void look_at_witness(struct verify *v, const struct event *ev) {
    static const uint8_t UNKNOWN[WITNESS_BYTES];
    size_t at = (size_t)(ev->seq - 1) * WITNESS_BYTES;
    if (at + WITNESS_BYTES > v->witness_bytes || memcmp(v->witness + at, UNKNOWN, WITNESS_BYTES) == 0) return;
    if (memcmp(v->witness + at, ev->hash, WITNESS_BYTES) != 0) note_unlike(v, ev->seq);
}

struct walk {
    struct verify *v;
    struct digest digest;
    int64_t expected, time_ms;
    bool linked; // the hash before the next event is known
    uint8_t before[DIGEST_BYTES];
};

static bool check(struct walk *k, const struct event *ev, struct err *e) {
    uint8_t hash[DIGEST_BYTES];
    if (ev->seq != k->expected) missing(k->v, k->expected, ev->seq - 1), k->linked = false;
    if (k->linked) {
        if (!event_hash(&k->digest, k->before, ev, hash, e)) return false;
        bool fits = memcmp(hash, ev->hash, sizeof hash) == 0;
        if (!fits || ev->time_ms < k->time_ms)
            find(k->v, FAULT_CHANGED, ev->seq, ev->seq, "event %lld is not the one that was written, or the hash of the one before it is not",
                 (long long)ev->seq);
    }
    look_at_witness(k->v, ev);
    memcpy(k->before, ev->hash, sizeof k->before);
    k->time_ms = ev->time_ms;
    k->expected = ev->seq + 1;
    return k->linked = true;
}

static bool read_row(struct db_stmt *s, struct event *ev) {
    struct str *texts[] = {&ev->type, &ev->actor, &ev->study_uid, &ev->series_uid, &ev->sop_instance_uid, &ev->detail};
    struct str hash = db_blob(s, 8);
    ev->seq = db_int(s, 0);
    ev->time_ms = db_int(s, 1);
    for (int i = 0; i < 6; i++) *texts[i] = db_text(s, 2 + i);
    memset(ev->hash, 0, sizeof ev->hash);
    if (hash.n == sizeof ev->hash) memcpy(ev->hash, hash.p, hash.n);
    return true;
}

// [from, to]; what is before from tells the hash to begin with.
static bool check_chunk(struct walk *k, struct db *d, int64_t from, int64_t to, struct err *e) {
    struct db_stmt *s =
        db_prepare(d,
                   "SELECT seq, time_ms, type, actor, study_uid, series_uid, sop_instance_uid, detail, hash FROM events WHERE seq >= ?1 AND seq "
                   "<= ?2 ORDER BY seq",
                   e);
    struct event ev;
    enum db_step step = DB_FAIL;
    bool ok = s, first = from == k->v->out->first;
    k->expected = from;
    k->time_ms = 0;
    k->linked = first;
    if (first) memcpy(k->before, k->v->before, sizeof k->before);
    if (s) {
        db_bind_int(s, 1, first ? from : from - 1);
        db_bind_int(s, 2, to);
    }
    while (ok && (step = db_next(s, e)) == DB_ROW && read_row(s, &ev)) {
        if (ev.seq < from) {
            memcpy(k->before, ev.hash, sizeof k->before);
            k->time_ms = ev.time_ms;
            k->linked = true;
        } else {
            ok = check(k, &ev, e);
        }
    }
    db_done(s);
    if (ok && step == DB_END && k->expected <= to) missing(k->v, k->expected, to);
    return ok && step == DB_END;
}

static void *work(void *arg) {
    struct verify *v = arg;
    struct walk k = {.v = v};
    struct err e = {0};
    struct db *d = db_reader(v->ar->db, &e);
    bool ok = d && digest_init(&k.digest, &e);
    for (int64_t from; ok && !v->failed && (from = v->out->first + CHUNK * v->next++) <= v->out->last;) {
        int64_t to = from + CHUNK - 1;
        ok = !is_stopped(v, &e) && check_chunk(&k, d, from, to < v->out->last ? to : v->out->last, &e);
    }
    if (!ok) fail(v, &e);
    digest_deinit(&k.digest);
    db_return(v->ar->db, d);
    return NULL;
}

static bool walk_all(struct verify *v, struct err *e) {
    pthread_t threads[THREADS_MAX];
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned n = v->o->threads ? v->o->threads : processors > 0 ? (unsigned)processors : 1, started = 0;
    if (n > THREADS_MAX) n = THREADS_MAX;
    while (started + 1 < n && thread_start(&threads[started], "verify", work, v, NULL)) started++;
    work(v);
    for (unsigned i = 0; i < started; i++) pthread_join(threads[i], NULL);
    if (v->failed && e) *e = v->why;
    return !v->failed;
}

// ---- against the marks ----

// Where the chain is another one: between the last mark that it fits and the first that it does not, the witness tells the place.
static void find_rewritten(struct verify *v, int64_t good, int64_t bad) {
    int64_t from = good + 1, unlike = v->unlike;
    bool told = unlike >= from && unlike <= bad;
    if (told)
        find(v, FAULT_REWRITTEN, unlike, unlike, "the log was computed anew from event %lld on: it was changed, taken away or put in there", (long long)unlike);
    else
        find(v, FAULT_REWRITTEN, from, bad, "the log was computed anew somewhere from event %lld to %lld", (long long)from, (long long)bad);
}

static bool hold_against_marks(struct verify *v, struct err *e) {
    const struct proof *p = &v->proof;
    int64_t good = 0, bad = 0, head = 0;
    bool closed = false;
    for (size_t i = 0; i < p->mark_count; i++) {
        const struct audit_mark *m = &p->marks[i];
        struct audit_mark now;
        bool found;
        if (m->seq > head || (m->seq == head && m->kind != MARK_BROKEN)) closed = m->kind == MARK_CLOSED;
        if (m->seq > head) head = m->seq;
        if (m->seq < v->out->first || m->seq > v->out->last) continue;
        if (!audit_mark_of(v->ar, m->seq, &now, &found, e)) return false;
        if (found && memcmp(now.hash, m->hash, sizeof now.hash) == 0)
            good = m->seq;
        else if (found && !bad)
            bad = m->seq;
    }
    v->out->proven = bad && good > bad ? bad - 1 : good;
    if (bad) find_rewritten(v, good < bad ? good : v->out->cut, bad);
    if (!bad && v->unlike > good && v->unlike != INT64_MAX) find_rewritten(v, good, v->unlike);
    if (head > v->out->last)
        find(v, FAULT_CUT, v->out->last + 1, head, "the log ends at event %lld; it had come to %lld", (long long)v->out->last, (long long)head);
    if (closed && v->out->last > head)
        find(v, FAULT_INSERTED, head + 1, v->out->last, "events %lld to %lld came while the archive was closed", (long long)head + 1, (long long)v->out->last);
    if (p->mark_count == 0 && v->out->last > 0)
        find(v, FAULT_UNPROVEN, v->out->first, v->out->last,
             "no mark of this log is there: what its end was, and whether it was computed anew, cannot be told");
    return true;
}

// ---- where it begins ----

static bool find_beginning(struct verify *v, struct err *e) {
    int64_t count[2];
    bool found;
    if (!audit_cut_last(v->ar, &v->cut, e)) return false;
    struct db *d = db_reader(v->ar->db, e);
    bool ok = d && sql_one(d, "SELECT coalesce(max(seq), 0), count(*) FROM events", NULL, 0, count, 2, &found, e);
    db_return(v->ar->db, d);
    memcpy(v->before, v->cut.hash, sizeof v->before);
    v->out->cut = v->cut.seq;
    v->out->first = v->cut.seq + 1;
    v->out->last = ok ? count[0] : 0;
    v->out->events = ok ? (uint64_t)count[1] : 0;
    return ok;
}

static bool is_cut(const struct audit_cut_row *cut, const struct audit_mark *m) {
    return m->kind == MARK_CUT && m->seq == cut->seq && memcmp(m->hash, cut->hash, sizeof m->hash) == 0;
}

static bool is_proven(const struct proof *p, const struct audit_cut_row *cut) {
    if (audit_cut_proven(cut, &p->trust)) return true;
    for (size_t i = 0; i < p->mark_count; i++)
        if (is_cut(cut, &p->marks[i])) return true;
    return false;
}

// A cut that nobody signed is somebody's who took events away.
static void prove_cut(struct verify *v) {
    const struct audit_cut_row *cut = &v->cut;
    char key[2 * SIGN_ED25519_PUBLIC];
    if (!cut->seq || is_proven(&v->proof, cut)) return;
    if (!audit_cut_signed(cut)) {
        missing(v, 1, cut->seq);
        return;
    }
    hex_encode(cut->mark.key, SIGN_ED25519_PUBLIC, key);
    find(v, FAULT_MISSING, 1, cut->seq,
         "events 1 to %lld were taken away with the key %.*s, which is not trusted here; where it is another node's, add it to audit/key.pub",
         (long long)cut->seq, (int)sizeof key, key);
}

// ---- what a rule took away meanwhile ----

static void drop_missing(struct verify *v, int64_t to) {
    size_t n = 0;
    for (size_t i = 0; i < v->found_count; i++)
        if (v->found[i].fault != FAULT_MISSING || v->found[i].to > to) v->found[n++] = v->found[i];
    v->out->findings -= v->found_count - n;
    v->found_count = n;
}

// The first event behind the cut has been read without the one before it.
static bool check_seam(struct verify *v, struct err *e) {
    struct walk k = {.v = v};
    if (v->out->first > v->out->last) return true;
    struct db *d = db_reader(v->ar->db, e);
    bool ok = d && digest_init(&k.digest, e) && check_chunk(&k, d, v->out->first, v->out->first, e);
    digest_deinit(&k.digest);
    db_return(v->ar->db, d);
    return ok;
}

// What is not there by then is not missing, where that is proven.
static bool follow_cut(struct verify *v, struct err *e) {
    struct audit_cut_row before = v->cut;
    if (!audit_cut_last(v->ar, &v->cut, e)) return false;
    if (v->cut.seq <= before.seq) return true;
    drop_missing(v, v->cut.seq);
    prove_cut(v);
    memcpy(v->before, v->cut.hash, sizeof v->before);
    v->out->cut = v->cut.seq;
    v->out->first = v->cut.seq + 1;
    return check_seam(v, e);
}

static bool verify(struct verify *v, struct err *e) {
    if (!load_marks(v, e) || !map_witness(v, e) || !find_beginning(v, e)) return false;
    prove_cut(v);
    if (v->o->on_begin) v->o->on_begin(v->o->ctx);
    return walk_all(v, e) && follow_cut(v, e) && hold_against_marks(v, e);
}

bool audit_verify(struct archive *ar, const struct audit_verify_options *o, struct audit_verify_report *out, struct err *e) {
    struct verify v = {.ar = ar, .o = o, .out = out, .unlike = INT64_MAX};
    int64_t began = clock_mono_us();
    *out = (struct audit_verify_report){0};
    pthread_mutex_init(&v.lock, NULL);
    v.found = calloc(FINDINGS_MAX, sizeof *v.found);
    bool ok = v.found ? verify(&v, e) : err_nomem(e, "audit");
    if (v.found && v.found_count) qsort(v.found, v.found_count, sizeof *v.found, by_place);
    for (size_t i = 0; ok && o->on_finding && i < v.found_count; i++) o->on_finding(o->ctx, &v.found[i]);
    out->seconds = (double)(clock_mono_us() - began) / 1e6;
    if (v.witness) sys_unmap(v.witness, v.witness_bytes);
    pthread_mutex_destroy(&v.lock);
    free(v.proof.marks);
    free(v.found);
    return ok;
}
