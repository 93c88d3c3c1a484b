// Whoever changes the event log behind the server's back is found, with the place, also when all hashes were computed anew.
#include "core_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/thread.h"
#include "core/audit_cursor.h"
#include "core/audit_part.h"
#include "core/audit_retain.h"
#include "core/audit_search.h"
#include "core/audit_verify.h"
#include "core/mark.h"
#include "db/db.h"

enum { EVENTS = 120, TRIALS = 1000, FOUND_MAX = 64 };

struct log {
    struct event events[2 * EVENTS];
    unsigned n;
};

struct seen {
    struct audit_finding all[FOUND_MAX];
    unsigned n;
};

static void take_finding(void *ctx, const struct audit_finding *f) {
    struct seen *s = ctx;
    if (s->n < FOUND_MAX) s->all[s->n++] = *f;
}

static struct seen verify_with(struct fixture *f, struct audit_verify_report *r, const char *const *keys, unsigned key_count) {
    struct seen s = {.n = 0};
    struct err e = {0};
    const struct audit_verify_options o = {.on_finding = take_finding, .ctx = &s, .threads = 2, .keys = keys, .key_count = key_count};
    if (!audit_verify(f->ar, &o, r, &e)) fail_msg("%s", e.message);
    return s;
}

static struct seen verify(struct fixture *f) {
    struct audit_verify_report r;
    return verify_with(f, &r, NULL, 0);
}

// ---- the log as it was written, and put back changed ----

static void read_log(struct fixture *f, struct log *out) {
    struct event *list;
    struct err e = {0};
    assert_true(events_after(f->ar, &f->arena, 0, 2 * EVENTS, &list, &out->n, &e));
    memcpy(out->events, list, out->n * sizeof *list);
}

static void put_event(struct db *w, const struct event *ev) {
    struct err e = {0};
    const struct str texts[] = {ev->type, ev->actor, ev->study_uid, ev->series_uid, ev->sop_instance_uid, ev->detail};
    struct db_stmt *s = db_prepare(w, "INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)", &e);
    assert_non_null(s);
    db_bind_int(s, 1, ev->seq);
    db_bind_int(s, 2, ev->time_ms);
    for (int i = 0; i < 6; i++) db_bind_text(s, 3 + i, texts[i].p ? texts[i] : STR_LIT(""));
    db_bind_blob(s, 9, (struct str){(const char *)ev->hash, 32});
    assert_int_equal(db_next(s, &e), DB_END);
    db_done(s);
}

static void write_log(struct fixture *f, const struct log *l) {
    struct err e = {0};
    struct db *w = db_writer(archive_db(f->ar), &e);
    assert_non_null(w);
    assert_true(db_begin(w, &e) && db_exec(w, "DELETE FROM events", &e));
    for (unsigned i = 0; i < l->n; i++) put_event(w, &l->events[i]);
    assert_true(db_commit(w, &e));
    db_return(archive_db(f->ar), w);
}

// As somebody does who knows how: numbers and hashes fit again.
static void compute_anew(struct log *l, unsigned from) {
    struct digest d = {0};
    struct err e = {0};
    uint8_t zero[32] = {0};
    assert_true(digest_init(&d, &e));
    for (unsigned i = from; i < l->n; i++) {
        l->events[i].seq = (int64_t)i + 1;
        assert_true(event_hash(&d, i ? l->events[i - 1].hash : zero, &l->events[i], l->events[i].hash, &e));
    }
    digest_deinit(&d);
}

static void edit(struct event *ev, unsigned how) {
    switch (how % 5) {
    case 0:
        ev->type = STR_LIT("study.deleted");
        break;
    case 1:
        ev->actor = STR_LIT("page:nobody@10.0.0.1");
        break;
    case 2:
        ev->study_uid = STR_LIT("1.2.3.4.5.6.7");
        break;
    case 3:
        ev->detail = STR_LIT("{}");
        break;
    default:
        ev->sop_instance_uid = STR_LIT("1.9");
    }
}

static void take_away(struct log *l, unsigned at, unsigned count) {
    memmove(&l->events[at], &l->events[at + count], (l->n - at - count) * sizeof *l->events);
    l->n -= count;
}

static void put_in(struct log *l, unsigned at) {
    memmove(&l->events[at + 1], &l->events[at], (l->n - at) * sizeof *l->events);
    edit(&l->events[at], 1);
    l->n++;
    for (unsigned i = at + 1; i < l->n; i++) l->events[i].seq++;
}

