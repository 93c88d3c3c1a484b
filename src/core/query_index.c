// The keys by which studies are found, made from a study's row.
#include "core/query_index.h"

#include <stdlib.h>

#include "base/buf.h"
#include "core/access.h"
#include "core/query_time.h"
#include "dicom/name.h"
#include "sys/digest.h"
#include "text/json.h"

enum { WORD_KEYS_MAX = 40, SUFFIXES_MAX = 24, ALL_KEYS_MAX = QUERY_KEYS_MAX + STUDY_MARKS_MAX };

int64_t query_at(struct str date, struct str time) {
    struct qspan day, clock;
    if (!qtime_date(date, &day)) return 0;
    int64_t at = qtime_day_number(day.lo) * 1000000;
    if (!qtime_time(time, &clock)) return at;
    int64_t seconds = clock.lo / 1000000;
    if (seconds > 86399) seconds = 86399; // a leap second at the day's end
    return at + seconds / 3600 * 10000 + seconds / 60 % 60 * 100 + seconds % 60;
}

int64_t query_month(int64_t at) {
    int64_t month = at / 100000000, year = month / 100;
    if (at <= 0) return 0;
    if (year < 1900) return 1;
    if (year < 1970) return year * 100;
    return year > 2100 ? 210101 : month;
}

static bool is_letter_start(unsigned char c) {
    return (c & 0xC0) != 0x80;
}

// At most QUERY_KEY_BYTES, cut where a character ends.
static struct str cut(struct str s) {
    if (s.n <= QUERY_KEY_BYTES) return s;
    size_t n = QUERY_KEY_BYTES;
    while (n > 0 && !is_letter_start((unsigned char)s.p[n])) n--;
    return str_sub(s, 0, n);
}

