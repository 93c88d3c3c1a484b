// Planning: a tree of attributes from the flat keys, and the choice of what to walk.
#include "core/query_plan.h"

#include <stdio.h>

#include "core/searchable.h"

enum { TERMS_MAX = 4096, PROBES_MAX = 16, ESTIMATE_MAX = 1024, CHECK_COST = 50, PROBE_VALUES_MAX = 64 };

// ---- attributes ----

static struct qattr *find_child(struct qattr *list, unsigned n, uint32_t tag) {
    for (unsigned i = 0; i < n; i++)
        if (list[i].tag == tag) return &list[i];
    return NULL;
}

// The child of parent with this tag, made when it is not there.
static struct qattr *child_of(struct arena *a, struct qattr *parent, uint32_t tag, bool leaf, struct err *e) {
    struct qattr *found = find_child(parent->children, parent->child_count, tag);
    if (found) return found;
    size_t n = parent->child_count;
    struct qattr *grown = arena_grow(a, parent->children, n * sizeof *grown, (n + 1) * sizeof *grown, e);
    if (!grown) return NULL;
    parent->children = grown;
    parent->child_count++;
    grown[n] = (struct qattr){.tag = tag, .vr = leaf ? 0 : DCM_VR_SQ, .kind = leaf ? QMATCH_ANY : QMATCH_SEQUENCE};
    return &grown[n];
}

static struct qterm *term_of(struct qplan *p, uint32_t tag) {
    for (unsigned i = 0; i < p->term_count; i++)
        if (p->terms[i].attr.tag == tag) return &p->terms[i];
    struct qterm *t = &p->terms[p->term_count++];
    *t = (struct qterm){.attr = {.tag = tag, .vr = DCM_VR_SQ, .kind = QMATCH_SEQUENCE}};
    return t;
}

static bool put_key(struct arena *a, struct qplan *p, const struct query_key *k, struct err *e) {
    if (k->path_n == 0 || k->path_n > QUERY_PATH_MAX)
        return err_set(e, ERR_BAD_INPUT, "query", "a key has %u tags in its path; 1 to %d are understood", k->path_n, QUERY_PATH_MAX);
    struct qattr *at = &term_of(p, k->path[0])->attr;
    for (unsigned i = 1; i < k->path_n; i++)
        if (!(at = child_of(a, at, k->path[i], i + 1 == k->path_n, e))) return false;
    if (at->child_count > 0) return true; // a sequence that is also asked for as a whole
    return qmatch_compile(a, at->tag, 0, k->value, (p->q->fuzzy ? QMATCH_FUZZY_NAMES : 0) | (p->q->combined_datetime ? QMATCH_INVERTED_TIMES : 0), at, e);
}

static enum qcomputed computed_of(uint32_t tag) {
    switch (tag) {
    case DCM_NumberOfPatientRelatedStudies:
        return QCOMPUTED_PATIENT_STUDIES;
    case DCM_NumberOfPatientRelatedSeries:
        return QCOMPUTED_PATIENT_SERIES;
    case DCM_NumberOfPatientRelatedInstances:
        return QCOMPUTED_PATIENT_INSTANCES;
    case DCM_InstanceAvailability:
        return QCOMPUTED_AVAILABILITY;
    default:
        return QCOMPUTED_NO;
    }
}

// A date-time without an offset is meant in the asker's zone.
static void put_zone(const struct qplan *p, struct qattr *q) {
    struct qspan *const ends[] = {&q->range.from, &q->range.to};
    for (unsigned i = 0; i < 2 && p->zoned && q->kind == QMATCH_RANGE && q->vr == DCM_VR_DT; i++) {
        if (ends[i]->zoned) continue;
        ends[i]->zoned = true;
        ends[i]->offset_min = p->zone_min;
    }
}

// Declared attributes are none of those that are keys of every study: they need not be looked for when nothing else restricts.
static bool may_be_declared(const struct qplan *p) {
    for (unsigned i = 0; i < p->term_count; i++)
        if (!qmatch_is_universal(&p->terms[i].attr) && !searchable_is_key(p->terms[i].attr.tag)) return true;
    return false;
}

static void classify(struct qplan *p, struct qterm *t, const uint32_t *declared, unsigned declared_count) {
    put_zone(p, &t->attr);
    t->column = qrow_column(t->attr.tag);
    t->computed = computed_of(t->attr.tag);
    t->level = t->computed == QCOMPUTED_AVAILABILITY ? QUERY_PATIENT : qrow_attribute_level(t->attr.tag);
    t->asks = !qmatch_is_universal(&t->attr);
    for (unsigned i = 0; i < declared_count; i++) t->declared |= declared[i] == t->attr.tag;
    p->asks_of[t->level] |= t->asks;
    p->header_of[t->level] |= !t->column && !t->computed;
    p->patient_counts |= t->computed >= QCOMPUTED_PATIENT_STUDIES && t->computed <= QCOMPUTED_PATIENT_INSTANCES;
}