static void swap(struct log *l, unsigned a, unsigned b) {
    struct event x = l->events[a], y = l->events[b];
    l->events[a] = y, l->events[b] = x;
    l->events[a].seq = x.seq, l->events[b].seq = y.seq;
    l->events[a].time_ms = x.time_ms, l->events[b].time_ms = y.time_ms;
}

static const char *const KINDS[] = {"edited",
                                    "edited, with its hash",
                                    "edited, all computed anew",
                                    "deleted",
                                    "deleted, all computed anew",
                                    "swapped",
                                    "swapped, all computed anew",
                                    "inserted",
                                    "inserted, all computed anew",
                                    "cut at the end",
                                    "the end replaced",
                                    "more at the end"};
enum { KIND_COUNT = sizeof KINDS / sizeof *KINDS };

// Changes the log and returns the first place (from 0) that is not what it was.
static unsigned tamper(struct log *l, unsigned kind, unsigned k, unsigned m, unsigned how) {
    unsigned n = l->n;
    switch (kind) {
    case 0:
        edit(&l->events[k], how);
        return k;
    case 1: {
        unsigned whole = l->n;
        edit(&l->events[k], how);
        l->n = k + 1;
        compute_anew(l, k);
        l->n = whole;
        return k;
    }
    case 2:
        edit(&l->events[k], how);
        compute_anew(l, k);
        return k;
    case 3:
        take_away(l, k, 1);
        return k;
    case 4:
        take_away(l, k, 1);
        compute_anew(l, k);
        return k;
    case 5:
    case 6:
        swap(l, k, m);
        if (kind == 6) compute_anew(l, k);
        return k;
    case 7:
    case 8:
        put_in(l, k);
        if (kind == 8) compute_anew(l, k);
        return k;
    case 9:
        l->n -= 1 + how % 10;
        return l->n;
    case 10:
        k = n - 1 - how % 10;
        for (unsigned i = k; i < n; i++) edit(&l->events[i], 1);
        compute_anew(l, k);
        return k;
    default:
        l->events[l->n] = l->events[l->n - 1];
        edit(&l->events[l->n++], 1);
        compute_anew(l, n);
        return n;
    }
}

// ---- a log with its marks ----

static void keep_marks(struct fixture *f, enum audit_mark_kind kind) {
    struct audit_mark m;
    bool found;
    struct err e = {0};
    assert_true(audit_watch_step(f->ar, true, &e));
    assert_true(audit_mark_of(f->ar, count_rows(f, "SELECT max(seq) FROM events"), &m, &found, &e) && found);
    m.kind = kind;
    m.at_ms = f->ar->watch.marked_ms + 1;
    assert_true(audit_head_put(f->ar->watch.dir, &f->ar->watch.key, &m, &f->ar->watch.turn, &e));
}

static void note_some(struct fixture *f, unsigned from, unsigned to) {
    static const struct actor WHO = {.door = DOOR_PAGE, .address = STR_LIT("10.1.2.3"), .user = STR_LIT("wang.fang")};
    struct err e = {0};
    for (unsigned i = from; i < to; i++) {
        char study[32];
        snprintf(study, sizeof study, "1.2.%u", i);
        assert_true(audit_note(f->ar, &WHO, &(struct audit_note){.type = "study.read", .study_uid = str_of(study), .count = i + 1}, &e));
    }
}

static void make_log(struct fixture *f, struct log *l) {
    const struct audit_options o = {.elsewhere = NULL};
    struct err e = {0};
    assert_true(audit_start(f->ar, &o, &e));
    note_some(f, 0, EVENTS / 2);
    audit_stop(f->ar);
    assert_true(audit_watch_checkpoint(f->ar, NULL, &e));
    note_some(f, EVENTS / 2, EVENTS);
    keep_marks(f, MARK_CLOSED);
    read_log(f, l);
}

static int by_rng(uint32_t *state, unsigned n) {
    *state = *state * 1664525 + 1013904223;
    return (int)((*state >> 8) % n);
}

// ---- tests ----

static void a_log_that_nobody_touched_is_proven_to_its_end(void **state) {
    struct fixture *f = *state;
    static struct log l;
    struct audit_verify_report r;
    make_log(f, &l);
    struct seen s = verify_with(f, &r, NULL, 0);
    if (s.n) fail_msg("%s", s.all[0].text);
    assert_int_equal(r.proven, l.n);
    assert_int_equal(r.last, l.n);
    assert_int_equal(r.events, l.n);
}

