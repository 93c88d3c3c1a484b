// The list of studies that people look at, from study_keys alone: words are ranges of keys, and what is in all of them is listed.
#include "core/worklist.h"

#include <stdio.h>

#include "base/clock.h"
#include "core/query_rows.h"
#include "core/query_stream.h"
#include "core/query_time.h"
#include "core/query_walk.h"
#include "core/scope.h"
#include "core/veil.h"

enum { SCRATCH_BYTES_MAX = 4 * 1024 * 1024, TEXT_BYTES_MAX = 512, MODALITIES_MAX = 32, COUNT_US = 4000, COUNT_PLACES = 512, CARRIED_MAX = 2 * QROW_MANY + 32 };

#define COLUMNS                                                                                                                                   \
    "study_uid, patient_id, issuer, patient_name, birth_date, sex, patient_age, study_date, study_time, accession_number, study_id, description," \
    " modalities, referring_physician, institution, series_count, instance_count, bytes, created_ms, changed_ms, text_flags, patient_conflict, id"
static const char rows_sql[] = "SELECT " COLUMNS " FROM studies WHERE id {in ?1}";

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

// Of who sees part of the archive the row is sealed: its number counts the others'.
static bool read_row(struct archive *ar, bool sealed, struct str text, int64_t *row, struct err *e) {
    struct veil v;
    return sealed ? veil_open(ar, &v, e) && veil_take(&v, text, row, e) : str_to_i64(text, row);
}

static bool read_cursor(struct archive *ar, bool sealed, struct str cursor, struct qplace *out, struct err *e) {
    size_t dot = str_find(cursor, '.', 0);
    *out = QPLACE_FIRST;
    if (cursor.n == 0) return true;
    if (str_to_i64(str_sub(cursor, 0, dot), &out->at) && dot < cursor.n && read_row(ar, sealed, str_sub(cursor, dot + 1, cursor.n), &out->study, NULL))
        return true;
    return err_set(e, ERR_BAD_INPUT, "worklist", "\"%.*s\" is no place in the list; start again from the first page", STR_FMT(cursor));
}

static bool write_cursor(struct archive *ar, bool sealed, struct qplace last, char out[WORKLIST_CURSOR_BYTES], struct err *e) {
    char row[VEIL_BYTES];
    struct veil v;
    if (!sealed) return snprintf(out, WORKLIST_CURSOR_BYTES, "%lld.%lld", (long long)last.at, (long long)last.study) > 0;
    return veil_open(ar, &v, e) && veil_put(&v, last.study, row, e) && snprintf(out, WORKLIST_CURSOR_BYTES, "%lld.%s", (long long)last.at, row) > 0;
}

// ---- a page ----

// A row and its place as the row itself has it.
struct carried {
    int64_t study, at;
    struct worklist_row row;
};

struct listing {
    struct arena *a, scratch;
    struct carried *carried; // CARRIED_MAX at most: those that came with their places, and those that were asked for
    unsigned carried_count;
    struct qcarry carry;
    const struct worklist_filter *f;
    struct archive *ar;
    struct db *d;
    struct qprobe probes[QSTREAM_ALSO_MAX + 2];
    unsigned probe_count; // those of the filter, at most QSTREAM_ALSO_MAX, and that of the scope
    int64_t at_from, at_to;
    struct scope scope;
    unsigned of_scope; // which of the probes is that of the scope
};
enum { NO_PROBE = QSTREAM_ALSO_MAX + 2 };

static bool plan(struct listing *l, struct err *e) {
    l->at_to = INT64_MAX;
    if (!add_modalities(&l->scratch, l->f->modality, l->probes, &l->probe_count, e)) return false;
    if (!add_words(&l->scratch, l->f->text, l->probes, &l->probe_count, e)) return false;
    l->of_scope = l->scope.everywhere ? NO_PROBE : l->probe_count;
    if (!l->scope.everywhere && !qprobe_of_scope(&l->scratch, &l->scope, &l->probes[l->probe_count++], e)) return false;
    if (!date_bound(l->f->date_from, &l->at_from, e) || !date_bound(l->f->date_to, &l->at_to, e)) return false;
    if (l->f->date_to.n > 0) l->at_to += 235959;
    if (l->f->date_to.n > 0 && l->at_from == 0) l->at_from = 1; // those without a date are in no range of dates
    return true;
}

