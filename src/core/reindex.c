// A new index from the volumes alone, put in place of the old one when it is whole.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "core/index.h"
#include "core/kept.h"
#include "core/realm.h"
#include "core/service.h"
#include "sys/file.h"

enum { PATH_BYTES = 4096 };

// Under construction; whole, waiting to take its place; in place.
#define BUILDING "index.db.building"
#define READY "index.db.ready"
#define PLACE "index.db"

static void path_of(const char *dir, const char *name, const char *suffix, char out[PATH_BYTES]) {
    snprintf(out, PATH_BYTES, "%.3000s/%s%s", dir, name, suffix);
}

static bool remove_index(const char *dir, const char *name, struct err *e) {
    static const char *const suffixes[] = {"-wal", "-shm", ""};
    char path[PATH_BYTES];
    for (int i = 0; i < 3; i++) {
        path_of(dir, name, suffixes[i], path);
        if (!sys_unlink(NULL, path, e)) return false;
    }
    return true;
}

static bool is_file(const char *path) {
    int fd;
    bool there = sys_open(NULL, path, O_RDONLY, 0, &fd, NULL);
    if (there) sys_close(NULL, fd);
    return there;
}

bool reindex_settle(const char *dir, struct err *e) {
    char ready[PATH_BYTES], place[PATH_BYTES];
    path_of(dir, READY, "", ready);
    path_of(dir, PLACE, "", place);
    if (!is_file(ready)) return true;
    return remove_index(dir, PLACE, e) && sys_rename(NULL, ready, place, e) && sys_flush_dir(NULL, dir, e);
}

static bool gather_ends(struct archive *ar, struct db *w, struct err *e) {
    struct db_stmt *s = db_prepare(w, "SELECT volume, indexed_end FROM old.volumes WHERE finished = 0", NULL);
    bool ok = true;
    while (ok && s && db_next(s, NULL) == DB_ROW) {
        struct known_end *grown = realloc(ar->old_ends, (ar->old_end_count + 1) * sizeof *grown);
        ok = grown || err_nomem(e, "reindex");
        if (!ok) break;
        ar->old_ends = grown;
        ar->old_ends[ar->old_end_count++] = (struct known_end){(uint32_t)db_int(s, 0), (uint64_t)db_int(s, 1)};
    }
    db_done(s);
    return ok;
}

bool reindex_old_ends(struct archive *ar, struct err *e) {
    char old[PATH_BYTES];
    path_of(ar->dir, PLACE, "", old);
    if (!is_file(old)) return true;
    struct db *w = db_writer(ar->db, e);
    if (!w) return false;
    bool ok = true;
    if (sql_run(w, "ATTACH ?1 AS old", SQL_VALUES(SQL_T(str_of(old))), NULL)) {
        ok = gather_ends(ar, w, e);
        db_exec(w, "DETACH old", NULL);
    }
    db_return(ar->db, w);
    return ok;
}

// People, programs and peers, whatever of them can be read: an index of an earlier version has none. Places keep their numbers, and studies that are gone
// the place where they were.
static void carry_kept(struct db *w) {
    char sql[1024];
    struct err why = {0};
    if (!db_exec(w, "INSERT INTO main.realms SELECT * FROM old.realms WHERE id <> 0", &why) ||
        !db_exec(w, "INSERT INTO main.gone_studies SELECT study_uid, realm FROM old.gone_studies", &why))
        log_line(LOG_DEBUG, "reindex", "%s", why.message);
    for (const struct kept_table *t = KEPT_TABLES; t->name; t++) {
        snprintf(sql, sizeof sql, "INSERT INTO main.%s (%s) SELECT %s FROM old.%s", t->name, t->columns, t->columns, t->name);
        err_clear(&why);
        if (!db_exec(w, sql, &why)) log_line(LOG_WARN, "reindex", "%s of the old index cannot be carried over: %s", t->name, why.message);
    }
}

