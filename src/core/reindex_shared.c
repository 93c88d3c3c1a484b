// A new index of an archive of several nodes from what lies in its bucket: built in a schema beside the old one, which it replaces when it is whole.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "core/index.h"
#include "core/kept.h"
#include "core/nodes.h"
#include "core/service.h"

enum { SCHEMA_MAX = 48, SQL_BYTES = 1024, STATEMENT_MS = 24 * 3600 * 1000 };

struct rebuild {
    struct archive_options options; // of the archive as it is
    const char *schema;
    struct db_pool *old;
    struct archive *guard; // the old one: in it nobody else writes meanwhile
    struct lease alone;
    struct archive *ar; // the new one
};

// ---- the old index ----

static bool run_in(struct db *d, const struct rebuild *r, const char *format, struct err *e) {
    char sql[SQL_BYTES], *to = sql;
    for (const char *p = format; *p && to - sql < SQL_BYTES - SCHEMA_MAX - 1; p++) {
        if (*p == '@')
            to += sprintf(to, "%s", r->schema);
        else
            *to++ = *p;
    }
    *to = '\0';
    return db_exec(d, sql, e);
}

static bool good_name(const char *schema, struct err *e) {
    bool good = schema[0] && strlen(schema) < SCHEMA_MAX && !strpbrk(schema, "\"@");
    return good || err_set(e, ERR_USAGE, "reindex", "the schema's name '%s' is too long, or no name that another can be made of", schema);
}

// Nobody may work on an index that is about to be another.
static bool be_alone(struct rebuild *r, struct err *e) {
    struct archive_options o = r->options;
    o.arriving = o.read_only = o.beside = true;
    return archive_open(&o, &r->guard, e) && lease_take_alone(r->guard, &r->alone, e);
}

static bool open_old(struct rebuild *r, struct err *e) {
    const struct archive_options *o = &r->options;
    const struct db_options db = {.url = o->database_url, .schema = r->schema, .connections = 4, .statement_ms = STATEMENT_MS};
    if (!db_pool_open(&db, &r->old, e)) return false;
    struct db *w = db_writer(r->old, e);
    bool ok = w && run_in(w, r, "DROP SCHEMA IF EXISTS \"@_building\" CASCADE", e) && run_in(w, r, "DROP SCHEMA IF EXISTS \"@_before\" CASCADE", e);
    db_return(r->old, w);
    return ok;
}

// Volumes that are kept in the index are nowhere else, and those that only wait to be removed are not looked at again.
static const char LIVING_VOLUMES[] =
    "INSERT INTO \"@_building\".volumes (volume, indexed_end, finished, place, size, created_ms, storage_class) SELECT volume, 0, 0, place, size, created_ms, "
    "storage_class FROM \"@\".volumes WHERE removed_ms IS NULL";
static const char REMOVED_VOLUMES[] =
    "INSERT INTO \"@_building\".volumes (volume, indexed_end, finished, place, size, created_ms, removed_ms, storage_class) SELECT volume, indexed_end, 1, "
    "place, size, created_ms, removed_ms, storage_class FROM \"@\".volumes WHERE removed_ms IS NOT NULL";
static const char *const CARRIED[] = {
    "INSERT INTO \"@_building\".settings SELECT * FROM \"@\".settings ON CONFLICT DO NOTHING",
    "INSERT INTO \"@_building\".audit_cuts SELECT * FROM \"@\".audit_cuts",
    "INSERT INTO \"@_building\".audit_studies SELECT * FROM \"@\".audit_studies",
    "INSERT INTO \"@_building\".audit_spools SELECT * FROM \"@\".audit_spools",
    "INSERT INTO \"@_building\".audit_cursors SELECT * FROM \"@\".audit_cursors WHERE name <> 'search'",
    "INSERT INTO \"@_building\".searchable_attributes SELECT tag, 0, 1 FROM \"@\".searchable_attributes",
    "INSERT INTO \"@_building\".graves SELECT * FROM \"@\".graves",
    "INSERT INTO \"@_building\".volume_pieces SELECT * FROM \"@\".volume_pieces",
    LIVING_VOLUMES,
    REMOVED_VOLUMES,
    "UPDATE \"@_building\".counters SET value = (SELECT value FROM \"@\".counters WHERE name = 'volume') WHERE name = 'volume'",
};

// People, programs, peers, places and where studies that are gone belonged, which no volume can give back.
static bool carry_kept(struct db *w, const struct rebuild *r, struct err *e) {
    char sql[SQL_BYTES];
    if (!run_in(w, r, "INSERT INTO \"@_building\".realms SELECT * FROM \"@\".realms WHERE id <> 0", e) ||
        !run_in(w, r, "INSERT INTO \"@_building\".gone_studies SELECT study_uid, realm FROM \"@\".gone_studies", e))
        return false;
    for (const struct kept_table *t = KEPT_TABLES; t->name; t++) {
        snprintf(sql, sizeof sql, "INSERT INTO \"@_building\".%s (%s) SELECT %s FROM \"@\".%s", t->name, t->columns, t->columns, t->name);
        if (!run_in(w, r, sql, e)) return false;
    }
    snprintf(sql, sizeof sql, "\"%s_building\".", r->schema);
    return kept_number(w, sql, e);
}

