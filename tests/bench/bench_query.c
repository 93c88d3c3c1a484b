// Times of queries over an index of synthetic studies: bench_query DIR STUDIES [ROUNDS [KIND]]. Fills DIR when it has none. p10 is what a query takes
// on a machine that does something else too. KIND: those alone that have it in their name.
// BENCH_POSTGRES: the address of a server to keep the index in instead, in the schema bench_STUDIES.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "core/query.h"
#include "core/service.h"
#include "core/synth_index.h"
#include "core/worklist.h"

enum { PAGE = 100, ROUNDS_MAX = 100000, SEED = 1 };

static struct archive *ar;
static uint64_t studies;
static uint64_t state = 42;

static void die(const struct err *e) {
    fprintf(stderr, "bench_query: %s\n", e->message);
    exit(1);
}

static uint64_t random_below(uint64_t n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 20) % n;
}

static void show(void *ctx, uint64_t done, uint64_t total) {
    (void)ctx;
    if (done % 100000 == 0 || done == total) fprintf(stderr, "filled %llu of %llu\n", (unsigned long long)done, (unsigned long long)total);
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// One query of a kind; the number of answers.
static unsigned ask(struct arena *a, uint32_t tag, struct str value, uint32_t tag2, struct str value2) {
    static const uint32_t asked[] = {
        DCM_PatientName, DCM_PatientID,       DCM_PatientBirthDate, DCM_PatientSex,        DCM_StudyInstanceUID,           DCM_StudyDate,
        DCM_StudyTime,   DCM_AccessionNumber, DCM_StudyDescription, DCM_ModalitiesInStudy, DCM_NumberOfStudyRelatedSeries, DCM_NumberOfStudyRelatedInstances};
    enum { ASKED = sizeof asked / sizeof *asked };
    struct query_key keys[ASKED + 2];
    struct query q = {.level = QUERY_STUDY, .keys = keys, .limit = PAGE};
    struct query_cursor *c;
    struct dcm_dataset *match;
    struct err e;
    unsigned n = 0;
    keys[q.key_count++] = (struct query_key){{tag}, 1, value};
    if (tag2) keys[q.key_count++] = (struct query_key){{tag2}, 1, value2};
    for (unsigned i = 0; i < ASKED; i++)
        if (asked[i] != tag && asked[i] != tag2) keys[q.key_count++] = (struct query_key){{asked[i]}, 1, {NULL, 0}};
    if (!query_open(ar, &(struct actor){.door = DOOR_COMMAND}, a, &q, &c, &e)) die(&e);
    enum query_step step;
    while ((step = query_next(c, a, &match, &e)) == QUERY_ROW) n++;
    if (step == QUERY_FAIL) die(&e);
    query_close(c);
    return n;
}

static unsigned list(struct arena *a, const char *text, const char *modality) {
    struct worklist_page page;
    struct err e;
    struct worklist_filter f = {.text = str_of(text), .modality = str_of(modality)};
    if (!worklist_read(ar, &(struct actor){.door = DOOR_COMMAND}, a, &f, STR_LIT(""), 50, &page, &e)) die(&e);
    return page.count;
}

static unsigned by_patient_id(struct arena *a, const char *unused) {
    struct synth_index_study s;
    struct err e;
    (void)unused;
    if (!synth_index_study(a, studies, SEED, random_below(studies), &s, &e)) die(&e);
    return ask(a, DCM_PatientID, s.patient_id, 0, (struct str){NULL, 0});
}

static unsigned by_accession(struct arena *a, const char *unused) {
    struct synth_index_study s;
    struct err e;
    (void)unused;
    if (!synth_index_study(a, studies, SEED, random_below(studies), &s, &e)) die(&e);
    return ask(a, DCM_AccessionNumber, s.accession_number, 0, (struct str){NULL, 0});
}

static unsigned by_date_range(struct arena *a, const char *unused) {
    struct synth_index_study s;
    struct err e;
    char range[32];
    (void)unused;
    if (!synth_index_study(a, studies, SEED, random_below(studies), &s, &e)) die(&e);
    snprintf(range, sizeof range, "%.*s-", STR_FMT(s.date));
    return ask(a, DCM_StudyDate, str_of(range), 0, (struct str){NULL, 0});
}

static unsigned by_week(struct arena *a, const char *unused) {
    struct synth_index_study s;
    struct err e;
    char range[32];
    (void)unused;
    if (!synth_index_study(a, studies, SEED, random_below(studies), &s, &e)) die(&e);
    snprintf(range, sizeof range, "%.6s01-%.6s07", s.date.p, s.date.p);
    return ask(a, DCM_StudyDate, str_of(range), 0, (struct str){NULL, 0});
}

// The first part of a name that is there, in characters or letters.
static unsigned by_random_name(struct arena *a, const char *unused) {
    struct synth_index_study s;
    struct err e;
    (void)unused;
    if (!synth_index_study(a, studies, SEED, random_below(studies), &s, &e)) die(&e);
    char *pattern = arena_printf(a, &e, "%.*s*", STR_FMT(str_sub(s.patient_name, 0, str_find(s.patient_name, '^', 0))));
    if (!pattern) die(&e);
    return ask(a, DCM_PatientName, str_of(pattern), 0, (struct str){NULL, 0});
}

static unsigned by_name(struct arena *a, const char *pattern) {
    return ask(a, DCM_PatientName, str_of(pattern), 0, (struct str){NULL, 0});
}

static unsigned by_name_and_modality(struct arena *a, const char *pattern) {
    return ask(a, DCM_PatientName, str_of(pattern), DCM_ModalitiesInStudy, STR_LIT("PT"));
}

static unsigned work_list(struct arena *a, const char *text) {
    return list(a, text, "");
}

static unsigned work_list_modality(struct arena *a, const char *text) {
    return list(a, text, "PT");
}

static const struct {
    const char *name;
    unsigned (*run)(struct arena *a, const char *argument);
    const char *argument;
} kinds[] = {
    {"patient ID", by_patient_id, NULL},
    {"accession number", by_accession, NULL},
    {"date range, open", by_date_range, NULL},
    {"date range, a week", by_week, NULL},
    {"name, a random family's", by_random_name, NULL},
    {"name W*", by_name, "W*"},
    {"name Wang*", by_name, "Wang*"},
    {"name Wang^Xiao*", by_name, "Wang^Xiao*"},
    {"name 王*", by_name, "王*"},
    {"name Luo*", by_name, "Luo*"},
    {"name Ouyang*", by_name, "Ouyang*"},
    {"name Zhuge^Wei*", by_name, "Zhuge^Wei*"},
    {"name Xyz*", by_name, "Xyz*"},
    {"name Wang*, modality PT", by_name_and_modality, "Wang*"},
    {"work list", work_list, ""},
    {"work list: w", work_list, "w"},
    {"work list: wang wei", work_list, "wang wei"},
    {"work list: ouyang", work_list, "ouyang"},
    {"work list: 平扫", work_list, "平扫"},
    {"work list: nothing such", work_list, "qqq"},
    {"work list: PT", work_list_modality, ""},
    {"work list: PT, li", work_list_modality, "li"},
};

static void measure(unsigned kind, unsigned rounds, double *times) {
    struct arena a;
    unsigned answers = 0;
    arena_init(&a, 64 << 20);
    for (unsigned i = 0; i < rounds; i++) {
        arena_reset(&a);
        int64_t start = clock_mono_us();
        answers = kinds[kind].run(&a, kinds[kind].argument);
        times[i] = (double)(clock_mono_us() - start) / 1000;
    }
    double first = times[0];
    qsort(times, rounds, sizeof *times, compare);
    printf("%-26s p50 %7.3f ms  p10 %7.3f ms  p99 %7.3f ms  first %7.3f ms  %3u answers\n", kinds[kind].name, times[rounds / 2], times[rounds / 10],
           times[rounds * 99 / 100], first, answers);
    arena_deinit(&a);
}

int main(int argc, char **argv) {
    struct err e;
    struct archive_figures figures;
    if (argc < 3) {
        fprintf(stderr, "usage: bench_query DIR STUDIES [ROUNDS [KIND]]\n");
        return 64;
    }
    studies = strtoull(argv[2], NULL, 10);
    unsigned rounds = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 200;
    if (rounds == 0 || rounds > ROUNDS_MAX) rounds = 200;
    int64_t start = clock_mono_us();
    char schema[64];
    snprintf(schema, sizeof schema, "bench_%llu", (unsigned long long)studies);
    if (!archive_open(&(struct archive_options){.dir = argv[1], .database_url = getenv("BENCH_POSTGRES"), .database_schema = schema}, &ar, &e)) die(&e);
    double opened = (double)(clock_mono_us() - start) / 1000;
    if (!archive_figures_get(ar, &(struct actor){.door = DOOR_COMMAND}, &figures, &e)) die(&e);
    if (figures.studies == 0) {
        start = clock_mono_us();
        if (!synth_index_fill(ar, studies, SEED, show, NULL, &e)) die(&e);
        printf("filled with %llu studies: %.1f us each\n", (unsigned long long)studies, (double)(clock_mono_us() - start) / (double)studies);
    } else {
        studies = figures.studies;
        printf("opened with %llu studies in %.1f ms\n", (unsigned long long)studies, opened);
    }
    double *times = calloc(rounds, sizeof *times);
    if (!times) return 1;
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (argc < 5 || strstr(kinds[i].name, argv[4])) measure(i, rounds, times);
    free(times);
    archive_close(ar);
    return 0;
}
