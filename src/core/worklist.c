// The list of studies that people look at, from study_keys alone: words are ranges of keys, and what is in all of them is listed.
#include "core/worklist.h"

#include <stdio.h>

#include "base/clock.h"
#include "core/query_rows.h"
#include "core/query_stream.h"
#include "core/query_time.h"

enum { SCRATCH_BYTES_MAX = 4 * 1024 * 1024, TEXT_BYTES_MAX = 512, MODALITIES_MAX = 32, COUNT_US = 4000, COUNT_PLACES = 512 };

static const char rows_sql[] =
    "SELECT study_uid, patient_id, issuer, patient_name, birth_date, sex, patient_age, study_date, study_time, accession_number, study_id, description,"
    " modalities, referring_physician, institution, series_count, instance_count, bytes, created_ms, changed_ms, text_flags, patient_conflict, id FROM"
    " studies WHERE id IN (SELECT CAST(value AS BIGINT) FROM {each ?1})";

// ---- filters as probes ----

// A word is the beginning of a key of any of these kinds.
static bool word_probe(struct arena *a, struct str word, struct qprobe *out, struct err *e) {
    static const enum query_key_kind kinds[] = {QUERY_KEY_NAME, QUERY_KEY_PATIENT_ID, QUERY_KEY_ACCESSION, QUERY_KEY_DESCRIPTION};
    enum { KINDS = sizeof kinds / sizeof *kinds };
    *out = (struct qprobe){.ranges = arena_zero(a, KINDS, sizeof *out->ranges, e)};
    if (!out->ranges) return false;
    for (unsigned i = 0; i < KINDS; i++) {
        struct str key;
        if (!query_key_make(a, kinds[i], word, &key, e)) return false;
        if (key.n > 1 && !qkey_prefix(a, key, &out->ranges[out->count++], e)) return false;
    }
    return true;
}

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '^' || c == ',' || c == '=';
}

// Full-width spaces of Chinese input methods are spaces too.
static size_t space_bytes(struct str s, size_t at) {
    if (is_space(s.p[at])) return 1;
    return s.n - at >= 3 && memcmp(s.p + at, "\xE3\x80\x80", 3) == 0 ? 3 : 0;
}

static bool add_words(struct arena *a, struct str text, struct qprobe *probes, unsigned *n, struct err *e) {
    if (text.n > TEXT_BYTES_MAX)
        return err_set(e, ERR_TOO_LARGE, "worklist", "the text to look for has %zu bytes; at most %d are taken", text.n, TEXT_BYTES_MAX);
    for (size_t i = 0; i < text.n && *n < QSTREAM_ALSO_MAX;) {
        size_t space = space_bytes(text, i), end = i;
        if (space > 0) {
            i += space;
            continue;
        }
        while (end < text.n && space_bytes(text, end) == 0) end++;
        if (!word_probe(a, str_sub(text, i, end - i), &probes[*n], e)) return false;
        *n += probes[*n].count > 0;
        i = end;
    }
    return true;
}

static bool add_modalities(struct arena *a, struct str modalities, struct qprobe *probes, unsigned *n, struct err *e) {
    struct str rest = modalities;
    struct qprobe *p = &probes[*n];
    *p = (struct qprobe){.ranges = arena_zero(a, MODALITIES_MAX, sizeof *p->ranges, e)};
    if (!p->ranges) return false;
    while (rest.p && p->count < MODALITIES_MAX) {
        struct str one = str_trim(str_split(&rest, '\\'));
        if (one.n > 0 && !query_key_make(a, QUERY_KEY_MODALITY, one, &p->ranges[p->count++].lo, e)) return false;
    }
    *n += p->count > 0;
    return true;
}

static bool date_bound(struct str date, int64_t *at, struct err *e) {
    struct qspan day;
    if (date.n == 0) return true;
    if (!qtime_date(date, &day)) return err_set(e, ERR_BAD_INPUT, "worklist", "\"%.*s\" is no date; write YYYYMMDD", STR_FMT(date));
    *at = qtime_day_number(day.lo) * 1000000;
    return true;
}

