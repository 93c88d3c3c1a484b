// Cursors of those that follow the log.
#include "core/audit_cursor.h"

#include "base/clock.h"
#include "core/audit_part.h"

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
