// The one search: candidates are walked, checked level by level, and given in pages, each read in one snapshot.
#include "core/query.h"

#include <assert.h>

#include "base/clock.h"
#include "core/query_answer.h"
#include "core/query_header.h"
#include "core/scope.h"

enum {
    CANDIDATES = 128,                   // taken from the stream at a time, at most
    FEW_CANDIDATES = 16,                // at least
    FIRST_PAGE = 16,                    // answers of the first page when there is no limit, so that the first comes soon; doubled from page to page
    PAGE_BYTES = 8 * 1024 * 1024,       // of rows and headers, after which a page is given as it is
    PAGE_BYTES_MAX = 192 * 1024 * 1024, // one answer may have a header of DCM_HEADER_BYTES_MAX, in two forms
    LIST_BYTES_MAX = 64 * 1024 * 1024,  // row ids of one study or series
    SLICE_US = 20 * 1000,               // after which a page with answers is given as it is
    SNAPSHOT_US = 100 * 1000,           // after which a search without answers lets its snapshot go
    PATIENTS_MAX = 4 * 1024 * 1024,     // of one patient query
};

// Row ids below a row, and how far they were walked.
struct id_list {
    struct arena arena;
    int64_t *ids;
    size_t count, next;
    int64_t current; // row being walked below; 0 when none
};

// Rows of a level that will be looked at next, read by one statement.
enum { AHEAD_MAX = QROW_MANY + 32 }; // what comes along with candidates may be a little more than was asked for
struct ahead {
    int64_t ids[AHEAD_MAX];
    struct qrow *rows; // in the page's arena
    unsigned count, next;
};

// Patients already given.
struct patient_set {
    struct arena arena;
    int64_t *slots;
    size_t size, count;
};

struct query_cursor {
    struct archive *ar;
    struct scope scope;
    struct qplan plan;
    struct qstream stream;
    struct qplace candidates[CANDIDATES];
    unsigned candidate, candidate_count;
    int64_t study; // being walked below; 0 when none
    struct id_list series, instances;
    struct patient_set patients;
    uint32_t skip; // answers yet to be left out
    uint64_t left; // answers that may still be given
    bool at_end;

    // The page
    struct db *d;
    struct arena page, scratch;
    struct ahead ahead[4]; // by level
    struct qcarry carry;   // of studies, into ahead
    struct qmatch_row now; // the rows being looked at; above the answer's level as far as they are walked
    struct header_cache header_cache;
    struct dcm_dataset *headers[4];
    bool headers_known[4];
    struct qmatch_row *answers; // QUERY_PAGE
    unsigned answer, answer_count, page_answers;
};

// ---- matching one row ----

static bool need_header(struct query_cursor *c, enum query_level level, struct dcm_dataset **out, struct err *e) {
    enum query_level table = level == QUERY_PATIENT ? QUERY_STUDY : level;
    if (!c->headers_known[table]) {
        int64_t instance = c->now.instance.id;
        if (table == QUERY_STUDY && !qrow_representative(c->d, QUERY_STUDY, c->now.study.id, &instance, e)) return false;
        if (table == QUERY_SERIES && !qrow_representative(c->d, QUERY_SERIES, c->now.series.id, &instance, e)) return false;
        c->headers[table] = NULL;
        if (instance && !query_header(c->ar, c->d, &c->page, instance, &c->header_cache, &c->headers[table], e)) return false;
        c->headers_known[table] = true;
    }
    *out = c->headers[table];
    return true;
}

static bool need_counts(struct query_cursor *c, struct err *e) {
    return !c->plan.patient_counts || c->now.counts.studies > 0 || qrow_patient_counts(c->d, c->plan.scope, c->now.study.parent, &c->now.counts, e);
}

static const struct qrow *row_of(const struct query_cursor *c, enum query_level table) {
    return table == QUERY_STUDY ? &c->now.study : table == QUERY_SERIES ? &c->now.series : &c->now.instance;
}

