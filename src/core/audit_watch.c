// The head follows the log; at opening the log is held against it.
#include "core/audit_watch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/audit_part.h"
#include "core/audit_retain.h"
#include "sys/file.h"
#include "text/json.h"

enum { PATH_BYTES = 4096, FLUSH_MS = 10 * 1000, WITNESS_BYTES = 4, WITNESS_STEP = 65536 };

// ---- the chain's end ----

bool audit_mark_of(struct archive *ar, int64_t seq, struct audit_mark *out, bool *found, struct err *e) {
    struct db *d = db_reader(ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, "SELECT time_ms, hash FROM events WHERE seq = ?1", e) : NULL;
    enum db_step step = DB_FAIL;
    *out = (struct audit_mark){.seq = seq, .at_ms = clock_wall_ms()};
    if (s) {
        db_bind_int(s, 1, seq);
        step = db_next(s, e);
        struct str hash = step == DB_ROW ? db_blob(s, 1) : (struct str){0};
        out->time_ms = step == DB_ROW ? db_int(s, 0) : 0;
        if (hash.n == sizeof out->hash) memcpy(out->hash, hash.p, hash.n);
    }
    *found = step == DB_ROW;
    db_done(s);
    db_return(ar->db, d);
    return step != DB_FAIL;
}

static bool last_seq(struct archive *ar, int64_t *out, struct err *e) {
    struct db *d = db_reader(ar->db, e);
    bool found, ok = d && sql_one(d, "SELECT coalesce(max(seq), 0) FROM events", NULL, 0, out, 1, &found, e);
    db_return(ar->db, d);
    return ok;
}

// ---- at opening ----

// What the head was about was taken away since, by a cut that is signed: of several nodes, perhaps by one whose key is not known here.
static bool judge_cut(struct archive *ar, const struct audit_mark *head, const struct audit_cut_row *cut, struct err *e) {
    struct audit_watch *w = &ar->watch;
    struct audit_trust trust = {0};
    if (!audit_trust_read(&trust, w->dir, e)) return false;
    if (audit_cut_proven(cut, &trust)) return true;
    if (ar->shared && audit_cut_signed(cut)) {
        log_line(LOG_WARN, "audit",
                 "events up to %lld were taken away by another node, whose key is not in %s/key.pub: 'gantry audit verify' proves nothing of it",
                 (long long)cut->seq, w->dir);
        return true;
    }
    snprintf(w->trouble, sizeof w->trouble, "events up to %lld were taken away from the log, and nobody signed that", (long long)cut->seq);
    w->broken = *head;
    return true;
}

static bool judge(struct archive *ar, const struct audit_mark *head, struct err *e) {
    struct audit_watch *w = &ar->watch;
    struct audit_cut_row cut;
    struct audit_mark now;
    bool found = true;
    int64_t last;
    if (!audit_cut_last(ar, &cut, e)) return false;
    if (head->seq && head->seq <= cut.seq) return judge_cut(ar, head, &cut, e);
    if (!last_seq(ar, &last, e) || !audit_mark_of(ar, head->seq, &now, &found, e)) return false;
    long long seq = head->seq;
    if (last < head->seq)
        snprintf(w->trouble, sizeof w->trouble, "the event log ends at number %lld, but it had come to %lld: its end was cut off", (long long)last, seq);
    else if (head->seq && !found)
        snprintf(w->trouble, sizeof w->trouble, "event %lld of the log is missing", seq);
    else if (head->seq && memcmp(now.hash, head->hash, sizeof now.hash) != 0)
        snprintf(w->trouble, sizeof w->trouble, "the event log is not the one that was written: event %lld or one before it was changed", seq);
    else if (head->kind == MARK_CLOSED && last > head->seq)
        snprintf(w->trouble, sizeof w->trouble, "events %lld to %lld came into the log while it was closed", seq + 1, (long long)last);
    if (w->trouble[0]) w->broken = *head;
    return true;
}

