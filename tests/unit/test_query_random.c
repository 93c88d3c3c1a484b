// Random queries over random studies against a plain matcher that looks at everything.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/name.h"
#include "query_fixture.h"

enum { STUDIES = 300, QUERIES = 700, KEYS_MAX = 4, FOUND_MAX = 4096 };

static uint64_t state = 20260101;

static unsigned below(unsigned n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((state >> 33) % n);
}

static const char *any(const char *const *list) {
    unsigned n = 0;
    while (list[n]) n++;
    return list[below(n)];
}

// ---- data ----

static const char *const names[] = {"王^小明",       "Wang^Fang=王^芳", "Müller^Hans", "MULLER^Ute", "陈^伟",  "Chen^Wei", "Smith^John",
                                    "Smithers^Jane", "O'Brien^Pat",     "欧阳^娜",     "Zhang^San",  "=张^三", "",         "Doe",
                                    "Li^Na",         "李^娜",           "García^José", NULL};
static const char *const descriptions[] = {"CT CHEST", "CHEST CT", "胸部CT平扫", "HEAD MR", "", "Chest", "CT  CHEST", "MR", NULL};
static const char *const dates[] = {"", "20200101", "20200115", "20200229", "20191231", "20210601", "19650101", "18990101", "20200131", "21050101", NULL};
static const char *const times[] = {"", "000000", "080000", "0815", "101530.5", "235959", "12", NULL};
static const char *const modalities[] = {"CT", "PT", "MR", "DX", NULL};
static const char *const steps[] = {"", "S1", "S2", "S10", NULL};
static const char *const procedures[] = {"R1", "R2", NULL};
static const char *const others[] = {"", "X1", "X1\\X2", "X20", NULL};
static const char *const issuers[] = {"", "A", NULL};
static const char *const image_types[] = {"", "ORIGINAL\\PRIMARY", "DERIVED\\SECONDARY\\MPR", NULL};
static const char *const classes[] = {"1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", NULL};

static void set(char to[FX_TEXT], const char *from) {
    snprintf(to, FX_TEXT, "%s", from);
}

static void random_series(struct fx_series *r, int n, int k) {
    snprintf(r->uid, FX_TEXT, "1.2.%d.%d", n, 9 - k);
    set(r->modality, any(modalities));
    set(r->description, any(descriptions));
    set(r->body_part, any(steps));
    set(r->operators, any(names));
    set(r->step_id[0], any(steps));
    set(r->procedure_id[0], any(procedures));
    if (below(2)) {
        set(r->step_id[1], any(steps));
        set(r->procedure_id[1], any(procedures));
    }
    r->number = (int)below(4) - 1;
    r->instance_count = 1 + (int)below(3);
    for (int i = 0; i < r->instance_count; i++) {
        struct fx_instance *o = &r->instances[i];
        snprintf(o->uid, FX_TEXT, "1.2.%d.%d.%d", n, 9 - k, i + 1);
        set(o->sop_class, any(classes));
        set(o->image_type, any(image_types));
        o->number = (int)below(4) - 1;
        o->acquisition = (int)below(5);
    }
}

static void random_study(struct fx_study *s, int n) {
    unsigned patient = below(60);
    *s = (struct fx_study){.series_count = 1 + (int)below(3)};
    snprintf(s->uid, FX_TEXT, "1.2.%d", n);
    snprintf(s->patient_id, FX_TEXT, "P%u", patient);
    set(s->issuer, patient % 7 ? "" : any(issuers));
    set(s->name, any(names));
    snprintf(s->birth_date, FX_TEXT, "1970%02u%02u", 1 + patient % 12, 1 + patient / 12);
    set(s->date, any(dates));
    set(s->time, any(times));
    snprintf(s->accession, FX_TEXT, "A%u", below(200));
    snprintf(s->study_id, FX_TEXT, "%u", below(50));
    set(s->description, any(descriptions));
    set(s->referring, any(names));
    set(s->other_ids, any(others));
    for (int k = 0; k < s->series_count; k++) random_series(&s->series[k], n, k);
}

// ---- what can be asked ----

