// Declared attributes: values from stored headers as keys of their studies.
#include "core/searchable.h"

#include <stdio.h>

#include "base/clock.h"
#include "core/query_header.h"
#include "core/query_index.h"
#include "core/query_match.h"
#include "core/query_rows.h"
#include "dicom/charset.h"

enum {
    VALUES_MAX = 64,      // of one element
    BATCH = 64,           // headers of one transaction
    SLICE_US = 10 * 1000, // after which ingest gets its turn
    SCRATCH_BYTES_MAX = 192 * 1024 * 1024,
    TAG_BYTES = 8
};

static bool is_number(uint16_t vr) {
    const struct dcm_vr_info *info = dcm_vr_find(vr);
    return vr == DCM_VR_IS || vr == DCM_VR_DS || (info && !info->text && vr != DCM_VR_AT);
}

// A number has many spellings and one key.
static struct str one_spelling(uint16_t vr, struct str value, char out[40]) {
    double v;
    if (!is_number(vr) || !str_to_f64(value, &v)) return value;
    snprintf(out, 40, "%.17g", v);
    return str_of(out);
}

static bool tagged(struct arena *a, uint32_t tag, struct str text, struct str *key, struct err *e) {
    char *p = arena_printf(a, e, "%08x%.*s", tag, STR_FMT(text));
    return p && query_key_make(a, QUERY_KEY_ATTRIBUTE, str_of(p), key, e);
}

bool searchable_key(struct arena *a, uint32_t tag, uint16_t vr, struct str value, struct str *key, struct err *e) {
    char number[40];
    struct str name;
    if (vr != DCM_VR_PN) return tagged(a, tag, one_spelling(vr, value, number), key, e);
    return query_key_make(a, QUERY_KEY_NAME, value, &name, e) && tagged(a, tag, str_sub(name, 1, name.n), key, e);
}

// ---- adding ----

struct place {
    struct db *d;
    struct arena *a;
    int64_t study, at;
};

static bool put_key(const struct place *p, struct str key, struct err *e) {
    struct db_stmt *s = db_prepare(p->d, "INSERT INTO study_keys (month, key, at, study) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING", e);
    if (!s) return false;
    db_bind_int(s, 1, query_month(p->at));
    db_bind_text(s, 2, key);
    db_bind_int(s, 3, p->at);
    db_bind_int(s, 4, p->study);
    bool ok = db_next(s, e) == DB_END;
    db_done(s);
    return ok;
}

static bool put_name(const struct place *p, uint32_t tag, struct str name, struct err *e) {
    struct str keys[QUERY_KEYS_MAX], key;
    unsigned n;
    if (!query_name_keys(p->a, QUERY_KEY_NAME, name, keys, QUERY_KEYS_MAX, &n, e)) return false;
    for (unsigned i = 0; i < n; i++)
        if (!tagged(p->a, tag, str_sub(keys[i], 1, keys[i].n), &key, e) || !put_key(p, key, e)) return false;
    return true;
}

static bool put_numbers(const struct place *p, const struct dcm_dataset *header, const struct dcm_element *el, struct err *e) {
    unsigned n = el->value ? dcm_vm(header, el->tag) : 0;
    struct str key;
    for (unsigned i = 0; i < n && i < VALUES_MAX; i++) {
        double v;
        char text[40];
        if (!dcm_f64(header, el->tag, i, &v)) continue;
        snprintf(text, sizeof text, "%.17g", v);
        if (!tagged(p->a, el->tag, str_of(text), &key, e) || !put_key(p, key, e)) return false;
    }
    return true;
}

static bool put_texts(const struct place *p, const struct dcm_dataset *header, uint32_t tag, uint16_t vr, struct err *e) {
    struct str text, key;
    unsigned flags;
    if (!dcm_text_utf8(p->a, header, tag, true, &text, &flags, e)) return false;
    if (vr == DCM_VR_PN) return put_name(p, tag, text, e);
    bool multi = qmatch_is_multi(vr);
    for (unsigned i = 0; i < VALUES_MAX && text.p; i++) {
        struct str one = str_trim(multi ? str_split(&text, '\\') : text);
        if (!multi) text.p = NULL;
        if (one.n > 0 && (!searchable_key(p->a, tag, vr, one, &key, e) || !put_key(p, key, e))) return false;
    }
    return true;
}

