// Encoding and decoding of PostgreSQL's binary format (source: "Extended Query" and the send and receive functions of its types).
#include "db/pg_values.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

// pg_type.dat: these numbers are fixed.
enum { T_BOOL = 16, T_BYTEA = 17, T_NAME = 19, T_INT8 = 20, T_INT2 = 21, T_INT4 = 23, T_TEXT = 25, T_OID = 26, T_JSON = 114 };
enum { T_FLOAT4 = 700, T_FLOAT8 = 701, T_BPCHAR = 1042, T_VARCHAR = 1043, T_NUMERIC = 1700, T_INT8_ARRAY = 1016 };

enum { NUMERIC_HEAD = 8, NUMERIC_BASE = 10000, NUMERIC_NEGATIVE = 0x4000 };

static bool is_text(uint32_t type) {
    return type == T_TEXT || type == T_VARCHAR || type == T_JSON || type == T_NAME || type == T_BPCHAR;
}

// ---- sent ----

bool pg_type_is_json(uint32_t type) {
    return type == T_JSON;
}

bool pg_clean_json(struct str v, char *writable) {
    bool found = false;
    for (size_t i = 0; i + 6 <= v.n; i++) {
        if (v.p[i] != '\\') continue;
        bool nul = memcmp(v.p + i, "\\u0000", 6) == 0;
        if (nul && writable) memcpy(writable + i, "\\ufffd", 6); // NOLINT(bugprone-not-null-terminated-result): six characters amid others
        found |= nul;
        i++; // an escaped backslash begins nothing
    }
    return found;
}

static void put_be(char *to, uint64_t v, unsigned n) {
    for (unsigned i = n; i > 0; i--, v >>= 8) to[i - 1] = (char)(v & 0xff);
}

// ---- arrays ----

enum { ARRAY_HEAD = 20, ARRAY_INT = 12 };

bool pg_type_is_int_array(uint32_t type) {
    return type == T_INT8_ARRAY;
}

size_t pg_int_array_bytes(struct str json) {
    return ARRAY_HEAD + (json.n / 2 + 1) * ARRAY_INT; // a number takes two characters with what parts it from the next
}

// The number that begins at *i, which is then behind it.
static int64_t take_number(struct str json, size_t *i) {
    bool negative = json.p[*i] == '-';
    uint64_t v = 0;
    for (*i += negative; *i < json.n && json.p[*i] >= '0' && json.p[*i] <= '9'; ++*i) v = v * 10 + (uint64_t)(json.p[*i] - '0');
    return (int64_t)(negative ? -v : v);
}

struct str pg_int_array(struct str json, char *out) {
    uint64_t count = 0;
    size_t at = ARRAY_HEAD;
    for (size_t i = 0; i < json.n;) {
        if (json.p[i] != '-' && (json.p[i] < '0' || json.p[i] > '9')) {
            i++;
            continue;
        }
        put_be(out + at, 8, 4);
        put_be(out + at + 4, (uint64_t)take_number(json, &i), 8);
        at += ARRAY_INT;
        count++;
    }
    put_be(out, count > 0, 4); // dimensions
    put_be(out + 4, 0, 4);     // no NULLs
    put_be(out + 8, T_INT8, 4);
    put_be(out + 12, count, 4);
    put_be(out + 16, 1, 4);
    return (struct str){out, count > 0 ? at : 12};
}

static bool in_text(const char scratch[PG_SCRATCH_BYTES], int n, struct pg_sent *out) {
    *out = (struct pg_sent){scratch, n, false};
    return true;
}

static bool encode_int(uint32_t type, int i, int64_t v, char scratch[PG_SCRATCH_BYTES], struct pg_sent *out, struct err *e) {
    int n = type == T_INT8 ? 8 : type == T_INT4 ? 4 : 0;
    if (type == T_BOOL) v = v != 0;
    if (n == 0) return in_text(scratch, snprintf(scratch, PG_SCRATCH_BYTES, "%" PRId64, v), out);
    if (n == 4 && (v < INT32_MIN || v > INT32_MAX))
        return err_set(e, ERR_INTERNAL, "db", "parameter %d is taken for a 32-bit integer and is %" PRId64 ": the statement should cast it to BIGINT", i, v);
    put_be(scratch, (uint64_t)v, (unsigned)n);
    *out = (struct pg_sent){scratch, n, true};
    return true;
}

static bool encode_double(uint32_t type, double v, char scratch[PG_SCRATCH_BYTES], struct pg_sent *out) {
    uint64_t bits;
    if (type != T_FLOAT8) return in_text(scratch, snprintf(scratch, PG_SCRATCH_BYTES, "%.17g", v), out);
    memcpy(&bits, &v, sizeof bits);
    put_be(scratch, bits, 8);
    *out = (struct pg_sent){scratch, 8, true};
    return true;
}

static bool encode_bytes(uint32_t type, int i, struct str v, char scratch[PG_SCRATCH_BYTES], struct pg_sent *out, struct err *e) {
    if (v.n > INT32_MAX / 2) return err_set(e, ERR_TOO_LARGE, "db", "parameter %d has %zu bytes, more than a value of PostgreSQL", i, v.n);
    if (type == T_BYTEA || type == T_INT8_ARRAY || is_text(type)) {
        *out = (struct pg_sent){v.p, (int)v.n, true};
        return true;
    }
    if (v.n >= PG_SCRATCH_BYTES) return err_set(e, ERR_INTERNAL, "db", "parameter %d is a text of %zu bytes where another type is expected", i, v.n);
    memcpy(scratch, v.p, v.n);
    scratch[v.n] = '\0';
    return in_text(scratch, (int)v.n, out);
}