struct triple {
    const struct fx_study *s;
    const struct fx_series *r;
    const struct fx_instance *i;
};

enum matcher { AS_TEXT, AS_NAME, AS_DATE, AS_TIME, AS_NUMBER, AS_UID };

struct asked {
    uint32_t tag;
    enum query_level level;
    enum matcher matcher;
    bool only_at_level; // without a column and not of a representative: instance queries alone are exact
    unsigned offset;    // of the text in its struct; numbers are int
    bool is_int;
};

#define STUDY_TEXT(tag, level, as, field) \
    { tag, level, as, false, offsetof(struct fx_study, field), false }
#define SERIES_TEXT(tag, as, field) \
    { tag, QUERY_SERIES, as, false, offsetof(struct fx_series, field), false }
static const struct asked ASKED[] = {
    STUDY_TEXT(DCM_PatientID, QUERY_PATIENT, AS_TEXT, patient_id),
    STUDY_TEXT(DCM_IssuerOfPatientID, QUERY_PATIENT, AS_TEXT, issuer),
    STUDY_TEXT(DCM_PatientName, QUERY_PATIENT, AS_NAME, name),
    STUDY_TEXT(DCM_PatientName, QUERY_PATIENT, AS_NAME, name),
    STUDY_TEXT(DCM_PatientBirthDate, QUERY_PATIENT, AS_DATE, birth_date),
    STUDY_TEXT(DCM_OtherPatientIDs, QUERY_PATIENT, AS_TEXT, other_ids),
    STUDY_TEXT(DCM_StudyInstanceUID, QUERY_STUDY, AS_UID, uid),
    STUDY_TEXT(DCM_StudyDate, QUERY_STUDY, AS_DATE, date),
    STUDY_TEXT(DCM_StudyTime, QUERY_STUDY, AS_TIME, time),
    STUDY_TEXT(DCM_AccessionNumber, QUERY_STUDY, AS_TEXT, accession),
    STUDY_TEXT(DCM_StudyID, QUERY_STUDY, AS_TEXT, study_id),
    STUDY_TEXT(DCM_StudyDescription, QUERY_STUDY, AS_TEXT, description),
    STUDY_TEXT(DCM_ReferringPhysicianName, QUERY_STUDY, AS_NAME, referring),
    STUDY_TEXT(DCM_ModalitiesInStudy, QUERY_STUDY, AS_TEXT, modalities),
    SERIES_TEXT(DCM_SeriesInstanceUID, AS_UID, uid),
    SERIES_TEXT(DCM_Modality, AS_TEXT, modality),
    SERIES_TEXT(DCM_SeriesDescription, AS_TEXT, description),
    SERIES_TEXT(DCM_BodyPartExamined, AS_TEXT, body_part),
    SERIES_TEXT(DCM_OperatorsName, AS_NAME, operators),
    {DCM_SeriesNumber, QUERY_SERIES, AS_NUMBER, false, offsetof(struct fx_series, number), true},
    {DCM_SOPInstanceUID, QUERY_INSTANCE, AS_UID, false, offsetof(struct fx_instance, uid), false},
    {DCM_SOPClassUID, QUERY_INSTANCE, AS_UID, false, offsetof(struct fx_instance, sop_class), false},
    {DCM_InstanceNumber, QUERY_INSTANCE, AS_NUMBER, false, offsetof(struct fx_instance, number), true},
    {DCM_ImageType, QUERY_INSTANCE, AS_TEXT, true, offsetof(struct fx_instance, image_type), false},
    {DCM_AcquisitionNumber, QUERY_INSTANCE, AS_NUMBER, true, offsetof(struct fx_instance, acquisition), true},
};
enum { ASKED_COUNT = sizeof ASKED / sizeof *ASKED };

// The value of an attribute in a triple; "" when the triple does not reach so far.
static const char *value_of(const struct asked *q, struct triple t, char number[16]) {
    const void *row = q->level <= QUERY_STUDY ? (const void *)t.s : q->level == QUERY_SERIES ? (const void *)t.r : (const void *)t.i;
    if (!row) return "";
    const char *at = (const char *)row + q->offset;
    if (!q->is_int) return at;
    int v;
    memcpy(&v, at, sizeof v);
    snprintf(number, 16, "%d", v);
    return v < 0 ? "" : number;
}

