// Jobs: rows that are taken under a lease by one statement each. Whoever finds none looks with a reader only, so that a queue at rest writes nothing.
#include "core/jobs.h"

#include <stdio.h>

#include "core/events.h"
#include "core/state.h"
#include "text/json.h"

enum { BACKOFF_MS = 5 * 1000, BACKOFF_MAX_MS = 60 * 60 * 1000, TROUBLE_MAX = 480, DETAIL_MAX = 4096 };

static const char PUT[] = "INSERT INTO jobs (kind, subject, due_ms) VALUES (?1, ?2, {now} + ?3) "
                          "ON CONFLICT (kind, subject) DO UPDATE SET due_ms = excluded.due_ms, puts = jobs.puts + 1, attempts = 0, dead = 0";
// The time in a query of its own: PostgreSQL then walks the index no further than to it.
static const char DUE[] = "SELECT 1 FROM jobs WHERE kind = ?1 AND dead = 0 AND due_ms <= (SELECT {now}) AND until_ms <= {now} LIMIT 1";
static const char TAKE[] =
    "UPDATE jobs SET node = ?2, token = token + 1, until_ms = {now} + ?3, attempts = attempts + 1 WHERE id = "
    "(SELECT id FROM jobs WHERE kind = ?1 AND dead = 0 AND due_ms <= (SELECT {now}) AND until_ms <= {now} ORDER BY due_ms LIMIT 1 {lock}) "
    "RETURNING id, token, puts, attempts, subject";
static const char KEEP[] = "UPDATE jobs SET until_ms = {now} + ?3 WHERE id = ?1 AND token = ?2 RETURNING id";
static const char GIVE_BACK[] = "UPDATE jobs SET until_ms = 0, node = '', attempts = 0 WHERE id = ?1 AND token = ?2";
static const char DONE[] = "DELETE FROM jobs WHERE id = ?1 AND token = ?2 AND puts = ?3";
static const char LATER[] = "UPDATE jobs SET until_ms = 0, node = '', trouble = ?3, due_ms = {now} + ?4 WHERE id = ?1 AND token = ?2";
static const char DIE[] = "UPDATE jobs SET until_ms = 0, node = '', trouble = ?3, dead = 1 WHERE id = ?1 AND token = ?2 RETURNING kind";

bool job_put(struct db *d, const char *kind, struct str subject, int64_t delay_ms, struct err *e) {
    if (subject.n == 0 || subject.n >= JOB_SUBJECT_MAX) return err_set(e, ERR_INTERNAL, "jobs", "a %s job's subject of %zu bytes", kind, subject.n);
    struct db_stmt *s = db_prepare(d, PUT, e);
    if (!s) return false;
    db_bind_text(s, 1, str_of(kind));
    db_bind_text(s, 2, subject);
    db_bind_int(s, 3, delay_ms);
    bool ok = db_next(s, e) == DB_END;
    db_done(s);
    return ok;
}

// ---- taking ----

static bool is_due(struct archive *ar, const char *kind, bool *due, struct err *e) {
    struct db *d = db_reader(ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, DUE, e) : NULL;
    enum db_step step = DB_FAIL;
    if (s) {
        db_bind_text(s, 1, str_of(kind));
        step = db_next(s, e);
    }
    *due = step == DB_ROW;
    db_done(s);
    db_return(ar->db, d);
    return step != DB_FAIL;
}

static enum db_step take_row(struct archive *ar, struct db *d, const char *kind, struct job *out, struct err *e) {
    struct db_stmt *s = db_prepare(d, TAKE, e);
    if (!s) return DB_FAIL;
    db_bind_text(s, 1, str_of(kind));
    db_bind_text(s, 2, str_of(ar->node));
    db_bind_int(s, 3, JOB_LEASE_MS);
    enum db_step first = db_next(s, e), step = first;
    if (first == DB_ROW) {
        *out = (struct job){.id = db_int(s, 0), .token = db_int(s, 1), .puts = db_int(s, 2), .attempts = (unsigned)db_int(s, 3)};
        snprintf(out->subject, sizeof out->subject, "%.*s", STR_FMT(db_text(s, 4)));
    }
    while (step == DB_ROW) step = db_next(s, e);
    db_done(s);
    return step == DB_FAIL ? DB_FAIL : first;
}

bool job_take(struct archive *ar, const char *kind, struct job *out, bool *found, struct err *e) {
    bool due;
    if (!is_due(ar, kind, &due, e)) return false;
    for (*found = false; due && !*found;) {
        struct db *d = db_side(ar->db, e);
        enum db_step step = d ? take_row(ar, d, kind, out, e) : DB_FAIL;
        db_return(ar->db, d);
        if (step == DB_FAIL) return false;
        due = step == DB_ROW;
        *found = due && out->attempts <= JOB_ATTEMPTS_MAX;
        if (!due || *found) continue;
        // nobody lived to say that it failed
        struct err why = {0};
        err_set(&why, ERR_INTERNAL, "jobs", "each node that took it ended before it was done");
        if (!job_failed(ar, out, &why, e)) return false;
    }
    return true;
}