// The head that did not fit stays among the checkpoints: the next one takes its place.
static bool tell(struct archive *ar, struct err *e) {
    struct audit_watch *w = &ar->watch;
    struct buf detail, line;
    struct json_writer j;
    log_line(LOG_ERROR, "audit", "%s ('gantry audit verify' tells more)", w->trouble);
    buf_init(&detail, 4096);
    buf_init(&line, 4096);
    json_init(&j, &detail, false);
    json_begin_object(&j);
    json_put_strz(&j, "message", w->trouble);
    json_put_int(&j, "seq", w->broken.seq);
    json_end_object(&j);
    w->broken.kind = MARK_BROKEN;
    struct event ev = {.type = STR_LIT("audit.alarm"), .actor = STR_LIT("job:audit"), .detail = buf_str(&detail)};
    bool ok =
        buf_ok(&detail, e) && audit_mark_write(&w->key, &w->broken, &line, e) && audit_checkpoint_put(w->dir, buf_str(&line), e) && audit_append(ar, &ev, e);
    buf_deinit(&detail);
    buf_deinit(&line);
    return ok;
}

// Of two heads of the same event the later one counts: no two have one time.
static int64_t later(struct audit_watch *w) {
    int64_t now = clock_wall_ms();
    w->marked_ms = now > w->marked_ms ? now : w->marked_ms + 1;
    return w->marked_ms;
}

// What comes now comes behind an open head, also when this process dies.
static bool open_head(struct audit_watch *w, struct audit_mark head, struct err *e) {
    if (head.kind != MARK_CLOSED) return true;
    w->marked_ms = head.at_ms;
    head.kind = MARK_HEAD;
    head.at_ms = later(w);
    return audit_head_put(w->dir, &w->key, &head, &w->turn, e);
}

static void set_dir(struct archive *ar) {
    struct audit_watch *w = &ar->watch;
    int n = snprintf(w->dir, sizeof w->dir, "%s/audit", ar->dir);
    if (n >= (int)sizeof w->dir) w->dir[0] = '\0';
}

bool audit_watch_open(struct archive *ar, bool rebuilding, struct err *e) {
    struct audit_watch *w = &ar->watch;
    struct audit_mark head;
    bool there, found;
    set_dir(ar);
    w->rebuilding = rebuilding;
    w->checkpoint_every_ms = AUDIT_CHECKPOINT_S * 1000LL;
    w->flushed_ms = w->checkpoint_ms = clock_mono_ms();
    if (!w->dir[0] || !audit_key_load(w->dir, false, &w->key, &there, e)) return false;
    if (!there || !audit_head_get(w->dir, w->key.public_key, &head, &found, e)) return !there;
    w->kept = !rebuilding;
    if (!found) return true;
    w->opened_seq = head.seq;
    if (!rebuilding && !judge(ar, &head, e)) return false;
    if (!open_head(w, head, e)) return false;
    return !w->trouble[0] || tell(ar, e);
}

static bool announce(struct archive *ar, struct err *e) {
    char detail[128], hex[2 * SIGN_ED25519_PUBLIC];
    hex_encode(ar->watch.key.public_key, SIGN_ED25519_PUBLIC, hex);
    int n = snprintf(detail, sizeof detail, "{\"key\":\"%.*s\"}", (int)sizeof hex, hex);
    struct event ev = {.type = STR_LIT("audit.key"), .actor = STR_LIT("job:audit"), .detail = {detail, (size_t)n}};
    return audit_append(ar, &ev, e);
}

bool audit_watch_start(struct archive *ar, struct err *e) {
    struct audit_watch *w = &ar->watch;
    bool there;
    if (w->kept) return true;
    if (!sys_mkdir(w->dir, e) || !audit_key_load(w->dir, true, &w->key, &there, e) || !announce(ar, e)) return false;
    w->kept = true;
    return audit_watch_step(ar, true, e);
}

// ---- following ----