// ---- the plain matcher ----

static bool glob(const char *p, const char *t) {
    if (*p == '*') return glob(p + 1, t) || (*t && glob(p, t + 1));
    if (!*p || !*t) return !*p && !*t;
    if (*p != '?') return *p == *t && glob(p + 1, t + 1);
    do t++;
    while ((*t & 0xC0) == 0x80);
    return glob(p + 1, t);
}

static bool in_range(const char *pattern, const char *value, const char *low_fill, const char *high_fill) {
    char low[32] = "", high[32] = "", v[32];
    const char *dash = strchr(pattern, '-');
    size_t width = strlen(low_fill);
    snprintf(low, sizeof low, "%.*s", dash ? (int)(dash - pattern) : (int)strlen(pattern), pattern);
    snprintf(high, sizeof high, "%s", dash ? dash + 1 : pattern);
    snprintf(v, sizeof v, "%s%s", value, strlen(value) < width ? low_fill + strlen(value) : "");
    if (*low) strcat(low, low_fill + (strlen(low) < width ? strlen(low) : width));
    if (*high) strcat(high, high_fill + (strlen(high) < strlen(high_fill) ? strlen(high) : strlen(high_fill)));
    return (!*low || strcmp(v, low) >= 0) && (!*high || strcmp(v, high) <= 0);
}

static bool name_matches(const char *pattern, const char *value) {
    struct arena a;
    struct err e;
    bool match = false;
    arena_init(&a, 1 << 20);
    assert_true(pn_match(&a, str_of(pattern), str_of(value), &match, &e));
    arena_deinit(&a);
    return match;
}

static bool one_matches(enum matcher m, const char *pattern, const char *value) {
    switch (m) {
    case AS_NAME:
        return name_matches(pattern, value);
    case AS_DATE:
        return in_range(pattern, value, "00000000", "99999999");
    case AS_TIME:
        return in_range(pattern, value, "000000.000000", "235959.999999");
    case AS_NUMBER:
        return atoi(pattern) == atoi(value);
    case AS_UID:
        return strcmp(pattern, value) == 0;
    default:
        return glob(pattern, value);
    }
}

// Any of the pattern's values against any of the stored ones.
static bool matches(enum matcher m, const char *pattern, const char *value) {
    char patterns[400], values[400], *p_next, *v_next;
    if (!*pattern || strspn(pattern, "*") == strlen(pattern)) return true;
    snprintf(patterns, sizeof patterns, "%s", pattern);
    for (char *p = strtok_r(patterns, "\\", &p_next); p; p = strtok_r(NULL, "\\", &p_next)) {
        snprintf(values, sizeof values, "%s", value);
        for (char *v = strtok_r(values, "\\", &v_next); v; v = strtok_r(NULL, "\\", &v_next))
            if (one_matches(m, p, v)) return true;
    }
    return false;
}

struct question {
    enum query_level level;
    const struct asked *keys[KEYS_MAX];
    char patterns[KEYS_MAX][200];
    unsigned count;
    char step[FX_TEXT], procedure[FX_TEXT]; // of RequestAttributesSequence
    bool sequence;
};

static bool requests_match(const struct question *q, const struct fx_series *r) {
    if (!q->sequence || (!*q->step && !*q->procedure)) return true;
    for (int i = 0; r && i < 2; i++)
        if (*r->step_id[i] && matches(AS_TEXT, q->step, r->step_id[i]) && matches(AS_TEXT, q->procedure, r->procedure_id[i])) return true;
    return false;
}

static bool triple_matches(const struct question *q, struct triple t) {
    char number[16];
    for (unsigned i = 0; i < q->count; i++)
        if (!matches(q->keys[i]->matcher, q->patterns[i], value_of(q->keys[i], t, number))) return false;
    return requests_match(q, t.r);
}