// The rarest first, so that months without it cost little.
static bool order_probes(struct listing *l, struct err *e) {
    enum { ENOUGH = 256 };
    unsigned best = 0, counts[QSTREAM_ALSO_MAX + 2];
    if (l->probe_count < 2) return true;
    if (!qprobe_estimate(l->d, l->probes, l->probe_count, l->at_from, l->at_to, ENOUGH, counts, e)) return false;
    for (unsigned i = 1; i < l->probe_count; i++)
        if (counts[i] < counts[best]) best = i;
    struct qprobe first = l->probes[0];
    l->probes[0] = l->probes[best];
    l->probes[best] = first;
    if (l->of_scope == best)
        l->of_scope = 0;
    else if (l->of_scope == 0)
        l->of_scope = best;
    return true;
}

static void open_stream(const struct listing *l, struct qplace after, struct qkey_range *all, struct qstream *s) {
    *all = (struct qkey_range){.lo = STR_LIT("")};
    qstream_init(s, l->at_from, l->at_to, after);
    s->probe = l->probe_count ? l->probes[0] : (struct qprobe){.ranges = all, .count = 1};
    for (unsigned i = 1; i < l->probe_count && s->also_count < QSTREAM_ALSO_MAX; i++)
        if (i != l->of_scope) s->also[s->also_count++] = l->probes[i]; // the stream keeps to the scope by the rows
    if (!l->scope.everywhere) s->scope = &l->scope;
}

enum { TEXTS = 15 };

// The row from this column on, and the second at which it stands.
static bool take_row(struct db_stmt *s, struct arena *a, int column, struct carried *out, struct err *e) {
    struct worklist_row *row = &out->row;
    struct str *const texts[TEXTS] = {&row->study_uid, &row->patient_id,  &row->issuer,     &row->patient_name,        &row->birth_date,
                                      &row->sex,       &row->patient_age, &row->study_date, &row->study_time,          &row->accession_number,
                                      &row->study_id,  &row->description, &row->modalities, &row->referring_physician, &row->institution};
    *out = (struct carried){.study = db_int(s, column + TEXTS + 7)};
    for (int i = 0; i < TEXTS; i++)
        if (!arena_dup(a, db_text(s, column + i), texts[i], e)) return false;
    const int numbers = column + TEXTS;
    row->series_count = db_int(s, numbers);
    row->instance_count = db_int(s, numbers + 1);
    row->bytes = db_int(s, numbers + 2);
    row->received_ms = db_int(s, numbers + 3);
    row->changed_ms = db_int(s, numbers + 4);
    row->text_flags = (unsigned)db_int(s, numbers + 5);
    row->patient_conflict = db_int(s, numbers + 6) != 0;
    out->at = query_at(row->study_date, row->study_time);
    return true;
}

static bool take_carried(void *ctx, struct db_stmt *s, int column, int64_t study, struct err *e) {
    struct listing *l = ctx;
    (void)study; // of a row that is gone it is 0
    l->carry.room--;
    return take_row(s, l->a, column, &l->carried[l->carried_count++], e);
}

// Rows that are asked for by id; they come in any order.
static bool read_rows(struct listing *l, const int64_t *ids, unsigned n, struct err *e) {
    char json[QROW_IDS_BYTES];
    bool ok = true;
    struct db_stmt *s = db_prepare(l->d, rows_sql, e);
    if (!s) return false;
    db_bind_text(s, 1, qrow_ids(ids, n, json));
    enum db_step step = DB_ROW;
    while (ok && l->carried_count < CARRIED_MAX && (step = db_next(s, e)) == DB_ROW) ok = take_row(s, l->a, 0, &l->carried[l->carried_count++], e);
    db_done(s);
    return ok && step != DB_FAIL;
}

// guess: where it is likely to be.
static const struct carried *find_carried(const struct listing *l, int64_t study, unsigned guess) {
    for (unsigned i = 0; i < l->carried_count; i++) {
        const struct carried *c = &l->carried[(guess + i) % l->carried_count];
        if (c->study == study) return c;
    }
    return NULL;
}