static bool read_cursor(struct str cursor, struct qplace *out, struct err *e) {
    size_t dot = str_find(cursor, '.', 0);
    *out = QPLACE_FIRST;
    if (cursor.n == 0) return true;
    if (str_to_i64(str_sub(cursor, 0, dot), &out->at) && dot < cursor.n && str_to_i64(str_sub(cursor, dot + 1, cursor.n), &out->study)) return true;
    return err_set(e, ERR_BAD_INPUT, "worklist", "\"%.*s\" is no place in the list; start again from the first page", STR_FMT(cursor));
}

// ---- a page ----

struct listing {
    struct arena *a, scratch;
    const struct worklist_filter *f;
    struct db *d;
    struct qprobe probes[QSTREAM_ALSO_MAX + 2];
    unsigned probe_count;
    int64_t at_from, at_to;
};

static bool plan(struct listing *l, struct err *e) {
    l->at_to = INT64_MAX;
    if (!add_modalities(&l->scratch, l->f->modality, l->probes, &l->probe_count, e)) return false;
    if (!add_words(&l->scratch, l->f->text, l->probes, &l->probe_count, e)) return false;
    if (!date_bound(l->f->date_from, &l->at_from, e) || !date_bound(l->f->date_to, &l->at_to, e)) return false;
    if (l->f->date_to.n > 0) l->at_to += 235959;
    if (l->f->date_to.n > 0 && l->at_from == 0) l->at_from = 1; // those without a date are in no range of dates
    return true;
}

// The rarest first, so that months without it cost little.
static bool order_probes(struct listing *l, struct err *e) {
    enum { ENOUGH = 256 };
    unsigned best = 0, fewest = UINT32_MAX, n;
    for (unsigned i = 0; i < l->probe_count && l->probe_count > 1; i++) {
        if (!qprobe_estimate(l->d, &l->probes[i], l->at_from, l->at_to, ENOUGH, &n, e)) return false;
        if (n < fewest) fewest = n, best = i;
    }
    struct qprobe first = l->probes[0];
    l->probes[0] = l->probes[best];
    l->probes[best] = first;
    return true;
}

static void open_stream(const struct listing *l, struct qplace after, struct qkey_range *all, struct qstream *s) {
    *all = (struct qkey_range){.lo = STR_LIT("")};
    qstream_init(s, l->at_from, l->at_to, after);
    s->probe = l->probe_count ? l->probes[0] : (struct qprobe){.ranges = all, .count = 1};
    for (unsigned i = 1; i < l->probe_count && s->also_count < QSTREAM_ALSO_MAX; i++) s->also[s->also_count++] = l->probes[i];
}

enum { TEXTS = 15 };

static bool take_row(struct db_stmt *s, struct arena *a, struct worklist_row *row, struct err *e) {
    struct str *const texts[TEXTS] = {&row->study_uid, &row->patient_id,  &row->issuer,     &row->patient_name,        &row->birth_date,
                                      &row->sex,       &row->patient_age, &row->study_date, &row->study_time,          &row->accession_number,
                                      &row->study_id,  &row->description, &row->modalities, &row->referring_physician, &row->institution};
    *row = (struct worklist_row){0};
    for (int i = 0; i < TEXTS; i++)
        if (!arena_dup(a, db_text(s, i), texts[i], e)) return false;
    row->series_count = db_int(s, TEXTS);
    row->instance_count = db_int(s, TEXTS + 1);
    row->bytes = db_int(s, TEXTS + 2);
    row->received_ms = db_int(s, TEXTS + 3);
    row->changed_ms = db_int(s, TEXTS + 4);
    row->text_flags = (unsigned)db_int(s, TEXTS + 5);
    row->patient_conflict = db_int(s, TEXTS + 6) != 0;
    return true;
}

// The row of one of the places, unless the row has moved since.
static bool put_row(struct listing *l, struct db_stmt *s, const struct qplace *places, unsigned n, struct worklist_row *rows, bool *found, struct err *e) {
    int64_t id = db_int(s, TEXTS + 7), at = query_at(db_text(s, 7), db_text(s, 8));
    for (unsigned i = 0; i < n; i++)
        if (places[i].study == id && places[i].at == at) return found[i] = take_row(s, l->a, &rows[i], e);
    return true;
}

