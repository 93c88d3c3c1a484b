// A row each, and the job that delivers it.
#include "core/commitments.h"

#include <stdio.h>

#include "core/jobs.h"
#include "core/state.h"

static bool count(struct db *d, int64_t *out, struct err *e) {
    struct db_stmt *s = db_prepare(d, "SELECT count(*) FROM commitments", e);
    if (!s) return false;
    bool ok = db_next(s, e) == DB_ROW;
    if (ok) *out = db_int(s, 0);
    db_done(s);
    return ok;
}

static bool insert(struct db *d, struct commitment *c, struct err *e) {
    struct db_stmt *s =
        db_prepare(d, "INSERT INTO commitments (peer, address, transaction_uid, items, asker, made_ms) VALUES (?1, ?2, ?3, ?4, ?5, {now}) RETURNING id", e);
    if (!s) return false;
    const struct str texts[] = {c->peer, c->address, c->transaction_uid, c->items, c->asker};
    for (int i = 0; i < 5; i++) db_bind_text(s, i + 1, texts[i].p ? texts[i] : STR_LIT(""));
    enum db_step step = db_next(s, e);
    if (step == DB_ROW) c->id = db_int(s, 0);
    while (step == DB_ROW) step = db_next(s, e);
    db_done(s);
    return step == DB_END;
}

static bool put(struct db *d, int64_t id, int64_t delay_ms, struct err *e) {
    char subject[24];
    snprintf(subject, sizeof subject, "%lld", (long long)id);
    return job_put(d, COMMITMENT_JOBS, str_of(subject), delay_ms, e);
}

bool commitment_keep(struct archive *ar, struct commitment *c, int64_t delay_ms, struct err *e) {
    int64_t waiting = 0;
    struct db *d = db_side(ar->db, e);
    bool ok = d && db_begin(d, e) && count(d, &waiting, e);
    if (ok && waiting >= COMMITMENTS_MAX) ok = err_set(e, ERR_BUSY, "commitments", "%d results of storage commitment wait for their peers", COMMITMENTS_MAX);
    ok = ok && insert(d, c, e) && put(d, c->id, delay_ms, e) && db_commit(d, e);
    db_return(ar->db, d);
    return ok;
}

bool commitment_again(struct archive *ar, int64_t id, int64_t delay_ms, struct err *e) {
    struct db *d = db_side(ar->db, e);
    bool ok = d && db_begin(d, e) && put(d, id, delay_ms, e) && db_commit(d, e);
    db_return(ar->db, d);
    return ok;
}

static bool copy(struct arena *a, struct db_stmt *s, struct commitment *out, struct err *e) {
    struct str *const texts[] = {&out->peer, &out->address, &out->transaction_uid, &out->items, &out->asker};
    for (int i = 0; i < 5; i++)
        if (!arena_dup(a, db_text(s, i), texts[i], e)) return false;
    return true;
}

bool commitment_read(struct archive *ar, struct arena *a, int64_t id, struct commitment *out, struct err *e) {
    struct db *d = db_reader(ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, "SELECT peer, address, transaction_uid, items, asker FROM commitments WHERE id = ?1", e) : NULL;
    enum db_step step = DB_FAIL;
    if (s) {
        db_bind_int(s, 1, id);
        step = db_next(s, e);
    }
    out->id = id;
    bool ok = step == DB_ROW && copy(a, s, out, e);
    if (step == DB_END) err_set(e, ERR_NOT_FOUND, "commitments", "result %lld was delivered", (long long)id);
    db_done(s);
    db_return(ar->db, d);
    return ok;
}

static bool delete_row(struct db *d, int64_t id, struct err *e) {
    struct db_stmt *s = db_prepare(d, "DELETE FROM commitments WHERE id = ?1", e);
    if (!s) return false;
    db_bind_int(s, 1, id);
    bool ok = db_next(s, e) == DB_END;
    db_done(s);
    return ok;
}

static bool delete_job(struct db *d, int64_t id, struct err *e) {
    char subject[24];
    struct db_stmt *s = db_prepare(d, "DELETE FROM jobs WHERE kind = '" COMMITMENT_JOBS "' AND subject = ?1", e);
    if (!s) return false;
    snprintf(subject, sizeof subject, "%lld", (long long)id);
    db_bind_text(s, 1, str_of(subject));
    bool ok = db_next(s, e) == DB_END;
    db_done(s);
    return ok;
}

bool commitment_drop(struct archive *ar, int64_t id, struct err *e) {
    struct db *d = db_side(ar->db, e);
    bool ok = d && db_begin(d, e) && delete_row(d, id, e) && delete_job(d, id, e) && db_commit(d, e);
    db_return(ar->db, d);
    return ok;
}
