// The state of an archive and all its nodes as JSON, and what of it is worth a warning.
#include <stdarg.h>
#include <stdio.h>

#include "core/nodes.h"
#include "core/state.h"
#include "db/migrate.h"

enum { STATUS_BYTES_MAX = 16 << 20, WARNINGS_MAX = 64, WARNING_BYTES = 200 };

static const char *const PLACES[] = {[VOL_IN_DIRECTORY] = "directory", [VOL_IN_BUCKET] = "bucket", [VOL_IN_INDEX] = "index"};

struct status {
    struct json_writer w;
    struct arena *a;
    char warnings[WARNINGS_MAX][WARNING_BYTES];
    unsigned warning_count;
};

__attribute__((format(printf, 2, 3))) static void warn(struct status *st, const char *format, ...) {
    va_list args;
    if (st->warning_count == WARNINGS_MAX) return;
    va_start(args, format);
    vsnprintf(st->warnings[st->warning_count++], WARNING_BYTES, format, args);
    va_end(args);
}

// Each row of a query without parameters becomes an element of the array `key`.
static bool write_rows(struct status *st, struct db *d, const char *key, const char *sql, void (*row)(struct status *st, struct db_stmt *s), struct err *e) {
    struct db_stmt *s = db_prepare(d, sql, e);
    if (!s) return false;
    json_key(&st->w, key);
    json_begin_array(&st->w);
    enum db_step step;
    while ((step = db_next(s, e)) == DB_ROW) {
        json_begin_object(&st->w);
        row(st, s);
        json_end_object(&st->w);
    }
    json_end_array(&st->w);
    db_done(s);
    return step == DB_END;
}

static void node_row(struct status *st, struct db_stmt *s) {
    struct json_writer *w = &st->w;
    struct str state = db_text(s, 1), figures = db_text(s, 7), name = db_text(s, 0);
    int64_t age_ms = db_int(s, 6);
    bool dead = age_ms >= NODE_DEAD_MS && !str_eqz(state, "stopped");
    json_put_str(w, "name", name);
    json_put_str(w, "state", dead ? STR_LIT("dead") : state);
    json_put_str(w, "version", db_text(s, 2));
    json_put_str(w, "dicom", db_text(s, 3));
    json_put_str(w, "http", db_text(s, 4));
    json_put_int(w, "up_ms", db_int(s, 5));
    json_put_int(w, "seen_ms_ago", age_ms);
    json_key(w, "figures");
    json_raw(w, figures.n ? figures : STR_LIT("{}"));
    if (dead) warn(st, "node %.*s was last heard of %lld s ago", STR_FMT(str_sub(name, 0, 64)), (long long)(age_ms / 1000));
    const struct json *told = json_read(st->a, figures, 4, NULL);
    const struct json *away = json_get(told, "bucket_away"), *full = json_get(told, "full"), *shut = json_get(told, "read_only");
    if (!dead && away && away->kind == JSON_TRUE) warn(st, "node %.*s does not reach the bucket", STR_FMT(str_sub(name, 0, 64)));
    if (!dead && full && full->kind == JSON_TRUE) warn(st, "node %.*s has no room to store", STR_FMT(str_sub(name, 0, 64)));
    if (!dead && shut && shut->kind == JSON_TRUE) warn(st, "node %.*s is read-only: a flush failed", STR_FMT(str_sub(name, 0, 64)));
}

static void lease_row(struct status *st, struct db_stmt *s) {
    json_put_str(&st->w, "name", db_text(s, 0));
    json_put_str(&st->w, "node", db_text(s, 1));
    json_put_int(&st->w, "token", db_int(s, 2));
    json_put_int(&st->w, "left_ms", db_int(s, 3));
}

static void job_row(struct status *st, struct db_stmt *s) {
    struct str kind = db_text(s, 0);
    json_put_str(&st->w, "kind", kind);
    json_put_int(&st->w, "due", db_int(s, 1));
    json_put_int(&st->w, "waiting", db_int(s, 2));
    json_put_int(&st->w, "leased", db_int(s, 3));
    json_put_int(&st->w, "dead", db_int(s, 4));
    if (db_int(s, 4)) warn(st, "%lld dead jobs of kind %.*s: 'gantry cluster jobs' shows them", (long long)db_int(s, 4), STR_FMT(str_sub(kind, 0, 64)));
}

static void volume_row(struct status *st, struct db_stmt *s) {
    int64_t place = db_int(s, 0);
    json_put_strz(&st->w, "place", place >= 0 && place <= VOL_IN_INDEX ? PLACES[place] : "other");
    json_put_str(&st->w, "class", db_text(s, 1));
    json_put_int(&st->w, "volumes", db_int(s, 2));
    json_put_int(&st->w, "bytes", db_int(s, 3));
    json_put_int(&st->w, "removed", db_int(s, 4));
    json_put_int(&st->w, "to_merge", db_int(s, 5));
}

