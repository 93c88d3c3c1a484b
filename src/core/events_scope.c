// Which events an asker may see.
#include <string.h>

#include "core/events.h"
#include "core/scope.h"
#include "core/state.h"
#include "text/json.h"

enum { UIDS_BYTES_MAX = 1 << 20, SQL_BYTES = 1024 + 2 * SCOPE_SQL_BYTES };

// Changes of what is kept; the rest is the audit trail's.
static const char *const OF_STUDIES[] = {"instance.stored",  "instance.conflict", "instance.restored", "instance.damaged",       "instance.lost",
                                         "instance.deleted", "series.deleted",    "study.deleted",     "study.patient-conflict", "study.held",
                                         "study.released",   "study.labelled",    "study.unlabelled",  "study.assigned",         "study.unassigned"};
// Of the server: only for who reaches everything.
static const char *const OF_SERVER[] = {"object.quarantined", "object.discarded", "copy.apart", "store.alarm", "index.rebuilt", "archive.migrated"};

static bool is_one_of(struct str type, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (str_eqz(type, list[i])) return true;
    return false;
}

static bool is_change(const struct event *ev, bool everywhere) {
    return is_one_of(ev->type, OF_STUDIES, sizeof OF_STUDIES / sizeof *OF_STUDIES) ||
           (everywhere && is_one_of(ev->type, OF_SERVER, sizeof OF_SERVER / sizeof *OF_SERVER));
}

// ---- studies ----

static bool list_studies(const struct event *list, unsigned n, struct buf *out, struct err *e) {
    struct json_writer j;
    json_init(&j, out, false);
    json_begin_array(&j);
    for (unsigned i = 0; i < n; i++)
        if (list[i].study_uid.n && (i == 0 || !str_eq(list[i].study_uid, list[i - 1].study_uid))) json_str(&j, list[i].study_uid);
    json_end_array(&j);
    return buf_ok(out, e);
}

static struct db_stmt *prepare(const struct scope *scope, struct db *d, struct err *e) {
    struct buf sql;
    buf_init(&sql, SQL_BYTES);
    buf_addz(&sql, "SELECT st.study_uid FROM {each ?1} u {join} studies st ON st.study_uid = u.value WHERE TRUE");
    scope_filter(scope, &sql, "st", 2);
    buf_addz(&sql, " UNION SELECT gone.study_uid FROM {each ?1} u {join} gone_studies gone ON gone.study_uid = u.value WHERE TRUE");
    scope_filter(scope, &sql, "gone", 2);
    buf_addc(&sql, '\0');
    struct db_stmt *s = buf_ok(&sql, e) ? db_prepare(d, sql.p, e) : NULL;
    buf_deinit(&sql);
    if (s) db_bind_text(s, 2, scope->keys);
    return s;
}

static void mark(const struct event *list, unsigned n, struct str study, bool *reached) {
    for (unsigned i = 0; i < n; i++) reached[i] |= str_eq(list[i].study_uid, study);
}

static bool find_reached(struct db *d, const struct scope *scope, const struct event *list, unsigned n, bool *reached, struct err *e) {
    struct buf uids;
    enum db_step step = DB_FAIL;
    buf_init(&uids, UIDS_BYTES_MAX);
    struct db_stmt *s = list_studies(list, n, &uids, e) ? prepare(scope, d, e) : NULL;
    if (s) db_bind_text(s, 1, buf_str(&uids));
    while (s && (step = db_next(s, e)) == DB_ROW) mark(list, n, db_text(s, 0), reached);
    db_done(s);
    buf_deinit(&uids);
    return step == DB_END;
}

bool events_keep(struct archive *ar, const struct actor *who, const struct scope *scope, struct arena *a, struct event *list, unsigned *n, struct err *e) {
    bool auditor = scope_everywhere(who, ACCESS_AUDIT_READ, NULL);
    unsigned kept = 0;
    if (scope->everywhere && auditor) return true;
    bool *reached = arena_zero(a, *n + 1, sizeof *reached, e);
    if (!reached) return false;
    if (scope->everywhere) {
        memset(reached, 1, *n);
    } else {
        struct db *d = db_reader(ar->db, e);
        bool ok = d && find_reached(d, scope, list, *n, reached, e);
        db_return(ar->db, d);
        if (!ok) return false;
    }
    for (unsigned i = 0; i < *n; i++)
        if (reached[i] && (auditor || is_change(&list[i], scope->everywhere))) list[kept++] = list[i];
    *n = kept;
    return true;
}
