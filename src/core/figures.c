// Figures of the whole archive, and its conflicts and quarantined objects as JSON.
#include "core/index.h"
#include "core/service.h"
#include "sys/digest.h"
#include "text/json.h"

enum { JSON_BYTES_MAX = 256 << 20 };

static bool read_counts(struct db *d, struct archive_figures *out, struct err *e) {
    uint64_t *const to[FIGURE_COUNT] = {&out->patients, &out->studies, &out->series, &out->instances, &out->bytes, &out->conflicts, &out->quarantined};
    struct db_stmt *s = db_prepare(d, "SELECT name, value FROM figures", e);
    if (!s) return false;
    enum db_step step;
    while ((step = db_next(s, e)) == DB_ROW)
        for (int i = 0; i < FIGURE_COUNT; i++)
            if (str_eqz(db_text(s, 0), FIGURE_NAMES[i])) *to[i] = (uint64_t)db_int(s, 1);
    db_done(s);
    return step == DB_END;
}

bool archive_figures_get(struct archive *ar, struct archive_figures *out, struct err *e) {
    struct vol_stats v;
    *out = (struct archive_figures){.stored_total = ar->stored,
                                    .known_total = ar->known,
                                    .conflict_total = ar->conflicts,
                                    .quarantined_total = ar->quarantined,
                                    .failed_total = ar->failed,
                                    .events = (uint64_t)events_last(ar)};
    vol_stats_get(ar->volumes, &v);
    out->disk_free = v.bytes_free_disk;
    out->read_only = v.read_only || ar->read_only;
    out->full = v.full;
    out->flushes_total = v.flushes;
    struct db *d = db_reader(ar->db, e);
    bool ok = d && read_counts(d, out, e);
    db_return(ar->db, d);
    return ok;
}

static void put_digest(struct json_writer *j, struct str digest) {
    char hex[DIGEST_HEX + 1] = "";
    if (digest.n == DIGEST_BYTES) hex_encode((const uint8_t *)digest.p, DIGEST_BYTES, hex);
    json_put_strz(j, "sha256", hex);
}

// Rows as objects: columns named by keys, in order; a key "sha256" is a digest, one that begins with '#' a number.
static bool rows_json(struct db *d, const char *sql, unsigned limit, const char *const *keys, struct buf *to, struct err *e) {
    struct json_writer j;
    struct db_stmt *s = db_prepare(d, sql, e);
    if (!s) return false;
    db_bind_int(s, 1, limit);
    json_init(&j, to, false);
    json_begin_array(&j);
    enum db_step step;
    while ((step = db_next(s, e)) == DB_ROW) {
        json_begin_object(&j);
        for (int i = 0; keys[i]; i++) {
            if (strcmp(keys[i], "sha256") == 0)
                put_digest(&j, db_blob(s, i));
            else if (keys[i][0] == '#')
                json_put_int(&j, keys[i] + 1, db_int(s, i));
            else
                json_put_str(&j, keys[i], db_text(s, i));
        }
        json_end_object(&j);
    }
    json_end_array(&j);
    db_done(s);
    return step == DB_END;
}

static bool list_json(struct archive *ar, struct arena *a, const char *sql, unsigned limit, const char *const *keys, struct str *out, struct err *e) {
    struct buf b;
    struct db *d = db_reader(ar->db, e);
    if (!d) return false;
    buf_init(&b, JSON_BYTES_MAX);
    bool ok = rows_json(d, sql, limit, keys, &b, e) && buf_ok(&b, e) && arena_dup(a, buf_str(&b), out, e);
    buf_deinit(&b);
    db_return(ar->db, d);
    return ok;
}

bool archive_conflicts_json(struct archive *ar, struct arena *a, unsigned limit, struct str *out, struct err *e) {
    static const char *const keys[] = {"#id",    "kind",   "study_uid", "series_uid", "sop_instance_uid", "sop_class_uid", "patient_id",
                                       "issuer", "#bytes", "sha256",    "source",     "#received_ms",     "reason",        NULL};
    return list_json(ar, a,
                     "SELECT id, kind, study_uid, series_uid, sop_instance_uid, sop_class_uid, patient_id, issuer, length, digest, source, received_ms, reason "
                     "FROM conflicts ORDER BY id DESC LIMIT ?1",
                     limit, keys, out, e);
}

bool archive_quarantine_json(struct archive *ar, struct arena *a, unsigned limit, struct str *out, struct err *e) {
    static const char *const keys[] = {"#id", "#bytes", "sha256", "source", "#received_ms", "reason", NULL};
    return list_json(ar, a, "SELECT id, length, digest, source, received_ms, reason FROM quarantine ORDER BY id DESC LIMIT ?1", limit, keys, out, e);
}
