// Opening and closing an archive.
#include "core/archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "core/index.h"
#include "core/realm.h"
#include "core/state.h"
#include "sys/file.h"
#include "sys/lockfile.h"

enum { INDEX_CACHE_KIB = 1024, INDEX_CONNECTIONS = 24, PATH_BYTES = 4096 };

static const char *const DOORS[] = {[DOOR_DIMSE] = "dimse", [DOOR_DICOMWEB] = "dicomweb", [DOOR_COMMAND] = "command", [DOOR_PAGE] = "page", [DOOR_JOB] = "job"};

void actor_text(const struct actor *who, char out[256]) {
    struct str name = who->aet.n ? who->aet : who->user;
    const struct str parts[] = {str_of(DOORS[who->door]), STR_LIT(":"), str_sub(name, 0, 128), str_sub(STR_LIT("@"), 0, who->address.n),
                                str_sub(who->address, 0, 100)};
    size_t n = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; n += parts[i].n, i++)
        if (parts[i].n) memcpy(out + n, parts[i].p, parts[i].n);
    out[n] = '\0';
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)out[i] < 0x20 || (unsigned char)out[i] > 0x7e) out[i] = '?';
}

struct db_pool *archive_db(struct archive *a) {
    return a->db;
}

struct vol_set *archive_volumes(struct archive *a) {
    return a->volumes;
}

// On any thread, perhaps under the store's locks: only kept; the next commit writes it as an event.
static void on_alarm(void *ctx, const struct err *why) {
    struct archive *ar = ctx;
    pthread_mutex_lock(&ar->alarm_lock);
    ar->alarm = *why;
    ar->alarms++;
    pthread_mutex_unlock(&ar->alarm_lock);
}

static bool open_index(struct archive *ar, const struct archive_options *o, const char *name, bool fresh, struct err *e) {
    static const char *const suffixes[] = {"-wal", "-shm", ""};
    char path[PATH_BYTES], part[PATH_BYTES + 8];
    snprintf(path, sizeof path, "%s/%s", ar->dir, name);
    for (int i = 0; fresh && i < 3; i++) {
        snprintf(part, sizeof part, "%s%s", path, suffixes[i]);
        if (!sys_unlink(NULL, part, e)) return false;
    }
    struct err own = {0};
    const struct db_options db = {.path = path,
                                  .cache_kib = INDEX_CACHE_KIB,
                                  .url = o->database_url,
                                  .schema = o->database_schema,
                                  .connections = o->database_connections ? o->database_connections : INDEX_CONNECTIONS,
                                  .statement_ms = o->database_statement_ms,
                                  .node = ar->node};
    if (db_pool_open(&db, &ar->db, &own)) {
        if (ar->shared) db_pool_set_gate(ar->db, node_may_write, ar);
        return index_open(ar, e);
    }
    if (own.kind == ERR_CORRUPT) err_wrap(&own, "the index is damaged (the objects are not): make a new one with 'gantry reindex'");
    if (e) *e = own;
    return false;
}

static bool open_volumes(struct archive *ar, const struct archive_options *o, struct err *e) {
    struct vol_options v = {.dir = ar->dir,
                            .remote = o->remote,
                            .encryption = o->encryption,
                            .volume_bytes = o->volume_bytes,
                            .read_only = o->read_only,
                            .index = index_callbacks(ar),
                            .known_end = index_known_end,
                            .alarm = on_alarm,
                            .files = o->files};
    return vol_open(&v, &ar->volumes, e);
}

static bool load_tail(struct archive *ar, struct err *e) {
    bool found;
    struct db *d = db_reader(ar->db, e);
    bool ok = d && sql_one(d, "SELECT coalesce(max(seq), 0) FROM events", NULL, 0, &ar->tail.committed, 1, &found, e);
    db_return(ar->db, d);
    return ok;
}

static bool catch_up(struct archive *ar, struct err *e) {
    uint64_t count = 0;
    if (ar->read_only || ar->remote) return true;
    if (!index_replay(ar, NULL, NULL, &count, e)) return false;
    if (count) log_line(LOG_INFO, "archive", "indexed %llu entries that the index had not seen", (unsigned long long)count);
    return true;
}

static bool exists(const char *dir, struct err *e) {
    struct sys_stat st;
    int fd;
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/volumes", dir);
    if (!sys_open(NULL, path, 0, 0, &fd, NULL)) return err_set(e, ERR_NOT_FOUND, "archive", "%s holds no archive", dir);
    bool ok = sys_stat_fd(fd, &st, e);
    sys_close(NULL, fd);
    return ok;
}

static bool make_dirs(const char *dir, struct err *e) {
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s", dir);
    for (char *p = path + 1; *p; p++) {
        if (*p != '/') continue;
        *p = '\0';
        if (!sys_mkdir(path, e)) return false;
        *p = '/';
    }
    return sys_mkdir(path, e);
}

static bool take_lock(struct archive *ar, struct err *e) {
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/lock", ar->dir);
    return lockfile_take(path, &ar->lock_fd, e);
}

