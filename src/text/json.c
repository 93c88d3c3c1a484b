// JSON in: one pass with an explicit stack, so that no nesting reaches the machine's.
#include "text/json.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/limits.h"
#include "text/utf8.h"

struct reader {
    struct arena *a;
    struct str s;
    size_t i;
    unsigned depth_max;
    struct err *e;
};

// Lines end in LF; columns count characters from 1.
static void position(struct str s, size_t at, size_t *line, size_t *column) {
    *line = 1, *column = 1;
    for (size_t i = 0; i < at && i < s.n; i++) {
        if (s.p[i] == '\n') {
            ++*line;
            *column = 1;
        } else if (((unsigned char)s.p[i] & 0xC0) != 0x80) {
            ++*column;
        }
    }
}

static bool fail_kind_at(const struct reader *r, enum err_kind kind, size_t at, const char *what) {
    size_t line, column;
    position(r->s, at, &line, &column);
    return err_set(r->e, kind, "json", "line %zu, column %zu: %s", line, column, what);
}

static bool fail_at(const struct reader *r, size_t at, const char *what) {
    return fail_kind_at(r, ERR_BAD_INPUT, at, what);
}

static char peek(const struct reader *r) {
    return r->i < r->s.n ? r->s.p[r->i] : '\0';
}

