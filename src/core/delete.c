// Deleting: a tombstone in the volumes names every place that dies, and its commit takes the rows away.
#include <time.h>

#include "base/clock.h"
#include "base/limits.h"
#include "core/graves.h"
#include "core/hold.h"
#include "core/index.h"
#include "core/scope.h"
#include "core/service.h"
#include "core/state.h"
#include "core/word.h"
#include "text/json.h"

enum { TOMBSTONE_BYTES_MAX = 512 << 20, SQL_BYTES = 2048 + SCOPE_SQL_BYTES, SCOPE_BYTES_MAX = 64 * 1024, WAITS_MAX = 5 };

struct burial {
    struct json_writer j;
    struct buf json;
    uint64_t count;
    int64_t latest_ms; // when the last of what dies came
    bool of_tenants;   // there are several
    struct scope scope;
};

// A statement of places; whose: the filter between it and its end.
struct places {
    const char *select, *end;
    void (*filter)(const struct scope *s, struct buf *sql, const char *alias, int parameter);
    const char *whose;
};

static struct db_stmt *prepare_places(const struct burial *g, struct db *d, const struct places *of, struct err *e) {
    struct buf sql;
    buf_init(&sql, SQL_BYTES);
    buf_addz(&sql, of->select);
    if (of->filter) of->filter(&g->scope, &sql, of->whose, 4);
    buf_addz(&sql, of->end);
    buf_addc(&sql, '\0');
    struct db_stmt *s = buf_ok(&sql, e) ? db_prepare(d, sql.p, e) : NULL;
    buf_deinit(&sql);
    if (s && of->filter && !g->scope.everywhere) db_bind_text(s, 4, g->scope.keys);
    return s;
}

static bool add_places(struct burial *g, struct db *d, const struct places *of, const struct str uids[3], uint64_t *count, struct err *e) {
    struct db_stmt *s = prepare_places(g, d, of, e);
    if (!s) return false;
    for (int i = 0; i < 3; i++) db_bind_text(s, i + 1, uids[i].n ? uids[i] : (struct str){NULL, 0});
    enum db_step step;
    while ((step = db_next(s, e)) == DB_ROW) {
        grave_write(&g->j, s, g->of_tenants);
        if (db_int(s, 4) > g->latest_ms) g->latest_ms = db_int(s, 4);
        ++*count;
    }
    db_done(s);
    return step == DB_END;
}

// What is deleted, its conflicting copies (but those of other tenants), and earlier copies of the same that still lie in volumes: else a rebuilt index would find them again.
#define DOOMED                                                                                                               \
    "FROM studies st {join} series se ON se.study = st.id {join} instances i ON i.series = se.id {join} realms r ON r.id = " \
    "st.realm WHERE st.study_uid = ?1 AND (se.series_uid = ?2 OR ?2 IS NULL) AND (i.sop_instance_uid = ?3 OR ?3 IS NULL)"
#define COPIES                                                                                                                                           \
    "SELECT c.volume, c.\"offset\", c.length, c.sop_instance_uid, c.received_ms, c.digest, r.tenant FROM conflicts c {join} realms r ON r.id = c.realm " \
    "WHERE c.kind = 'bytes' AND c.study_uid = ?1 AND (c.series_uid = ?2 OR ?2 IS NULL) AND (c.sop_instance_uid = ?3 OR ?3 IS NULL)"
static const struct places OBJECTS = {"SELECT i.volume, i.\"offset\", i.length, i.sop_instance_uid, i.received_ms, i.digest, r.tenant " DOOMED, "",
                                      scope_filter, "st"};
static const struct places CONFLICTS = {COPIES
                                        " AND (EXISTS (SELECT 1 FROM studies st JOIN realms o ON o.id = st.realm WHERE st.study_uid = c.study_uid AND "
                                        "o.tenant = r.tenant) OR (c.apart = 0 AND NOT EXISTS (SELECT 1 FROM studies st WHERE st.study_uid = c.study_uid)))",
                                        "", NULL, NULL};