// The study's offset from UTC.
static struct qmatch_zone stored_zone(const struct query_cursor *c) {
    struct qmatch_zone zone = {0};
    zone.known = qtime_offset(c->now.study.text[QSTUDY_ZONE], &zone.minutes);
    return zone;
}

// Where the pair's time lies beside its date column; -1 when the column is of no pair.
static int pair_of(const struct qcolumn *col, unsigned *date) {
    static const unsigned pairs[][3] = {{QUERY_STUDY, QSTUDY_DATE, QSTUDY_TIME}, {QUERY_SERIES, QSERIES_DATE, QSERIES_TIME}};
    for (unsigned i = 0; i < 2; i++)
        if (col->table == pairs[i][0] && (col->index == pairs[i][1] || col->index == pairs[i][2])) {
            *date = pairs[i][1];
            return (int)pairs[i][2];
        }
    return -1;
}

// The date and time of a row in the asker's zone.
static bool zoned_pair(struct query_cursor *c, const struct qrow *row, unsigned date, unsigned time, struct str *d, struct str *t, struct err *e) {
    struct qmatch_zone zone = stored_zone(c);
    char moved_date[9], moved_time[16];
    *d = row->text[date];
    *t = row->text[time];
    if (!c->plan.zoned) return true;
    if (!zone.known || !qtime_shift(*d, *t, c->plan.zone_min - zone.minutes, moved_date, moved_time)) return true;
    return arena_dup(&c->scratch, str_of(moved_date), d, e) && arena_dup(&c->scratch, str_of(moved_time), t, e);
}

static bool match_column(struct query_cursor *c, const struct qterm *t, bool *match, struct err *e) {
    const struct qrow *row = row_of(c, t->column->table);
    struct str text = row->text[t->column->index], date, clock;
    unsigned date_index = 0;
    int time_index = c->plan.zoned ? pair_of(t->column, &date_index) : -1;
    if (time_index >= 0) {
        if (!zoned_pair(c, row, date_index, (unsigned)time_index, &date, &clock, e)) return false;
        text = t->column->index == date_index ? date : clock;
    }
    return qmatch_text(&t->attr, &c->scratch, (struct qmatch_zone){0}, text, match, e);
}

static bool match_computed(struct query_cursor *c, const struct qterm *t, bool *match, struct err *e) {
    if (!need_counts(c, e)) return false;
    int64_t n = t->computed == QCOMPUTED_PATIENT_STUDIES  ? c->now.counts.studies
                : t->computed == QCOMPUTED_PATIENT_SERIES ? c->now.counts.series
                                                          : c->now.counts.instances;
    char *text = t->computed == QCOMPUTED_AVAILABILITY ? "ONLINE" : arena_printf(&c->scratch, e, "%lld", (long long)n);
    return text && qmatch_text(&t->attr, &c->scratch, (struct qmatch_zone){0}, str_of(text), match, e);
}

static bool match_header(struct query_cursor *c, const struct qterm *t, enum query_level level, bool *match, struct err *e) {
    struct dcm_dataset *header;
    if (!need_header(c, level, &header, e)) return false;
    return qmatch_dataset(&t->attr, &c->scratch, stored_zone(c), header, match, e);
}

static bool match_combined(struct query_cursor *c, const struct qcombined *range, bool *match, struct err *e) {
    struct str date, time;
    struct qspan day, clock;
    if (!zoned_pair(c, row_of(c, range->level), range->date_column, range->time_column, &date, &time, e)) return false;
    *match = qtime_date(date, &day);
    if (!*match) return true;
    // Without a time it may have been at any of the day.
    if (!qtime_time(time, &clock))
        clock = (struct qspan){.lo = 0, .hi = QTIME_DAY - 1};
    else
        clock.hi = clock.lo;
    *match = day.lo + clock.hi >= range->from && day.lo + clock.lo <= range->to;
    return true;
}