static void skip_blanks(struct reader *r) {
    for (; r->i < r->s.n; r->i++) {
        char c = r->s.p[r->i];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') return;
    }
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// The four digits after \u at r->i.
static bool read_hex4(struct reader *r, uint32_t *out) {
    *out = 0;
    for (unsigned k = 0; k < 4; k++, r->i++) {
        int d = hex_digit(peek(r));
        if (d < 0) return fail_at(r, r->i, "\\u needs four hexadecimal digits");
        *out = *out << 4 | (uint32_t)d;
    }
    return true;
}

// \uXXXX, a surrogate pair as one character; r->i is behind the u.
static bool read_unicode(struct reader *r, char *to, size_t *n) {
    uint32_t cp, low;
    size_t at = r->i;
    if (!read_hex4(r, &cp)) return false;
    if (cp >= 0xDC00 && cp <= 0xDFFF) return fail_at(r, at, "half of a surrogate pair");
    if (cp >= 0xD800 && cp <= 0xDBFF) {
        if (peek(r) != '\\' || r->i + 1 >= r->s.n || r->s.p[r->i + 1] != 'u') return fail_at(r, at, "half of a surrogate pair");
        r->i += 2;
        if (!read_hex4(r, &low)) return false;
        if (low < 0xDC00 || low > 0xDFFF) return fail_at(r, at, "half of a surrogate pair");
        cp = 0x10000 + ((cp - 0xD800) << 10) + (low - 0xDC00);
    }
    *n += utf8_put(to + *n, cp);
    return true;
}

// One escape, r->i behind its backslash. What it becomes is never longer than it is.
static bool read_escape(struct reader *r, char *to, size_t *n) {
    static const char LETTER[] = "\"\\/bfnrt", MEANS[] = "\"\\/\b\f\n\r\t";
    char c = peek(r);
    const char *hit = c ? strchr(LETTER, c) : NULL;
    if (!hit && c != 'u') return fail_at(r, r->i, "an escape that JSON has not");
    r->i++;
    if (!hit) return read_unicode(r, to, n);
    to[(*n)++] = MEANS[hit - LETTER];
    return true;
}

// To the end of the string that starts at from; finds its quote, whether it has escapes, and that it is clean UTF-8.
static bool scan_string(struct reader *r, size_t from, size_t *end, bool *escapes) {
    *escapes = false;
    for (size_t i = from; i < r->s.n;) {
        unsigned char c = (unsigned char)r->s.p[i];
        uint32_t cp;
        if (c == '"') return *end = i, true;
        if (c < 0x20) return fail_at(r, i, "a control character inside a string");
        if (c < 0x80) {
            *escapes |= c == '\\';
            i += c == '\\' ? 2 : 1;
            continue;
        }
        unsigned n = utf8_next(r->s.p + i, r->s.n - i, &cp);
        if (n == 0) return fail_at(r, i, "bytes that are not UTF-8");
        i += n;
    }
    return fail_at(r, from - 1, "a string that does not end");
}

static bool read_string(struct reader *r, struct str *out) {
    size_t from = r->i + 1, end = from, n = 0;
    bool escapes;
    if (!scan_string(r, from, &end, &escapes)) return false;
    if (!escapes) {
        *out = str_sub(r->s, from, end - from);
        r->i = end + 1;
        return true;
    }
    char *to = arena_alloc(r->a, end - from, r->e);
    if (!to) return false;
    for (r->i = from; r->i < end;) {
        char c = r->s.p[r->i++];
        if (c != '\\')
            to[n++] = c;
        else if (!read_escape(r, to, &n))
            return false;
    }
    r->i = end + 1;
    *out = (struct str){to, n};
    return true;
}

static bool skip_digits(struct reader *r) {
    size_t from = r->i;
    while (peek(r) >= '0' && peek(r) <= '9') r->i++;
    return r->i > from;
}

static bool read_number(struct reader *r, struct str *out) {
    size_t from = r->i;
    if (peek(r) == '-') r->i++;
    if (peek(r) == '0')
        r->i++;
    else if (!skip_digits(r))
        return fail_at(r, from, "not a JSON value");
    if (peek(r) == '.') {
        r->i++;
        if (!skip_digits(r)) return fail_at(r, r->i, "a number needs digits behind its point");
    }
    if (peek(r) == 'e' || peek(r) == 'E') {
        r->i++;
        if (peek(r) == '+' || peek(r) == '-') r->i++;
        if (!skip_digits(r)) return fail_at(r, r->i, "a number needs digits in its exponent");
    }
    *out = str_sub(r->s, from, r->i - from);
    return true;
}

static bool read_word(struct reader *r, struct json *v) {
    static const struct {
        struct str word;
        enum json_kind kind;
    } WORDS[] = {{{"true", 4}, JSON_TRUE}, {{"false", 5}, JSON_FALSE}, {{"null", 4}, JSON_NULL}};
    for (unsigned k = 0; k < 3; k++) {
        if (!str_starts(str_sub(r->s, r->i, 5), WORDS[k].word)) continue;
        r->i += WORDS[k].word.n;
        v->kind = WORDS[k].kind;
        return true;
    }
    return fail_at(r, r->i, r->i < r->s.n ? "not a JSON value" : "the text ends where a value should be");
}

// A scalar, or the opening of an array or object.
static bool read_value(struct reader *r, struct json *v) {
    v->at = r->i;
    char c = peek(r);
    if (c == '{' || c == '[') {
        v->kind = c == '{' ? JSON_OBJECT : JSON_ARRAY;
        r->i++;
        return true;
    }
    if (c == '"') {
        v->kind = JSON_STRING;
        return read_string(r, &v->text);
    }
    if (c != '-' && (c < '0' || c > '9')) return read_word(r, v);
    v->kind = JSON_NUMBER;
    return read_number(r, &v->text);
}

// An open array or object, and its newest child.
struct level {
    struct json *v;
    struct json *last;
};

static bool is_open(const struct json *v) {
    return v->kind == JSON_ARRAY || v->kind == JSON_OBJECT;
}

static bool read_key(struct reader *r, struct json *child) {
    if (peek(r) != '"') return fail_at(r, r->i, "a member's name in quotes should stand here");
    if (!read_string(r, &child->key)) return false;
    skip_blanks(r);
    if (peek(r) != ':') return fail_at(r, r->i, "a colon should stand here");
    r->i++;
    skip_blanks(r);
    return true;
}

// What follows in an open level: its end (*closed), or the next child with its key.
static bool next_child(struct reader *r, struct level *l, struct json **child, bool *closed) {
    skip_blanks(r);
    *closed = peek(r) == (l->v->kind == JSON_OBJECT ? '}' : ']');
    if (*closed) return r->i++, true;
    if (l->last) {
        if (peek(r) != ',')
            return fail_at(r, r->i, r->i < r->s.n ? "a comma or the closing bracket should stand here" : "the text ends inside an array or object");
        r->i++;
        skip_blanks(r);
    }
    *child = arena_zero(r->a, 1, sizeof **child, r->e);
    if (!*child) return err_wrap(r->e, "JSON of %zu bytes", r->s.n);
    if (l->v->kind == JSON_OBJECT && !read_key(r, *child)) return false;
    if (l->last)
        l->last->next = *child;
    else
        l->v->first = *child;
    l->last = *child;
    l->v->count++;
    return read_value(r, *child);
}

static bool read_levels(struct reader *r, struct json *root, struct level *stack) {
    unsigned depth = 0;
    if (is_open(root)) stack[depth++] = (struct level){root, NULL};
    while (depth) {
        struct json *child = NULL;
        bool closed;
        if (!next_child(r, &stack[depth - 1], &child, &closed)) return false;
        if (closed) {
            depth--;
        } else if (is_open(child)) {
            if (depth == r->depth_max) return fail_kind_at(r, ERR_TOO_LARGE, child->at, "nested deeper than is allowed here");
            stack[depth++] = (struct level){child, NULL};
        }
    }
    return true;
}

const struct json *json_read(struct arena *a, struct str text, unsigned depth_max, struct err *e) {
    if (!text.p) text = STR_LIT("");
    struct reader r = {.a = a, .s = text, .depth_max = depth_max ? depth_max : JSON_DEPTH_MAX, .e = e};
    if (str_starts(text, STR_LIT("\xEF\xBB\xBF"))) r.i = 3; // a byte order mark
    struct json *root = arena_zero(a, 1, sizeof *root, e);
    struct level *stack = root ? arena_alloc(a, r.depth_max * sizeof *stack, e) : NULL;
    if (!stack) return NULL;
    skip_blanks(&r);
    if (!read_value(&r, root) || !read_levels(&r, root, stack)) return NULL;
    skip_blanks(&r);
    if (r.i < text.n) return fail_at(&r, r.i, "more text behind the end of the document"), NULL;
    return root;
}

const struct json *json_get(const struct json *object, const char *key) {
    const struct json *found = NULL;
    if (!object || object->kind != JSON_OBJECT) return NULL;
    for (const struct json *m = object->first; m; m = m->next)
        if (str_eqz(m->key, key)) found = m;
    return found;
}

struct str json_text(const struct json *v) {
    return v && v->kind == JSON_STRING ? v->text : (struct str){NULL, 0};
}

static bool is_numeric(const struct json *v) {
    return v && (v->kind == JSON_NUMBER || v->kind == JSON_STRING);
}

bool json_to_i64(const struct json *v, int64_t *out) {
    static const double EXACT_MAX = 9007199254740992; // 2^53
    double d;
    if (!is_numeric(v)) return false;
    if (str_to_i64(v->text, out)) return true;
    // "1.0" and "1e3" are whole numbers too.
    if (!str_to_f64(v->text, &d) || d > EXACT_MAX || d < -EXACT_MAX || d != (double)(int64_t)d) return false;
    *out = (int64_t)d;
    return true;
}

bool json_to_f64(const struct json *v, double *out) {
    return is_numeric(v) && str_to_f64(v->text, out);
}

bool json_fail(struct str document, const struct json *at, struct err *e, const char *format, ...) {
    char message[ERR_MESSAGE_MAX];
    size_t line, column;
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    position(document, at->at, &line, &column);
    return err_set(e, ERR_BAD_INPUT, "json", "line %zu, column %zu: %s", line, column, message);
}
