// Cursors of those that follow the log.
#include "core/audit_cursor.h"

#include <stdio.h>

#include "base/clock.h"
#include "core/audit_part.h"
#include "text/json.h"

// "search" is the index's own, and never behind for long.
#define COLLECTORS "name LIKE 'syslog %'"
enum { DETAIL_BYTES = 8 * 1024, NAME_BYTES = 320 };

bool audit_cursor_begin(struct archive *ar, const char *name, struct err *e) {
    struct db *d = db_side(ar->db, e);
    bool ok = d && sql_run(d, "INSERT INTO audit_cursors (name, seq, at_ms) VALUES (?1, 0, ?2) ON CONFLICT (name) DO NOTHING",
                           SQL_VALUES(SQL_T(str_of(name)), SQL_I(clock_wall_ms())), e);
    db_return(ar->db, d);
    return ok;
}

bool audit_cursor_get(struct archive *ar, const char *name, int64_t *seq, struct err *e) {
    bool found;
    *seq = 0;
    struct db *d = db_reader(ar->db, e);
    bool ok = d && sql_one(d, "SELECT seq FROM audit_cursors WHERE name = ?1", SQL_VALUES(SQL_T(str_of(name))), seq, 1, &found, e);
    db_return(ar->db, d);
    return ok;
}

bool audit_cursor_set(struct archive *ar, const char *name, int64_t seq, const char *trouble, struct err *e) {
    struct db *d = db_side(ar->db, e);
    bool ok = d && sql_run(d,
                           "INSERT INTO audit_cursors (name, seq, trouble, at_ms) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, "
                           "trouble = excluded.trouble, at_ms = excluded.at_ms",
                           SQL_VALUES(SQL_T(str_of(name)), SQL_I(seq), SQL_T(str_of(trouble)), SQL_I(clock_wall_ms())), e);
    db_return(ar->db, d);
    return ok;
}

bool audit_cursor_last(struct archive *ar, char *name, size_t room, int64_t *seq, struct err *e) {
    struct db *d = db_reader(ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, "SELECT name, seq FROM audit_cursors WHERE " COLLECTORS " ORDER BY seq, name LIMIT 1", e) : NULL;
    enum db_step step = s ? db_next(s, e) : DB_FAIL;
    name[0] = '\0';
    *seq = 0;
    if (step == DB_ROW) {
        snprintf(name, room, "%.*s", STR_FMT(db_text(s, 0)));
        *seq = db_int(s, 1);
    }
    db_done(s);
    db_return(ar->db, d);
    return step != DB_FAIL;
}

static bool write_detail(struct buf *to, const struct actor *who, const char *name, struct err *e) {
    struct json_writer j;
    json_init(&j, to, false);
    json_begin_object(&j);
    audit_put_actor(&j, who);
    json_put_strz(&j, "collector", name);
    json_end_object(&j);
    return buf_ok(to, e);
}

static bool take_off(struct archive *ar, struct db *w, const char *name, struct event *ev, struct err *e) {
    if (!archive_begin(ar, w, e) || !sql_run(w, "DELETE FROM audit_cursors WHERE name = ?1", SQL_VALUES(SQL_T(str_of(name))), e)) return false;
    if (db_changes(w) == 0) return err_set(e, ERR_NOT_FOUND, "audit", "no collector '%s' is known", name);
    return event_append(ar, w, ev, e) && db_commit(w, e);
}

bool audit_cursor_forget(struct archive *ar, const struct actor *who, struct str name, struct err *e) {
    char actor[256], full[NAME_BYTES];
    struct buf detail;
    buf_init(&detail, DETAIL_BYTES);
    actor_text(who, actor);
    snprintf(full, sizeof full, "%s%.*s", str_starts(name, STR_LIT("syslog ")) ? "" : "syslog ", STR_FMT(str_sub(name, 0, 256)));
    bool ok = write_detail(&detail, who, full, e);
    struct event ev = {.type = STR_LIT("audit.collector.forgotten"), .actor = str_of(actor), .detail = buf_str(&detail)};
    struct db *w = ok ? db_writer(ar->db, e) : NULL;
    ok = w && take_off(ar, w, full, &ev, e);
    if (w && !ok) db_rollback(w);
    if (w) events_settle(ar, ok);
    db_return(ar->db, w);
    buf_deinit(&detail);
    return ok;
}