static void every_tampering_is_found_with_its_place(void **state) {
    struct fixture *f = *state;
    static struct log whole, changed;
    uint32_t rng = 5;
    make_log(f, &whole);
    for (unsigned i = 0; i < TRIALS; i++) {
        unsigned kind = i % KIND_COUNT, k = (unsigned)by_rng(&rng, whole.n - 2), m = k + 1 + (unsigned)by_rng(&rng, whole.n - k - 1);
        changed = whole;
        unsigned place = tamper(&changed, kind, k, m, (unsigned)by_rng(&rng, 1000)) + 1;
        write_log(f, &changed);
        struct seen s = verify(f);
        if (s.n == 0) fail_msg("trial %u: %s at event %u is not found", i, KINDS[kind], place);
        // with its hash made to fit, an event is found by the one that follows
        bool there = s.all[0].seq == place || (kind == 1 && s.all[0].seq == place + 1);
        if (!there) fail_msg("trial %u: %s at event %u is told of event %lld: %s", i, KINDS[kind], place, (long long)s.all[0].seq, s.all[0].text);
    }
    write_log(f, &whole);
    assert_int_equal(verify(f).n, 0);
}

static void without_the_witness_the_place_is_told_between_two_marks(void **state) {
    struct fixture *f = *state;
    static struct log l;
    char path[256];
    make_log(f, &l);
    snprintf(path, sizeof path, "%s/audit/witness", f->dir);
    assert_int_equal(unlink(path), 0);
    edit(&l.events[100], 1);
    compute_anew(&l, 100);
    write_log(f, &l);
    struct seen s = verify(f);
    assert_int_equal(s.n, 1);
    assert_int_equal(s.all[0].fault, FAULT_REWRITTEN);
    assert_in_range(s.all[0].seq, 1 + EVENTS / 2, 101);
    assert_in_range(s.all[0].to, 101, l.n);
}

static void marks_that_somebody_else_signed_prove_nothing(void **state) {
    struct fixture *f = *state;
    static struct log l;
    struct audit_verify_report r;
    static const char *const OTHER[] = {"00000000000000000000000000000000000000000000000000000000000000ff"};
    make_log(f, &l);
    struct seen s = verify_with(f, &r, OTHER, 1);
    assert_true(s.n > 0);
    assert_int_equal(r.marks, 0);
    assert_int_equal(r.proven, 0);
}

static void a_log_whose_marks_were_taken_away_is_not_taken_for_proven(void **state) {
    struct fixture *f = *state;
    static struct log l;
    char command[512];
    make_log(f, &l);
    snprintf(command, sizeof command, "rm %s/audit/head %s/audit/checkpoints", f->dir, f->dir);
    assert_int_equal(system(command), 0);
    struct seen s = verify(f);
    assert_int_equal(s.n, 1);
    assert_int_equal(s.all[0].fault, FAULT_UNPROVEN);
}

// Opening tells it too: the log goes on, with an event that says so, and what was marked stays as evidence.
static void a_start_finds_that_the_end_was_cut_and_it_stays_found(void **state) {
    struct fixture *f = *state;
    static struct log l;
    const struct audit_options o = {.elsewhere = NULL};
    struct err e = {0};
    make_log(f, &l);
    fixture_close(f);
    fixture_open(f);
    read_log(f, &l);
    l.n -= 7;
    write_log(f, &l);
    f->ar->watch.kept = false; // closed by somebody else's hand
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM events WHERE type = 'audit.alarm'"), 1);
    assert_true(audit_start(f->ar, &o, &e));
    note_some(f, 0, 20);
    fixture_close(f);
    fixture_open(f);
    struct seen s = verify(f);
    assert_true(s.n > 0);
    assert_in_range(s.all[0].seq, 1, l.n + 1);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM events WHERE type = 'audit.alarm'"), 1);
}

