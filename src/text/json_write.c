// JSON out: everything is appended straight to the buffer.
#include "text/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "text/utf8.h"

void json_init(struct json_writer *w, struct buf *to, bool pretty) {
    *w = (struct json_writer){.to = to, .pretty = pretty};
}

static void new_line(struct json_writer *w) {
    if (!w->pretty) return;
    buf_addc(w->to, '\n');
    for (unsigned i = 0; i < w->depth; i++) buf_add(w->to, "  ", 2);
}

// What stands before a value or a key: the comma and the line, unless the value follows its key.
static void before(struct json_writer *w) {
    if (w->keyed) {
        w->keyed = false;
        return;
    }
    if (w->comma) buf_addc(w->to, ',');
    if (w->depth) new_line(w);
}

static void begin(struct json_writer *w, char bracket) {
    before(w);
    buf_addc(w->to, bracket);
    w->depth++;
    w->comma = false;
}

static void end(struct json_writer *w, char bracket) {
    w->depth--;
    if (w->comma) new_line(w);
    buf_addc(w->to, bracket);
    w->comma = true;
}

void json_begin_object(struct json_writer *w) {
    begin(w, '{');
}

void json_end_object(struct json_writer *w) {
    end(w, '}');
}

void json_begin_array(struct json_writer *w) {
    begin(w, '[');
}

void json_end_array(struct json_writer *w) {
    end(w, ']');
}

// Printable ASCII but the quote and the backslash goes out as it is.
static const bool PLAIN[256] = {[' ' ... '!'] = true, ['#' ... '['] = true, [']' ... '~'] = true};

static bool is_plain(unsigned char c) {
    return PLAIN[c];
}

static void add_escaped_char(struct buf *to, unsigned char c) {
    static const char SHORT[] = "\"\\\b\f\n\r\t", LETTER[] = "\"\\bfnrt";
    const char *hit = c ? strchr(SHORT, c) : NULL;
    if (hit) {
        char two[2] = {'\\', LETTER[hit - SHORT]};
        buf_add(to, two, sizeof two);
        return;
    }
    static const char HEX[] = "0123456789abcdef";
    char six[6] = {'\\', 'u', '0', '0', HEX[c >> 4], HEX[c & 15]};
    buf_add(to, six, sizeof six);
}

// One character at s.p + i that is not plain; returns the bytes it took.
static size_t add_special(struct buf *to, struct str s, size_t i) {
    unsigned char c = (unsigned char)s.p[i];
    if (c < 0x20 || c == '"' || c == '\\' || c == 0x7F) {
        add_escaped_char(to, c);
        return 1;
    }
    uint32_t cp;
    unsigned n = utf8_next(s.p + i, s.n - i, &cp);
    if (n)
        buf_add(to, s.p + i, n);
    else
        buf_addz(to, "\xEF\xBF\xBD");
    return n ? n : 1;
}

static void add_string(struct buf *to, struct str s) {
    buf_addc(to, '"');
    for (size_t i = 0; i < s.n;) {
        size_t from = i;
        while (i < s.n && is_plain((unsigned char)s.p[i])) i++;
        buf_add(to, s.p + from, i - from);
        if (i < s.n) i += add_special(to, s, i);
    }
    buf_addc(to, '"');
}

void json_key_str(struct json_writer *w, struct str key) {
    before(w);
    add_string(w->to, key);
    buf_add(w->to, ": ", w->pretty ? 2 : 1);
    w->keyed = true;
}

void json_key(struct json_writer *w, const char *key) {
    json_key_str(w, str_of(key));
}

void json_str(struct json_writer *w, struct str utf8) {
    before(w);
    add_string(w->to, utf8);
    w->comma = true;
}

void json_strz(struct json_writer *w, const char *utf8) {
    json_str(w, str_of(utf8));
}

void json_raw(struct json_writer *w, struct str json) {
    before(w);
    buf_add_str(w->to, json);
    w->comma = true;
}

void json_str_open(struct json_writer *w) {
    before(w);
    buf_addc(w->to, '"');
}