// What was moved has its name; where another tenant has copies it may have been one of these.
static const struct places EARLIER = {
    "SELECT dead.volume, dead.\"offset\", dead.length, dead.sop_instance_uid, 0, NULL, '' FROM dead WHERE why <> 'deleted' AND (why <> 'moved' OR NOT EXISTS "
    "(SELECT 1 FROM conflicts c WHERE c.sop_instance_uid = dead.sop_instance_uid AND c.apart = 1)) AND dead.sop_instance_uid IN (SELECT "
    "i.sop_instance_uid " DOOMED,
    ")", scope_filter, "st"};
// Of a study that the asker does not reach: what it sent itself, and was kept aside.
static const struct places OWN_COPIES = {COPIES, "", scope_filter_realm, "c"};

static bool write_places(struct burial *g, struct db *d, bool reached, const struct str uids[3], struct err *e) {
    uint64_t copies = 0;
    json_key(&g->j, "places");
    json_begin_array(&g->j);
    bool ok = reached ? add_places(g, d, &OBJECTS, uids, &g->count, e) && add_places(g, d, &CONFLICTS, uids, &g->count, e) &&
                            add_places(g, d, &EARLIER, uids, &copies, e)
                      : add_places(g, d, &OWN_COPIES, uids, &g->count, e);
    json_end_array(&g->j);
    return ok;
}

// A study that is not reached is not named as one that something is deleted of: whose it is would hear of it.
static void name_study(struct burial *g, bool reached, const struct str uids[3], struct str reason) {
    static const char *const keys[] = {"study", "series", "sop"};
    for (int i = 0; i < 3; i++) json_put_str(&g->j, keys[i], reached ? uids[i] : STR_LIT(""));
    if (!reached) json_put_str(&g->j, "copies_of", uids[2].n ? uids[2] : uids[1].n ? uids[1] : uids[0]);
    json_put_str(&g->j, "reason", reason);
    json_put_int(&g->j, "deleted_ms", clock_wall_ms());
}

// Of a study that is gone there may be copies still, which were kept aside: for who reaches everything, too.
static bool reaches_study(const struct burial *g, struct db *d, struct str study_uid, bool *yes, struct err *e) {
    int64_t one;
    return g->scope.everywhere ? sql_one(d, "SELECT 1 FROM studies WHERE study_uid = ?1", SQL_VALUES(SQL_T(study_uid)), &one, 1, yes, e)
                               : scope_has_study(&g->scope, d, study_uid, yes, e);
}

static bool dig_in(struct burial *g, struct db *d, bool *reached, const struct str uids[3], struct str reason, struct err *e) {
    if (!db_begin(d, e) || !reaches_study(g, d, uids[0], reached, e)) return false;
    json_init(&g->j, &g->json, false);
    json_begin_object(&g->j);
    name_study(g, *reached, uids, reason);
    bool ok = write_places(g, d, *reached, uids, e);
    json_end_object(&g->j);
    return ok && (!*reached || g->count == 0 || hold_allows(d, uids[0], e));
}

// What the asker does not reach is not there, whatever else may be said of it. *reached: the study is; else copies that were kept aside are meant.
static bool dig(struct archive *ar, struct burial *g, bool *reached, const struct str uids[3], struct str reason, struct err *e) {
    struct db *d = db_reader(ar->db, e);
    if (!d) return false;
    g->of_tenants = ar->many_realms || ar->shared;
    bool ok = dig_in(g, d, reached, uids, reason, e);
    db_return(ar->db, d);
    if (!ok || !buf_ok(&g->json, e)) return false;
    return g->count > 0 || err_set(e, ERR_NOT_FOUND, "delete", "nothing is stored under these identifiers");
}

// Tombstones name entries by the millisecond in which they came: what is sent again comes in another.
static void outlast(int64_t latest_ms) {
    for (int i = 0; i < WAITS_MAX && clock_wall_ms() <= latest_ms; i++) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
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
    bool reached = true, ok = scope_of(who, ACCESS_STUDY_DELETE, &a, &g.scope, e) && dig(ar, &g, &reached, uids, reason, e);
    if (ok) outlast(g.latest_ms);
    ok = ok && word_append(ar, who, &(struct word){.kind = VOL_TOMBSTONE, .json = buf_str(&g.json), .study = reached ? study_uid : STR_LIT("")}, e);
    if (ok) *count = g.count;
    buf_deinit(&g.json);
    arena_deinit(&a);
    return ok;
}