// After a power cut the index may have lost what was not flushed, and the head that was flushed fits what is left.
static void what_a_power_cut_takes_is_no_alarm(void **state) {
    struct fixture *f = *state;
    static struct log l;
    char path[300];
    struct err e = {0};
    make_log(f, &l);
    keep_marks(f, MARK_HEAD);
    note_some(f, 0, 5);
    assert_true(audit_watch_step(f->ar, false, &e)); // a soft head is ahead
    f->ar->watch.kept = false;
    // as another run of the system sees it
    snprintf(path, sizeof path, "%s/audit/head", f->dir);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    char text[3 * AUDIT_MARK_BYTES];
    size_t n = fread(text, 1, sizeof text, file);
    assert_int_equal(n, sizeof text);
    struct audit_mark soft;
    assert_true(audit_mark_read((struct str){text + 2 * AUDIT_MARK_BYTES, AUDIT_MARK_BYTES}, &soft));
    assert_int_equal(soft.seq, l.n + 5);
    struct buf b;
    buf_init(&b, 4096);
    strcpy(soft.boot, "00000000-0000-0000-0000-000000000000");
    assert_true(audit_mark_write(&f->ar->watch.key, &soft, &b, &e));
    fseek(file, 2L * AUDIT_MARK_BYTES, SEEK_SET);
    fwrite(b.p, 1, b.n, file);
    fclose(file);
    buf_deinit(&b);
    write_log(f, &l); // the last five are gone
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM events WHERE type = 'audit.alarm'"), 0);
    assert_int_equal(verify(f).n, 0);
}

static bool count_mark(void *ctx, const struct audit_mark *m, struct err *e) {
    (void)e;
    *(unsigned *)ctx += m->holds;
    return true;
}

static unsigned marks_of(const char *dir) {
    unsigned n = 0;
    assert_true(audit_marks_each(dir, count_mark, &n, NULL));
    return n;
}

static struct str a_mark(struct fixture *f, struct buf *line) {
    struct audit_mark m = {.kind = MARK_CHECKPOINT, .seq = 1};
    buf_init(line, 4096);
    assert_true(audit_mark_write(&f->ar->watch.key, &m, line, NULL));
    return buf_str(line);
}

// As on a full disk: some of the line could be written, and not all of it.
static bool put_with_room_for(const char *dir, struct str line, unsigned long room) {
    struct rlimit before, less;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    less = before;
    less.rlim_cur = room;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &less), 0);
    bool ok = audit_checkpoint_put(dir, line, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    return ok;
}

static void a_mark_that_could_not_be_written_whole_does_not_spoil_the_next(void **state) {
    struct fixture *f = *state;
    static struct log l;
    char dir[128], path[160];
    struct buf line;
    make_log(f, &l);
    struct str mark = a_mark(f, &line);
    snprintf(dir, sizeof dir, "%s/notary", f->dir);
    snprintf(path, sizeof path, "%s/checkpoints", dir);
    assert_true(audit_checkpoint_put(dir, mark, NULL));
    assert_false(put_with_room_for(dir, mark, mark.n + 20));
    assert_int_equal(marks_of(dir), 1);
    // one that was torn by a power cut
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    fwrite(mark.p, 1, 30, file);
    assert_int_equal(ftell(file), mark.n + 30);
    fclose(file);
    assert_true(audit_checkpoint_put(dir, mark, NULL));
    assert_int_equal(marks_of(dir), 2);
    buf_deinit(&line);
}

enum { MARKERS = 4, MARKS_EACH = 25 };

struct marker {
    const char *dir;
    struct str mark;
    bool ok;
};

static void *put_many(void *arg) {
    struct marker *m = arg;
    m->ok = true;
    for (unsigned i = 0; i < MARKS_EACH; i++) m->ok = audit_checkpoint_put(m->dir, m->mark, NULL) && m->ok;
    return NULL;
}

// A rule marks its cut while the trail makes a checkpoint, and several nodes may keep theirs in one directory.
static void no_mark_takes_the_place_of_one_that_is_written_at_the_same_time(void **state) {
    struct fixture *f = *state;
    static struct log l;
    char dir[128];
    struct buf line;
    pthread_t threads[MARKERS];
    struct marker markers[MARKERS];
    make_log(f, &l);
    struct str mark = a_mark(f, &line);
    snprintf(dir, sizeof dir, "%s/notary", f->dir);
    for (unsigned i = 0; i < MARKERS; i++) {
        markers[i] = (struct marker){dir, mark, false};
        assert_true(thread_start(&threads[i], "marker", put_many, &markers[i], NULL));
    }
    for (unsigned i = 0; i < MARKERS; i++) pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < MARKERS; i++) assert_true(markers[i].ok);
    assert_int_equal(marks_of(dir), MARKERS * MARKS_EACH);
    buf_deinit(&line);
}