// Instance attributes without a column are looked up in the series' representative, unless they are declared or instances are what is asked for.
static bool is_deep(const struct query_cursor *c, const struct qterm *t) {
    return t->column || t->declared || c->plan.q->level == QUERY_INSTANCE;
}

// Whether a term is to be checked on the row of a level.
static bool is_checked_at(const struct query_cursor *c, const struct qterm *t, enum query_level level) {
    if (!t->asks) return false;
    if (t->level == QUERY_INSTANCE && !is_deep(c, t)) return level == QUERY_SERIES;
    return t->level == level;
}

// The row of `now` of this level against what is asked of the level. scratch is left as it was.
static bool match_row(struct query_cursor *c, enum query_level level, bool *match, struct err *e) {
    struct arena_mark mark = arena_mark(&c->scratch);
    bool ok = true;
    *match = true;
    for (unsigned i = 0; i < c->plan.combined_count && ok && *match; i++)
        if (c->plan.combined[i].level == level) ok = match_combined(c, &c->plan.combined[i], match, e);
    for (int from_headers = 0; from_headers < 2; from_headers++) // the cheap ones first
        for (unsigned i = 0; i < c->plan.term_count && ok && *match; i++) {
            const struct qterm *t = &c->plan.terms[i];
            bool needs_header = !t->column && !t->computed;
            if (!is_checked_at(c, t, level) || needs_header != (from_headers == 1)) continue;
            ok = t->column ? match_column(c, t, match, e) : t->computed ? match_computed(c, t, match, e) : match_header(c, t, level, match, e);
        }
    arena_rewind(&c->scratch, mark);
    return ok;
}

// ---- rows below ----

// The only UID asked for at a level, which spares a walk; {NULL, 0} when there are none or several.
static struct str only_uid(const struct query_cursor *c, uint32_t tag) {
    for (unsigned i = 0; i < c->plan.term_count; i++) {
        const struct qattr *q = &c->plan.terms[i].attr;
        if (q->tag == tag && q->kind == QMATCH_UID && q->value_count == 1) return q->values[0];
    }
    return (struct str){NULL, 0};
}

static bool children(struct query_cursor *c, struct arena *a, enum query_level level, int64_t parent, int64_t **ids, size_t *n, struct err *e) {
    struct str uid = only_uid(c, level == QUERY_SERIES ? DCM_SeriesInstanceUID : DCM_SOPInstanceUID);
    return uid.p ? qrow_child(c->d, a, level, parent, uid, ids, n, e) : qrow_children(c->d, a, level, parent, ids, n, e);
}

// Loads a row of a level into now.
static bool load(struct query_cursor *c, enum query_level level, int64_t id, bool *found, struct err *e) {
    struct qrow *row = level == QUERY_STUDY ? &c->now.study : level == QUERY_SERIES ? &c->now.series : &c->now.instance;
    for (enum query_level l = level; l <= QUERY_INSTANCE; l++) c->headers_known[l] = false;
    if (level == QUERY_STUDY) c->now.counts = (struct qpatient_counts){0};
    struct ahead *h = &c->ahead[level];
    if (h->next < h->count && h->ids[h->next] == id) {
        *row = h->rows[h->next];
        *found = h->rows[h->next++].id != 0;
        return true;
    }
    return qrow_load(c->d, &c->page, level, id, row, found, e);
}

// Reads the next rows of a level together, unless some that were read are left. Before a mark of the page is made: they outlast the row.
static bool look_ahead(struct query_cursor *c, enum query_level level, const int64_t *ids, size_t n, struct err *e) {
    struct ahead *h = &c->ahead[level];
    if (h->next < h->count && h->ids[h->next] == ids[0]) return true; // NOLINT(clang-analyzer-core.UndefinedBinaryOperatorResult): n is never 0
    h->next = 0;
    h->count = (unsigned)(n < QROW_MANY ? n : QROW_MANY);
    memcpy(h->ids, ids, h->count * sizeof *ids);
    h->rows = arena_alloc(&c->page, h->count * sizeof *h->rows, e);
    if (h->rows && qrow_load_many(c->d, &c->page, level, h->ids, h->count, h->rows, e)) return true;
    h->count = 0;
    return false;
}