// ---- dates and times ----

static const struct {
    uint32_t date, time;
} pairs[] = {
    {DCM_StudyDate, DCM_StudyTime},
    {DCM_SeriesDate, DCM_SeriesTime},
    {DCM_PerformedProcedureStepStartDate, DCM_PerformedProcedureStepStartTime},
};

static struct qterm *range_term(struct qplan *p, uint32_t tag) {
    for (unsigned i = 0; i < p->term_count; i++)
        if (p->terms[i].attr.tag == tag && p->terms[i].attr.kind == QMATCH_RANGE) return &p->terms[i];
    return NULL;
}

static void combine(struct qplan *p) {
    for (unsigned i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct qterm *date = range_term(p, pairs[i].date), *time = range_term(p, pairs[i].time);
        if (!date || !time) continue;
        const struct qrange *d = &date->attr.range, *t = &time->attr.range;
        struct qcombined *c = &p->combined[p->combined_count++];
        *c = (struct qcombined){.level = date->level, .date_column = date->column->index, .time_column = time->column->index};
        c->from = d->open_from ? INT64_MIN : d->from.lo + (t->open_from ? 0 : t->from.lo);
        c->to = d->open_to ? INT64_MAX : t->open_to ? d->to.hi : d->to.lo + t->to.hi;
        date->asks = time->asks = false;
    }
}

static void bound_dates(struct qplan *p) {
    p->at_from = 0;
    p->at_to = INT64_MAX;
    const struct qterm *date = range_term(p, DCM_StudyDate);
    if (!date) return;
    const struct qrange *r = &date->attr.range;
    int64_t slack = p->zoned ? QTIME_DAY : 0; // in the asker's zone it may be the day before or after
    p->at_from = 1;
    if (!r->open_from) p->at_from = qtime_day_number(r->from.lo - slack) * 1000000;
    if (!r->open_to) p->at_to = qtime_day_number(r->to.hi + slack) * 1000000 + 235959;
}

bool qplan_make(struct arena *a, struct db *d, const struct query *q, struct qplan *out, struct err *e) {
    uint32_t *declared = NULL;
    unsigned declared_count = 0;
    if (q->key_count > TERMS_MAX) return err_set(e, ERR_TOO_LARGE, "query", "%u keys; at most %d are taken", q->key_count, TERMS_MAX);
    *out = (struct qplan){.q = q, .terms = arena_zero(a, q->key_count + 1, sizeof *out->terms, e)};
    if (!out->terms) return false;
    for (unsigned i = 0; i < q->key_count; i++) {
        const struct query_key *k = &q->keys[i];
        if (k->path_n == 1 && k->path[0] == DCM_TimezoneOffsetFromUTC && str_trim(k->value).n > 0) {
            if (!qtime_offset(k->value, &out->zone_min))
                return err_set(e, ERR_BAD_INPUT, "query", "key TimezoneOffsetFromUTC: \"%.*s\" is not an offset like +0800", STR_FMT(k->value));
            out->zoned = true;
            struct query_key asked = *k;
            asked.value = (struct str){NULL, 0};
            if (!put_key(a, out, &asked, e)) return false;
        } else if (!put_key(a, out, k, e)) {
            return false;
        }
    }
    if (may_be_declared(out) && !searchable_read(d, a, &declared, &declared_count, e)) return false;
    for (unsigned i = 0; i < out->term_count; i++) classify(out, &out->terms[i], declared, declared_count);
    if (q->combined_datetime) combine(out);
    bound_dates(out);
    return true;
}

// ---- what to walk ----

// Columns whose values are keys of studies.
static const struct {
    uint32_t tag;
    enum query_key_kind kind;
} keyed[] = {
    {DCM_AccessionNumber, QUERY_KEY_ACCESSION},
    {DCM_PatientID, QUERY_KEY_PATIENT_ID},
    {DCM_StudyID, QUERY_KEY_STUDY_ID},
    {DCM_PatientName, QUERY_KEY_NAME},
    {DCM_PatientBirthDate, QUERY_KEY_BIRTH_DATE},
    {DCM_ReferringPhysicianName, QUERY_KEY_REFERRING},
    {DCM_StudyDescription, QUERY_KEY_DESCRIPTION},
    {DCM_ModalitiesInStudy, QUERY_KEY_MODALITY},
    {DCM_Modality, QUERY_KEY_MODALITY},
};

static size_t literal_bytes(struct str v) {
    size_t star = str_find(v, '*', 0), mark = str_find(v, '?', 0);
    return star < mark ? star : mark;
}

