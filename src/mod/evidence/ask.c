// Words and numbers in the parameters of a reference table's row.
#include <ctype.h>
#include <string.h>

#include "mod/evidence/ask.h"

static bool of_word(char c) {
    return isalnum((unsigned char)c) || c == '_' || c == '.';
}

// Where the word begins at or after from, or text.n.
static size_t find_word(struct str text, const char *word, size_t from) {
    size_t n = strlen(word);
    for (size_t i = from; i + n <= text.n; i++)
        if ((i == 0 || !of_word(text.p[i - 1])) && str_eq_nocase(str_sub(text, i, n), str_of(word))) return i;
    return text.n;
}

static bool of_number(char c) {
    return isdigit((unsigned char)c) || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-';
}

// Reads n bytes as a number; a point may begin or end it, as people write and strict readers refuse.
static bool number_of(struct str text, double *out) {
    char digits[72];
    size_t sign = text.n && (text.p[0] == '-' || text.p[0] == '+') ? 1 : 0, k = 0;
    if (text.n > sizeof digits - 4) return false;
    if (sign && text.p[0] == '-') digits[k++] = '-';
    digits[k++] = '0';
    for (size_t i = sign; i < text.n; i++) digits[k++] = text.p[i];
    if (digits[k - 1] == '.') digits[k++] = '0';
    return str_to_f64((struct str){digits, k}, out);
}

// The length of the longest number that begins the text; 0: none.
static size_t number_at(struct str text, double *out) {
    size_t best = 0, n = text.n && (text.p[0] == '-' || text.p[0] == '+') ? 2 : 1;
    double value;
    if (text.n < n || !(isdigit((unsigned char)text.p[n - 1]) || text.p[n - 1] == '.')) return 0;
    for (; n <= text.n && of_number(text.p[n - 1]); n++)
        if (number_of(str_sub(text, 0, n), &value)) {
            best = n;
            *out = value;
        }
    return best;
}

static size_t skip_to_value(struct str text, size_t at) {
    while (at < text.n && (text.p[at] == ' ' || text.p[at] == '=' || text.p[at] == ':' || text.p[at] == '<' || text.p[at] == '>')) at++;
    return at;
}

bool ev_ask_number(struct str text, const char *word, double *out) {
    for (size_t at = 0; (at = find_word(text, word, at)) < text.n; at++) {
        size_t value = skip_to_value(text, at + strlen(word));
        size_t n = number_at(str_sub(text, value, text.n), out);
        if (n == 0) continue;
        if (value + n < text.n && text.p[value + n] == '%') *out /= 100;
        return true;
    }
    return false;
}

static bool ends_word(struct str text, size_t at) {
    return at >= text.n || !of_word(text.p[at]);
}

bool ev_ask_word(struct str text, const char *word) {
    for (size_t at = 0; (at = find_word(text, word, at)) < text.n; at++)
        if (ends_word(text, at + strlen(word))) return true;
    return false;
}

bool ev_ask_bare(struct str text, const char *word) {
    for (size_t at = 0; (at = find_word(text, word, at)) < text.n; at++) {
        size_t end = at + strlen(word), value = skip_to_value(text, end);
        double ignored;
        bool given = memchr(text.p + end, '=', value - end) || number_at(str_sub(text, value, text.n), &ignored);
        if (ends_word(text, end) && !given) return true;
    }
    return false;
}

double ev_ask_level(struct str text) {
    double level;
    for (size_t i = 0; i < text.n; i++) {
        if (!isdigit((unsigned char)text.p[i]) || (i > 0 && of_word(text.p[i - 1]))) continue;
        size_t n = number_at(str_sub(text, i, text.n), &level);
        if (n && i + n < text.n && text.p[i + n] == '%' && level > 50 && level < 100) return level / 100;
    }
    if (!ev_ask_number(text, "level", &level) && !ev_ask_number(text, "conf.level", &level)) return 0.95;
    return level > 1 ? level / 100 : level;
}

unsigned ev_ask_numbers(struct str text, double *out, unsigned max) {
    unsigned count = 0;
    for (size_t i = 0; i < text.n && count < max;) {
        bool begins = isdigit((unsigned char)text.p[i]) || text.p[i] == '.';
        bool minus = text.p[i] == '-' && (i == 0 || (!of_word(text.p[i - 1]) && text.p[i - 1] != ')'));
        size_t n = begins || minus ? number_at(str_sub(text, i, text.n), &out[count]) : 0;
        count += n ? 1 : 0;
        i += n ? n : 1;
    }
    return count;
}

bool ev_ask_lacks(const struct ev_question *q, const char *what, struct err *e) {
    return err_set(e, ERR_BAD_INPUT, "evidence", "%.*s: the parameters \"%.*s\" lack %s", STR_FMT(q->statistic), STR_FMT(q->parameters), what);
}