// The old index's events, settings and declared attributes; what cannot be read is not carried over.
static bool carry_over(struct archive *ar, const char *dir, bool *carried, struct err *e) {
    char old[PATH_BYTES];
    int64_t checked;
    struct err why = {0};
    path_of(dir, PLACE, "", old);
    *carried = false;
    if (!is_file(old)) return true;
    struct db *w = db_writer(ar->db, e);
    if (!w) return false;
    bool attached = sql_run(w, "ATTACH ?1 AS old", SQL_VALUES(SQL_T(str_of(old))), &why);
    bool ok = attached && db_begin(w, &why) && db_exec(w, "INSERT INTO main.events SELECT * FROM old.events", &why) &&
              db_exec(w, "INSERT INTO main.settings SELECT * FROM old.settings", &why) &&
              db_exec(w, "INSERT INTO main.audit_cuts SELECT * FROM old.audit_cuts", &why) &&
              db_exec(w, "INSERT INTO main.audit_studies SELECT * FROM old.audit_studies", &why) &&
              db_exec(w, "INSERT INTO main.audit_spools SELECT * FROM old.audit_spools", &why) &&
              db_exec(w, "INSERT INTO main.audit_cursors SELECT * FROM old.audit_cursors WHERE name <> 'search'", &why) && db_commit(w, &why);
    if (!ok) db_rollback(w);
    // Declared before the first header comes, the attributes are whole when the last one has come.
    if (attached) db_exec(w, "INSERT INTO main.searchable_attributes SELECT tag, 0, 1 FROM old.searchable_attributes", NULL);
    if (attached) carry_kept(w);
    if (attached) db_exec(w, "DETACH old", NULL);
    events_settle(ar, false);
    db_return(ar->db, w);
    ok = ok && events_verify(ar, &checked, &why);
    if (!ok) log_err(&why, "the event log of the old index cannot be carried over");
    *carried = ok;
    return true;
}

// A chain that does not hold is not continued: the log begins anew, with what the volumes tell.
static bool drop_events(struct archive *ar, struct err *e) {
    struct db *w = db_writer(ar->db, e);
    bool ok = w && db_exec(w, "DELETE FROM events", e);
    events_settle(ar, false);
    db_return(ar->db, w);
    return ok;
}

static bool note_rebuilt(struct archive *ar, uint64_t objects, struct err *e) {
    char detail[64];
    int n = snprintf(detail, sizeof detail, "{\"entries\":%llu}", (unsigned long long)objects);
    struct event ev = {.type = STR_LIT("index.rebuilt"), .actor = STR_LIT("command:reindex"), .detail = {detail, (size_t)n}};
    struct db *w = db_writer(ar->db, e);
    bool ok = w && db_begin(w, e) && event_append(ar, w, &ev, e) && db_commit(w, e);
    db_return(ar->db, w);
    return ok;
}

bool index_rebuild(struct archive *ar, void (*on_progress)(void *ctx, uint64_t done, uint64_t total), void *ctx, uint64_t *objects, struct err *e) {
    return index_collect_tombstones(ar, e) && realm_load(ar, e) && index_replay(ar, on_progress, ctx, objects, e) && note_rebuilt(ar, *objects, e);
}

static bool build(struct archive *ar, const char *dir, void (*on_progress)(void *ctx, uint64_t done, uint64_t total), void *ctx, uint64_t *objects,
                  struct err *e) {
    bool carried;
    if (!carry_over(ar, dir, &carried, e) || (!carried && !drop_events(ar, e))) return false;
    ar->index->silent = carried;
    return index_rebuild(ar, on_progress, ctx, objects, e);
}

static bool make_ready(const char *dir, struct err *e) {
    char building[PATH_BYTES], ready[PATH_BYTES], log[PATH_BYTES];
    int fd;
    path_of(dir, BUILDING, "", building);
    path_of(dir, READY, "", ready);
    path_of(dir, BUILDING, "-wal", log);
    if (is_file(log)) return err_set(e, ERR_IO, "reindex", "%s could not be finished: see that the disk has room, and try again", building);
    if (!sys_open(NULL, building, O_RDWR, 0, &fd, e)) return false;
    bool ok = sys_flush(NULL, fd, e);
    sys_close(NULL, fd);
    return ok && sys_rename(NULL, building, ready, e) && sys_flush_dir(NULL, dir, e);
}

bool archive_reindex(const char *dir, const struct vol_encryption *encryption, void (*on_progress)(void *ctx, uint64_t done, uint64_t total), void *ctx,
                     uint64_t *objects, struct err *e) {
    struct archive *ar;
    *objects = 0;
    if (strlen(dir) > PATH_BYTES / 2) return err_set(e, ERR_USAGE, "reindex", "the data directory's path is too long");
    if (!archive_open_index(&(struct archive_options){.dir = dir, .encryption = encryption, .must_exist = true}, BUILDING, true, &ar, e)) return false;
    bool ok = build(ar, dir, on_progress, ctx, objects, e);
    int lock = ar->lock_fd; // held until the new index is in place
    ar->lock_fd = -1;
    archive_close(ar);
    ok = ok && make_ready(dir, e) && reindex_settle(dir, e);
    if (!ok) remove_index(dir, BUILDING, NULL);
    archive_unlock(lock);
    return ok;
}
