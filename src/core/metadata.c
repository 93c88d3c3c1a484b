// Series metadata: DICOM JSON made once per change of the series, kept compressed in the index, served as it lies.
#include "core/metadata.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/index.h"
#include "core/retrieve.h"
#include "core/scope.h"

enum { SERIES_MAX = 100 * 1000, SQL_BYTES = 1024 + SCOPE_SQL_BYTES, ASKER_BYTES_MAX = 64 * 1024 };

// What is asked for. series empty: all of the study.
struct wanted {
    struct str study, series;
    const struct scope *scope;
};

static struct db_stmt *prepare_series(struct db *d, const struct scope *scope, struct err *e) {
    struct buf sql;
    buf_init(&sql, SQL_BYTES);
    buf_addz(&sql, "SELECT se.id, se.version, st.study_uid, se.series_uid FROM studies st {join} series se ON se.study = st.id WHERE st.study_uid = ?1 AND "
                   "(?2 = '' OR se.series_uid = ?2)");
    scope_filter(scope, &sql, "st", 3);
    buf_addz(&sql, " ORDER BY st.id, se.number NULLS FIRST, se.series_uid, se.id");
    buf_addc(&sql, '\0');
    struct db_stmt *s = buf_ok(&sql, e) ? db_prepare(d, sql.p, e) : NULL;
    buf_deinit(&sql);
    if (s && !scope->everywhere) db_bind_text(s, 3, scope->keys);
    return s;
}

// Under one UID there is more than one series only when a study is under several patients.
static bool find_series(struct db *d, const struct wanted *w, struct buf *to, struct err *e) {
    struct db_stmt *s = prepare_series(d, w->scope, e);
    if (!s) return false;
    db_bind_text(s, 1, w->study);
    db_bind_text(s, 2, w->series.p ? w->series : STR_LIT(""));
    enum db_step step;
    while ((step = db_next(s, e)) == DB_ROW) {
        struct metadata_series row = {.id = db_int(s, 0), .version = db_int(s, 1)};
        snprintf(row.study_uid, sizeof row.study_uid, "%.*s", STR_FMT(str_sub(db_text(s, 2), 0, 64)));
        snprintf(row.series_uid, sizeof row.series_uid, "%.*s", STR_FMT(str_sub(db_text(s, 3), 0, 64)));
        buf_add(to, &row, sizeof row);
    }
    db_done(s);
    if (step == DB_FAIL || !buf_ok(to, e)) return false;
    return to->n > 0 || err_set(e, ERR_NOT_FOUND, "retrieve", w->series.n ? "no such series" : "no such study");
}

// Appends the piece that was prepared at this very version to the answer.
static bool add_prepared(struct db *d, const struct metadata_series *row, struct gzip_join *j, bool *found, struct err *e) {
    struct db_stmt *s = db_prepare(d, "SELECT json, size, crc FROM series_metadata WHERE series = ?1 AND version = ?2", e);
    if (!s) return false;
    db_bind_int(s, 1, row->id);
    db_bind_int(s, 2, row->version);
    enum db_step step = db_next(s, e);
    *found = step == DB_ROW;
    if (*found) gzip_join_piece(j, &(struct gzip_piece){.packed = db_blob(s, 0), .size = (uint64_t)db_int(s, 1), .crc = (uint32_t)db_int(s, 2)});
    db_done(s);
    return step != DB_FAIL;
}

// What was made for this answer, to be kept for the next.
struct fresh {
    const struct metadata_series *row;
    struct buf packed;
    struct gzip_piece piece;
    struct fresh *next;
};

// That it cannot be kept is no failure of the one who asked.
static void keep(struct archive *ar, struct fresh *all) {
    struct db *w = !all || ar->read_only ? NULL : db_side(ar->db, NULL);
    for (struct fresh *f = all; w && f; f = f->next)
        sql_run(
            w,
            "INSERT INTO series_metadata SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM series WHERE id = ?1 AND version = ?2) ON CONFLICT (series) DO "
            "UPDATE "
            "SET version = excluded.version, size = excluded.size, crc = excluded.crc, json = excluded.json WHERE series_metadata.version <= excluded.version",
            SQL_VALUES(SQL_I(f->row->id), SQL_I(f->row->version), SQL_I(f->piece.size), SQL_I(f->piece.crc), SQL_B(f->packed.p, f->packed.n)), NULL);
    db_return(ar->db, w);
}