// ---- having ----

static bool renew(struct db *d, const struct job *j, bool *ours, struct err *e) {
    struct db_stmt *s = db_prepare(d, KEEP, e); // locks the row until the transaction ends
    if (!s) return false;
    db_bind_int(s, 1, j->id);
    db_bind_int(s, 2, j->token);
    db_bind_int(s, 3, JOB_LEASE_MS);
    enum db_step step = db_next(s, e);
    *ours = step == DB_ROW;
    while (step == DB_ROW) step = db_next(s, e);
    db_done(s);
    return step != DB_FAIL;
}

bool job_check(struct db *w, const struct job *j, struct err *e) {
    bool ours;
    if (!renew(w, j, &ours, e)) return false;
    return ours || err_set(e, ERR_CONFLICT, "jobs", "job %lld (%s) is another node's by now", (long long)j->id, j->subject);
}

bool job_keep(struct archive *ar, const struct job *j, struct err *e) {
    struct db *d = db_side(ar->db, e);
    bool ok = d && job_check(d, j, e);
    db_return(ar->db, d);
    return ok;
}

// ---- ending ----

static bool change(struct db *d, const char *sql, const struct job *j, int64_t *changed, struct err *e) {
    struct db_stmt *s = db_prepare(d, sql, e);
    if (!s) return false;
    db_bind_int(s, 1, j->id);
    db_bind_int(s, 2, j->token);
    if (sql == DONE) db_bind_int(s, 3, j->puts);
    bool ok = db_next(s, e) == DB_END;
    db_done(s);
    if (ok) *changed = db_changes(d);
    return ok;
}

bool job_done(struct archive *ar, const struct job *j, struct err *e) {
    int64_t changed = 0;
    struct db *d = db_side(ar->db, e);
    bool ok = d && change(d, DONE, j, &changed, e);
    if (ok && changed == 0) ok = change(d, GIVE_BACK, j, &changed, e); // it was put again, or is another's
    db_return(ar->db, d);
    return ok;
}

static bool put_later(struct archive *ar, const struct job *j, struct str trouble, struct err *e) {
    int64_t delay_ms = BACKOFF_MS;
    for (unsigned i = 1; i < j->attempts && delay_ms < BACKOFF_MAX_MS; i++) delay_ms *= 2;
    struct db *d = db_side(ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, LATER, e) : NULL;
    bool ok = s;
    if (ok) {
        db_bind_int(s, 1, j->id);
        db_bind_int(s, 2, j->token);
        db_bind_text(s, 3, trouble);
        db_bind_int(s, 4, delay_ms < BACKOFF_MAX_MS ? delay_ms : BACKOFF_MAX_MS);
        ok = db_next(s, e) == DB_END;
    }
    db_done(s);
    db_return(ar->db, d);
    return ok;
}

// *kind is empty when the job is another's by now.
static bool mark_dead(struct db *w, const struct job *j, struct str trouble, char kind[64], struct err *e) {
    struct db_stmt *s = db_prepare(w, DIE, e);
    if (!s) return false;
    db_bind_int(s, 1, j->id);
    db_bind_int(s, 2, j->token);
    db_bind_text(s, 3, trouble);
    enum db_step step = db_next(s, e);
    kind[0] = '\0';
    if (step == DB_ROW) snprintf(kind, 64, "%.*s", STR_FMT(db_text(s, 0)));
    while (step == DB_ROW) step = db_next(s, e);
    db_done(s);
    return step != DB_FAIL;
}

static bool tell_dead(struct archive *ar, struct db *w, const struct job *j, const char *kind, struct str trouble, struct err *e) {
    struct buf b;
    struct json_writer json;
    buf_init(&b, DETAIL_MAX);
    json_init(&json, &b, false);
    json_begin_object(&json);
    json_put_strz(&json, "kind", kind);
    json_put_strz(&json, "subject", j->subject);
    json_put_uint(&json, "attempts", j->attempts);
    json_put_str(&json, "trouble", trouble);
    json_end_object(&json);
    struct event ev = {.type = STR_LIT("job.dead"), .actor = str_of(ar->node), .detail = buf_str(&b)};
    bool ok = buf_ok(&b, e) && event_append(ar, w, &ev, e);
    buf_deinit(&b);
    return ok;
}

static bool die(struct archive *ar, const struct job *j, struct str trouble, struct err *e) {
    char kind[64];
    struct db *w = db_writer(ar->db, e);
    bool ok = w && archive_begin(ar, w, e) && mark_dead(w, j, trouble, kind, e) && (!kind[0] || tell_dead(ar, w, j, kind, trouble, e)) && db_commit(w, e);
    if (w && !ok) db_rollback(w);
    if (w) events_settle(ar, ok);
    db_return(ar->db, w);
    return ok;
}

bool job_failed(struct archive *ar, const struct job *j, const struct err *why, struct err *e) {
    struct str trouble = str_sub(str_of(why->message), 0, TROUBLE_MAX);
    return j->attempts < JOB_ATTEMPTS_MAX ? put_later(ar, j, trouble, e) : die(ar, j, trouble, e);
}