// The values of one attribute of a header.
static bool put_values(const struct place *p, const struct dcm_dataset *header, uint32_t tag, struct err *e) {
    const struct dcm_element *el = dcm_find(header, tag);
    const struct dcm_vr_info *vr = el ? dcm_vr_find(el->vr) : NULL;
    if (!el || el->vr == DCM_VR_SQ || el->flags & DCM_BY_REFERENCE || el->length == 0) return true;
    if (vr && !vr->text && el->vr != DCM_VR_UN) return put_numbers(p, header, el, e);
    return put_texts(p, header, tag, qmatch_vr(tag), e);
}

static bool study_at(struct db *d, int64_t study, int64_t *at, struct err *e) {
    struct db_stmt *s = db_prepare(d, "SELECT study_date, study_time FROM studies WHERE id = ?1", e);
    if (!s) return false;
    db_bind_int(s, 1, study);
    enum db_step step = db_next(s, e);
    if (step == DB_ROW) *at = query_at(db_text(s, 0), db_text(s, 1));
    db_done(s);
    return step != DB_FAIL;
}

static bool read_tags(struct db *d, const char *sql, uint32_t tags[SEARCHABLE_MAX], unsigned *count, struct err *e) {
    struct db_stmt *s = db_prepare(d, sql, e);
    if (!s) return false;
    enum db_step step;
    *count = 0;
    while ((step = db_next(s, e)) == DB_ROW && *count < SEARCHABLE_MAX) tags[(*count)++] = (uint32_t)db_int(s, 0);
    db_done(s);
    return step != DB_FAIL;
}

static bool read_now(struct db *writer, struct searchable_now *now, int64_t study, struct err *e) {
    if (now->transaction != db_transaction(writer)) {
        now->transaction = now->study = 0;
        if (!read_tags(writer, "SELECT tag FROM searchable_attributes", now->tags, &now->count, e)) return false;
        now->transaction = db_transaction(writer);
    }
    if (now->count == 0 || now->study == study) return true;
    if (!study_at(writer, study, &now->at, e)) return false;
    now->study = study;
    return true;
}

bool searchable_index_instance(struct db *writer, struct searchable_now *now, struct arena *scratch, int64_t study, const struct dcm_dataset *header,
                               struct err *e) {
    if (!read_now(writer, now, study, e)) return false;
    if (now->count == 0) return true;
    struct place p = {.d = writer, .a = scratch, .study = study, .at = now->at};
    struct arena_mark mark = arena_mark(scratch);
    bool ok = true;
    for (unsigned i = 0; i < now->count && ok; i++) ok = put_values(&p, header, now->tags[i], e);
    arena_rewind(scratch, mark);
    return ok;
}

// ---- declaring ----

static bool check_tag(uint32_t tag, struct err *e) {
    char name[80];
    const struct dcm_vr_info *vr = dcm_vr_find(qmatch_vr(tag));
    bool bulk = !vr || vr->vr == DCM_VR_SQ || vr->vr == DCM_VR_UN || (vr->vr >= DCM_VR_OB && vr->vr <= DCM_VR_OW) || vr->vr == DCM_VR_UT;
    if (!bulk && DCM_GROUP(tag) >= 8 && DCM_ELEMENT(tag) != 0) return true;
    return err_set(e, ERR_UNSUPPORTED, "searchable", "%s cannot be made searchable: it is a sequence, a bulk value or no attribute of a data set",
                   qmatch_attribute_name(tag, name));
}

bool searchable_is_key(uint32_t tag) {
    static const uint32_t tags[] = {DCM_StudyInstanceUID, DCM_SeriesInstanceUID, DCM_SOPInstanceUID, DCM_StudyDate,        DCM_AccessionNumber,
                                    DCM_PatientID,        DCM_StudyID,           DCM_PatientName,    DCM_PatientBirthDate, DCM_ReferringPhysicianName,
                                    DCM_StudyDescription, DCM_ModalitiesInStudy, DCM_Modality};
    for (unsigned i = 0; i < sizeof tags / sizeof *tags; i++)
        if (tags[i] == tag) return true;
    return false;
}