// How many rows of the answers' level the page still takes.
static size_t room(const struct query_cursor *c) {
    uint64_t answers = c->page_answers - c->answer_count;
    return (size_t)((answers < c->left ? answers : c->left) + c->skip);
}

static bool asks_below(const struct query_cursor *c, enum query_level level) {
    for (unsigned l = level + 1; l <= QUERY_INSTANCE; l++)
        if (c->plan.asks_of[l]) return true;
    for (unsigned i = 0; i < c->plan.combined_count; i++)
        if (c->plan.combined[i].level > level) return true;
    return false;
}

// Whether instances need be looked at one by one.
static bool asks_instances(const struct query_cursor *c) {
    for (unsigned i = 0; i < c->plan.term_count; i++)
        if (is_checked_at(c, &c->plan.terms[i], QUERY_INSTANCE)) return true;
    return false;
}

static bool some_instance(struct query_cursor *c, int64_t series, bool *match, struct err *e) {
    struct arena_mark ids_mark = arena_mark(&c->scratch);
    int64_t *ids;
    size_t n;
    bool found, ok = children(c, &c->scratch, QUERY_INSTANCE, series, &ids, &n, e);
    *match = false;
    for (size_t i = 0; i < n && ok && !*match; i++) {
        if (!(ok = look_ahead(c, QUERY_INSTANCE, ids + i, n - i, e))) break;
        struct arena_mark mark = arena_mark(&c->page);
        ok = load(c, QUERY_INSTANCE, ids[i], &found, e) && (!found || match_row(c, QUERY_INSTANCE, match, e));
        arena_rewind(&c->page, mark);
    }
    c->ahead[QUERY_INSTANCE].count = c->ahead[QUERY_INSTANCE].next = 0; // their memory goes with the row above
    arena_rewind(&c->scratch, ids_mark);
    return ok;
}

// Whether the series in now, or some instance of it, is what is asked for.
static bool series_holds(struct query_cursor *c, bool *match, struct err *e) {
    if (!match_row(c, QUERY_SERIES, match, e)) return false;
    return !*match || !asks_instances(c) || some_instance(c, c->now.series.id, match, e);
}

static bool some_series(struct query_cursor *c, int64_t study, bool *match, struct err *e) {
    struct arena_mark ids_mark = arena_mark(&c->scratch);
    int64_t *ids;
    size_t n = 0;
    bool found, ok = children(c, &c->scratch, QUERY_SERIES, study, &ids, &n, e);
    *match = false;
    for (size_t i = 0; i < n && ok && !*match; i++) {
        if (!(ok = look_ahead(c, QUERY_SERIES, ids + i, n - i, e))) break;
        struct arena_mark mark = arena_mark(&c->page);
        ok = load(c, QUERY_SERIES, ids[i], &found, e) && (!found || series_holds(c, match, e));
        arena_rewind(&c->page, mark);
    }
    c->ahead[QUERY_SERIES].count = c->ahead[QUERY_SERIES].next = 0;
    arena_rewind(&c->scratch, ids_mark);
    return ok;
}

// ---- patients once ----

static size_t slot_of(const struct patient_set *s, int64_t patient) {
    size_t i = (size_t)((uint64_t)patient * 0x9E3779B97F4A7C15u) & (s->size - 1);
    while (s->slots[i] != 0 && s->slots[i] != patient) i = (i + 1) & (s->size - 1);
    return i;
}