bool pg_encode(uint32_t type, int i, const struct pg_bound *v, char scratch[PG_SCRATCH_BYTES], struct pg_sent *out, struct err *e) {
    switch (v->kind) {
    case PG_BOUND_INT:
        return encode_int(type, i, v->i, scratch, out, e);
    case PG_BOUND_DOUBLE:
        return encode_double(type, v->d, scratch, out);
    case PG_BOUND_TEXT:
    case PG_BOUND_BLOB:
        return encode_bytes(type, i, v->s, scratch, out, e);
    default:
        *out = (struct pg_sent){NULL, 0, true};
        return true;
    }
}

// ---- read ----

static uint64_t get_be(const char *p, size_t n) {
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) v = v << 8 | (unsigned char)p[i];
    return v;
}

// Groups of four decimal digits: count, weight of the first, sign, digits behind the point, then the groups.
static double read_numeric(struct str v) {
    if (v.n < NUMERIC_HEAD) return 0;
    size_t groups = get_be(v.p, 2);
    int weight = (int16_t)get_be(v.p + 2, 2);
    double sum = 0;
    for (size_t i = 0; i < groups && NUMERIC_HEAD + 2 * i + 2 <= v.n; i++) sum = sum * NUMERIC_BASE + (double)get_be(v.p + NUMERIC_HEAD + 2 * i, 2);
    for (int at = (int)groups - 1; at < weight; at++) sum *= NUMERIC_BASE;
    for (int at = (int)groups - 1; at > weight; at--) sum /= NUMERIC_BASE;
    return get_be(v.p + 4, 2) == NUMERIC_NEGATIVE ? -sum : sum;
}

// What is before the point. Larger than 64 bits: the nearest that they hold.
static int64_t read_numeric_int(struct str v) {
    if (v.n < NUMERIC_HEAD) return 0;
    size_t groups = get_be(v.p, 2);
    int weight = (int16_t)get_be(v.p + 2, 2);
    bool negative = get_be(v.p + 4, 2) == NUMERIC_NEGATIVE;
    int64_t sum = 0;
    for (int i = 0; i <= weight; i++) {
        size_t at = NUMERIC_HEAD + 2 * (size_t)i;
        int64_t group = (size_t)i < groups && at + 2 <= v.n ? (int64_t)get_be(v.p + at, 2) : 0;
        if (__builtin_mul_overflow(sum, NUMERIC_BASE, &sum) || __builtin_add_overflow(sum, group, &sum)) return negative ? INT64_MIN : INT64_MAX;
    }
    return negative ? -sum : sum;
}

static double read_float(struct str v) {
    uint64_t bits = get_be(v.p, v.n);
    uint32_t half = (uint32_t)bits;
    double d = 0;
    float f = 0;
    if (v.n == 8) memcpy(&d, &bits, sizeof d);
    if (v.n == 4) memcpy(&f, &half, sizeof f);
    return v.n == 4 ? (double)f : d;
}

static bool is_integer(uint32_t type) {
    return type == T_INT8 || type == T_INT4 || type == T_INT2 || type == T_BOOL || type == T_OID;
}

static int64_t read_integer(uint32_t type, struct str v) {
    uint64_t u = get_be(v.p, v.n);
    return type == T_INT4 ? (int32_t)u : type == T_INT2 ? (int16_t)u : (int64_t)u;
}

// From its beginning, as SQLite reads it.
static double number_in_text(struct str v, int64_t *whole) {
    char copy[64];
    size_t n = v.n < sizeof copy ? v.n : sizeof copy - 1;
    memcpy(copy, v.p, n);
    copy[n] = '\0';
    *whole = strtoll(copy, NULL, 10);
    return strtod(copy, NULL);
}

int64_t pg_read_int(uint32_t type, struct str v) {
    int64_t whole = 0;
    if (is_integer(type)) return read_integer(type, v);
    if (type == T_FLOAT8 || type == T_FLOAT4) {
        double d = read_float(v);
        return d >= 9223372036854775807.0 ? INT64_MAX : d <= -9223372036854775808.0 ? INT64_MIN : d == d ? (int64_t)d : 0;
    }
    if (type == T_NUMERIC) return read_numeric_int(v);
    number_in_text(v, &whole);
    return whole;
}

double pg_read_double(uint32_t type, struct str v) {
    int64_t whole = 0;
    if (is_integer(type)) return (double)read_integer(type, v);
    if (type == T_FLOAT8 || type == T_FLOAT4) return read_float(v);
    return type == T_NUMERIC ? read_numeric(v) : number_in_text(v, &whole);
}

struct str pg_read_text(uint32_t type, struct str v, char scratch[PG_SCRATCH_BYTES]) {
    int n;
    if (is_integer(type)) {
        n = snprintf(scratch, PG_SCRATCH_BYTES, "%" PRId64, read_integer(type, v));
    } else if (type == T_NUMERIC && read_numeric(v) == (double)read_numeric_int(v)) {
        n = snprintf(scratch, PG_SCRATCH_BYTES, "%" PRId64, read_numeric_int(v));
    } else if (type == T_NUMERIC || type == T_FLOAT8 || type == T_FLOAT4) {
        n = snprintf(scratch, PG_SCRATCH_BYTES, "%.15g", pg_read_double(type, v));
    } else {
        return v;
    }
    return (struct str){scratch, (size_t)n};
}