// Runs one statement of up to two integers on the writer, as a transaction.
static bool write_one(struct archive *ar, const char *sql, int64_t one, int64_t two, int64_t *changes, struct err *e) {
    struct db *d = db_writer(archive_db(ar), e);
    if (!d) return false;
    struct db_stmt *s = db_prepare(d, sql, e);
    if (s) {
        db_bind_int(s, 1, one);
        db_bind_int(s, 2, two);
    }
    bool ok = s && db_next(s, e) == DB_END;
    *changes = ok ? db_changes(d) : 0;
    db_done(s);
    db_return(archive_db(ar), d);
    return ok;
}

struct backfill {
    struct archive *ar;
    uint32_t tag;
    int64_t done; // instance row
    bool complete;
    uint64_t headers, total;
    struct arena a;
    struct header_cache cache;
};

static bool read_state(struct backfill *b, struct err *e) {
    struct db *d = db_reader(archive_db(b->ar), e);
    if (!d) return false;
    struct db_stmt *s =
        db_prepare(d, "SELECT done, complete, (SELECT value FROM figures WHERE name = 'instances') FROM searchable_attributes WHERE tag = ?1", e);
    if (s) db_bind_int(s, 1, b->tag);
    bool ok = s && db_next(s, e) == DB_ROW;
    if (ok) {
        b->done = db_int(s, 0);
        b->complete = db_int(s, 1) != 0;
        b->total = (uint64_t)db_int(s, 2);
    }
    db_done(s);
    db_return(archive_db(b->ar), d);
    return ok;
}

struct owned {
    int64_t instance, study;
};

static bool next_instances(struct db *d, int64_t after, struct owned out[BATCH], unsigned *n, struct err *e) {
    struct db_stmt *s = db_prepare(d, "SELECT i.id, s.study FROM instances i JOIN series s ON s.id = i.series WHERE i.id > ?1 ORDER BY i.id LIMIT ?2", e);
    if (!s) return false;
    db_bind_int(s, 1, after);
    db_bind_int(s, 2, BATCH);
    enum db_step step;
    *n = 0;
    while ((step = db_next(s, e)) == DB_ROW && *n < BATCH) out[(*n)++] = (struct owned){db_int(s, 0), db_int(s, 1)};
    db_done(s);
    return step != DB_FAIL;
}

static bool index_one(struct backfill *b, struct db *d, struct owned o, struct err *e) {
    struct dcm_dataset *header;
    struct place p = {.d = d, .a = &b->a, .study = o.study};
    arena_reset(&b->a);
    if (!query_header(b->ar, d, &b->a, o.instance, &b->cache, &header, e) || !study_at(d, o.study, &p.at, e)) return false;
    return !header || put_values(&p, header, b->tag, e);
}

static bool note_done(struct backfill *b, struct db *d, struct err *e) {
    struct db_stmt *s = db_prepare(d, "UPDATE searchable_attributes SET done = ?2, complete = ?3 WHERE tag = ?1", e);
    if (!s) return false;
    db_bind_int(s, 1, b->tag);
    db_bind_int(s, 2, b->done);
    db_bind_int(s, 3, b->complete);
    bool ok = db_next(s, e) == DB_END;
    db_done(s);
    return ok;
}

// One short transaction.
static bool batch(struct backfill *b, struct db *d, struct err *e) {
    struct owned owned[BATCH];
    unsigned n = 0, i = 0;
    int64_t start = clock_mono_us();
    if (!next_instances(d, b->done, owned, &n, e)) return false;
    for (; i < n && clock_mono_us() - start < SLICE_US; i++)
        if (!index_one(b, d, owned[i], e)) return false;
    if (i > 0) b->done = owned[i - 1].instance;
    b->headers += i;
    b->complete = n == 0;
    return note_done(b, d, e);
}

static bool batch_transaction(struct backfill *b, struct err *e) {
    struct db *d = db_writer(archive_db(b->ar), e);
    if (!d) return false;
    bool ok = db_begin(d, e) && batch(b, d, e) && db_commit(d, e);
    if (!ok) db_rollback(d);
    db_return(archive_db(b->ar), d);
    return ok;
}