static bool grow_patients(struct patient_set *s, struct err *e) {
    struct patient_set old = *s;
    s->size = old.size ? old.size * 2 : 1024;
    if (s->count >= PATIENTS_MAX) return err_set(e, ERR_TOO_LARGE, "query", "more than %d patients match: narrow the query", PATIENTS_MAX);
    if (!(s->slots = arena_zero(&s->arena, s->size, sizeof *s->slots, e))) return false;
    for (size_t i = 0; i < old.size; i++)
        if (old.slots[i]) s->slots[slot_of(s, old.slots[i])] = old.slots[i];
    return true;
}

// *fresh when it was not there.
static bool add_patient(struct patient_set *s, int64_t patient, bool *fresh, struct err *e) {
    if (s->count * 2 >= s->size && !grow_patients(s, e)) return false;
    size_t i = slot_of(s, patient);
    *fresh = s->slots[i] != patient;
    s->count += *fresh;
    s->slots[i] = patient;
    return true;
}

// ---- the walk ----

static bool give(struct query_cursor *c, struct err *e) {
    if (c->skip > 0) {
        c->skip--;
        return true;
    }
    bool header = c->plan.q->include_all;
    for (unsigned l = 0; l <= c->plan.q->level; l++) header |= c->plan.header_of[l];
    c->now.header = NULL;
    if ((header && !need_header(c, c->plan.q->level, &c->now.header, e)) || !need_counts(c, e)) return false;
    c->answers[c->answer_count++] = c->now;
    c->left--;
    return true;
}

// Begins to walk below a row.
static bool descend(struct query_cursor *c, struct id_list *list, enum query_level level, int64_t parent, struct err *e) {
    arena_reset(&list->arena);
    list->next = list->count = 0;
    return children(c, &list->arena, level, parent, &list->ids, &list->count, e);
}

static bool walk_study(struct query_cursor *c, struct qplace at, struct err *e) {
    struct arena_mark mark = arena_mark(&c->page);
    enum query_level level = c->plan.q->level;
    bool found, match = false;
    if (!load(c, QUERY_STUDY, at.study, &found, e)) return false;
    // A key that an earlier state of the row left behind says another time.
    if (found && c->now.study.at == at.at && !match_row(c, QUERY_PATIENT, &match, e)) return false;
    if (match && !match_row(c, QUERY_STUDY, &match, e)) return false;
    if (match && level <= QUERY_STUDY && asks_below(c, QUERY_STUDY) && !some_series(c, at.study, &match, e)) return false;
    if (match && level == QUERY_PATIENT && !add_patient(&c->patients, c->now.study.parent, &match, e)) return false;
    if (!match) {
        arena_rewind(&c->page, mark);
        return true;
    }
    if (level <= QUERY_STUDY) return give(c, e);
    c->study = at.study;
    return descend(c, &c->series, QUERY_SERIES, at.study, e);
}

static bool walk_series(struct query_cursor *c, struct err *e) {
    bool found, match = false, last = c->plan.q->level == QUERY_SERIES;
    size_t left = c->series.count - c->series.next;
    if (left == 0) {
        c->study = 0;
        return true;
    }
    if (!look_ahead(c, QUERY_SERIES, c->series.ids + c->series.next, last && room(c) < left ? room(c) : left, e)) return false;
    struct arena_mark mark = arena_mark(&c->page);
    int64_t id = c->series.ids[c->series.next++];
    if (!load(c, QUERY_SERIES, id, &found, e)) return false;
    if (found && !(last ? series_holds(c, &match, e) : match_row(c, QUERY_SERIES, &match, e))) return false;
    if (!match) {
        arena_rewind(&c->page, mark);
        return true;
    }
    if (last) return give(c, e);
    c->series.current = id;
    return descend(c, &c->instances, QUERY_INSTANCE, id, e);
}

