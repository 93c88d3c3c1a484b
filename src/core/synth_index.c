// Filling an index with synthetic studies.
#include "core/synth_index.h"

#include <stdio.h>

#include "core/query_index.h"
#include "core/query_time.h"
#include "dicom/name.h"

enum {
    BATCH = 2000,      // studies of one transaction
    YEARS_DAYS = 3653, // of 2016 to 2025
    SCRATCH_BYTES_MAX = 8 * 1024 * 1024
};

// ---- a patient and a study from a number ----

// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014).
static uint64_t mix(uint64_t *state) {
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static unsigned below(uint64_t *state, unsigned n) {
    return n ? (unsigned)(mix(state) % n) : 0;
}

struct weighted {
    const char *text;
    unsigned weight;
};

static const char *pick(uint64_t *state, const struct weighted *list) {
    unsigned total = 0, at;
    for (const struct weighted *w = list; w->text; w++) total += w->weight;
    at = below(state, total);
    while (at >= list->weight) at -= (list++)->weight;
    return list->text;
}

// The commonest surnames, by their share of the population in per mille (Ministry of Public Security, report on names 2020), and a few rare ones.
static const struct weighted surnames[] = {
    {"王", 72}, {"李", 72}, {"张", 68}, {"刘", 52}, {"陈", 45}, {"杨", 31}, {"黄", 23}, {"赵", 21},  {"吴", 20},  {"周", 19},  {"徐", 15}, {"孙", 14},
    {"马", 13}, {"朱", 12}, {"胡", 12}, {"郭", 11}, {"何", 11}, {"林", 11}, {"高", 10}, {"罗", 9},   {"郑", 9},   {"梁", 8},   {"谢", 7},  {"宋", 7},
    {"唐", 6},  {"许", 6},  {"韩", 6},  {"冯", 6},  {"邓", 5},  {"曹", 5},  {"彭", 5},  {"曾", 5},   {"萧", 5},   {"田", 4},   {"董", 4},  {"潘", 4},
    {"袁", 4},  {"蔡", 4},  {"蒋", 4},  {"余", 4},  {"于", 4},  {"杜", 4},  {"叶", 4},  {"程", 4},   {"魏", 4},   {"苏", 4},   {"吕", 4},  {"丁", 4},
    {"任", 4},  {"卢", 3},  {"姚", 3},  {"沈", 3},  {"钟", 3},  {"姜", 3},  {"崔", 3},  {"谭", 3},   {"陆", 3},   {"范", 3},   {"汪", 3},  {"廖", 3},
    {"石", 3},  {"金", 3},  {"韦", 3},  {"贾", 3},  {"夏", 3},  {"付", 3},  {"方", 3},  {"邹", 3},   {"熊", 3},   {"白", 3},   {"孟", 2},  {"秦", 2},
    {"邱", 2},  {"侯", 2},  {"江", 2},  {"尹", 2},  {"薛", 2},  {"闫", 2},  {"段", 2},  {"雷", 2},   {"龙", 2},   {"黎", 2},   {"史", 2},  {"陶", 2},
    {"贺", 2},  {"毛", 2},  {"郝", 2},  {"顾", 2},  {"龚", 2},  {"邵", 2},  {"万", 2},  {"欧阳", 1}, {"司马", 1}, {"诸葛", 1}, {NULL, 0},
};
static const char *const given[] = {"伟", "芳", "娜", "秀", "英", "敏", "静", "丽", "强", "磊", "军", "洋", "勇", "艳", "杰", "娟", "涛", "明", "超", "霞",
                                    "平", "刚", "桂", "文", "华", "玉", "兰", "建", "国", "志", "海", "春", "梅", "红", "小", "晓", "东", "云", "飞", "鹏",
                                    "宇", "浩", "然", "子", "轩", "梓", "涵", "雨", "欣", "怡", "佳", "思", "嘉", "一", "诺", "晨", "俊", "博", "天", "瑞"};
static const struct weighted families[] = {
    {"Smith", 24},    {"Johnson", 19},   {"Williams", 16}, {"Brown", 14},  {"Jones", 14},   {"Garcia", 12}, {"Miller", 11},  {"Davis", 11},  {"Rodriguez", 11},
    {"Martinez", 10}, {"Hernandez", 10}, {"Lopez", 9},     {"Wilson", 8},  {"Anderson", 8}, {"Thomas", 8},  {"Taylor", 7},   {"Moore", 7},   {"Jackson", 7},
    {"Martin", 7},    {"Lee", 7},        {"Walker", 5},    {"Young", 5},   {"King", 5},     {"Wright", 4},  {"Watson", 3},   {"Wood", 3},    {"Ward", 3},
    {"Müller", 3},    {"O'Brien", 2},    {"Nguyen", 4},    {"Schmidt", 2}, {"Jensen", 2},   {"García", 2},  {"Kowalski", 1}, {"Zhivago", 1}, {NULL, 0},
};
static const char *const firsts[] = {"James",  "Mary",      "Robert",  "Patricia", "John",    "Jennifer", "Michael", "Linda",
                                     "David",  "Elizabeth", "William", "Barbara",  "Richard", "Susan",    "Joseph",  "Jessica",
                                     "Thomas", "Karen",     "Charles", "Sarah",    "Anna",    "Hans",     "José",    "Zoë"};

struct kind {
    const char *modalities, *sop_class;
    unsigned series, instances; // at most
    const char *descriptions[4];
};
static const struct kind ct = {"CT", "1.2.840.10008.5.1.4.1.1.2", 6, 900, {"胸部CT平扫", "CT CHEST W/O CONTRAST", "头颅CT平扫", "上腹部CT增强"}};
static const struct kind dx = {"DX", "1.2.840.10008.5.1.4.1.1.1.1", 2, 3, {"胸部正位", "CHEST PA AND LATERAL", "膝关节正侧位", "腰椎正侧位"}};
static const struct kind mr = {"MR", "1.2.840.10008.5.1.4.1.1.4", 10, 600, {"颅脑MR平扫", "MR KNEE LEFT", "腰椎MR平扫", "MR BRAIN W CONTRAST"}};
static const struct kind us = {"US", "1.2.840.10008.5.1.4.1.1.6.1", 1, 40, {"腹部超声", "US ABDOMEN", "甲状腺超声", "心脏超声"}};
static const struct kind cr = {"CR", "1.2.840.10008.5.1.4.1.1.1", 1, 2, {"胸部正位", "CHEST AP PORTABLE", "手正斜位", "骨盆正位"}};
static const struct kind mg = {"MG", "1.2.840.10008.5.1.4.1.1.1.2", 4, 4, {"乳腺钼靶", "SCREENING MAMMOGRAM", "双乳CC+MLO", "MAMMOGRAM DIAGNOSTIC"}};
static const struct kind pt = {
    "PT\\CT", "1.2.840.10008.5.1.4.1.1.128\\1.2.840.10008.5.1.4.1.1.2", 6, 1200, {"PET/CT全身", "PET CT WHOLE BODY", "PET/CT头颈", "PET CT FDG"}};
static const struct {
    const struct kind *kind;
    unsigned percent;
} kinds[] = {{&ct, 34}, {&dx, 28}, {&mr, 16}, {&us, 12}, {&cr, 6}, {&mg, 3}, {&pt, 1}};

struct patient {
    char id[40], birth_date[9];
    const char *sex;
    struct str name;
};

static bool make_name(struct arena *a, uint64_t *s, struct str *out, struct err *e) {
    char text[128];
    struct str family_pinyin, given_pinyin;
    if (below(s, 100) < 20) {
        snprintf(text, sizeof text, "%s^%s", pick(s, families), firsts[below(s, sizeof firsts / sizeof *firsts)]);
        return arena_dup(a, str_of(text), out, e);
    }
    char own[16];
    const char *family = pick(s, surnames);
    const char *one = given[below(s, sizeof given / sizeof *given)], *two = given[below(s, sizeof given / sizeof *given)];
    snprintf(own, sizeof own, "%s%s", one, below(s, 100) < 75 ? two : "");
    snprintf(text, sizeof text, "%s^%s", family, own);
    if (below(s, 100) < 40) return arena_dup(a, str_of(text), out, e); // characters only
    if (!text_pinyin(a, str_of(family), true, false, &family_pinyin, e) || !text_pinyin(a, str_of(own), false, false, &given_pinyin, e)) return false;
    char *both = arena_printf(a, e, "%.*s^%.*s=%s", STR_FMT(family_pinyin), STR_FMT(given_pinyin), text);
    *out = str_of(both);
    return both;
}

static bool make_patient(struct arena *a, uint64_t seed, uint64_t number, struct patient *out, struct err *e) {
    uint64_t s = seed * 0x2545F4914F6CDD1Du + number;
    snprintf(out->id, sizeof out->id, "S%llu%07llu", (unsigned long long)seed, (unsigned long long)number);
    snprintf(out->birth_date, sizeof out->birth_date, "%08u", (1930 + below(&s, 90)) * 10000 + (1 + below(&s, 12)) * 100 + 1 + below(&s, 28));
    out->sex = below(&s, 2) ? "F" : "M";
    return make_name(a, &s, &out->name, e);
}

struct study {
    char uid[65], date[9], time[7], accession[40];
    uint64_t patient; // number
    const struct kind *kind;
    const char *description;
    unsigned series, instances;
};

static void make_study(uint64_t studies, uint64_t seed, uint64_t i, struct study *out) {
    struct qspan first = {0};
    uint64_t s = ~seed * 0x2545F4914F6CDD1Du + i;
    uint64_t patients = studies * 2 / 5 + 1;
    qtime_date(STR_LIT("20160101"), &first);
    int64_t day = first.lo + (int64_t)(i * YEARS_DAYS / studies) * QTIME_DAY;
    unsigned second = 7 * 3600 + below(&s, 14 * 3600), at = below(&s, 100), k = 0;
    snprintf(out->date, sizeof out->date, "%08u", (unsigned)qtime_day_number(day) % 100000000);
    snprintf(out->time, sizeof out->time, "%02u%02u%02u", second / 3600 % 24, second / 60 % 60, second % 60);
    snprintf(out->uid, sizeof out->uid, "2.25.%llu%012llu", (unsigned long long)seed + 1, (unsigned long long)i);
    snprintf(out->accession, sizeof out->accession, "A%llu%09llu", (unsigned long long)seed, (unsigned long long)i);
    out->patient = mix(&s) % patients;
    while (at >= kinds[k].percent) at -= kinds[k++].percent;
    out->kind = kinds[k].kind;
    out->description = out->kind->descriptions[below(&s, 4)];
    out->series = 1 + below(&s, out->kind->series);
    out->instances = out->series + below(&s, out->kind->instances);
}

bool synth_index_study(struct arena *a, uint64_t studies, uint64_t seed, uint64_t i, struct synth_index_study *out, struct err *e) {
    struct study s = {0};
    struct patient p = {0};
    make_study(studies, seed, i, &s);
    if (!make_patient(a, seed, s.patient, &p, e)) return false;
    out->patient_name = p.name;
    return arena_dup(a, str_of(s.uid), &out->study_uid, e) && arena_dup(a, str_of(s.date), &out->date, e) && arena_dup(a, str_of(s.time), &out->time, e) &&
           arena_dup(a, str_of(s.accession), &out->accession_number, e) && arena_dup(a, str_of(p.id), &out->patient_id, e);
}

// ---- rows ----

struct fill {
    struct db *d;
    struct arena scratch, rows;
    int64_t *patient_rows; // by number; 0: not yet made
    uint64_t studies, seed;
    int64_t new_patients;
};

// *id (may be NULL): what the statement returns.
static bool insert(struct db *d, const char *sql, const struct str *texts, int text_count, const int64_t *numbers, int number_count, int64_t *id,
                   struct err *e) {
    struct db_stmt *s = db_prepare(d, sql, e);
    if (!s) return false;
    for (int i = 0; i < text_count; i++) db_bind_text(s, i + 1, texts[i]);
    for (int i = 0; i < number_count; i++) db_bind_int(s, text_count + i + 1, numbers[i]);
    bool ok = db_next(s, e) == (id ? DB_ROW : DB_END);
    if (ok && id) *id = db_int(s, 0);
    db_done(s);
    return ok;
}

static bool run(struct db *d, const char *sql, const int64_t *numbers, int number_count, struct err *e) {
    return insert(d, sql, NULL, 0, numbers, number_count, NULL, e);
}

static bool patient_row(struct fill *f, uint64_t number, const struct patient *p, int64_t *row, struct err *e) {
    int64_t *known = &f->patient_rows[number];
    if (*known == 0) {
        const struct str texts[] = {str_of(p->id), p->name, str_of(p->birth_date), str_of(p->sex)};
        if (!insert(f->d, "INSERT INTO patients (patient_id, issuer, name, birth_date, sex) VALUES (?1, 'SYNTH', ?2, ?3, ?4) RETURNING id", texts, 4, NULL, 0,
                    known, e))
            return false;
        f->new_patients++;
    }
    *row = *known;
    return run(f->d, "UPDATE patients SET study_count = study_count + 1 WHERE id = ?1", row, 1, e);
}

static bool add_study(struct fill *f, uint64_t i, struct err *e) {
    struct study s = {0};
    struct patient p = {0};
    int64_t patient;
    arena_reset(&f->scratch);
    make_study(f->studies, f->seed, i, &s);
    if (!make_patient(&f->scratch, f->seed, s.patient, &p, e) || !patient_row(f, s.patient, &p, &patient, e)) return false;
    const struct str texts[] = {str_of(s.uid), str_of(s.date),       str_of(s.time), str_of(s.accession),        str_of(s.description),    str_of(p.id),
                                p.name,        str_of(p.birth_date), str_of(p.sex),  str_of(s.kind->modalities), str_of(s.kind->sop_class)};
    const int64_t numbers[] = {patient, s.series, s.instances, (int64_t)s.instances * 500000, (int64_t)i};
    int64_t study;
    return insert(
               f->d,
               "INSERT INTO studies (study_uid, study_date, study_time, accession_number, description, patient_id, patient_name, birth_date, sex, modalities,"
               " sop_classes, patient, series_count, instance_count, bytes, created_ms, changed_ms, issuer, study_id, referring_physician, institution,"
               " patient_age, timezone, charset, text_flags) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?16, 'SYNTH', ?4, "
               "'', '',"
               " '', '', 'ISO_IR 192', 0) RETURNING id",
               texts, 11, numbers, 5, &study, e) &&
           query_index_study(f->d, &f->scratch, study, e);
}

static bool batch(struct fill *f, uint64_t from, uint64_t to, struct err *e) {
    f->new_patients = 0;
    for (uint64_t i = from; i < to; i++)
        if (!add_study(f, i, e)) return false;
    const int64_t numbers[] = {f->new_patients, (int64_t)(to - from)};
    return run(f->d,
               "UPDATE figures SET value = value + CASE WHEN name = 'patients' THEN CAST(?1 AS BIGINT) ELSE CAST(?2 AS BIGINT) END WHERE name IN ('patients', "
               "'studies')",
               numbers, 2, e);
}

static bool transaction(struct archive *ar, struct fill *f, uint64_t from, uint64_t to, struct err *e) {
    if (!(f->d = db_writer(archive_db(ar), e))) return false;
    bool ok = db_begin(f->d, e) && batch(f, from, to, e) && db_commit(f->d, e);
    if (!ok) db_rollback(f->d);
    db_return(archive_db(ar), f->d);
    return ok;
}

bool synth_index_fill(struct archive *ar, uint64_t studies, uint64_t seed, void (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx,
                      struct err *e) {
    struct fill f = {.studies = studies, .seed = seed};
    if (studies == 0 || studies > 1000000000) return err_set(e, ERR_USAGE, "synth", "1 to 1000000000 studies can be made");
    arena_init(&f.scratch, SCRATCH_BYTES_MAX);
    arena_init(&f.rows, (studies + 1024) * sizeof *f.patient_rows);
    f.patient_rows = arena_zero(&f.rows, studies * 2 / 5 + 1, sizeof *f.patient_rows, e);
    bool ok = f.patient_rows;
    for (uint64_t i = 0; i < studies && ok; i += BATCH) {
        uint64_t to = i + BATCH < studies ? i + BATCH : studies;
        ok = transaction(ar, &f, i, to, e);
        if (ok && progress) progress(ctx, to, studies);
    }
    arena_deinit(&f.rows);
    arena_deinit(&f.scratch);
    return ok;
}
