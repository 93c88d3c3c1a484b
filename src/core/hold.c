// Holding and releasing studies: the record, what it forbids, and the flags of the bucket.
#include "core/hold.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "core/index.h"
#include "core/mark.h"
#include "core/scope.h"
#include "core/word.h"
#include "text/json.h"

enum { RECORD_BYTES_MAX = 64 * 1024, TREE_BYTES_MAX = 16 << 20, DAY_TEXT_BYTES = 32, SQL_BYTES = 1024 + SCOPE_SQL_BYTES, SCOPE_BYTES_MAX = 64 * 1024 };

#define HELD "study.held"
#define RELEASED "study.released"

// ---- what is known of a study ----

struct known {
    int64_t number; // 0: it was never held
    bool held;
};

// why (may be NULL): since when and why it is held.
static bool look_up(struct db *d, struct str study_uid, struct known *out, struct err *why, struct err *e) {
    struct db_stmt *s = db_prepare(d, "SELECT number, held, since_ms, reason FROM holds WHERE study_uid = ?1", e);
    *out = (struct known){0};
    if (!s) return false;
    db_bind_text(s, 1, study_uid);
    enum db_step step = db_next(s, e);
    if (step == DB_ROW) *out = (struct known){db_int(s, 0), db_int(s, 1) != 0};
    if (step == DB_ROW && out->held && why) {
        char day[DAY_TEXT_BYTES] = "";
        time_t t = (time_t)(db_int(s, 2) / 1000);
        struct tm tm;
        struct str reason = db_text(s, 3);
        if (gmtime_r(&t, &tm)) strftime(day, sizeof day, "%Y-%m-%d %H:%M UTC", &tm);
        err_set(why, ERR_FORBIDDEN, "hold", "study %.*s is under legal hold since %s (%.*s): nothing of it is deleted until it is released", STR_FMT(study_uid),
                day, STR_FMT(reason));
    }
    db_done(s);
    return step != DB_FAIL;
}

bool hold_allows(struct db *d, struct str study_uid, struct err *e) {
    struct known k;
    struct err why = {0};
    if (!look_up(d, study_uid, &k, &why, e)) return false;
    if (k.held && e) *e = why;
    return !k.held;
}

static bool being_changed(struct str study_uid, struct err *e) {
    return err_set(e, ERR_BUSY, "hold", "the legal hold of study %.*s is being changed by another: try again", STR_FMT(study_uid));
}

bool hold_classify(struct db *d, const struct vol_put *put, struct vol_put *const *earlier, size_t n, struct err *e) {
    const struct word *word = ((const struct index_put *)put->user)->word;
    struct known k;
    if (word->mark) return true; // the later number counts, whichever comes first
    for (size_t i = 0; i < n; i++) {
        if (earlier[i]->entry.kind != VOL_RECORD || ((const struct index_put *)earlier[i]->user)->word->mark) continue;
        if (str_eq(((const struct index_put *)earlier[i]->user)->word->study, word->study)) return being_changed(word->study, e);
    }
    if (word->kind == VOL_TOMBSTONE) return hold_allows(d, word->study, e);
    return look_up(d, word->study, &k, NULL, e) && (k.number < word->number || being_changed(word->study, e));
}

// ---- the record ----

static bool tell(struct index *ix, struct db *w, const struct vol_entry *en, const char *type, struct str study_uid, struct str reason, struct err *e) {
    struct buf detail;
    struct json_writer j;
    buf_init(&detail, RECORD_BYTES_MAX);
    json_init(&j, &detail, false);
    json_begin_object(&j);
    json_put_str(&j, "reason", reason);
    json_end_object(&j);
    struct event ev = {.type = str_of(type), .actor = en->source, .study_uid = study_uid, .detail = buf_str(&detail)};
    bool ok = buf_ok(&detail, e) && index_event(ix, w, &ev, e);
    buf_deinit(&detail);
    return ok;
}

// The later change counts; of two with one number, which only two nodes at the same moment can write, the hold.
static const char CHANGE[] =
    "INSERT INTO holds (study_uid, number, held, since_ms, reason, source) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (study_uid) DO UPDATE SET number = "
    "excluded.number, held = excluded.held, since_ms = excluded.since_ms, reason = excluded.reason, source = excluded.source WHERE excluded.number > "
    "holds.number OR (excluded.number = holds.number AND excluded.held > holds.held)";

static bool change(struct index *ix, struct db *w, const struct vol_entry *en, const struct json *o, bool held, bool *stale, struct err *e) {
    struct str study = json_text(json_get(o, "study")), reason = json_text(json_get(o, "reason"));
    int64_t number, at_ms;
    if (study.n == 0 || !json_to_i64(json_get(o, "number"), &number) || !json_to_i64(json_get(o, "at_ms"), &at_ms))
        return err_set(e, ERR_CORRUPT, "index", "a record of a legal hold names no study");
    if (!sql_run(w, CHANGE, SQL_VALUES(SQL_T(study), SQL_I(number), SQL_I(held), SQL_I(at_ms), SQL_T(reason), SQL_T(en->source)), e)) return false;
    *stale = db_changes(w) == 0;
    return *stale || tell(ix, w, en, held ? HELD : RELEASED, study, reason, e);
}