static bool walk_instance(struct query_cursor *c, struct err *e) {
    bool found, match = false;
    size_t left = c->instances.count - c->instances.next;
    if (left == 0) {
        c->series.current = 0;
        return true;
    }
    if (!look_ahead(c, QUERY_INSTANCE, c->instances.ids + c->instances.next, room(c) < left ? room(c) : left, e)) return false;
    struct arena_mark mark = arena_mark(&c->page);
    if (!load(c, QUERY_INSTANCE, c->instances.ids[c->instances.next++], &found, e)) return false;
    if (found && !match_row(c, QUERY_INSTANCE, &match, e)) return false;
    if (match) return give(c, e);
    arena_rewind(&c->page, mark);
    return true;
}

// As many of the candidates as the page may take, when studies are what is asked for.
static bool look_ahead_studies(struct query_cursor *c, struct err *e) {
    enum { FEW = 8 };
    int64_t ids[QROW_MANY];
    size_t n = c->plan.q->level <= QUERY_STUDY ? room(c) : FEW;
    if (n > c->candidate_count - c->candidate) n = c->candidate_count - c->candidate;
    if (n > QROW_MANY) n = QROW_MANY;
    for (size_t i = 0; i < n; i++) ids[i] = c->candidates[c->candidate + i].study;
    return look_ahead(c, QUERY_STUDY, ids, n, e);
}

static unsigned candidates_wanted(const struct query_cursor *c) {
    size_t n = c->plan.q->level <= QUERY_STUDY ? room(c) : FEW_CANDIDATES;
    return n < FEW_CANDIDATES ? FEW_CANDIDATES : n < CANDIDATES ? (unsigned)n : CANDIDATES;
}

// A row that came with its candidate.
static bool take_study(void *ctx, struct db_stmt *s, int column, int64_t study, struct err *e) {
    struct query_cursor *c = ctx;
    struct ahead *h = &c->ahead[QUERY_STUDY];
    assert(h->count < AHEAD_MAX); // the stream keeps to carry.room
    if (h->count == 0 && !(h->rows = arena_alloc(&c->page, AHEAD_MAX * sizeof *h->rows, e))) return false;
    h->ids[h->count] = study;
    c->carry.room--;
    return qrow_take_study(s, &c->page, column, &h->rows[h->count++], e);
}

static bool next_candidates(struct query_cursor *c, struct err *e) {
    struct ahead *h = &c->ahead[QUERY_STUDY];
    h->count = h->next = c->candidate = 0;
    c->carry.room = AHEAD_MAX;
    c->stream.carry = c->plan.q->level <= QUERY_STUDY && !c->plan.scope ? &c->carry : NULL;
    if (!qstream_next(&c->stream, c->d, c->candidates, candidates_wanted(c), &c->candidate_count, e)) return false;
    c->at_end = c->candidate_count == 0;
    return true;
}

// One step down, along or on.
static bool walk(struct query_cursor *c, struct err *e) {
    if (c->study && c->series.current) return walk_instance(c, e);
    if (c->study) return walk_series(c, e);
    if (c->candidate == c->candidate_count) {
        if (!next_candidates(c, e)) return false;
        if (c->at_end) return true;
    }
    if (!look_ahead_studies(c, e)) return false;
    return walk_study(c, c->candidates[c->candidate++], e);
}

// The rows that a page left half walked, in the new page's snapshot; they may be gone.
static bool resume(struct query_cursor *c, struct err *e) {
    bool found = true;
    if (c->study && !load(c, QUERY_STUDY, c->study, &found, e)) return false;
    if (!found) c->study = c->series.current = 0;
    if (c->series.current && !load(c, QUERY_SERIES, c->series.current, &found, e)) return false;
    if (!found) c->series.current = 0;
    return true;
}

static bool is_page_full(const struct query_cursor *c, int64_t since_us) {
    if (c->answer_count == c->page_answers || c->left == 0 || c->at_end) return true;
    if (c->answer_count > 0 && c->page.used > PAGE_BYTES) return true;
    return since_us > (c->answer_count > 0 ? SLICE_US : SNAPSHOT_US);
}