static void what_a_key_signed_that_was_replaced_stays_proven(void **state) {
    struct fixture *f = *state;
    static struct log l;
    struct audit_verify_report r;
    const struct audit_options o = {.elsewhere = NULL};
    struct err e = {0};
    char from[128], to[128];
    make_log(f, &l);
    snprintf(from, sizeof from, "%s/audit/key", f->dir);
    snprintf(to, sizeof to, "%s/audit/key.old", f->dir);
    fixture_close(f);
    assert_int_equal(rename(from, to), 0);
    fixture_open(f);
    assert_true(audit_start(f->ar, &o, &e));
    note_some(f, 0, 5);
    fixture_close(f);
    fixture_open(f);
    struct seen s = verify_with(f, &r, NULL, 0);
    if (s.n) fail_msg("%s", s.all[0].text);
    assert_int_equal(r.proven, r.last);
    assert_true(r.marks > 2);
}

// ---- retention ----

// Half of the log older than the other half; the last event of the older one.
static int64_t make_old(struct fixture *f, struct log *l, int64_t *before_ms) {
    const struct audit_options o = {.elsewhere = NULL};
    struct err e = {0};
    assert_true(audit_start(f->ar, &o, &e));
    note_some(f, 0, EVENTS / 2);
    audit_stop(f->ar);
    usleep(20 * 1000);
    note_some(f, EVENTS / 2, EVENTS);
    keep_marks(f, MARK_HEAD);
    read_log(f, l);
    *before_ms = l->events[EVENTS / 2 + 1].time_ms;
    return EVENTS / 2 + 1;
}

static void retain(struct fixture *f, int64_t before_ms, struct audit_cut *cut) {
    struct err e = {0};
    if (!audit_retain(f->ar, &TESTER, before_ms, NULL, cut, &e)) fail_msg("%s", e.message);
}

static void what_a_rule_took_away_is_gone_and_proven_to_be_gone_rightly(void **state) {
    struct fixture *f = *state;
    static struct log l;
    struct audit_verify_report r;
    struct audit_cut cut;
    int64_t before_ms, last = make_old(f, &l, &before_ms), checked;
    retain(f, before_ms, &cut);
    assert_int_equal(cut.first, 1);
    assert_int_equal(cut.last, last);
    assert_memory_equal(cut.hash, l.events[last - 1].hash, 32);
    assert_int_equal(count_rows(f, "SELECT min(seq) FROM events"), last + 1);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM events WHERE type = 'audit.cut'"), 1);
    struct seen s = verify_with(f, &r, NULL, 0);
    if (s.n) fail_msg("%s", s.all[0].text);
    assert_int_equal(r.cut, last);
    assert_true(events_verify(f->ar, &checked, NULL));
    retain(f, before_ms, &cut);
    assert_int_equal(cut.last, 0);
    note_some(f, 0, 5);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(verify(f).n, 0);
}

static void run_in(const char *dir, const char *what) {
    char command[600];
    snprintf(command, sizeof command, "cd %s && %s", dir, what);
    assert_int_equal(system(command), 0);
}

// As another node of the archive sees it, whose directory has nothing of the cut.
static void a_cut_is_proven_where_its_key_is_trusted_and_nowhere_else(void **state) {
    struct fixture *f = *state;
    static struct log l;
    struct audit_cut cut;
    const struct audit_options o = {.elsewhere = NULL};
    struct err e = {0};
    int64_t before_ms;
    make_old(f, &l, &before_ms);
    retain(f, before_ms, &cut);
    run_in(f->dir, "rm audit/checkpoints");
    assert_int_equal(verify(f).n, 0);
    fixture_close(f);
    run_in(f->dir, "mv audit cutter");
    fixture_open(f);
    assert_true(audit_start(f->ar, &o, &e));
    fixture_close(f);
    fixture_open(f);
    struct seen s = verify(f);
    assert_int_equal(s.n, 1);
    assert_int_equal(s.all[0].fault, FAULT_MISSING);
    assert_int_equal(s.all[0].to, cut.last);
    assert_non_null(strstr(s.all[0].text, "audit/key.pub"));
    run_in(f->dir, "cat cutter/key.pub >> audit/key.pub");
    assert_int_equal(verify(f).n, 0);
}