bool hold_record(struct index *ix, struct db *w, const struct vol_entry *en, struct str json, bool *stale, struct err *e) {
    struct arena tree;
    *stale = false;
    arena_init(&tree, TREE_BYTES_MAX);
    const struct json *o = json_read(&tree, json, 0, e);
    struct str what = json_text(json_get(o, "record"));
    bool held = str_eqz(what, HELD), ours = held || str_eqz(what, RELEASED);
    bool ok = o && (ours ? change(ix, w, en, o, held, stale, e) : mark_record(ix, w, en, o, stale, e)) && rows_record(w, en, e);
    arena_deinit(&tree);
    return ok;
}

static bool write_record(struct buf *json, struct str study_uid, bool on, int64_t number, struct str reason, struct err *e) {
    struct json_writer j;
    json_init(&j, json, false);
    json_begin_object(&j);
    json_put_strz(&j, "record", on ? HELD : RELEASED);
    json_put_str(&j, "study", study_uid);
    json_put_int(&j, "number", number);
    json_put_int(&j, "at_ms", clock_wall_ms());
    json_put_str(&j, "reason", reason);
    json_end_object(&j);
    return buf_ok(json, e);
}

static bool no_study(struct str study_uid, struct err *e) {
    return err_set(e, ERR_NOT_FOUND, "hold", "there is no study %.*s", STR_FMT(study_uid));
}

// What is released need not be there any more, for who sees everything; what is held is.
static bool may_change(struct db *d, const struct scope *scope, struct str study_uid, bool on, struct known *k, struct err *e) {
    int64_t one;
    bool found = true;
    if (!scope_has_study(scope, d, study_uid, &found, e)) return false;
    if (!found) return no_study(study_uid, e);
    if (!look_up(d, study_uid, k, NULL, e)) return false;
    if (k->held == on)
        return err_set(e, ERR_CONFLICT, "hold", "study %.*s is %s", STR_FMT(study_uid), on ? "under legal hold already" : "not under legal hold");
    if (on && !sql_one(d, "SELECT 1 FROM studies WHERE study_uid = ?1", SQL_VALUES(SQL_T(study_uid)), &one, 1, &found, e)) return false;
    return found || no_study(study_uid, e);
}

static bool check_change(struct archive *ar, const struct actor *who, struct str study_uid, bool on, struct known *k, struct err *e) {
    struct arena a;
    struct scope scope;
    struct db *d = NULL;
    arena_init(&a, SCOPE_BYTES_MAX);
    bool ok = scope_of(who, ACCESS_STUDY_HOLD, &a, &scope, e) && (d = db_reader(ar->db, e)) && may_change(d, &scope, study_uid, on, k, e);
    db_return(ar->db, d);
    arena_deinit(&a);
    return ok;
}

bool hold_set(struct archive *ar, const struct actor *who, struct str study_uid, bool on, struct str reason, struct err *e) {
    struct known k;
    struct buf json;
    if (study_uid.n == 0) return err_set(e, ERR_USAGE, "hold", "a Study Instance UID must be given");
    if (reason.n == 0) return err_set(e, ERR_USAGE, "hold", "say why");
    if (reason.n > STORE_NOTE_BYTES_MAX) return err_set(e, ERR_TOO_LARGE, "hold", "a reason of more than %d bytes", STORE_NOTE_BYTES_MAX);
    if (!check_change(ar, who, study_uid, on, &k, e)) return false;
    buf_init(&json, RECORD_BYTES_MAX);
    bool ok = write_record(&json, study_uid, on, k.number + 1, reason, e) &&
              word_append(ar, who, &(struct word){VOL_RECORD, buf_str(&json), study_uid, k.number + 1, false}, e);
    buf_deinit(&json);
    return ok;
}

static struct db_stmt *prepare_held(struct db *d, const struct scope *scope, struct err *e) {
    struct buf sql;
    buf_init(&sql, SQL_BYTES);
    buf_addz(&sql, "SELECT study_uid, reason, source, since_ms FROM holds WHERE held = 1");
    if (!scope->everywhere) {
        buf_addz(&sql, " AND EXISTS (SELECT 1 FROM studies st WHERE st.study_uid = holds.study_uid");
        scope_filter(scope, &sql, "st", 1);
        buf_addz(&sql, ")");
    }
    buf_addz(&sql, " ORDER BY study_uid");
    buf_addc(&sql, '\0');
    struct db_stmt *s = buf_ok(&sql, e) ? db_prepare(d, sql.p, e) : NULL;
    buf_deinit(&sql);
    if (s && !scope->everywhere) db_bind_text(s, 1, scope->keys);
    return s;
}