static bool fill_page(struct query_cursor *c, struct err *e) {
    int64_t start = clock_mono_us();
    arena_reset(&c->page);
    for (unsigned i = 0; i < 4; i++) c->ahead[i].count = c->ahead[i].next = 0;
    c->answer = c->answer_count = 0;
    c->page_answers = c->page_answers * 2 < QUERY_PAGE ? c->page_answers * 2 : QUERY_PAGE;
    if (!(c->d = db_reader(archive_db(c->ar), e))) return false;
    bool ok = db_begin(c->d, e) && resume(c, e);
    for (unsigned i = 1; ok && !is_page_full(c, i % 16 ? 0 : clock_mono_us() - start); i++) ok = walk(c, e);
    if (ok)
        ok = db_commit(c->d, e);
    else
        db_rollback(c->d);
    db_return(archive_db(c->ar), c->d);
    c->d = NULL;
    return ok;
}

static bool fail_if_cancelled(const struct query_cursor *c, struct err *e) {
    const struct query *q = c->plan.q;
    return !q->cancelled || !q->cancelled(q->cancel_ctx) || err_set(e, ERR_CANCELLED, "query", "the query was cancelled");
}

enum query_step query_next(struct query_cursor *c, struct arena *scratch, struct dcm_dataset **match, struct err *e) {
    while (c->answer == c->answer_count) {
        if (c->at_end || c->left == 0) return QUERY_END;
        if (!fail_if_cancelled(c, e) || !fill_page(c, e)) return QUERY_FAIL;
    }
    return qanswer_make(scratch, &c->plan, &c->answers[c->answer++], match, e) ? QUERY_ROW : QUERY_FAIL;
}

static bool start(struct query_cursor *c, struct arena *a, const struct query *q, struct err *e) {
    struct db *d = db_reader(archive_db(c->ar), e);
    if (!d) return false;
    bool ok = db_begin(d, e) && qplan_make(a, d, q, &c->plan, e);
    if (!c->scope.everywhere) c->plan.scope = &c->scope;
    ok = ok && qplan_stream(a, d, &c->plan, QPLACE_FIRST, &c->stream, e);
    if (ok)
        ok = db_commit(d, e);
    else
        db_rollback(d);
    db_return(archive_db(c->ar), d);
    return ok;
}

bool query_open(struct archive *ar, const struct actor *who, struct arena *a, const struct query *q, struct query_cursor **out, struct err *e) {
    struct query_cursor *c = arena_zero(a, 1, sizeof *c, e);
    if (!c || !scope_of(who, ACCESS_STUDY_FIND, a, &c->scope, e) || !(c->answers = arena_alloc(a, QUERY_PAGE * sizeof *c->answers, e))) return false;
    c->carry = (struct qcarry){.columns = qrow_study_columns, .take = take_study, .ctx = c};
    c->ar = ar;
    c->skip = q->offset;
    c->left = q->limit ? q->limit : UINT64_MAX;
    c->page_answers = q->limit ? QUERY_PAGE : FIRST_PAGE / 2;
    arena_init(&c->page, PAGE_BYTES_MAX);
    arena_init(&c->scratch, PAGE_BYTES_MAX);
    arena_init(&c->series.arena, LIST_BYTES_MAX);
    arena_init(&c->instances.arena, LIST_BYTES_MAX);
    arena_init(&c->patients.arena, (size_t)PATIENTS_MAX * 32);
    header_cache_init(&c->header_cache);
    *out = c;
    if (start(c, a, q, e)) return true;
    query_close(c);
    return false;
}

void query_close(struct query_cursor *c) {
    if (!c) return;
    qstream_deinit(&c->stream);
    header_cache_deinit(&c->header_cache);
    arena_deinit(&c->page);
    arena_deinit(&c->scratch);
    arena_deinit(&c->series.arena);
    arena_deinit(&c->instances.arena);
    arena_deinit(&c->patients.arena);
}