static bool is_word_byte(unsigned char c) {
    return c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// kind and text as a key; words_only leaves out all but letters and digits.
static bool put_key(struct arena *a, enum query_key_kind kind, struct str text, bool words_only, struct str *out, struct err *e) {
    char *p = arena_alloc(a, text.n + 2, e);
    if (!p) return false;
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        if (!words_only || is_word_byte((unsigned char)text.p[i])) p[1 + n++] = text.p[i];
    p[0] = (char)kind;
    struct str body = cut((struct str){p + 1, n});
    *out = (struct str){p, body.n + 1};
    return true;
}

static bool is_name(enum query_key_kind kind) {
    return kind == QUERY_KEY_NAME || kind == QUERY_KEY_REFERRING;
}

bool query_key_make(struct arena *a, enum query_key_kind kind, struct str text, struct str *out, struct err *e) {
    struct str folded;
    return text_fold(a, text, &folded, e) && put_key(a, kind, folded, is_name(kind), out, e);
}

bool query_scope_key(struct arena *a, struct str text, struct str *out, struct err *e) {
    enum { HALF = DIGEST_BYTES / 2 };
    uint8_t digest[DIGEST_BYTES];
    char *p = arena_alloc(a, QUERY_KEY_BYTES + 1, e);
    if (!p) return false;
    p[0] = QUERY_KEY_SCOPE;
    *out = (struct str){p, text.n + 1};
    if (text.n < QUERY_KEY_BYTES) {
        if (text.n) memcpy(p + 1, text.p, text.n);
        return true;
    }
    if (!digest_of(text.p, text.n, digest, e)) return false;
    p[1] = '#'; // no kind of scope
    hex_encode(digest, HALF, p + 2);
    out->n = 2 + 2 * HALF;
    return true;
}

// ---- a growing set of keys ----

struct key_set {
    struct arena *a;
    struct str *keys;
    unsigned count, max;
};

static bool add(struct key_set *set, enum query_key_kind kind, struct str text, struct err *e) {
    struct str key;
    if (set->count == set->max) return true;
    if (!query_key_make(set->a, kind, text, &key, e)) return false;
    if (key.n > 1) set->keys[set->count++] = key;
    return true;
}

static int compare(const void *x, const void *y) {
    return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

// Sorts keys[from..] and keeps each once; what is the beginning of another key is found with it by prefix and left out.
static void prune(struct key_set *set, unsigned from) {
    unsigned kept = from;
    if (set->count > from) qsort(set->keys + from, set->count - from, sizeof *set->keys, compare);
    for (unsigned i = from; i < set->count; i++) {
        if (i + 1 < set->count && str_starts(set->keys[i + 1], set->keys[i])) continue;
        set->keys[kept++] = set->keys[i];
    }
    set->count = kept;
}

static size_t char_at(struct str s, size_t at) {
    size_t n = 1;
    while (at + n < s.n && !is_letter_start((unsigned char)s.p[at + n])) n++;
    return n;
}

// Ideographs and kana begin with these bytes in UTF-8 (U+3000 and up, U+20000 and up; Hangul is among them and does no harm).
static bool is_cjk(unsigned char c) {
    return (c >= 0xE3 && c <= 0xED) || c == 0xF0;
}

// The text from each place on where one may begin to type: Chinese is written without spaces.
static bool add_suffixes(struct key_set *set, enum query_key_kind kind, struct str word, struct err *e) {
    bool before = false;
    unsigned n = 0;
    for (size_t i = 0; i < word.n && n < SUFFIXES_MAX; i += char_at(word, i)) {
        bool cjk = is_cjk((unsigned char)word.p[i]);
        if (i > 0 && (cjk || before)) {
            n++;
            if (!add(set, kind, str_sub(word, i, word.n), e)) return false;
        }
        before = cjk;
    }
    return true;
}

// "xiao ming" gives "ming": a fuzzy query may name any syllable.
static bool add_syllables(struct key_set *set, enum query_key_kind kind, struct str component, bool surname, struct err *e) {
    struct str apart;
    if (!text_pinyin(set->a, component, surname, true, &apart, e)) return false;
    for (size_t i = str_find(apart, ' ', 0); i < apart.n; i = str_find(apart, ' ', i + 1))
        if (!add(set, kind, str_sub(apart, i, apart.n), e)) return false;
    return true;
}

static bool has_cjk(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (is_cjk((unsigned char)s.p[i])) return true;
    return false;
}

bool query_name_keys(struct arena *a, enum query_key_kind kind, struct str name, struct str *keys, unsigned max, unsigned *count, struct err *e) {
    struct key_set set = {.a = a, .keys = keys, .max = max};
    struct str rest = name;
    while (rest.p) {
        struct str one = str_split(&rest, '\\'), found[PN_KEYS_MAX];
        unsigned n = 0;
        struct pn pn;
        if (!pn_keys(a, one, found, &n, e)) return false;
        for (unsigned i = 0; i < n; i++)
            if (!add(&set, kind, found[i], e)) return false;
        pn_parse(one, &pn);
        for (unsigned g = 0; g < PN_GROUPS; g++)
            for (unsigned c = 0; c < PN_COMPONENTS; c++) {
                struct str component = pn.component[g][c];
                if (!has_cjk(component)) continue;
                if (!add_suffixes(&set, kind, component, e) || !add_syllables(&set, kind, component, c == PN_FAMILY, e)) return false;
            }
    }
    prune(&set, 0);
    *count = set.count;
    return true;
}

static bool add_words(struct key_set *set, enum query_key_kind kind, struct str text, struct err *e) {
    unsigned from = set->count;
    for (size_t i = 0; i < text.n;) {
        size_t end = i;
        while (end < text.n && is_word_byte((unsigned char)text.p[end])) end++;
        struct str word = str_sub(text, i, end - i);
        if (set->count - from >= WORD_KEYS_MAX) break;
        if (word.n > 0 && (!add(set, kind, word, e) || !add_suffixes(set, kind, word, e))) return false;
        i = end + 1;
    }
    prune(set, from);
    return true;
}

static bool add_names(struct key_set *set, enum query_key_kind kind, struct str name, struct err *e) {
    unsigned n = 0;
    if (!query_name_keys(set->a, kind, name, set->keys + set->count, set->max - set->count, &n, e)) return false;
    set->count += n;
    return true;
}

static bool add_values(struct key_set *set, enum query_key_kind kind, struct str values, struct err *e) {
    struct str rest = values;
    while (rest.p)
        if (!add(set, kind, str_trim(str_split(&rest, '\\')), e)) return false;
    return true;
}

// ---- a study's row ----

static const char read_sql[] =
    "SELECT s.study_date, s.study_time, s.patient_name, s.referring_physician, s.patient_id, s.accession_number, s.study_id, s.description, s.birth_date,"
    " s.modalities, r.tenant, r.site, r.department, CASE WHEN EXISTS (SELECT 1 FROM study_labels WHERE study_uid = s.study_uid) OR EXISTS (SELECT 1 FROM"
    " study_assignments WHERE study_uid = s.study_uid) THEN 1 ELSE 0 END FROM studies s {join} realms r ON r.id = s.realm WHERE s.id = ?1";
static const char marks_sql[] =
    "SELECT 'l:' || g.tenant || '/' || g.label FROM studies s JOIN realms r ON r.id = s.realm JOIN study_labels g ON g.study_uid = s.study_uid AND g.tenant ="
    " r.tenant WHERE s.id = ?1 AND g.given = 1 UNION ALL SELECT 'u:' || g.name FROM studies s JOIN realms r ON r.id = s.realm JOIN study_assignments g ON"
    " g.study_uid = s.study_uid AND g.tenant = r.tenant WHERE s.id = ?1 AND g.given = 1";

static bool add_scope(struct key_set *set, struct str text, struct err *e) {
    if (set->count == set->max) return err_set(e, ERR_TOO_LARGE, "query", "a study has more than %d labels and assignments", STUDY_MARKS_MAX);
    if (!query_scope_key(set->a, text, &set->keys[set->count], e)) return false;
    set->count++;
    return true;
}

static bool add_realm(struct key_set *set, struct db_stmt *s, int column, struct err *e) {
    const struct str tenant = db_text(s, column), site = db_text(s, column + 1), department = db_text(s, column + 2);
    struct access_scope scope = {.realm = {tenant, site, department}};
    const struct str parts[] = {STR_LIT("?"), site, department};
    for (unsigned i = 0; i < 3 && parts[i].n; i++) {
        struct str key;
        scope.kind = (enum access_scope_kind)(SCOPE_TENANT + i);
        if (!access_scope_key(set->a, &scope, STR_LIT(""), &key, e) || !add_scope(set, key, e)) return false;
    }
    return true;
}

static bool add_marks(struct db *d, struct key_set *set, int64_t study, struct err *e) {
    struct db_stmt *s = db_prepare(d, marks_sql, e);
    enum db_step step = DB_FAIL;
    bool ok = s;
    set->max = set->count + STUDY_MARKS_MAX;
    if (s) db_bind_int(s, 1, study);
    while (ok && (step = db_next(s, e)) == DB_ROW) ok = add_scope(set, db_text(s, 0), e);
    db_done(s);
    return ok && step == DB_END;
}

static bool row_keys(struct key_set *set, struct db_stmt *s, struct err *e) {
    return add_names(set, QUERY_KEY_NAME, db_text(s, 2), e) && add_names(set, QUERY_KEY_REFERRING, db_text(s, 3), e) &&
           add(set, QUERY_KEY_PATIENT_ID, db_text(s, 4), e) && add(set, QUERY_KEY_ACCESSION, db_text(s, 5), e) &&
           add(set, QUERY_KEY_STUDY_ID, db_text(s, 6), e) && add_words(set, QUERY_KEY_DESCRIPTION, db_text(s, 7), e) &&
           add(set, QUERY_KEY_BIRTH_DATE, db_text(s, 8), e) && add_values(set, QUERY_KEY_MODALITY, db_text(s, 9), e);
}

// The keys of the study's row (the empty one first) and its place in time.
static bool read_keys(struct db *d, struct key_set *set, int64_t study, int64_t *at, struct err *e) {
    struct db_stmt *s = db_prepare(d, read_sql, e);
    if (!s) return false;
    db_bind_int(s, 1, study);
    enum db_step step = db_next(s, e);
    bool ok = step == DB_ROW;
    if (step == DB_END) err_set(e, ERR_INTERNAL, "query", "study row %lld to be indexed is not there", (long long)study);
    bool marks = ok && db_int(s, 13) != 0;
    if (ok) {
        set->keys[set->count++] = STR_LIT("");
        *at = query_at(db_text(s, 0), db_text(s, 1));
        ok = add_realm(set, s, 10, e) && row_keys(set, s, e);
    }
    db_done(s);
    return ok && (!marks || add_marks(d, set, study, e));
}

// Runs sql (month, key, at, study) for each key.
static bool for_each_key(struct db *d, const char *sql, const struct key_set *set, int64_t at, int64_t study, struct err *e) {
    for (unsigned i = 0; i < set->count; i++) {
        struct db_stmt *s = db_prepare(d, sql, e);
        if (!s) return false;
        db_bind_int(s, 1, query_month(at));
        db_bind_text(s, 2, set->keys[i]);
        db_bind_int(s, 3, at);
        db_bind_int(s, 4, study);
        bool ok = db_next(s, e) == DB_END;
        db_done(s);
        if (!ok) return false;
    }
    return true;
}

// All keys at once, as a JSON array.
static bool add_keys(struct db *d, const struct key_set *set, int64_t at, int64_t study, struct err *e) {
    struct buf json;
    struct json_writer w;
    buf_init(&json, ALL_KEYS_MAX * (QUERY_KEY_BYTES * 6 + 3) + 2);
    json_init(&w, &json, false);
    json_begin_array(&w);
    for (unsigned i = 0; i < set->count; i++) json_str(&w, set->keys[i]);
    json_end_array(&w);
    struct db_stmt *s = buf_ok(&json, e) ? db_prepare(d,
                                                      "INSERT INTO study_keys (month, key, at, study) SELECT ?1, value, ?3, ?4 FROM {each ?2} WHERE true"
                                                      " ON CONFLICT DO NOTHING",
                                                      e)
                                         : NULL;
    if (s) {
        db_bind_int(s, 1, query_month(at));
        db_bind_text(s, 2, buf_str(&json));
        db_bind_int(s, 3, at);
        db_bind_int(s, 4, study);
    }
    bool ok = s && db_next(s, e) == DB_END;
    db_done(s);
    buf_deinit(&json);
    return ok;
}

static bool remove_keys(struct db *d, const struct key_set *set, int64_t at, int64_t study, struct err *e) {
    return for_each_key(d, "DELETE FROM study_keys WHERE month = ?1 AND key = ?2 AND at = ?3 AND study = ?4", set, at, study, e);
}

static bool count_month(struct db *d, const char *sql, int64_t at, int64_t study, struct err *e) {
    struct db_stmt *s = db_prepare(d, sql, e);
    if (!s) return false;
    db_bind_int(s, 1, query_month(at));
    db_bind_int(s, 2, at);
    db_bind_int(s, 3, study);
    bool ok = db_next(s, e) == DB_END;
    db_done(s);
    return ok;
}

// The month is counted first: by whether the empty key is there yet, or still.
static bool change(struct db *d, struct arena *scratch, int64_t study, const char *month_sql,
                   bool (*keys)(struct db *d, const struct key_set *set, int64_t at, int64_t study, struct err *e), struct err *e) {
    struct arena_mark mark = arena_mark(scratch);
    int64_t at = 0;
    struct key_set set = {.a = scratch, .max = QUERY_KEYS_MAX, .keys = arena_zero(scratch, ALL_KEYS_MAX, sizeof(struct str), e)};
    bool ok = set.keys && read_keys(d, &set, study, &at, e) && count_month(d, month_sql, at, study, e) && keys(d, &set, at, study, e);
    arena_rewind(scratch, mark);
    return ok;
}

#define EMPTY_KEY "EXISTS (SELECT 1 FROM study_keys WHERE month = ?1 AND key = '' AND at = ?2 AND study = ?3)"

bool query_index_study(struct db *writer, struct arena *scratch, int64_t study, struct err *e) {
    return change(writer, scratch, study,
                  "INSERT INTO study_months SELECT ?1, 1 WHERE NOT " EMPTY_KEY " ON CONFLICT (month) DO UPDATE SET studies = study_months.studies + 1",
                  add_keys, e);
}

bool query_unindex_study(struct db *writer, struct arena *scratch, int64_t study, struct err *e) {
    return change(writer, scratch, study, "UPDATE study_months SET studies = studies - 1 WHERE month = ?1 AND " EMPTY_KEY, remove_keys, e);
}

static bool read_at(struct db *d, int64_t study, int64_t *at, struct err *e) {
    struct db_stmt *s = db_prepare(d, "SELECT study_date, study_time FROM studies WHERE id = ?1", e);
    if (!s) return false;
    db_bind_int(s, 1, study);
    bool ok = db_next(s, e) == DB_ROW;
    if (ok) *at = query_at(db_text(s, 0), db_text(s, 1));
    db_done(s);
    return ok;
}

bool query_scope_change(struct db *writer, struct arena *scratch, int64_t study, struct str text, bool on, struct err *e) {
    struct str key;
    int64_t at = 0;
    struct key_set set = {.keys = &key, .count = 1};
    return query_scope_key(scratch, text, &key, e) && read_at(writer, study, &at, e) && (on ? add_keys : remove_keys)(writer, &set, at, study, e);
}