static bool series_matches(const struct question *q, const struct fx_study *s, const struct fx_series *r) {
    bool found = triple_matches(q, (struct triple){s, r, NULL});
    for (int i = 0; i < r->instance_count && !found; i++) found = triple_matches(q, (struct triple){s, r, &r->instances[i]});
    return found;
}

static bool study_matches(const struct question *q, const struct fx_study *s) {
    bool found = triple_matches(q, (struct triple){s, NULL, NULL});
    for (int k = 0; k < s->series_count && !found; k++) found = series_matches(q, s, &s->series[k]);
    return found;
}

static int by_newest(const void *x, const void *y) {
    const struct fx_study *a = *(const struct fx_study *const *)x, *b = *(const struct fx_study *const *)y;
    int64_t at = query_at(str_of(a->date), str_of(a->time)), bt = query_at(str_of(b->date), str_of(b->time));
    if (at != bt) return at > bt ? -1 : 1;
    return a->row > b->row ? -1 : 1;
}

static int by_number(int a, const char *a_uid, int b, const char *b_uid) {
    if ((a < 0) != (b < 0)) return a < 0 ? 1 : -1;
    return a != b ? a - b : strcmp(a_uid, b_uid);
}

static int series_order(const void *x, const void *y) {
    const struct fx_series *a = *(const struct fx_series *const *)x, *b = *(const struct fx_series *const *)y;
    return by_number(a->number, a->uid, b->number, b->uid);
}

static int instance_order(const void *x, const void *y) {
    const struct fx_instance *a = *(const struct fx_instance *const *)x, *b = *(const struct fx_instance *const *)y;
    return by_number(a->number, a->uid, b->number, b->uid);
}

struct answers {
    char list[FOUND_MAX][FX_TEXT * 2];
    unsigned count;
};

static void expect(struct answers *to, const char *text) {
    assert_true(to->count < FOUND_MAX);
    snprintf(to->list[to->count++], FX_TEXT * 2, "%s", text);
}

static void expect_patient(struct answers *to, const struct fx_study *s) {
    char both[FX_TEXT * 2];
    snprintf(both, sizeof both, "%.70s/%.70s", s->patient_id, s->issuer);
    for (unsigned i = 0; i < to->count; i++)
        if (strcmp(to->list[i], both) == 0) return;
    expect(to, both);
}

static void expect_instances(const struct question *q, const struct fx_study *s, const struct fx_series *r, struct answers *to) {
    const struct fx_instance *order[FX_INSTANCES_MAX];
    for (int i = 0; i < r->instance_count; i++) order[i] = &r->instances[i];
    qsort(order, (size_t)r->instance_count, sizeof *order, instance_order);
    for (int i = 0; i < r->instance_count; i++)
        if (triple_matches(q, (struct triple){s, r, order[i]})) expect(to, order[i]->uid);
}

static void expect_below(const struct question *q, const struct fx_study *s, struct answers *to) {
    const struct fx_series *order[FX_SERIES_MAX];
    for (int k = 0; k < s->series_count; k++) order[k] = &s->series[k];
    qsort(order, (size_t)s->series_count, sizeof *order, series_order);
    for (int k = 0; k < s->series_count; k++) {
        if (q->level == QUERY_INSTANCE) expect_instances(q, s, order[k], to);
        if (q->level == QUERY_SERIES && series_matches(q, s, order[k])) expect(to, order[k]->uid);
    }
}

static void brute_force(const struct question *q, const struct fx_study *const *newest, unsigned n, struct answers *to) {
    to->count = 0;
    for (unsigned i = 0; i < n; i++) {
        if (q->level >= QUERY_SERIES)
            expect_below(q, newest[i], to);
        else if (study_matches(q, newest[i]) && q->level == QUERY_STUDY)
            expect(to, newest[i]->uid);
        else if (study_matches(q, newest[i]))
            expect_patient(to, newest[i]);
    }
}

// ---- random questions ----