// Rows of places, behind those that the page has; those that are gone, or stand elsewhere by now, are left out. What did not come along is read.
static bool put_rows(struct listing *l, const struct qplace *places, unsigned n, struct worklist_page *out, struct err *e) {
    int64_t missing[QROW_MANY];
    unsigned missing_count = 0;
    for (unsigned i = 0; i < n; i++)
        if (!find_carried(l, places[i].study, i)) missing[missing_count++] = places[i].study;
    if (missing_count > 0 && !read_rows(l, missing, missing_count, e)) return false;
    for (unsigned i = 0; i < n; i++) {
        const struct carried *c = find_carried(l, places[i].study, i);
        if (c && c->at == places[i].at) out->rows[out->count++] = c->row;
    }
    return true;
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
    uint64_t rest;
    unsigned n = 1;
    if (s->at_once && !s->scope) {
        if (!qwalk_count(s, l->d, WORKLIST_COUNT_MAX + 1 - out->total, start + COUNT_US, &rest, &out->more, e)) return false;
        out->total += rest;
        n = out->more || out->total > WORKLIST_COUNT_MAX;
    }
    while (n > 0 && (!s->at_once || s->scope) && out->total <= WORKLIST_COUNT_MAX) {
        if (!qstream_next(s, l->d, places, COUNT_PLACES, &n, e)) return false;
        out->total += n;
        if (n > 0 && clock_mono_us() - start > COUNT_US) break;
    }
    out->more = n > 0;
    if (out->total > WORKLIST_COUNT_MAX) out->total = WORKLIST_COUNT_MAX;
    return true;
}

// The next places with those of their rows that come along.
static bool next_places(struct listing *l, struct qstream *s, struct qplace *places, unsigned max, unsigned *n, struct err *e) {
    l->carried_count = 0;
    l->carry.room = QROW_MANY + 32;
    s->carry = &l->carry;
    bool ok = qstream_next(s, l->d, places, max, n, e);
    s->carry = NULL;
    return ok;
}

// limit rows, a look whether there is one more, and the count.
static bool read_page(struct listing *l, struct qstream *s, bool count, unsigned limit, struct worklist_page *out, struct err *e) {
    struct qplace places[QROW_MANY], last = {0};
    unsigned n = 1, more = 0;
    while (n > 0 && more == 0) {
        unsigned room = limit - out->count, wanted = room < QROW_MANY ? room + 1 : QROW_MANY; // the one more, too
        if (!next_places(l, s, places, wanted, &n, e)) return false;
        more = n > room;
        if (n > more && !put_rows(l, places, n - more, out, e)) return false;
        if (n > more) last = places[n - 1 - more];
    }
    n = more;
    if (n > 0 && !write_cursor(l->ar, !l->scope.everywhere, last, out->next, e)) return false;
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
    if (!read_cursor(l->ar, !l->scope.everywhere, cursor, &after, e) || !plan(l, e) || !order_probes(l, e)) return false;
    open_stream(l, after, &all, &s);
    bool ok = read_page(l, &s, cursor.n == 0, limit, out, e);
    qstream_deinit(&s);
    return ok;
}

bool worklist_read(struct archive *ar, const struct actor *who, struct arena *a, const struct worklist_filter *f, struct str cursor, unsigned limit,
                   struct worklist_page *out, struct err *e) {
    if (limit == 0 || limit > WORKLIST_PAGE_MAX) limit = WORKLIST_PAGE_MAX;
    struct listing l = {.a = a, .f = f, .ar = ar};
    *out = (struct worklist_page){.rows = arena_zero(a, limit, sizeof *out->rows, e)};
    l.carried = arena_alloc(a, CARRIED_MAX * sizeof *l.carried, e);
    l.carry = (struct qcarry){.columns = COLUMNS, .take = take_carried, .ctx = &l};
    if (!out->rows || !l.carried || !(l.d = db_reader(archive_db(ar), e))) return false;
    arena_init(&l.scratch, SCRATCH_BYTES_MAX);
    bool ok = scope_of(who, ACCESS_STUDY_FIND, a, &l.scope, e) && db_begin(l.d, e) && list(&l, cursor, limit, out, e);
    db_rollback(l.d);
    db_return(archive_db(ar), l.d);
    arena_deinit(&l.scratch);
    return ok;
}
