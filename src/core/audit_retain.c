// A cut: the mark outside, then the event and where it was in one transaction, then the rows in pieces.
#include "core/audit_retain.h"

#include <stdio.h>

#include "core/audit_cursor.h"
#include "core/audit_part.h"
#include "core/audit_verify.h"
#include "text/json.h"

enum { PIECE = 4096, DETAIL_BYTES = 8 * 1024 };

static bool last_cut(struct archive *ar, int64_t *cut, int64_t *lowest, struct err *e) {
    struct db *d = db_reader(ar->db, e);
    int64_t row[2] = {0, 0};
    bool found,
        ok = d && sql_one(d, "SELECT coalesce((SELECT max(seq) FROM audit_cuts), 0), coalesce((SELECT min(seq) FROM events), 0)", NULL, 0, row, 2, &found, e);
    db_return(ar->db, d);
    *cut = row[0];
    *lowest = row[1];
    return ok;
}

bool audit_cut_last(struct archive *ar, struct audit_cut_row *out, struct err *e) {
    struct db *d = db_reader(ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, "SELECT seq, hash, mark FROM audit_cuts ORDER BY seq DESC LIMIT 1", e) : NULL;
    enum db_step step = s ? db_next(s, e) : DB_FAIL;
    *out = (struct audit_cut_row){0};
    if (step == DB_ROW) {
        struct str hash = db_blob(s, 1);
        out->seq = db_int(s, 0);
        if (hash.n == sizeof out->hash) memcpy(out->hash, hash.p, hash.n);
        audit_mark_read(db_text(s, 2), &out->mark);
    }
    db_done(s);
    db_return(ar->db, d);
    return step != DB_FAIL;
}

bool audit_cut_signed(const struct audit_cut_row *cut) {
    const struct audit_mark *m = &cut->mark;
    return m->holds && m->kind == MARK_CUT && m->seq == cut->seq && memcmp(m->hash, cut->hash, sizeof m->hash) == 0;
}

bool audit_cut_proven(const struct audit_cut_row *cut, const struct audit_trust *t) {
    return audit_cut_signed(cut) && audit_trusts(t, cut->mark.key);
}

static bool remove_piece(struct archive *ar, int64_t to, struct err *e) {
    struct db *w = db_writer(ar->db, e);
    bool ok = w && archive_begin(ar, w, e) && sql_run(w, "DELETE FROM events WHERE seq <= ?1", SQL_VALUES(SQL_I(to)), e) && db_commit(w, e);
    if (w && !ok) db_rollback(w);
    if (w) events_settle(ar, ok);
    db_return(ar->db, w);
    return ok;
}

static bool remove_runs(struct archive *ar, int64_t cut, struct err *e) {
    struct db *w = db_side(ar->db, e);
    bool ok = w && sql_run(w, "DELETE FROM audit_blocks WHERE block < ?1", SQL_VALUES(SQL_I(cut / AUDIT_BLOCK)), e);
    db_return(ar->db, w);
    return ok;
}

// Others write between the pieces.
bool audit_retain_settle(struct archive *ar, struct err *e) {
    int64_t cut, lowest;
    if (!last_cut(ar, &cut, &lowest, e)) return false;
    if (!cut || !lowest || lowest > cut) return true;
    for (int64_t to = lowest + PIECE - 1;; to += PIECE) {
        if (!remove_piece(ar, to < cut ? to : cut, e)) return false;
        if (to >= cut) return remove_runs(ar, cut, e);
    }
}

static void count_finding(void *ctx, const struct audit_finding *f) {
    struct audit_finding *first = ctx;
    if (!first->text[0]) *first = *f;
}

static bool is_whole(struct archive *ar, const _Atomic bool *stopping, struct err *e) {
    struct audit_finding first = {0};
    struct audit_verify_report r;
    const struct audit_verify_options o = {.on_finding = count_finding, .ctx = &first, .stopping = stopping};
    if (!audit_verify(ar, &o, &r, e)) return false;
    return r.findings == 0 || err_set(e, ERR_CORRUPT, "audit", "nothing is taken away from a log that does not hold: %s", first.text);
}

static bool put_mark(struct archive *ar, struct audit_mark m, struct buf *line, struct err *e) {
    m.kind = MARK_CUT;
    bool ok = audit_mark_write(&ar->watch.key, &m, line, e) && audit_checkpoint_put(ar->watch.dir, buf_str(line), e);
    for (unsigned i = 0; ok && i < ar->watch.elsewhere_count; i++) ok = audit_checkpoint_put(ar->watch.elsewhere[i], buf_str(line), e);
    return ok;
}