void archive_unlock(int lock_fd) {
    lockfile_drop(lock_fd);
}

bool archive_is_arriving(struct archive *ar, bool *arriving, struct err *e) {
    int64_t one;
    struct db *d = db_reader(ar->db, e);
    bool ok = d && sql_one(d, "SELECT 1 FROM settings WHERE name = '" ARCHIVE_ARRIVING "'", NULL, 0, &one, 1, arriving, e);
    db_return(ar->db, d);
    return ok;
}

static bool may_open(struct archive *ar, const struct archive_options *o, struct err *e) {
    bool arriving = false;
    if (o->arriving) return true;
    if (!archive_is_arriving(ar, &arriving, e)) return false;
    return !arriving || err_set(e, ERR_BUSY, "archive", "this archive is being moved here and is not whole: finish that with 'gantry migrate --finish'");
}

// A bucket that is away keeps nobody from starting.
static bool catch_up_numbers(struct archive *ar, const struct archive_options *o, struct err *e) {
    struct err why = {0};
    if (!ar->remote || ar->read_only || o->arriving || volumes_catch_up(ar, &why)) return true;
    if (why.kind != ERR_NET && why.kind != ERR_TIMEOUT && why.kind != ERR_BUSY) return *e = why, false;
    log_err(&why, "whether the bucket has volumes that the index does not count cannot be told");
    return true;
}

static bool open_all(struct archive *ar, const struct archive_options *o, const char *index_name, bool fresh, struct err *e) {
    if (!o->beside && (!take_lock(ar, e) || (!ar->shared && !reindex_settle(ar->dir, e)))) return false;
    if (!open_index(ar, o, index_name, fresh, e) || !may_open(ar, o, e) || (fresh && !reindex_old_ends(ar, e))) return false;
    if (!o->read_only && !o->arriving && !audit_watch_open(ar, fresh, e)) return false;
    if (!open_volumes(ar, o, e) || !realm_load(ar, e)) return false;
    return fresh ||
           ((o->arriving || catch_up(ar, e)) && catch_up_numbers(ar, o, e) && load_tail(ar, e) && (!ar->shared || ar->read_only || events_listen(ar, e)));
}

// A command has a name of its own: nobody takes it for a node.
static void name_node(struct archive *ar, const struct archive_options *o) {
    char host[32] = "";
    if (!o->node) gethostname(host, sizeof host - 1);
    if (o->node)
        snprintf(ar->node, sizeof ar->node, "%s", o->node);
    else
        snprintf(ar->node, sizeof ar->node, "command:%s:%ld", host, (long)getpid());
}

bool archive_open_index(const struct archive_options *o, const char *index_name, bool fresh, struct archive **out, struct err *e) {
    *out = NULL;
    if (strlen(o->dir) > PATH_BYTES / 2) return err_set(e, ERR_USAGE, "archive", "the data directory's path is too long");
    if (o->must_exist ? !exists(o->dir, e) : !make_dirs(o->dir, e)) return err_wrap(e, "data directory %s", o->dir);
    struct archive *ar = calloc(1, sizeof *ar);
    if (!ar) return err_nomem(e, "archive");
    ar->lock_fd = -1;
    ar->read_only = o->read_only;
    ar->shared = o->database_url;
    ar->remote = o->remote;
    ar->dir = strdup(o->dir);
    pthread_mutex_init(&ar->verified.lock, NULL);
    part_cache_init(&ar->parts);
    moved_init(&ar->moved);
    pthread_mutex_init(&ar->kept_lock, NULL);
    pthread_mutex_init(&ar->alarm_lock, NULL);
    pthread_mutex_init(&ar->watch.lock, NULL);
    events_init(ar);
    ingest_memory_init(ar);
    name_node(ar, o);
    ar->keeps_small = !o->remote || o->remote->small_bytes > 0;
    bool ok = ar->dir ? leases_init(ar, e) && open_all(ar, o, index_name, fresh, e) : err_nomem(e, "archive");
    if (ok)
        *out = ar;
    else
        archive_close(ar);
    return ok;
}

bool archive_open(const struct archive_options *o, struct archive **out, struct err *e) {
    return archive_open_index(o, "index.db", false, out, e);
}

void archive_close(struct archive *ar) {
    if (!ar) return;
    audit_stop(ar);
    leases_deinit(ar);
    events_unlisten(ar);
    vol_close(ar->volumes);
    audit_watch_close(ar);
    index_close(ar);
    db_pool_close(ar->db);
    ingest_memory_deinit(ar);
    events_deinit(ar);
    pthread_mutex_destroy(&ar->verified.lock);
    part_cache_deinit(&ar->parts);
    moved_deinit(&ar->moved);
    pthread_mutex_destroy(&ar->kept_lock);
    pthread_mutex_destroy(&ar->alarm_lock);
    pthread_mutex_destroy(&ar->watch.lock);
    lockfile_drop(ar->lock_fd);
    free(ar->old_ends);
    free(ar->dir);
    free(ar);
}