// Rows of places, behind those that the page has; those that are gone are left out.
static bool read_rows(struct listing *l, const struct qplace *places, unsigned n, struct worklist_page *out, struct err *e) {
    char json[QROW_IDS_BYTES];
    int64_t ids[QROW_MANY];
    bool found[QROW_MANY] = {0}, ok = true;
    struct worklist_row *rows = &out->rows[out->count];
    for (unsigned i = 0; i < n; i++) ids[i] = places[i].study;
    struct db_stmt *s = db_prepare(l->d, rows_sql, e);
    if (!s) return false;
    db_bind_text(s, 1, qrow_ids(ids, n, json));
    enum db_step step = DB_ROW;
    while (ok && (step = db_next(s, e)) == DB_ROW) ok = put_row(l, s, places, n, rows, found, e);
    db_done(s);
    for (unsigned i = 0; i < n && ok; i++)
        if (found[i]) out->rows[out->count++] = rows[i];
    return ok && step == DB_END;
}

static bool count_all(struct db *d, struct worklist_page *out, struct err *e) {
    struct db_stmt *s = db_prepare(d, "SELECT CAST(coalesce(sum(studies), 0) AS BIGINT) FROM study_months", e);
    if (!s) return false;
    bool ok = db_next(s, e) == DB_ROW;
    out->total = (uint64_t)db_int(s, 0);
    db_done(s);
    return ok;
}

static bool is_unfiltered(const struct listing *l) {
    return l->probe_count == 0 && l->at_from == 0 && l->at_to == INT64_MAX;
}

// Reads on from the page to the end, the ceiling, or the time that a count may take.
static bool count_on(struct listing *l, struct qstream *s, struct worklist_page *out, struct err *e) {
    struct qplace places[COUNT_PLACES];
    int64_t start = clock_mono_us();
    unsigned n = 1;
    while (n > 0 && out->total <= WORKLIST_COUNT_MAX) {
        if (!qstream_next(s, l->d, places, COUNT_PLACES, &n, e)) return false;
        out->total += n;
        if (n > 0 && clock_mono_us() - start > COUNT_US) break;
    }
    out->more = n > 0;
    if (out->total > WORKLIST_COUNT_MAX) out->total = WORKLIST_COUNT_MAX;
    return true;
}

// limit rows, a look whether there is one more, and the count.
static bool read_page(struct listing *l, struct qstream *s, bool count, unsigned limit, struct worklist_page *out, struct err *e) {
    struct qplace places[QROW_MANY], last = {0};
    unsigned n = 1;
    while (n > 0 && out->count < limit) {
        unsigned room = limit - out->count;
        if (!qstream_next(s, l->d, places, room < QROW_MANY ? room : QROW_MANY, &n, e)) return false;
        if (n > 0 && !read_rows(l, places, n, out, e)) return false;
        if (n > 0) last = places[n - 1];
    }
    if (n > 0 && !qstream_next(s, l->d, places, 1, &n, e)) return false;
    if (n > 0) snprintf(out->next, sizeof out->next, "%lld.%lld", (long long)last.at, (long long)last.study);
    out->counted = count;
    if (!count) return true;
    if (is_unfiltered(l)) return count_all(l->d, out, e);
    out->total = out->count + n;
    return n == 0 || count_on(l, s, out, e);
}

static bool list(struct listing *l, struct str cursor, unsigned limit, struct worklist_page *out, struct err *e) {
    struct qplace after;
    struct qkey_range all;
    struct qstream s;
    if (!read_cursor(cursor, &after, e) || !plan(l, e) || !order_probes(l, e)) return false;
    open_stream(l, after, &all, &s);
    bool ok = read_page(l, &s, cursor.n == 0, limit, out, e);
    qstream_deinit(&s);
    return ok;
}

bool worklist_read(struct archive *ar, const struct actor *who, struct arena *a, const struct worklist_filter *f, struct str cursor, unsigned limit,
                   struct worklist_page *out, struct err *e) {
    (void)who; // who may see what is decided here once there is more than one scope
    if (limit == 0 || limit > WORKLIST_PAGE_MAX) limit = WORKLIST_PAGE_MAX;
    struct listing l = {.a = a, .f = f};
    *out = (struct worklist_page){.rows = arena_zero(a, limit, sizeof *out->rows, e)};
    if (!out->rows || !(l.d = db_reader(archive_db(ar), e))) return false;
    arena_init(&l.scratch, SCRATCH_BYTES_MAX);
    bool ok = db_begin(l.d, e) && list(&l, cursor, limit, out, e);
    db_rollback(l.d);
    db_return(archive_db(ar), l.d);
    arena_deinit(&l.scratch);
    return ok;
}