bool searchable_declare(struct archive *ar, uint32_t tag, void (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx, struct err *e) {
    struct backfill b = {.ar = ar, .tag = tag};
    int64_t changes;
    if (!check_tag(tag, e)) return false;
    if (searchable_is_key(tag)) return true;
    if (!write_one(ar, "INSERT INTO searchable_attributes SELECT ?1, ?2, 0 WHERE (SELECT count(*) FROM searchable_attributes) < 256 ON CONFLICT DO NOTHING",
                   tag, 0, &changes, e) ||
        !read_state(&b, e))
        return err_wrap(e, "declare %08X", tag);
    arena_init(&b.a, SCRATCH_BYTES_MAX);
    header_cache_init(&b.cache);
    bool ok = true;
    while (ok && !b.complete) {
        ok = batch_transaction(&b, e);
        if (progress) progress(ctx, b.headers < b.total ? b.headers : b.total, b.total);
    }
    header_cache_deinit(&b.cache);
    arena_deinit(&b.a);
    return ok;
}

static bool drop_month(struct archive *ar, uint32_t tag, int64_t month, struct err *e) {
    char from[16], to[16];
    snprintf(from, sizeof from, "%c%08x", QUERY_KEY_ATTRIBUTE, tag);
    snprintf(to, sizeof to, "%c%08x", QUERY_KEY_ATTRIBUTE, tag + 1);
    struct db *d = db_writer(archive_db(ar), e);
    if (!d) return false;
    struct db_stmt *s = db_prepare(d, "DELETE FROM study_keys WHERE month = ?1 AND key >= ?2 AND key < ?3", e);
    if (s) {
        db_bind_int(s, 1, month);
        db_bind_text(s, 2, str_of(from));
        db_bind_text(s, 3, str_of(to));
    }
    bool ok = s && db_next(s, e) == DB_END;
    db_done(s);
    db_return(archive_db(ar), d);
    return ok;
}

// Drops the keys of a tag, month by month, so that the writer is never held for long.
static bool drop_keys(struct archive *ar, uint32_t tag, struct err *e) {
    int64_t month = INT64_MAX;
    for (;;) {
        struct db *d = db_reader(archive_db(ar), e);
        if (!d) return false;
        struct db_stmt *s = db_prepare(d, "SELECT max(month) FROM study_months WHERE month < ?1", e);
        if (s) db_bind_int(s, 1, month);
        bool ok = s && db_next(s, e) == DB_ROW, end = ok && db_is_null(s, 0);
        if (ok) month = db_int(s, 0);
        db_done(s);
        db_return(archive_db(ar), d);
        if (!ok || end) return ok;
        if (!drop_month(ar, tag, month, e)) return false;
    }
}

bool searchable_withdraw(struct archive *ar, uint32_t tag, struct err *e) {
    int64_t changes;
    char name[80];
    if (!write_one(ar, "DELETE FROM searchable_attributes WHERE tag = ?1 AND ?2 = 0", tag, 0, &changes, e)) return false;
    if (changes == 0) return err_set(e, ERR_NOT_FOUND, "searchable", "%s was not declared searchable", qmatch_attribute_name(tag, name));
    return drop_keys(ar, tag, e);
}

bool searchable_read(struct db *d, struct arena *a, uint32_t **tags, unsigned *count, struct err *e) {
    uint32_t found[SEARCHABLE_MAX];
    if (!read_tags(d, "SELECT tag FROM searchable_attributes WHERE complete = 1", found, count, e)) return false;
    if (!(*tags = arena_alloc(a, *count * sizeof **tags, e))) return false;
    memcpy(*tags, found, *count * sizeof **tags);
    return true;
}

bool searchable_list(struct archive *ar, struct arena *a, uint32_t **tags, unsigned *count, struct err *e) {
    struct db *d = db_reader(archive_db(ar), e);
    bool ok = d && searchable_read(d, a, tags, count, e);
    db_return(archive_db(ar), d);
    return ok;
}
