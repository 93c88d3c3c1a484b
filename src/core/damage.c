// Damaged objects and missing volumes: said in the index when they are found.
#include "core/damage.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "core/events.h"
#include "core/index.h"
#include "core/moved.h"
#include "text/json.h"

enum { NAMED_MAX = 20 }; // missing ones that are told by their numbers

static bool stop_at_first(void *ctx, const struct vol_entry *en, bool damaged, struct err *e) {
    (void)ctx, (void)en, (void)damaged, (void)e;
    return false;
}

bool damage_is_there(struct archive *ar, uint32_t volume) {
    struct err why = {0};
    return vol_scan(ar->volumes, volume, 0, false, stop_at_first, NULL, NULL, &why) || why.kind != ERR_NOT_FOUND;
}

// ---- volumes ----

static void describe(const uint32_t *volumes, size_t count, char out[512]) {
    int n = snprintf(out, 512, "%zu volume%s that the index knows %s not there:", count, count == 1 ? "" : "s", count == 1 ? "is" : "are");
    for (size_t i = 0; i < count && i < NAMED_MAX; i++) n += snprintf(out + n, 512 - (size_t)n, " %u", volumes[i]);
    if (count > NAMED_MAX) snprintf(out + n, 512 - (size_t)n, " ...");
}

bool damage_alarm(struct archive *ar, struct db *w, const char *message, struct err *e) {
    struct buf detail;
    struct json_writer j;
    buf_init(&detail, 4096);
    json_init(&j, &detail, false);
    json_begin_object(&j);
    json_put_strz(&j, "message", message);
    json_end_object(&j);
    struct event ev = {.type = STR_LIT("store.alarm"), .actor = STR_LIT("job:store"), .detail = buf_str(&detail)};
    bool ok = buf_ok(&detail, e) && event_append(ar, w, &ev, e);
    buf_deinit(&detail);
    return ok;
}

static bool end(struct archive *ar, struct db *w, bool ok) {
    if (w && !ok) db_rollback(w);
    if (w) events_settle(ar, ok);
    db_return(ar->db, w);
    return ok;
}

static bool mark_volumes(struct db *w, const char *sql, const uint32_t *volumes, size_t n, struct err *e) {
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) ok = sql_run(w, sql, SQL_VALUES(SQL_I(volumes[i])), e);
    return ok;
}

bool damage_tell_missing(struct archive *ar, const uint32_t *volumes, size_t n, struct err *e) {
    char message[512];
    describe(volumes, n, message);
    log_line(LOG_ERROR, "store", "%s: what lies in them is taken anew when it is sent again", message);
    struct db *w = db_writer(ar->db, e);
    bool ok = w && archive_begin(ar, w, e) && damage_alarm(ar, w, message, e) &&
              mark_volumes(w, "UPDATE volumes SET batch = " VOLUME_MISSING " WHERE volume = ?1", volumes, n, e) && db_commit(w, e);
    return end(ar, w, ok);
}

bool damage_found_again(struct archive *ar, const uint32_t *volumes, size_t n, struct err *e) {
    struct db *w = db_writer(ar->db, e);
    bool ok = w && archive_begin(ar, w, e) &&
              mark_volumes(w, "UPDATE volumes SET batch = " VOLUME_LEFT " WHERE volume = ?1 AND batch = " VOLUME_MISSING, volumes, n, e) && db_commit(w, e);
    for (size_t i = 0; ok && i < n; i++) log_line(LOG_INFO, "store", "volume %u, which was missing, is there again", volumes[i]);
    return end(ar, w, ok);
}

// ---- one object ----

#define ITS_ROW SQL_VALUES(SQL_I(ref->id), SQL_I(at.volume), SQL_I(at.offset), SQL_B(ref->digest, VOL_DIGEST_BYTES))
#define IS_ITS_ROW "id = ?1 AND volume = ?2 AND \"offset\" = ?3 AND digest = ?4 AND state = 0"

static bool is_news(struct archive *ar, const struct instance_ref *ref, struct vol_loc at) {
    int64_t one;
    bool news = false;
    struct db *d = db_reader(ar->db, NULL);
    bool ok = d && sql_one(d, "SELECT 1 FROM instances WHERE " IS_ITS_ROW " AND NOT " IN_MISSING_VOLUME("instances"), ITS_ROW, &one, 1, &news, NULL);
    db_return(ar->db, d);
    return ok && news;
}

// Read once more, past whatever lies between: what came over the network spoilt, or from a worn cache, is no damage.
static bool is_damaged(struct archive *ar, const struct instance_ref *ref, struct vol_loc at) {
    struct vol_entry en = {.kind = VOL_OBJECT, .loc = at};
    struct err why = {0};
    memcpy(en.digest, ref->digest, sizeof en.digest);
    return !vol_verify(ar->volumes, &en, &why) && why.kind == ERR_CORRUPT;
}

static bool mark_damaged(struct archive *ar, const struct instance_ref *ref, struct vol_loc at, struct err *e) {
    struct event ev = {.type = STR_LIT("instance.damaged"), .actor = STR_LIT("job:store"), .sop_instance_uid = ref->sop_instance_uid, .detail = STR_LIT("{}")};
    struct db *w = db_writer(ar->db, e);
    bool ok = w && archive_begin(ar, w, e) && sql_run(w, "UPDATE instances SET state = 1 WHERE " IS_ITS_ROW, ITS_ROW, e) &&
              (db_changes(w) == 0 || event_append(ar, w, &ev, e)) && db_commit(w, e);
    return end(ar, w, ok);
}

void damage_found(struct archive *ar, const struct instance_ref *ref, const struct err *why) {
    const struct vol_loc at = moved_place(ar, ref);
    const uint32_t volumes[] = {at.volume};
    struct err e = {0};
    bool ok = true;
    if (ar->read_only || (why->kind != ERR_CORRUPT && why->kind != ERR_NOT_FOUND) || !is_news(ar, ref, at)) return;
    if (why->kind == ERR_NOT_FOUND)
        ok = damage_is_there(ar, at.volume) || damage_tell_missing(ar, volumes, 1, &e);
    else if (is_damaged(ar, ref, at))
        ok = mark_damaged(ar, ref, at, &e);
    if (!ok) log_err(&e, "that object %.*s is damaged could not be noted", STR_FMT(ref->sop_instance_uid));
}