static bool read_sums(struct archive *ar, int64_t from, int64_t to, uint8_t *out, struct err *e) {
    struct db *d = db_reader(ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, "SELECT seq, hash FROM events WHERE seq > ?1 AND seq <= ?2 ORDER BY seq", e) : NULL;
    enum db_step step = DB_FAIL;
    if (s) {
        db_bind_int(s, 1, from);
        db_bind_int(s, 2, to);
        while ((step = db_next(s, e)) == DB_ROW) {
            struct str hash = db_blob(s, 1);
            if (hash.n >= WITNESS_BYTES) memcpy(out + (db_int(s, 0) - from - 1) * WITNESS_BYTES, hash.p, WITNESS_BYTES);
        }
    }
    db_done(s);
    db_return(ar->db, d);
    return step == DB_END;
}

// What is there counts up to the head: events behind it may have been lost with the power, and others have their numbers. Of a chain that does not fit its head
// all that is there is evidence.
static int64_t first_witness(const struct audit_watch *w, int64_t there, int64_t to) {
    int64_t counts = w->trouble[0] || there < w->opened_seq ? there : w->opened_seq;
    return counts < to ? counts : to;
}

// The first bytes of every hash, by number: nothing of them is signed, but where a chain was computed anew from some event on they tell from which.
static bool witness(struct archive *ar, int64_t to, struct err *e) {
    struct audit_watch *w = &ar->watch;
    char path[PATH_BYTES];
    struct sys_stat st;
    int fd;
    snprintf(path, sizeof path, "%s/witness", w->dir);
    if (!sys_open(NULL, path, O_WRONLY | O_CREAT, 0640, &fd, e)) return false;
    bool ok = w->witnessed || sys_stat_fd(fd, &st, e);
    if (ok && !w->witnessed) w->witnessed = first_witness(w, (int64_t)(st.size / WITNESS_BYTES), to);
    while (ok && w->witnessed < to) {
        int64_t n = to - w->witnessed < WITNESS_STEP ? to - w->witnessed : WITNESS_STEP;
        uint8_t *sums = calloc((size_t)n, WITNESS_BYTES);
        ok = sums ? read_sums(ar, w->witnessed, w->witnessed + n, sums, e) : err_nomem(e, "audit");
        ok = ok && sys_write_at(NULL, fd, sums, (size_t)n * WITNESS_BYTES, (uint64_t)w->witnessed * WITNESS_BYTES, e);
        if (ok) w->witnessed += n;
        free(sums);
    }
    sys_close(NULL, fd);
    return ok;
}

// SQLite's log is not flushed with each commit; PostgreSQL's is.
static bool flush_index(struct archive *ar, struct err *e) {
    char path[PATH_BYTES];
    int fd;
    snprintf(path, sizeof path, "%.4000s/index.db-wal", ar->dir);
    if (ar->shared || access(path, F_OK) != 0) return true;
    if (!sys_open(NULL, path, O_RDONLY, 0, &fd, e)) return false;
    bool ok = sys_flush(NULL, fd, e);
    sys_close(NULL, fd);
    return ok;
}

static bool put_head(struct archive *ar, struct audit_mark m, enum audit_mark_kind kind, struct err *e) {
    struct audit_watch *w = &ar->watch;
    m.kind = kind;
    m.at_ms = later(w);
    if (kind == MARK_SOFT) audit_boot(m.boot);
    return audit_head_put(w->dir, &w->key, &m, &w->turn, e);
}

static bool put_flushed(struct archive *ar, const struct audit_mark *m, enum audit_mark_kind kind, struct err *e) {
    struct audit_watch *w = &ar->watch;
    if (!flush_index(ar, e) || !put_head(ar, *m, kind, e)) return false;
    w->flushed_seq = m->seq;
    w->flushed_ms = clock_mono_ms();
    return true;
}