// A server that was away for longer than events are kept; the one beside it cut.
static void a_head_that_was_cut_away_is_no_alarm_and_without_a_signature_it_is(void **state) {
    struct fixture *f = *state;
    static struct log l;
    struct audit_cut cut;
    int64_t before_ms;
    make_old(f, &l, &before_ms);
    keep_marks(f, MARK_HEAD);
    struct audit_mark m;
    bool found;
    struct err e = {0};
    assert_true(audit_mark_of(f->ar, 10, &m, &found, &e) && found);
    for (int i = 0; i < 2; i++) {
        retain(f, before_ms, &cut);
        f->ar->watch.kept = false;
        run_in(f->dir, "rm audit/head");
        m.kind = MARK_HEAD;
        assert_true(audit_head_put(f->ar->watch.dir, &f->ar->watch.key, &m, &f->ar->watch.turn, &e));
        fixture_close(f);
        fixture_open(f);
        assert_int_equal(count_rows(f, "SELECT count(*) FROM events WHERE type = 'audit.alarm'"), i);
        run_sql(f, "UPDATE audit_cuts SET mark = ''");
    }
}

struct meanwhile {
    struct fixture *f;
    int64_t before_ms;
    bool signed_;
    struct audit_cut cut;
    struct seen seen;
};

static void cut_now(void *ctx) {
    struct meanwhile *m = ctx;
    retain(m->f, m->before_ms, &m->cut);
    if (!m->signed_) run_sql(m->f, "UPDATE audit_cuts SET mark = ''");
}

static void take_seen(void *ctx, const struct audit_finding *f) {
    take_finding(&((struct meanwhile *)ctx)->seen, f);
}

static struct seen verify_while_cutting(struct fixture *f, int64_t before_ms, bool is_signed, struct audit_verify_report *r) {
    struct meanwhile m = {.f = f, .before_ms = before_ms, .signed_ = is_signed};
    struct err e = {0};
    const struct audit_verify_options o = {.on_begin = cut_now, .on_finding = take_seen, .ctx = &m, .threads = 2};
    if (!audit_verify(f->ar, &o, r, &e)) fail_msg("%s", e.message);
    assert_true(m.cut.last > 0);
    return m.seen;
}

static void what_a_rule_takes_away_while_it_is_proven_is_not_missing(void **state) {
    struct fixture *f = *state;
    static struct log l;
    struct audit_verify_report r;
    int64_t before_ms, last = make_old(f, &l, &before_ms);
    struct seen s = verify_while_cutting(f, before_ms, true, &r);
    if (s.n) fail_msg("%s", s.all[0].text);
    assert_int_equal(r.findings, 0);
    assert_int_equal(r.cut, last);
    assert_int_equal(r.first, last + 1);
}

static void what_nobody_signed_for_is_missing_also_when_it_goes_meanwhile(void **state) {
    struct fixture *f = *state;
    static struct log l;
    struct audit_verify_report r;
    int64_t before_ms, last = make_old(f, &l, &before_ms);
    struct seen s = verify_while_cutting(f, before_ms, false, &r);
    assert_int_equal(s.n, 1);
    assert_int_equal(s.all[0].fault, FAULT_MISSING);
    assert_int_equal(s.all[0].to, last);
}

static void one_at_a_time_takes_old_events_away(void **state) {
    struct fixture *f = *state;
    static struct log l;
    struct audit_cut cut;
    struct lease lease;
    struct err e = {0};
    bool taken;
    int64_t before_ms, last = make_old(f, &l, &before_ms);
    assert_true(lease_take(f->ar, "audit retention", &lease, &taken, &e) && taken);
    assert_false(audit_retain(f->ar, &TESTER, before_ms, NULL, &cut, &e));
    assert_int_equal(e.kind, ERR_BUSY);
    lease_drop(f->ar, &lease);
    retain(f, before_ms, &cut);
    assert_int_equal(cut.last, last);
}

// The log of years is read for minutes before any of it goes: a server that is to end does not wait for that.
static void who_is_ending_takes_nothing_away_and_goes(void **state) {
    struct fixture *f = *state;
    static struct log l;
    struct audit_cut cut;
    struct err e = {0};
    const _Atomic bool stopping = true;
    int64_t before_ms, last = make_old(f, &l, &before_ms), all = count_rows(f, "SELECT count(*) FROM events");
    assert_false(audit_retain(f->ar, &TESTER, before_ms, &stopping, &cut, &e));
    assert_int_equal(e.kind, ERR_CANCELLED);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM events"), all);
    retain(f, before_ms, &cut);
    assert_int_equal(cut.last, last);
}

