// Series metadata: DICOM JSON made once per change of the series, kept compressed in the index, served as it lies.
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "core/header.h"
#include "core/index.h"
#include "core/retrieve.h"
#include "dicom/json.h"
#include "text/gzip.h"

enum { INLINE_MAX = 1024, JSON_BYTES_MAX = 1 << 30, ARENA_BYTES_MAX = 256 << 20, SERIES_MAX = 16 };

struct series_row {
    int64_t id, version;
};

// The series under this UID: more than one only when a study is under several patients.
static bool find_series(struct db *d, struct str study, struct str series, struct series_row rows[SERIES_MAX], unsigned *n, struct err *e) {
    struct db_stmt *s =
        db_prepare(d, "SELECT se.id, se.version FROM studies st JOIN series se ON se.study = st.id WHERE st.study_uid = ?1 AND se.series_uid = ?2", e);
    if (!s) return false;
    db_bind_text(s, 1, study);
    db_bind_text(s, 2, series);
    enum db_step step = DB_END;
    *n = 0;
    while (*n < SERIES_MAX && (step = db_next(s, e)) == DB_ROW) rows[(*n)++] = (struct series_row){db_int(s, 0), db_int(s, 1)};
    db_done(s);
    if (step == DB_FAIL) return false;
    return *n > 0 || err_set(e, ERR_NOT_FOUND, "retrieve", "no such series");
}

struct making {
    struct archive *ar;
    struct db *d;
    struct str study, series;
    struct header_cache cache;
    struct arena arena;
    struct buf *json;
};

static bool add_instance(struct making *m, int64_t id, struct str sop, struct err *e) {
    struct dcm_dataset *ds;
    char prefix[3 * 65 + 80];
    snprintf(prefix, sizeof prefix, "/dicom-web/studies/%.64s/series/%.64s/instances/%.*s/bulkdata", m->study.p, m->series.p, STR_FMT(str_sub(sop, 0, 64)));
    struct dcm_json_options o = {.repair = true, .inline_max = INLINE_MAX, .bulk_uri_prefix = prefix};
    if (m->json->n > 1) buf_addc(m->json, ',');
    return header_read(m->ar, m->d, &m->arena, id, &m->cache, &ds, e) && dcm_json_write(ds, &o, &m->arena, m->json, e) && buf_ok(m->json, e);
}

static bool add_series(struct making *m, int64_t series, struct err *e) {
    struct db_stmt *s = db_prepare(m->d, "SELECT id, sop_instance_uid FROM instances WHERE series = ?1 ORDER BY number, sop_instance_uid", e);
    if (!s) return false;
    db_bind_int(s, 1, series);
    enum db_step step = DB_END;
    bool ok = true;
    while (ok && (step = db_next(s, e)) == DB_ROW) {
        arena_reset(&m->arena);
        ok = add_instance(m, db_int(s, 0), db_text(s, 1), e);
    }
    db_done(s);
    return ok && step == DB_END;
}

static bool make_json(struct archive *ar, struct db *d, struct str study, struct str series, const struct series_row *rows, unsigned n, struct buf *json,
                      struct err *e) {
    struct making m = {.ar = ar, .d = d, .json = json};
    arena_init(&m.arena, ARENA_BYTES_MAX);
    header_cache_init(&m.cache);
    bool ok = true;
    char study_z[65], series_z[65];
    snprintf(study_z, sizeof study_z, "%.*s", STR_FMT(study));
    snprintf(series_z, sizeof series_z, "%.*s", STR_FMT(series));
    m.study = str_of(study_z);
    m.series = str_of(series_z);
    buf_addc(json, '[');
    for (unsigned i = 0; ok && i < n; i++) ok = add_series(&m, rows[i].id, e);
    buf_addc(json, ']');
    header_cache_deinit(&m.cache);
    arena_deinit(&m.arena);
    return ok && buf_ok(json, e);
}

// Prepared at this very version, into packed.
static bool find_prepared(struct db *d, const struct series_row *row, struct buf *packed, int64_t *size, bool *found, struct err *e) {
    struct db_stmt *s = db_prepare(d, "SELECT json, size FROM series_metadata WHERE series = ?1 AND version = ?2", e);
    if (!s) return false;
    db_bind_int(s, 1, row->id);
    db_bind_int(s, 2, row->version);
    enum db_step step = db_next(s, e);
    *found = step == DB_ROW;
    if (*found) {
        buf_add_str(packed, db_blob(s, 0));
        *size = db_int(s, 1);
    }
    db_done(s);
    return step != DB_FAIL && buf_ok(packed, e);
}

// Kept for the next asker; that it cannot be kept is no failure of this one.
static void keep(struct archive *ar, const struct series_row *row, struct str packed, size_t size) {
    struct db *w = ar->read_only ? NULL : db_writer(ar->db, NULL);
    if (!w) return;
    sql_run(w, "INSERT OR REPLACE INTO series_metadata SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM series WHERE id = ?1 AND version = ?2)",
            SQL_VALUES(SQL_I(row->id), SQL_I(row->version), SQL_I(size), SQL_B(packed.p, packed.n)), NULL);
    db_return(ar->db, w);
}

static bool answer(struct archive *ar, struct db *d, struct str study, struct str series, bool want_gzip, struct buf *out, bool *fresh, struct series_row *row,
                   size_t *size, struct buf *packed, struct err *e) {
    struct series_row rows[SERIES_MAX];
    unsigned n;
    bool found = false;
    int64_t kept_size = 0;
    if (!find_series(d, study, series, rows, &n, e)) return false;
    *row = rows[0];
    if (n == 1 && !find_prepared(d, row, packed, &kept_size, &found, e)) return false;
    if (found) return want_gzip || gzip_unpack(buf_str(packed), out, e);
    struct buf json;
    buf_init(&json, JSON_BYTES_MAX);
    bool ok = make_json(ar, d, study, series, rows, n, &json, e) && gzip_pack(buf_str(&json), GZIP_FAST, packed, e);
    *size = json.n;
    *fresh = ok && n == 1;
    if (ok && !want_gzip) buf_add_str(out, buf_str(&json));
    buf_deinit(&json);
    return ok && buf_ok(out, e);
}

bool retrieve_series_metadata(struct archive *ar, struct str study_uid, struct str series_uid, bool want_gzip, struct buf *out, bool *gzip, struct err *e) {
    struct buf packed;
    struct series_row row;
    size_t size = 0;
    bool fresh = false;
    *gzip = want_gzip;
    if (!dcm_uid_valid(study_uid, false) || !dcm_uid_valid(series_uid, false)) return err_set(e, ERR_NOT_FOUND, "retrieve", "no such series");
    struct db *d = db_reader(ar->db, e);
    if (!d) return false;
    buf_init(&packed, JSON_BYTES_MAX);
    bool ok = db_begin(d, e) && answer(ar, d, study_uid, series_uid, want_gzip, out, &fresh, &row, &size, &packed, e);
    db_return(ar->db, d); // ends the snapshot
    if (fresh) keep(ar, &row, buf_str(&packed), size);
    if (ok && want_gzip) buf_add_str(out, buf_str(&packed));
    buf_deinit(&packed);
    return ok && buf_ok(out, e);
}