static bool put_checkpoint(struct archive *ar, struct audit_mark m, struct err *e) {
    struct audit_watch *w = &ar->watch;
    struct buf line;
    struct err why = {0};
    m.kind = MARK_CHECKPOINT;
    buf_init(&line, 4096);
    bool ok = audit_mark_write(&w->key, &m, &line, e) && audit_checkpoint_put(w->dir, buf_str(&line), e);
    for (unsigned i = 0; ok && i < w->elsewhere_count; i++)
        if (!audit_checkpoint_put(w->elsewhere[i], buf_str(&line), &why)) log_err(&why, "a checkpoint of the audit trail in %s", w->elsewhere[i]);
    buf_deinit(&line);
    w->checkpoint_seq = m.seq;
    w->checkpoint_ms = clock_mono_ms();
    return ok;
}

static bool step(struct archive *ar, bool flush, struct err *e) {
    struct audit_watch *w = &ar->watch;
    struct audit_mark m;
    bool found;
    int64_t last, now = clock_mono_ms();
    if (!w->kept) return true;
    flush |= now - w->flushed_ms >= FLUSH_MS;
    bool checkpoint = now - w->checkpoint_ms >= w->checkpoint_every_ms;
    last = events_last(ar);
    if (last == w->soft_seq && !(flush && w->flushed_seq != last) && !(checkpoint && w->checkpoint_seq != last)) return true;
    if (!audit_mark_of(ar, last, &m, &found, e) || !found) return !e || !e->kind;
    if (!witness(ar, last, e) || !put_head(ar, m, MARK_SOFT, e)) return false;
    w->soft_seq = last;
    checkpoint &= w->checkpoint_seq != last;
    if ((flush || checkpoint) && !put_flushed(ar, &m, MARK_HEAD, e)) return false;
    return !checkpoint || put_checkpoint(ar, m, e);
}

bool audit_watch_step(struct archive *ar, bool flush, struct err *e) {
    pthread_mutex_lock(&ar->watch.lock);
    bool ok = step(ar, flush, e);
    pthread_mutex_unlock(&ar->watch.lock);
    return ok;
}

static bool make_checkpoint(struct archive *ar, struct audit_mark *out, struct err *e) {
    struct audit_mark m;
    bool found;
    int64_t last;
    if (!ar->watch.kept) return err_set(e, ERR_USAGE, "audit", "this archive has no key for its marks yet: start its server once");
    if (!last_seq(ar, &last, e) || !audit_mark_of(ar, last, &m, &found, e)) return false;
    if (!found) return err_set(e, ERR_NOT_FOUND, "audit", "the event log is empty");
    if (out) *out = m;
    return put_flushed(ar, &m, MARK_HEAD, e) && put_checkpoint(ar, m, e);
}

bool audit_watch_checkpoint(struct archive *ar, struct audit_mark *out, struct err *e) {
    pthread_mutex_lock(&ar->watch.lock);
    bool ok = make_checkpoint(ar, out, e);
    pthread_mutex_unlock(&ar->watch.lock);
    return ok;
}

bool audit_checkpoint(struct archive *ar, struct audit_mark *out, struct buf *line, struct err *e) {
    if (!audit_watch_checkpoint(ar, out, e)) return false;
    out->kind = MARK_CHECKPOINT;
    return audit_mark_write(&ar->watch.key, out, line, e);
}

void audit_watch_close(struct archive *ar) {
    struct audit_watch *w = &ar->watch;
    struct audit_mark m;
    struct err e = {0};
    bool found = false;
    int64_t last;
    if (!w->kept || !ar->db || ar->read_only) return;
    bool ok = last_seq(ar, &last, &e) && audit_mark_of(ar, last, &m, &found, &e);
    if (ok && found) ok = witness(ar, last, &e) && put_flushed(ar, &m, ar->shared ? MARK_HEAD : MARK_CLOSED, &e);
    if (!ok) log_err(&e, "the head of the audit trail stays where it was");
    w->kept = false;
}