static void a_cut_that_nobody_signed_is_found(void **state) {
    struct fixture *f = *state;
    static struct log l;
    struct audit_cut cut;
    char sql[200];
    int64_t before_ms, last = make_old(f, &l, &before_ms);
    retain(f, before_ms, &cut);
    // ten more are taken, with all that the database has to say of it
    snprintf(sql, sizeof sql, "UPDATE audit_cuts SET seq = %lld, hash = (SELECT hash FROM events WHERE seq = %lld)", (long long)last + 10,
             (long long)last + 10);
    run_sql(f, sql);
    snprintf(sql, sizeof sql, "DELETE FROM events WHERE seq <= %lld", (long long)last + 10);
    run_sql(f, sql);
    struct seen s = verify(f);
    assert_true(s.n > 0);
    assert_int_equal(s.all[0].fault, FAULT_MISSING);
    assert_int_equal(s.all[0].to, last + 10);
}

static void nothing_is_taken_from_a_log_that_does_not_hold(void **state) {
    struct fixture *f = *state;
    static struct log l;
    struct audit_cut cut;
    struct err e = {0};
    int64_t before_ms;
    make_old(f, &l, &before_ms);
    run_sql(f, "UPDATE events SET detail = '{}' WHERE seq = 5");
    assert_false(audit_retain(f->ar, &TESTER, before_ms, NULL, &cut, &e));
    assert_int_equal(e.kind, ERR_CORRUPT);
    assert_int_equal(count_rows(f, "SELECT min(seq) FROM events"), 1);
}