// The part of a name that every match begins with: of the first component group that has any.
static struct str name_literal(struct str v) {
    struct str rest = v;
    while (rest.p) {
        struct str group = str_split(&rest, '=');
        if (str_trim(group).n > 0) return str_sub(group, 0, literal_bytes(group));
    }
    return (struct str){"", 0};
}

static bool is_separator(char c) {
    return c == ' ' || c == '^' || c == '=' || c == ',' || c == '\t';
}

// The longest word of a fuzzy name: every word must be found, so any will do.
static struct str longest_word(struct str v) {
    struct str best = {"", 0};
    for (size_t i = 0; i < v.n;) {
        size_t end = i;
        while (end < v.n && !is_separator(v.p[end])) end++;
        if (end - i > best.n) best = str_sub(v, i, end - i);
        i = end + 1;
    }
    return str_sub(best, 0, literal_bytes(best));
}

static bool is_word_byte(char c) {
    return c & 0x80 || ((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9');
}

// The first word of a description, as far as it is literal.
static struct str first_word(struct str v) {
    size_t from = 0, to, end = literal_bytes(v);
    while (from < end && !is_word_byte(v.p[from])) from++;
    for (to = from; to < end && is_word_byte(v.p[to]);) to++;
    return str_sub(v, from, to - from);
}

static bool make_key(struct arena *a, const struct qattr *q, enum query_key_kind kind, struct str text, struct str *key, struct err *e) {
    if (kind == QUERY_KEY_ATTRIBUTE) return searchable_key(a, q->tag, q->vr, text, key, e);
    return query_key_make(a, kind, text, key, e);
}

// One value of a term as a range of keys; *none when it may begin with anything.
static bool value_range(struct arena *a, const struct qattr *q, enum query_key_kind kind, struct str v, struct qkey_range *range, bool *none, struct err *e) {
    bool name = q->kind == QMATCH_NAME || q->kind == QMATCH_FUZZY, words = kind == QUERY_KEY_DESCRIPTION;
    struct str literal = q->kind == QMATCH_FUZZY ? longest_word(v)
                         : name                  ? name_literal(v)
                         : words                 ? first_word(v)
                                                 : str_sub(v, 0, q->wild ? literal_bytes(v) : v.n);
    struct str key, empty;
    if (!make_key(a, q, kind, literal, &key, e) || !make_key(a, q, kind, (struct str){"", 0}, &empty, e)) return false;
    *none = key.n <= empty.n;
    // A whole value is one key; names and words are always looked up as beginnings.
    if (name || words || literal.n < v.n) return qkey_prefix(a, key, range, e);
    *range = (struct qkey_range){.lo = key};
    return true;
}

// A range of dates: YYYYMMDD sorts as it counts.
static bool date_range(struct arena *a, const struct qattr *q, enum query_key_kind kind, struct qkey_range *range, struct err *e) {
    const struct qrange *r = &q->range;
    char from[24], to[24];
    struct qkey_range last;
    snprintf(from, sizeof from, "%08lld", r->open_from ? 0LL : (long long)qtime_day_number(r->from.lo));
    snprintf(to, sizeof to, "%08lld", r->open_to ? 99999999LL : (long long)qtime_day_number(r->to.lo));
    if (!make_key(a, q, kind, str_of(from), &range->lo, e) || !make_key(a, q, kind, str_of(to), &last.lo, e)) return false;
    if (!qkey_prefix(a, last.lo, &last, e)) return false;
    range->hi = last.hi;
    return true;
}

static bool term_probe(struct arena *a, const struct qterm *t, enum query_key_kind kind, struct qprobe *out, struct err *e) {
    const struct qattr *q = &t->attr;
    *out = (struct qprobe){0};
    bool dates = q->kind == QMATCH_RANGE && q->vr == DCM_VR_DA && !q->range.from.zoned;
    unsigned n = dates ? 1 : q->value_count;
    if (!t->asks || n == 0 || n > PROBE_VALUES_MAX) return true;
    if (!(out->ranges = arena_zero(a, n, sizeof *out->ranges, e))) return false;
    for (unsigned i = 0; i < n; i++) {
        bool none = false;
        if (!(dates ? date_range(a, q, kind, &out->ranges[i], e) : value_range(a, q, kind, q->values[i], &out->ranges[i], &none, e))) return false;
        if (none) return true;
    }
    out->count = n;
    return true;
}

// Every probe that the query allows.
static bool find_probes(struct arena *a, const struct qplan *p, struct qprobe *probes, unsigned *n, struct err *e) {
    for (unsigned k = 0; k < sizeof keyed / sizeof *keyed; k++)
        for (unsigned i = 0; i < p->term_count && *n < PROBES_MAX; i++) {
            if (p->terms[i].attr.tag != keyed[k].tag) continue;
            if (!term_probe(a, &p->terms[i], keyed[k].kind, &probes[*n], e)) return false;
            *n += probes[*n].count > 0;
        }
    for (unsigned i = 0; i < p->term_count && *n < PROBES_MAX; i++) {
        if (!p->terms[i].declared) continue;
        if (!term_probe(a, &p->terms[i], QUERY_KEY_ATTRIBUTE, &probes[*n], e)) return false;
        *n += probes[*n].count > 0;
    }
    return true;
}

// Looking at a candidate's row costs as much as reading CHECK_COST keys: what the best probe leaves is cut down by those that are cheaper than that.
static void add_others(const struct qprobe *probes, const unsigned *counts, unsigned n, unsigned best, struct qstream *s) {
    for (unsigned i = 0; i < n && s->also_count < QSTREAM_ALSO_MAX; i++)
        if (i != best && counts[i] <= counts[best] * CHECK_COST) s->also[s->also_count++] = probes[i];
}

static bool choose(struct arena *a, struct db *d, const struct qplan *p, struct qstream *s, struct err *e) {
    struct qprobe probes[PROBES_MAX + 1];
    unsigned n = 0, best = 0, own, counts[PROBES_MAX + 1] = {0};
    if (!find_probes(a, p, probes, &n, e)) return false;
    own = n;
    if (p->scope && !qprobe_of_scope(a, p->scope, &probes[n++], e)) return false;
    if (n > 1 && !qprobe_estimate(d, probes, n, p->at_from, p->at_to, ESTIMATE_MAX, counts, e)) return false;
    for (unsigned i = 0; i < n; i++)
        if (counts[i] < counts[best]) best = i;
    if (n > 0) {
        s->probe = probes[best];
        add_others(probes, counts, own, best, s); // the stream keeps to the scope by the rows
        return true;
    }
    if (!(s->probe.ranges = arena_zero(a, 1, sizeof *s->probe.ranges, e))) return false;
    s->probe.count = 1;
    s->probe.ranges[0] = (struct qkey_range){.lo = STR_LIT("")};
    return true;
}

static const struct {
    uint32_t tag;
    const char *sql;
} by_uid[] = {
    {DCM_SOPInstanceUID, "SELECT t.id, t.study_date, t.study_time FROM instances i JOIN series s ON s.id = i.series JOIN studies t ON t.id = s.study"
                         " WHERE i.sop_instance_uid = ?1"},
    {DCM_SeriesInstanceUID, "SELECT t.id, t.study_date, t.study_time FROM series s JOIN studies t ON t.id = s.study WHERE s.series_uid = ?1"},
    {DCM_StudyInstanceUID, "SELECT id, study_date, study_time FROM studies WHERE study_uid = ?1"},
};

// Where a statement costs a trip and a month a descent in a large index: whole values that have an index of their own, unless many studies have them.
enum { DIRECT_MAX = 256, DIRECT_VALUES_MAX = 4 };
static const struct {
    uint32_t tag;
    const char *sql;
} by_value[] = {
    {DCM_AccessionNumber, "SELECT id, study_date, study_time FROM studies WHERE accession_number = ?1 LIMIT 257"},
    {DCM_PatientID, "SELECT t.id, t.study_date, t.study_time FROM patients p {join} studies t ON t.patient = p.id WHERE p.patient_id = ?1 LIMIT 257"},
};

// *found when the stream has them.
static bool stream_direct(struct db *d, const struct qplan *p, struct qstream *out, bool *found, struct err *e) {
    for (unsigned k = 0; k < sizeof by_value / sizeof *by_value && db_engine_of(d) == DB_POSTGRES; k++)
        for (unsigned i = 0; i < p->term_count; i++) {
            const struct qattr *q = &p->terms[i].attr;
            if (q->tag != by_value[k].tag || q->kind != QMATCH_TEXT || q->wild || q->value_count > DIRECT_VALUES_MAX) continue;
            if (!qstream_list(out, d, by_value[k].sql, q->values, q->value_count, DIRECT_MAX, found, e)) return false;
            if (*found) return true;
        }
    return true;
}

bool qplan_stream(struct arena *a, struct db *d, const struct qplan *p, struct qplace after, struct qstream *out, struct err *e) {
    bool found = false;
    qstream_init(out, p->at_from, p->at_to, after);
    out->scope = p->scope;
    for (unsigned k = 0; k < sizeof by_uid / sizeof *by_uid; k++)
        for (unsigned i = 0; i < p->term_count; i++) {
            const struct qattr *q = &p->terms[i].attr;
            if (q->tag == by_uid[k].tag && q->kind == QMATCH_UID) return qstream_list(out, d, by_uid[k].sql, q->values, q->value_count, SIZE_MAX, &found, e);
        }
    if (!stream_direct(d, p, out, &found, e)) return false;
    return found || choose(a, d, p, out, e);
}