static bool carry(struct rebuild *r, struct err *e) {
    struct db *w = db_writer(r->old, e);
    bool ok = w && db_begin(w, e);
    for (size_t i = 0; ok && i < sizeof CARRIED / sizeof *CARRIED; i++) ok = run_in(w, r, CARRIED[i], e);
    ok = ok && carry_kept(w, r, e) && db_commit(w, e);
    if (!ok && w) db_rollback(w);
    db_return(r->old, w);
    return ok;
}

// A chain that does not hold is not continued: the log begins anew, with what the volumes tell.
static bool carry_events(struct rebuild *r, bool *carried, struct err *e) {
    int64_t checked;
    struct err why = {0};
    struct db *w = db_writer(r->old, e);
    bool ok = w && run_in(w, r, "INSERT INTO \"@_building\".events SELECT * FROM \"@\".events", e);
    db_return(r->old, w);
    events_settle(r->ar, false);
    if (!ok) return false;
    *carried = events_verify(r->ar, &checked, &why);
    if (*carried) return true;
    log_err(&why, "the event log of the old index cannot be carried over");
    w = db_writer(r->old, e);
    ok = w && run_in(w, r, "DELETE FROM \"@_building\".events", e);
    db_return(r->old, w);
    return ok;
}

// ---- the new one ----

struct listing {
    struct db *w;
};

// What lies in the bucket and was not known, or not as it is.
static bool note_volume(void *ctx, const struct vol_info *v, struct err *e) {
    struct listing *l = ctx;
    return v->place != VOL_IN_BUCKET ||
           sql_run(l->w, "INSERT INTO volumes (volume, indexed_end, finished, place, size, created_ms) VALUES (?1, 0, 0, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                   SQL_VALUES(SQL_I(v->volume), SQL_I(VOL_IN_BUCKET), SQL_I(v->size), SQL_I(v->created_ms)), e);
}

static bool list_bucket(struct rebuild *r, struct err *e) {
    struct listing l = {db_side(r->ar->db, e)};
    bool ok = l.w && vol_each(r->ar->volumes, note_volume, &l, e) &&
              sql_run(l.w, "UPDATE counters SET value = {greatest}(value, (SELECT coalesce(max(volume), 0) FROM volumes)) WHERE name = 'volume'", NULL, 0, e);
    db_return(r->ar->db, l.w);
    return ok;
}

static bool build(struct rebuild *r, void (*on_progress)(void *ctx, uint64_t done, uint64_t total), void *ctx, uint64_t *objects, struct err *e) {
    struct archive_options o = r->options;
    char name[SCHEMA_MAX + 16];
    bool carried = false;
    snprintf(name, sizeof name, "%s_building", r->schema);
    o.database_schema = name;
    o.database_statement_ms = STATEMENT_MS;
    if (!archive_open_index(&o, "index.db", true, &r->ar, e)) return false;
    if (!carry(r, e) || !carry_events(r, &carried, e) || !list_bucket(r, e)) return false;
    r->ar->index->silent = carried;
    return index_rebuild(r->ar, on_progress, ctx, objects, e);
}

static bool swap(struct rebuild *r, struct err *e) {
    struct db *w = db_writer(r->old, e);
    bool ok = w && db_begin(w, e) && lease_check(w, &r->alone, e) && run_in(w, r, "ALTER SCHEMA \"@\" RENAME TO \"@_before\"", e) &&
              run_in(w, r, "ALTER SCHEMA \"@_building\" RENAME TO \"@\"", e) && db_commit(w, e);
    if (!ok && w) db_rollback(w);
    if (ok && !run_in(w, r, "DROP SCHEMA IF EXISTS \"@_before\" CASCADE", NULL))
        log_line(LOG_WARN, "reindex", "the old index could not be dropped: it lies in the schema %s_before", r->schema);
    db_return(r->old, w);
    return ok;
}

static void drop_building(struct rebuild *r) {
    struct db *w = db_writer(r->old, NULL);
    if (w) run_in(w, r, "DROP SCHEMA IF EXISTS \"@_building\" CASCADE", NULL);
    db_return(r->old, w);
}

bool archive_reindex_shared(const struct archive_options *o, void (*on_progress)(void *ctx, uint64_t done, uint64_t total), void *ctx, uint64_t *objects,
                            struct err *e) {
    struct rebuild r = {.options = *o, .schema = o->database_schema ? o->database_schema : "gantry"};
    *objects = 0;
    bool ok = good_name(r.schema, e) && be_alone(&r, e) && open_old(&r, e) && build(&r, on_progress, ctx, objects, e);
    archive_close(r.ar);
    ok = ok && swap(&r, e);
    if (!ok && r.old) drop_building(&r);
    db_pool_close(r.old);
    if (r.guard) lease_drop(r.guard, &r.alone);
    archive_close(r.guard);
    return ok;
}