static bool each_held(struct archive *ar, const struct scope *scope, bool (*visit)(void *ctx, const struct hold *h, struct err *e), void *ctx, struct err *e) {
    struct db *d = db_reader(ar->db, e);
    struct db_stmt *s = d ? prepare_held(d, scope, e) : NULL;
    enum db_step step = DB_FAIL;
    bool ok = s;
    while (ok && (step = db_next(s, e)) == DB_ROW) ok = visit(ctx, &(struct hold){db_text(s, 0), db_text(s, 1), db_text(s, 2), db_int(s, 3)}, e);
    db_done(s);
    db_return(ar->db, d);
    return ok && step == DB_END;
}

bool hold_each(struct archive *ar, const struct actor *who, bool (*visit)(void *ctx, const struct hold *h, struct err *e), void *ctx, struct err *e) {
    struct arena a;
    struct scope scope;
    arena_init(&a, SCOPE_BYTES_MAX);
    bool ok = scope_of(who, ACCESS_STUDY_HOLD, &a, &scope, e) && each_held(ar, &scope, visit, ctx, e);
    arena_deinit(&a);
    return ok;
}

// ---- flags of the bucket ----

static const char TO_FLAG[] =
    "SELECT i.volume FROM holds h {join} studies st ON st.study_uid = h.study_uid {join} series se ON se.study = st.id {join} instances i ON i.series = se.id "
    "{join} volumes v ON v.volume = i.volume WHERE h.held = 1 AND v.place = 1 AND v.removed_ms IS NULL AND v.held = 0 UNION "
    "SELECT c.volume FROM holds h {join} conflicts c ON c.study_uid = h.study_uid {join} volumes v ON v.volume = c.volume "
    "WHERE h.held = 1 AND v.place = 1 AND v.removed_ms IS NULL AND v.held = 0";

static const char TO_FREE[] =
    "SELECT v.volume FROM volumes v WHERE v.held = 1 AND (v.removed_ms IS NOT NULL OR NOT (EXISTS (SELECT 1 FROM instances i {join} series se ON se.id = "
    "i.series {join} studies st ON st.id = se.study {join} holds h ON h.study_uid = st.study_uid WHERE i.volume = v.volume AND h.held = 1) OR EXISTS (SELECT 1 "
    "FROM conflicts c {join} holds h ON h.study_uid = c.study_uid WHERE c.volume = v.volume AND h.held = 1)))";

static bool list(struct archive *ar, const char *sql, uint32_t **out, size_t *n, struct err *e) {
    struct db *d = db_reader(ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, sql, e) : NULL;
    enum db_step step = DB_FAIL;
    size_t cap = 0;
    bool ok = s;
    while (ok && (step = db_next(s, e)) == DB_ROW) {
        if (*n == cap) {
            uint32_t *p = realloc(*out, (cap = cap ? 2 * cap : 64) * sizeof *p);
            ok = p || err_nomem(e, "hold");
            if (p) *out = p;
        }
        if (ok) (*out)[(*n)++] = (uint32_t)db_int(s, 0);
    }
    db_done(s);
    db_return(ar->db, d);
    return ok && step == DB_END;
}

static bool note(struct archive *ar, uint32_t volume, bool on, struct err *e) {
    struct db *d = db_side(ar->db, e);
    bool ok = d && sql_run(d, "UPDATE volumes SET held = ?2 WHERE volume = ?1", SQL_VALUES(SQL_I(volume), SQL_I(on)), e);
    db_return(ar->db, d);
    return ok;
}

// One that cannot be flagged now keeps no other back.
static bool flag(struct archive *ar, uint32_t volume, bool on, struct hold_flags *out, struct err *e) {
    struct err why = {0};
    bool done = vol_legal_hold(ar->volumes, volume, on, &why);
    if (!done && why.kind == ERR_UNSUPPORTED) out->lockless = true;
    if (done || (!on && (out->lockless || why.kind == ERR_NOT_FOUND))) { // where there is none, none is left
        *(on ? &out->set : &out->taken) += done;
        return note(ar, volume, on, e);
    }
    if (out->lockless) return true;
    if (why.kind != ERR_NOT_FOUND && why.kind != ERR_BUSY) return *e = why, false;
    log_err(&why, "the legal hold of volume %u is left as it is for now", volume);
    out->unfinished = true;
    return true;
}

static bool flag_all(struct archive *ar, const char *sql, bool on, struct hold_flags *out, struct err *e) {
    uint32_t *volumes = NULL;
    size_t n = 0;
    bool ok = list(ar, sql, &volumes, &n, e);
    for (size_t i = 0; ok && i < n && !(on && out->lockless); i++) ok = flag(ar, volumes[i], on, out, e);
    free(volumes);
    return ok;
}

// An old volume is given up only when the one that was built of it is flagged.
bool hold_settle(struct archive *ar, struct hold_flags *out, struct err *e) {
    struct err own = {0};
    *out = (struct hold_flags){.lockless = !ar->remote};
    if (!ar->remote) return true;
    bool ok = flag_all(ar, TO_FLAG, true, out, &own) && (out->unfinished || flag_all(ar, TO_FREE, false, out, &own));
    if (!ok && e) *e = own;
    return ok;
}
