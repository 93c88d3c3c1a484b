// Deleting: a tombstone in the volumes names every place that dies, and its commit takes the rows away.
#include "base/clock.h"
#include "base/limits.h"
#include "core/graves.h"
#include "core/hold.h"
#include "core/index.h"
#include "core/scope.h"
#include "core/service.h"
#include "core/word.h"
#include "text/json.h"

enum { TOMBSTONE_BYTES_MAX = 512 << 20, SQL_BYTES = 1024 + SCOPE_SQL_BYTES, SCOPE_BYTES_MAX = 64 * 1024 };

struct burial {
    struct json_writer j;
    struct buf json;
    uint64_t count;
    struct scope scope;
};

static struct db_stmt *prepare_places(const struct burial *g, struct db *d, const char *select, const char *end, struct err *e) {
    struct buf sql;
    buf_init(&sql, SQL_BYTES);
    buf_addz(&sql, select);
    if (end) scope_filter(&g->scope, &sql, "st", 4);
    buf_addz(&sql, end ? end : "");
    buf_addc(&sql, '\0');
    struct db_stmt *s = buf_ok(&sql, e) ? db_prepare(d, sql.p, e) : NULL;
    buf_deinit(&sql);
    if (s && end && !g->scope.everywhere) db_bind_text(s, 4, g->scope.keys);
    return s;
}

// end: what follows after the studies' scope; NULL when the statement is not of studies.
static bool add_places(struct burial *g, struct db *d, const char *select, const char *end, const struct str uids[3], uint64_t *count, struct err *e) {
    struct db_stmt *s = prepare_places(g, d, select, end, e);
    if (!s) return false;
    for (int i = 0; i < 3; i++) db_bind_text(s, i + 1, uids[i].n ? uids[i] : (struct str){NULL, 0});
    enum db_step step;
    while ((step = db_next(s, e)) == DB_ROW) {
        grave_write(&g->j, s);
        ++*count;
    }
    db_done(s);
    return step == DB_END;
}

// What is deleted, its conflicting copies (but those of other tenants), and earlier copies of the same that still lie in volumes: else a rebuilt index would find them again.
#define DOOMED                                                                                     \
    "FROM studies st {join} series se ON se.study = st.id {join} instances i ON i.series = se.id " \
    "WHERE st.study_uid = ?1 AND (se.series_uid = ?2 OR ?2 IS NULL) AND (i.sop_instance_uid = ?3 OR ?3 IS NULL)"
static const char OBJECTS[] = "SELECT i.volume, i.\"offset\", i.length, i.sop_instance_uid, i.received_ms, i.digest " DOOMED;
static const char CONFLICTS[] =
    "SELECT volume, \"offset\", length, sop_instance_uid, received_ms, digest FROM conflicts WHERE kind = 'bytes' AND apart = 0 AND study_uid = ?1 AND "
    "(series_uid = ?2 OR ?2 IS NULL) AND (sop_instance_uid = ?3 OR ?3 IS NULL)";
static const char COPIES[] =
    "SELECT dead.volume, dead.\"offset\", dead.length, dead.sop_instance_uid, 0, NULL FROM dead WHERE why <> 'deleted' AND sop_instance_uid IN "
    "(SELECT i.sop_instance_uid " DOOMED;

static bool write_places(struct burial *g, struct db *d, const struct str uids[3], struct err *e) {
    uint64_t copies = 0;
    json_key(&g->j, "places");
    json_begin_array(&g->j);
    bool ok = add_places(g, d, OBJECTS, "", uids, &g->count, e) && add_places(g, d, CONFLICTS, NULL, uids, &g->count, e) &&
              add_places(g, d, COPIES, ")", uids, &copies, e);
    json_end_array(&g->j);
    return ok;
}

// What the asker does not reach is not there, whatever else may be said of it.
static bool may_dig(const struct burial *g, struct db *d, struct str study_uid, struct err *e) {
    bool found;
    if (!scope_has_study(&g->scope, d, study_uid, &found, e)) return false;
    return found ? hold_allows(d, study_uid, e) : err_set(e, ERR_NOT_FOUND, "delete", "nothing is stored under these identifiers");
}

static bool dig(struct archive *ar, struct burial *g, const struct str uids[3], struct str reason, struct err *e) {
    struct db *d = db_reader(ar->db, e);
    if (!d) return false;
    json_init(&g->j, &g->json, false);
    json_begin_object(&g->j);
    json_put_str(&g->j, "study", uids[0]);
    json_put_str(&g->j, "series", uids[1]);
    json_put_str(&g->j, "sop", uids[2]);
    json_put_str(&g->j, "reason", reason);
    json_put_int(&g->j, "deleted_ms", clock_wall_ms());
    bool ok = db_begin(d, e) && may_dig(g, d, uids[0], e) && write_places(g, d, uids, e);
    json_end_object(&g->j);
    db_return(ar->db, d);
    if (!ok || !buf_ok(&g->json, e)) return false;
    return g->count > 0 || err_set(e, ERR_NOT_FOUND, "delete", "nothing is stored under these identifiers");
}

bool archive_delete(struct archive *ar, const struct actor *who, struct str study_uid, struct str series_uid, struct str sop_uid, struct str reason,
                    uint64_t *count, struct err *e) {
    const struct str uids[3] = {study_uid, series_uid, sop_uid};
    struct burial g = {.count = 0};
    struct arena a;
    *count = 0;
    if (study_uid.n == 0) return err_set(e, ERR_USAGE, "delete", "a Study Instance UID must be given");
    // Before anything is written: a tombstone that its own commit refuses would still count when the index is rebuilt.
    if (reason.n > STORE_NOTE_BYTES_MAX) return err_set(e, ERR_TOO_LARGE, "delete", "a reason of more than %d bytes", STORE_NOTE_BYTES_MAX);
    arena_init(&a, SCOPE_BYTES_MAX);
    buf_init(&g.json, TOMBSTONE_BYTES_MAX);
    bool ok = scope_of(who, ACCESS_STUDY_DELETE, &a, &g.scope, e) && dig(ar, &g, uids, reason, e) &&
              word_append(ar, who, &(struct word){.kind = VOL_TOMBSTONE, .json = buf_str(&g.json), .study = study_uid}, e);
    if (ok) *count = g.count;
    buf_deinit(&g.json);
    arena_deinit(&a);
    return ok;
}