static bool write_events(struct status *st, struct db *d, struct err *e) {
    struct db_stmt *s = db_prepare(d, "SELECT seq, time_ms, {now} - time_ms FROM events ORDER BY seq DESC LIMIT 1", e);
    if (!s) return false;
    enum db_step step = db_next(s, e);
    json_key(&st->w, "events");
    json_begin_object(&st->w);
    json_put_int(&st->w, "last", step == DB_ROW ? db_int(s, 0) : 0);
    if (step == DB_ROW) json_put_int(&st->w, "last_ms", db_int(s, 1));
    if (step == DB_ROW) json_put_int(&st->w, "last_ms_ago", db_int(s, 2));
    json_end_object(&st->w);
    db_done(s);
    return step != DB_FAIL;
}

static bool write_engine(struct status *st, struct archive *ar, struct db *d, struct err *e) {
    struct db_stmt *s = db_prepare(d, "SELECT coalesce(max(number), 0), {now} FROM migrations", e);
    if (!s) return false;
    bool ok = db_next(s, e) == DB_ROW;
    json_put_strz(&st->w, "engine", db_pool_engine(ar->db) == DB_POSTGRES ? "postgresql" : "sqlite");
    if (ok) json_put_int(&st->w, "schema", db_int(s, 0));
    json_put_uint(&st->w, "schema_known", DB_MIGRATION_COUNT);
    if (ok) json_put_int(&st->w, "time_ms", db_int(s, 1));
    db_done(s);
    return ok;
}

static const char NODES[] = "SELECT name, state, version, dicom, http, {now} - started_ms, {now} - seen_ms, figures FROM nodes ORDER BY name";
static const char LEASES[] = "SELECT name, node, token, until_ms - {now} FROM leases WHERE until_ms > {now} ORDER BY name";
static const char JOBS[] = "SELECT kind, CAST(sum(CASE WHEN dead = 0 AND until_ms <= {now} AND due_ms <= {now} THEN 1 ELSE 0 END) AS BIGINT), "
                           "CAST(sum(CASE WHEN dead = 0 AND until_ms <= {now} AND due_ms > {now} THEN 1 ELSE 0 END) AS BIGINT), CAST(sum(CASE WHEN dead = 0 "
                           "AND until_ms > {now} THEN 1 ELSE 0 END) AS BIGINT), "
                           "CAST(sum(dead) AS BIGINT) FROM jobs GROUP BY kind ORDER BY kind";
static const char VOLUMES[] =
    "SELECT place, storage_class, CAST(sum(CASE WHEN removed_ms IS NULL THEN 1 ELSE 0 END) AS BIGINT), "
    "CAST(sum(CASE WHEN removed_ms IS NULL THEN size ELSE 0 END) AS BIGINT), CAST(sum(CASE WHEN removed_ms IS NULL THEN 0 ELSE 1 END) AS BIGINT), "
    "CAST(sum(CASE WHEN removed_ms IS NULL AND batch >= 0 AND place <> 0 THEN 1 ELSE 0 END) AS BIGINT) FROM volumes GROUP BY place, storage_class ORDER BY "
    "place, storage_class";

static void write_warnings(struct status *st) {
    json_key(&st->w, "warnings");
    json_begin_array(&st->w);
    for (unsigned i = 0; i < st->warning_count; i++) json_strz(&st->w, st->warnings[i]);
    json_end_array(&st->w);
}

static bool write_all(struct status *st, struct archive *ar, struct db *d, struct err *e) {
    json_begin_object(&st->w);
    if (!write_engine(st, ar, d, e) || !write_rows(st, d, "nodes", NODES, node_row, e) || !write_rows(st, d, "leases", LEASES, lease_row, e)) return false;
    if (!write_rows(st, d, "jobs", JOBS, job_row, e) || !write_rows(st, d, "volumes", VOLUMES, volume_row, e) || !write_events(st, d, e)) return false;
    write_warnings(st);
    json_end_object(&st->w);
    return true;
}

bool cluster_status_json(struct archive *ar, struct arena *a, struct str *out, struct err *e) {
    struct buf b;
    struct status *st = arena_zero(a, 1, sizeof *st, e);
    struct db *d = st ? db_reader(ar->db, e) : NULL;
    if (!d) return false;
    buf_init(&b, STATUS_BYTES_MAX);
    json_init(&st->w, &b, false);
    st->a = a;
    bool ok = write_all(st, ar, d, e) && buf_ok(&b, e) && arena_dup(a, buf_str(&b), out, e);
    buf_deinit(&b);
    db_return(ar->db, d);
    return ok;
}