static bool write_detail(struct buf *to, const struct actor *who, const struct audit_cut *c, int64_t before_ms, struct err *e) {
    struct json_writer j;
    char hash[DIGEST_HEX + 1];
    hex_encode(c->hash, sizeof c->hash, hash);
    hash[DIGEST_HEX] = '\0';
    json_init(&j, to, false);
    json_begin_object(&j);
    audit_put_actor(&j, who);
    json_put_int(&j, "first", c->first);
    json_put_int(&j, "last", c->last);
    json_put_strz(&j, "hash", hash);
    json_put_int(&j, "before_ms", before_ms);
    if (c->waits_for[0]) json_put_strz(&j, "waits_for", c->waits_for);
    json_end_object(&j);
    return buf_ok(to, e);
}

static bool put_cut(struct archive *ar, struct event *ev, const struct audit_cut *c, struct str mark, struct err *e) {
    struct db *w = db_writer(ar->db, e);
    bool ok = w && archive_begin(ar, w, e) && event_append(ar, w, ev, e) &&
              sql_run(w, "INSERT INTO audit_cuts (seq, hash, time_ms, at_ms, mark) VALUES (?1, ?2, ?3, ?4, ?5)",
                      SQL_VALUES(SQL_I(c->last), SQL_B(c->hash, sizeof c->hash), SQL_I(c->time_ms), SQL_I(ev->time_ms), SQL_T(mark)), e) &&
              db_commit(w, e);
    if (w && !ok) db_rollback(w);
    if (w) events_settle(ar, ok);
    db_return(ar->db, w);
    return ok;
}

static bool cut(struct archive *ar, const struct actor *who, int64_t before_ms, const struct audit_cut *c, const struct audit_mark *m, struct err *e) {
    char actor[256];
    struct buf detail, line;
    buf_init(&detail, DETAIL_BYTES);
    buf_init(&line, 4096);
    actor_text(who, actor);
    bool ok = write_detail(&detail, who, c, before_ms, e);
    struct event ev = {.type = STR_LIT("audit.cut"), .actor = str_of(actor), .detail = buf_str(&detail)};
    ok = ok && put_mark(ar, *m, &line, e) && put_cut(ar, &ev, c, str_trim(buf_str(&line)), e);
    buf_deinit(&detail);
    buf_deinit(&line);
    return ok;
}

// What a collector has not got stays.
static bool spare_collectors(struct archive *ar, int64_t *last, struct audit_cut *out, struct err *e) {
    char name[sizeof out->waits_for];
    int64_t seq;
    if (!audit_cursor_last(ar, name, sizeof name, &seq, e)) return false;
    if (!name[0] || seq >= *last) return true;
    memcpy(out->waits_for, name, sizeof name);
    *last = seq;
    return true;
}

static bool retain(struct archive *ar, const struct actor *who, int64_t before_ms, const _Atomic bool *stopping, struct audit_cut *out, struct err *e) {
    struct audit_mark m;
    int64_t known, lowest, last;
    bool found;
    if (!ar->watch.kept) return err_set(e, ERR_USAGE, "audit", "this archive has no key for its marks yet: start its server once");
    if (!audit_last_before(ar, before_ms, &last, e) || !last_cut(ar, &known, &lowest, e) || (last > known && !spare_collectors(ar, &last, out, e)))
        return false;
    if (last <= known || last == 0) return audit_retain_settle(ar, e);
    if (!is_whole(ar, stopping, e) || !audit_mark_of(ar, last, &m, &found, e)) return false;
    if (!found) return err_set(e, ERR_CORRUPT, "audit", "event %lld of the log is missing", (long long)last);
    out->first = known + 1;
    out->last = last;
    out->time_ms = m.time_ms;
    memcpy(out->hash, m.hash, sizeof out->hash);
    return cut(ar, who, before_ms, out, &m, e) && audit_retain_settle(ar, e);
}

bool audit_retain(struct archive *ar, const struct actor *who, int64_t before_ms, const _Atomic bool *stopping, struct audit_cut *out, struct err *e) {
    struct lease lease;
    bool taken;
    *out = (struct audit_cut){0};
    if (!lease_take(ar, "audit retention", &lease, &taken, e)) return false;
    if (!taken) return err_set(e, ERR_BUSY, "audit", "another takes old events away at the moment");
    bool ok = retain(ar, who, before_ms, stopping, out, e);
    lease_drop(ar, &lease);
    return ok;
}