void json_str_close(struct json_writer *w) {
    buf_addc(w->to, '"');
    w->comma = true;
}

// Decimal digits at the end of out[JSON_NUMBER_MAX]; returns where they begin.
static unsigned format_digits(char out[JSON_NUMBER_MAX], uint64_t v) {
    unsigned at = JSON_NUMBER_MAX;
    do out[--at] = (char)('0' + v % 10);
    while (v /= 10);
    return at;
}

void json_uint(struct json_writer *w, uint64_t v) {
    char digits[JSON_NUMBER_MAX];
    unsigned at = format_digits(digits, v);
    json_raw(w, (struct str){digits + at, JSON_NUMBER_MAX - at});
}

void json_int(struct json_writer *w, int64_t v) {
    char digits[JSON_NUMBER_MAX];
    unsigned at = format_digits(digits, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
    if (v < 0) digits[--at] = '-';
    json_raw(w, (struct str){digits + at, JSON_NUMBER_MAX - at});
}

unsigned json_format_double(char out[JSON_NUMBER_MAX], double v) {
    int n = 0;
    for (int precision = 15; precision <= 17; precision++) {
        n = snprintf(out, JSON_NUMBER_MAX, "%.*g", precision, v);
        if (precision == 17 || strtod(out, NULL) == v) break;
    }
    return (unsigned)n;
}

// The common case without printf: a number of few decimals. With whole and 10^decimals exact, their quotient is the double nearest to the decimal
// fraction, so that equality means that the digits read back. *out points into digits; false when it takes more.
static bool format_short(char digits[JSON_NUMBER_MAX], double v, struct str *out) {
    static const double POWERS[] = {1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7};
    static const double WHOLE_MAX = 1e15;
    double size = fabs(v);
    if (size >= 1e8 || (size < 1e-3 && size != 0) || (size == 0 && signbit(v))) return false;
    for (unsigned decimals = 0; decimals < sizeof POWERS / sizeof *POWERS; decimals++) {
        double whole = nearbyint(size * POWERS[decimals]);
        if (whole >= WHOLE_MAX || whole / POWERS[decimals] != size) continue;
        uint64_t rest = (uint64_t)whole, unit = (uint64_t)POWERS[decimals];
        unsigned at = JSON_NUMBER_MAX;
        for (unsigned i = 0; i < decimals; i++, rest /= 10) digits[--at] = (char)('0' + rest % 10);
        if (decimals) digits[--at] = '.';
        rest = (uint64_t)whole / unit;
        do digits[--at] = (char)('0' + rest % 10);
        while (rest /= 10);
        if (v < 0) digits[--at] = '-';
        *out = (struct str){digits + at, JSON_NUMBER_MAX - at};
        return true;
    }
    return false;
}

void json_double(struct json_writer *w, double v) {
    char digits[JSON_NUMBER_MAX];
    struct str text = {digits, 0};
    if (!isfinite(v)) {
        json_null(w);
        return;
    }
    if (!format_short(digits, v, &text)) text.n = json_format_double(digits, v);
    json_raw(w, text);
}

void json_bool(struct json_writer *w, bool v) {
    json_raw(w, v ? STR_LIT("true") : STR_LIT("false"));
}

void json_null(struct json_writer *w) {
    json_raw(w, STR_LIT("null"));
}

void json_put_str(struct json_writer *w, const char *key, struct str utf8) {
    json_key(w, key);
    json_str(w, utf8);
}

void json_put_strz(struct json_writer *w, const char *key, const char *utf8) {
    json_put_str(w, key, str_of(utf8));
}

void json_put_int(struct json_writer *w, const char *key, int64_t v) {
    json_key(w, key);
    json_int(w, v);
}

void json_put_uint(struct json_writer *w, const char *key, uint64_t v) {
    json_key(w, key);
    json_uint(w, v);
}

void json_put_double(struct json_writer *w, const char *key, double v) {
    json_key(w, key);
    json_double(w, v);
}

void json_put_bool(struct json_writer *w, const char *key, bool v) {
    json_key(w, key);
    json_bool(w, v);
}
