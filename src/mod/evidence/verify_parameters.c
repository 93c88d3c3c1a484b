// The parameters of a row of reference values, in pieces.
#include "mod/evidence/verify.h"

// The piece from *at on to the ';' outside of brackets; false at the end.
static bool next_piece(struct str s, size_t *at, struct str *piece) {
    size_t begin = *at, i = begin;
    unsigned depth = 0;
    if (begin > s.n || !s.p) return false;
    for (; i < s.n; i++) {
        char c = s.p[i];
        if (c == '[' || c == '(' || c == '{') depth++;
        if ((c == ']' || c == ')' || c == '}') && depth) depth--;
        if (c == ';' && depth == 0) break;
    }
    *at = i + 1;
    *piece = str_trim(str_sub(s, begin, i - begin));
    return true;
}

struct str ev_piece(const struct ev_question *q, unsigned i) {
    struct str piece;
    for (size_t at = 0; next_piece(q->parameters, &at, &piece);)
        if (i-- == 0) return piece;
    return (struct str){NULL, 0};
}

bool ev_has_word(const struct ev_question *q, const char *word) {
    struct str piece;
    for (size_t at = 0; next_piece(q->parameters, &at, &piece);)
        if (str_eq_nocase(piece, str_of(word))) return true;
    return false;
}

bool ev_parameter(const struct ev_question *q, const char *key, struct str *value) {
    struct str piece;
    for (size_t at = 0; next_piece(q->parameters, &at, &piece);) {
        size_t eq = str_find(piece, '=', 0);
        if (eq == piece.n || !str_eq_nocase(str_trim(str_sub(piece, 0, eq)), str_of(key))) continue;
        *value = str_trim(str_sub(piece, eq + 1, piece.n));
        return true;
    }
    return false;
}

bool ev_parameter_number(const struct ev_question *q, const char *key, double *value, struct err *e) {
    struct str text;
    if (!ev_parameter(q, key, &text)) return err_set(e, ERR_BAD_INPUT, "evidence", "the parameter '%s' is missing", key);
    struct str digits = str_sub(text, 0, str_find(text, ' ', 0));
    if (str_to_f64(digits, value)) return true;
    return err_set(e, ERR_BAD_INPUT, "evidence", "the parameter '%s' is no number: '%.*s'", key, STR_FMT(text));
}