static void what_a_collector_lacks_stays_until_it_has_it_or_is_forgotten(void **state) {
    struct fixture *f = *state;
    static struct log l;
    struct audit_cut cut;
    struct err e = {0};
    int64_t before_ms, last = make_old(f, &l, &before_ms);
    assert_true(audit_cursor_begin(f->ar, "syslog new:6514", &e));
    retain(f, before_ms, &cut);
    assert_int_equal(cut.last, 0);
    assert_string_equal(cut.waits_for, "syslog new:6514");
    assert_true(audit_cursor_set(f->ar, "syslog new:6514", last + 5, "", &e));
    assert_true(audit_cursor_set(f->ar, "syslog behind:6514", 10, "no answer", &e));
    retain(f, before_ms, &cut);
    assert_int_equal(cut.last, 10);
    assert_string_equal(cut.waits_for, "syslog behind:6514");
    assert_int_equal(count_rows(f, "SELECT min(seq) FROM events"), 11);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM events WHERE type = 'audit.cut' AND detail LIKE '%behind:6514%'"), 1);
    assert_false(audit_cursor_forget(f->ar, &TESTER, STR_LIT("nobody:1"), &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_true(audit_cursor_forget(f->ar, &TESTER, STR_LIT("behind:6514"), &e));
    assert_int_equal(count_rows(f, "SELECT count(*) FROM events WHERE type = 'audit.collector.forgotten'"), 1);
    retain(f, before_ms, &cut);
    assert_int_equal(cut.last, last);
    assert_string_equal(cut.waits_for, "");
    assert_int_equal(verify(f).n, 0);
}

// ---- search ----

struct found {
    unsigned n;
    int64_t first, last;
};

static bool take_hit(void *ctx, const struct audit_hit *h, struct err *e) {
    struct found *t = ctx;
    (void)e;
    if (!t->n++) t->first = h->event->seq;
    t->last = h->event->seq;
    return true;
}

static struct found search(struct fixture *f, struct audit_filter filter) {
    struct found t = {.n = 0};
    struct err e = {0};
    if (!audit_search(f->ar, &filter, take_hit, &t, NULL, &e)) fail_msg("%s", e.message);
    return t;
}

static void what_is_looked_for_is_found_with_and_without_the_runs(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    bool left = true;
    note_some(f, 0, 700);
    store_sample(f, &(struct sample){.patient_id = "P1", .issuer = "", .study = "1.2.650", .sop = "1.2.650.1"}, INGEST_STORED);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(search(f, (struct audit_filter){.study_uid = STR_LIT("1.2.13")}).n, 1);
        assert_int_equal(search(f, (struct audit_filter){.study_uid = STR_LIT("1.2.699")}).first, 700);
        assert_int_equal(search(f, (struct audit_filter){.user = STR_LIT("wang.fang")}).n, 700);
        assert_int_equal(search(f, (struct audit_filter){.user = STR_LIT("nobody")}).n, 0);
        assert_int_equal(search(f, (struct audit_filter){.type = STR_LIT("study.")}).n, 700);
        assert_int_equal(search(f, (struct audit_filter){.type = STR_LIT("study.read"), .after = 600, .limit = 10}).last, 610);
        // the patient's study: read before it came, and its object
        assert_int_equal(search(f, (struct audit_filter){.patient_id = STR_LIT("P1")}).n, 2);
        assert_int_equal(search(f, (struct audit_filter){.patient_id = STR_LIT("P2")}).n, 0);
        while (left) assert_true(audit_index_step(f->ar, 1, &left, &e));
        assert_int_equal(count_rows(f, "SELECT seq FROM audit_cursors WHERE name = 'search'"), 512);
    }
    uint64_t count;
    assert_true(archive_delete(f->ar, &TESTER, STR_LIT("1.2.650"), (struct str){0}, (struct str){0}, STR_LIT("test"), &count, &e));
    note_some(f, 0, 100);
    left = true;
    while (left) assert_true(audit_index_step(f->ar, 1, &left, &e));
    assert_int_equal(search(f, (struct audit_filter){.study_uid = STR_LIT("1.2.650")}).n, 3);
}

static void a_study_that_was_deleted_soon_is_still_its_patients(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    uint64_t count;
    store_sample(f, &(struct sample){.patient_id = "P1", .issuer = "", .study = "1.2.3", .sop = "1.2.3.1"}, INGEST_STORED);
    note_some(f, 3, 4); // reads 1.2.3
    assert_true(archive_delete(f->ar, &TESTER, STR_LIT("1.2.3"), (struct str){0}, (struct str){0}, STR_LIT("test"), &count, &e));
    assert_int_equal(search(f, (struct audit_filter){.patient_id = STR_LIT("P1")}).n, 3);
    assert_int_equal(search(f, (struct audit_filter){.patient_id = STR_LIT("P2")}).n, 0);
}

static void who_assigned_a_study_did_it_and_not_who_got_it(void **state) {
    static const struct actor CHIEF = {.door = DOOR_COMMAND, .user = STR_LIT("chief")};
    struct fixture *f = *state;
    struct err e = {0};
    store_sample(f, &(struct sample){.study = "1.2.3", .sop = "1.2.3.1"}, INGEST_STORED);
    for (int on = 1; on >= 0; on--)
        if (!mark_set(f->ar, &CHIEF, MARK_ASSIGNMENT, STR_LIT("1.2.3"), STR_LIT("zhang.wei"), on, &e)) fail_msg("%s", e.message);
    assert_int_equal(search(f, (struct audit_filter){.user = STR_LIT("chief"), .type = STR_LIT("study.")}).n, 2);
    assert_int_equal(search(f, (struct audit_filter){.user = STR_LIT("zhang.wei")}).n, 0);
}

int main(void) {
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_log_that_nobody_touched_is_proven_to_its_end),
        TEST(every_tampering_is_found_with_its_place),
        TEST(without_the_witness_the_place_is_told_between_two_marks),
        TEST(marks_that_somebody_else_signed_prove_nothing),
        TEST(a_log_whose_marks_were_taken_away_is_not_taken_for_proven),
        TEST(a_start_finds_that_the_end_was_cut_and_it_stays_found),
        TEST(what_a_power_cut_takes_is_no_alarm),
        TEST(a_mark_that_could_not_be_written_whole_does_not_spoil_the_next),
        TEST(no_mark_takes_the_place_of_one_that_is_written_at_the_same_time),
        TEST(what_a_key_signed_that_was_replaced_stays_proven),
        TEST(what_a_rule_took_away_is_gone_and_proven_to_be_gone_rightly),
        TEST(a_cut_is_proven_where_its_key_is_trusted_and_nowhere_else),
        TEST(a_head_that_was_cut_away_is_no_alarm_and_without_a_signature_it_is),
        TEST(what_a_rule_takes_away_while_it_is_proven_is_not_missing),
        TEST(what_nobody_signed_for_is_missing_also_when_it_goes_meanwhile),
        TEST(one_at_a_time_takes_old_events_away),
        TEST(who_is_ending_takes_nothing_away_and_goes),
        TEST(a_cut_that_nobody_signed_is_found),
        TEST(nothing_is_taken_from_a_log_that_does_not_hold),
        TEST(what_a_collector_lacks_stays_until_it_has_it_or_is_forgotten),
        TEST(what_is_looked_for_is_found_with_and_without_the_runs),
        TEST(a_study_that_was_deleted_soon_is_still_its_patients),
        TEST(who_assigned_a_study_did_it_and_not_who_got_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