static void drop(struct fresh *all) {
    for (struct fresh *next; all; all = next) {
        next = all->next;
        buf_deinit(&all->packed);
        free(all);
    }
}

static bool add_made(struct archive *ar, struct db *d, const struct metadata_series *row, struct gzip_join *j, struct fresh **all, struct err *e) {
    struct fresh *f = calloc(1, sizeof *f);
    if (!f) return err_nomem(e, "retrieve");
    f->row = row;
    f->next = *all;
    *all = f;
    buf_init(&f->packed, METADATA_BYTES_MAX);
    if (!metadata_make(ar, d, row, &f->packed, &f->piece, e)) return false;
    gzip_join_piece(j, &f->piece);
    return true;
}

static bool join_all(struct archive *ar, struct db *d, const struct metadata_series *rows, size_t n, struct buf *out, struct fresh **all, struct err *e) {
    struct gzip_join j;
    gzip_join_init(&j, out);
    gzip_join_head(&j);
    gzip_join_text(&j, STR_LIT("["));
    for (size_t i = 0; i < n; i++) {
        bool found;
        if (i) gzip_join_text(&j, STR_LIT(","));
        if (!add_prepared(d, &rows[i], &j, &found, e) || (!found && !add_made(ar, d, &rows[i], &j, all, e))) return false;
    }
    gzip_join_text(&j, STR_LIT("]"));
    gzip_join_end(&j);
    return buf_ok(out, e);
}

static bool answer(struct archive *ar, const struct wanted *w, struct buf *out, struct err *e) {
    struct buf rows;
    struct fresh *all = NULL;
    struct db *d = db_reader(ar->db, e);
    if (!d) return false;
    buf_init(&rows, SERIES_MAX * sizeof(struct metadata_series));
    bool ok = db_begin(d, e) && find_series(d, w, &rows, e) && join_all(ar, d, (const void *)rows.p, rows.n / sizeof(struct metadata_series), out, &all, e);
    db_return(ar->db, d); // ends the snapshot
    if (ok) keep(ar, all);
    drop(all);
    buf_deinit(&rows);
    return ok;
}

static bool retrieve_all(struct archive *ar, const struct wanted *w, bool want_gzip, struct buf *out, bool *gzip, struct err *e) {
    struct buf packed;
    *gzip = want_gzip;
    if (want_gzip) return answer(ar, w, out, e);
    buf_init(&packed, METADATA_BYTES_MAX);
    bool ok = answer(ar, w, &packed, e) && gzip_unpack(buf_str(&packed), out, e);
    buf_deinit(&packed);
    return ok;
}

static bool retrieve(struct archive *ar, const struct actor *who, struct str study, struct str series, bool want_gzip, struct buf *out, bool *gzip,
                     struct err *e) {
    struct arena a;
    struct scope scope;
    const struct wanted w = {study, series, &scope};
    arena_init(&a, ASKER_BYTES_MAX);
    bool ok = scope_of(who, ACCESS_STUDY_READ, &a, &scope, e) && retrieve_all(ar, &w, want_gzip, out, gzip, e);
    arena_deinit(&a);
    return ok;
}

bool retrieve_series_metadata(struct archive *ar, const struct actor *who, struct str study_uid, struct str series_uid, bool want_gzip, struct buf *out,
                              bool *gzip, struct err *e) {
    if (!dcm_uid_valid(study_uid, false) || !dcm_uid_valid(series_uid, false)) return err_set(e, ERR_NOT_FOUND, "retrieve", "no such series");
    return retrieve(ar, who, study_uid, series_uid, want_gzip, out, gzip, e);
}

bool retrieve_study_metadata(struct archive *ar, const struct actor *who, struct str study_uid, bool want_gzip, struct buf *out, bool *gzip, struct err *e) {
    if (!dcm_uid_valid(study_uid, false)) return err_set(e, ERR_NOT_FOUND, "retrieve", "no such study");
    return retrieve(ar, who, study_uid, STR_LIT(""), want_gzip, out, gzip, e);
}

void metadata_prepare(struct archive *ar, struct str study_uid, struct str series_uid) {
    static const struct scope EVERYTHING = {.everywhere = true};
    struct buf packed;
    buf_init(&packed, METADATA_BYTES_MAX);
    answer(ar, &(struct wanted){study_uid, series_uid, &EVERYTHING}, &packed, NULL);
    buf_deinit(&packed);
}
