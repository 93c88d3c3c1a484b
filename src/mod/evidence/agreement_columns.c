// Which columns hold ratings or measurements.
#include "mod/evidence/agreement_columns.h"

#include <ctype.h>

bool ev_holds(struct str text, const char *words) {
    size_t n = strlen(words);
    for (size_t i = 0; i + n <= text.n; i++)
        if (str_eq_nocase(str_sub(text, i, n), str_of(words))) return true;
    return false;
}

bool ev_is_identifier(struct str name) {
    static const char *const NAMES[] = {"id",        "subject",    "subjectid", "subject_id", "case", "caseid", "case_id", "unit", "patient",
                                        "patientid", "patient_id", "item",      "study",      "row",  "i",      "index",   "",     "name"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (str_eq_nocase(str_trim(name), str_of(NAMES[i]))) return true;
    return false;
}

unsigned ev_value_columns(const struct csv *t, unsigned *columns) {
    unsigned n = 0;
    for (unsigned j = 0; j < t->columns; j++)
        if (!ev_is_identifier(t->names[j])) columns[n++] = j;
    return n;
}

static bool of_name(char c) {
    return isalnum((unsigned char)c) || c == '_' || c == '.' || (unsigned char)c >= 0x80;
}

unsigned ev_named_columns(const struct csv *t, struct str text, unsigned *columns, unsigned max) {
    unsigned n = 0;
    for (size_t i = 0; i < text.n && n < max;) {
        size_t end = i;
        while (end < text.n && of_name(text.p[end])) end++;
        for (unsigned j = 0; j < t->columns && end > i; j++) {
            if (!str_eq_nocase(str_sub(text, i, end - i), str_trim(t->names[j])) || ev_is_identifier(t->names[j])) continue;
            columns[n++] = j;
            break;
        }
        i = end > i ? end : i + 1;
    }
    return n;
}

struct str ev_method_of(struct str column) {
    struct str s = str_trim(column);
    size_t n = s.n;
    while (n > 1 && isdigit((unsigned char)s.p[n - 1])) n--;
    if (n < s.n && n > 1 && (s.p[n - 1] == '_' || s.p[n - 1] == '.' || s.p[n - 1] == ' ')) n--;
    return str_sub(s, 0, n);
}

bool ev_default_pair(const struct csv *t, unsigned pair[2], struct err *e) {
    unsigned found = 0;
    for (unsigned j = 0; j < t->columns && found < 2; j++) {
        if (ev_is_identifier(t->names[j])) continue;
        if (found && str_eq_nocase(ev_method_of(t->names[j]), ev_method_of(t->names[pair[0]]))) continue;
        pair[found++] = j;
    }
    if (found == 2) return true;
    found = 0;
    for (unsigned j = 0; j < t->columns && found < 2; j++)
        if (!ev_is_identifier(t->names[j])) pair[found++] = j;
    if (found == 2) return true;
    return err_set(e, ERR_BAD_INPUT, "evidence", "there are no two columns of measurements to compare");
}

bool ev_complete_rows(struct arena *a, const struct csv *t, const unsigned *columns, unsigned n, double **values, size_t *count, struct err *e) {
    double *v = arena_zero(a, t->rows ? t->rows : 1, n * sizeof *v, e);
    if (!v) return false;
    *values = v;
    *count = 0;
    for (size_t i = 0; i < t->rows; i++) {
        bool whole = true;
        for (unsigned j = 0; j < n; j++) {
            if (!csv_number(t, i, columns[j], &v[*count * n + j], e)) return false;
            whole = whole && v[*count * n + j] == v[*count * n + j];
        }
        *count += whole;
    }
    if (*count == 0) return err_set(e, ERR_BAD_INPUT, "evidence", "no row has all of the %u values", n);
    return true;
}

bool ev_complete_pair(struct arena *a, const struct csv *t, const unsigned pair[2], double **x, double **y, size_t *count, struct err *e) {
    double *both;
    if (!ev_complete_rows(a, t, pair, 2, &both, count, e)) return false;
    *x = arena_alloc(a, *count * sizeof **x, e);
    *y = *x ? arena_alloc(a, *count * sizeof **y, e) : NULL;
    if (!*y) return false;
    for (size_t i = 0; i < *count; i++) {
        (*x)[i] = both[2 * i];
        (*y)[i] = both[2 * i + 1];
    }
    return true;
}