static void text_pattern(char *out, size_t n, const char *value) {
    char copy[96];
    snprintf(copy, sizeof copy, "%.80s", value);
    char *slash = strchr(copy, '\\');
    if (slash) *slash = 0; // one of several values
    size_t length = strlen(copy), cut = length ? below((unsigned)length) : 0;
    while (cut > 0 && (copy[cut] & 0xC0) == 0x80) cut--;
    switch (below(6)) {
    case 0:
        snprintf(out, n, "%.*s*", (int)(cut % 80), copy);
        break;
    case 1:
        snprintf(out, n, "*%.80s", copy + cut);
        break;
    case 2:
        if (length && !(copy[cut] & 0x80)) copy[cut] = '?';
        snprintf(out, n, "%s", copy);
        break;
    case 3:
        snprintf(out, n, "%.80s\\A7", copy);
        break;
    default:
        snprintf(out, n, "%s", copy);
    }
}

static void name_pattern(char *out, size_t n, const char *value) {
    static const char *const hard[] = {"wang*", "CHEN^*",  "smith*", "muller*", "王*",   "*娜*", "zhang^san", "ouyang*",
                                       "li^na", "garcia*", "?hen*",  "obrien*", "o'br*", "w*",   NULL};
    if (below(2))
        snprintf(out, n, "%s", any(hard));
    else if (below(2))
        snprintf(out, n, "%s", value);
    else
        text_pattern(out, n, value);
    if (strchr(out, '\\')) *strchr(out, '\\') = 0;
}

static void range_pattern(char *out, size_t n, const char *const *list) {
    const char *a = any(list), *b = any(list);
    const char *low = strcmp(a, b) <= 0 ? a : b, *high = low == a ? b : a;
    unsigned shape = below(4);
    if (shape == 0) snprintf(out, n, "%s-%s", low, high);
    if (shape == 1) snprintf(out, n, "-%s", high);
    if (shape == 2) snprintf(out, n, "%s-", low);
    if (shape == 3) snprintf(out, n, "%s", low);
    if (strcmp(out, "-") == 0) *out = 0;
}

static void pattern_for(const struct asked *q, struct triple t, char *out, size_t n) {
    char number[16];
    const char *value = value_of(q, t, number);
    switch (q->matcher) {
    case AS_NAME:
        name_pattern(out, n, value);
        return;
    case AS_DATE:
    case AS_TIME:
        range_pattern(out, n, q->matcher == AS_TIME ? times : dates);
        return;
    case AS_UID:
        snprintf(out, n, below(2) ? "%s\\1.2.77" : "%s", value);
        return;
    case AS_NUMBER:
        snprintf(out, n, "%s", value);
        return;
    default:
        text_pattern(out, n, value);
    }
}

static struct triple random_triple(const struct fx_study *studies) {
    const struct fx_study *s = &studies[below(STUDIES)];
    const struct fx_series *r = s->series_count ? &s->series[below((unsigned)s->series_count)] : NULL;
    return (struct triple){s, r, r && r->instance_count ? &r->instances[below((unsigned)r->instance_count)] : NULL};
}

static void random_question(const struct fx_study *studies, struct question *q) {
    *q = (struct question){.level = (enum query_level)below(4)};
    struct triple t = random_triple(studies); // all patterns from one, so that there often is an answer
    unsigned wanted = below(KEYS_MAX + 1);
    while (q->count < wanted) {
        const struct asked *k = &ASKED[below(ASKED_COUNT)];
        bool twice = k->only_at_level && q->level != QUERY_INSTANCE;
        for (unsigned i = 0; i < q->count; i++) twice |= q->keys[i]->tag == k->tag;
        if (twice) continue;
        q->keys[q->count] = k;
        pattern_for(k, t, q->patterns[q->count], sizeof q->patterns[0]);
        q->count++;
    }
    q->sequence = below(5) == 0;
    if (!q->sequence) return;
    set(q->step, below(2) ? any(steps) : "S*");
    set(q->procedure, below(2) ? any(procedures) : "");
}

static void print_question(const struct question *q) {
    print_message("level %d", q->level);
    for (unsigned i = 0; i < q->count; i++) print_message(" | %08X = %s", q->keys[i]->tag, q->patterns[i]);
    if (q->sequence) print_message(" | step %s, procedure %s", q->step, q->procedure);
    print_message("\n");
}

static void answer_text(const struct dcm_dataset *d, enum query_level level, char out[FX_TEXT * 2]) {
    static const uint32_t unique[] = {0, DCM_StudyInstanceUID, DCM_SeriesInstanceUID, DCM_SOPInstanceUID};
    struct str id = dcm_text(d, DCM_PatientID), issuer = dcm_text(d, DCM_IssuerOfPatientID);
    if (level == QUERY_PATIENT)
        snprintf(out, FX_TEXT * 2, "%.*s/%.*s", STR_FMT(id), STR_FMT(issuer));
    else
        snprintf(out, FX_TEXT * 2, "%.*s", STR_FMT(dcm_text(d, unique[level])));
}

static void compare(struct archive *ar, const struct question *question, const struct answers *expected) {
    struct arena a;
    unsigned n;
    struct query_key keys[KEYS_MAX + 3];
    struct query q = {.level = question->level, .keys = keys};
    for (unsigned i = 0; i < question->count; i++) keys[q.key_count++] = (struct query_key){{question->keys[i]->tag}, 1, str_of(question->patterns[i])};
    if (question->sequence) {
        keys[q.key_count++] = (struct query_key){{DCM_RequestAttributesSequence, DCM_ScheduledProcedureStepID}, 2, str_of(question->step)};
        keys[q.key_count++] = (struct query_key){{DCM_RequestAttributesSequence, DCM_RequestedProcedureID}, 2, str_of(question->procedure)};
    }
    bool issuer = false;
    for (unsigned i = 0; i < q.key_count; i++) issuer |= keys[i].path[0] == DCM_IssuerOfPatientID;
    if (!issuer) keys[q.key_count++] = (struct query_key){{DCM_IssuerOfPatientID}, 1, {NULL, 0}};
    arena_init(&a, 256 << 20);
    struct dcm_dataset **got = fx_query(ar, &a, &q, &n);
    for (unsigned i = 0; i < n || i < expected->count; i++) {
        char text[FX_TEXT * 2] = "(nothing)";
        if (i < n) answer_text(got[i], q.level, text);
        const char *wanted = i < expected->count ? expected->list[i] : "(nothing)";
        if (strcmp(text, wanted) == 0) continue;
        print_question(question);
        fail_msg("answer %u of %u is %s; %s is expected (of %u)", i, n, text, wanted, expected->count);
    }
    arena_deinit(&a);
}

static void random_queries_find_exactly_what_a_plain_matcher_finds(void **s) {
    (void)s;
    if (getenv("SEED")) state = strtoull(getenv("SEED"), NULL, 10);
    struct archive *ar = fx_open();
    for (int i = 0; i < STUDIES; i++) {
        struct fx_study one;
        random_study(&one, i);
        fx_add(ar, &one);
    }
    unsigned n, with_answers = 0;
    struct fx_study *studies = fx_studies(ar, &n);
    const struct fx_study *newest[STUDIES];
    for (unsigned i = 0; i < n; i++) newest[i] = &studies[i];
    qsort(newest, n, sizeof *newest, by_newest);
    struct answers *expected = calloc(1, sizeof *expected);
    assert_non_null(expected);
    for (int i = 0; i < QUERIES; i++) {
        struct question q;
        if (i == QUERIES / 2) { // the second half with declared attributes
            struct err e;
            assert_true(searchable_declare(ar, DCM_OtherPatientIDs, NULL, NULL, &e) && searchable_declare(ar, DCM_OperatorsName, NULL, NULL, &e));
            assert_true(searchable_declare(ar, DCM_AcquisitionNumber, NULL, NULL, &e) && searchable_declare(ar, DCM_BodyPartExamined, NULL, NULL, &e));
        }
        random_question(studies, &q);
        brute_force(&q, newest, n, expected);
        compare(ar, &q, expected);
        with_answers += expected->count > 0;
    }
    assert_true(with_answers > QUERIES / 3);
    free(expected);
    fx_close(ar);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_queries_find_exactly_what_a_plain_matcher_finds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
