// Signature Version 4: what is signed is a text of the request, in one order and one spelling.
#include "http/sigv4.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ALGORITHM "AWS4-HMAC-SHA256"

enum { TEXT_MAX = 256 * 1024 };

void sigv4_time(int64_t unix_s, char out[SIGV4_TIME_BYTES]) {
    time_t t = (time_t)unix_s;
    struct tm tm;
    if (!gmtime_r(&t, &tm) || !strftime(out, SIGV4_TIME_BYTES, "%Y%m%dT%H%M%SZ", &tm)) memcpy(out, "19700101T000000Z", SIGV4_TIME_BYTES);
}

static bool unreserved(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

void sigv4_encode(struct buf *to, struct str s, bool slash) {
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (unreserved((char)c) || (slash && c == '/')) {
            buf_addc(to, (char)c);
        } else {
            const char escape[3] = {'%', "0123456789ABCDEF"[c >> 4], "0123456789ABCDEF"[c & 15]};
            buf_add(to, escape, sizeof escape);
        }
    }
}

// ---- the query ----

struct encoded {
    size_t at, name_n, n; // in a buffer: name '=' value
};

static int by_code(const void *left, const void *right, void *text) {
    const struct encoded *a = left, *b = right;
    const struct buf *t = text;
    int order = str_cmp((struct str){t->p + a->at, a->name_n}, (struct str){t->p + b->at, b->name_n});
    return order ? order : str_cmp((struct str){t->p + a->at, a->n}, (struct str){t->p + b->at, b->n});
}

bool sigv4_query(struct buf *to, const struct sigv4_pair *params, unsigned count, struct err *e) {
    struct encoded list[SIGV4_PARAMS_MAX];
    struct buf text;
    if (count > SIGV4_PARAMS_MAX) return err_set(e, ERR_TOO_LARGE, "sigv4", "more than %d parameters in a query", SIGV4_PARAMS_MAX);
    buf_init(&text, TEXT_MAX);
    for (unsigned i = 0; i < count; i++) {
        list[i].at = text.n;
        sigv4_encode(&text, params[i].name, false);
        list[i].name_n = text.n - list[i].at;
        buf_addc(&text, '=');
        sigv4_encode(&text, params[i].value, false);
        list[i].n = text.n - list[i].at;
    }
    bool ok = buf_ok(&text, e);
    if (ok && count) qsort_r(list, count, sizeof list[0], by_code, &text);
    for (unsigned i = 0; ok && i < count; i++) {
        if (i) buf_addc(to, '&');
        buf_add(to, text.p + list[i].at, list[i].n);
    }
    buf_deinit(&text);
    return ok && buf_ok(to, e);
}

// ---- the headers ----

static void add_lower(struct buf *to, struct str s) {
    for (size_t i = 0; i < s.n; i++) buf_addc(to, s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] + 32) : s.p[i]);
}

// Runs of spaces are one space, and none is left at the ends.
static void add_value(struct buf *to, struct str s) {
    s = str_trim(s);
    for (size_t i = 0; i < s.n; i++) {
        bool blank = s.p[i] == ' ' || s.p[i] == '\n' || s.p[i] == '\r' || s.p[i] == '\t';
        bool again = blank && i > 0 && to->n && to->p[to->n - 1] == ' ';
        if (!again) buf_addc(to, blank ? ' ' : s.p[i]);
    }
}

static bool name_before(struct str a, struct str b) {
    size_t n = a.n < b.n ? a.n : b.n;
    for (size_t i = 0; i < n; i++) {
        int x = a.p[i] | 32, y = b.p[i] | 32; // letters, digits and '-' only
        if (x != y) return x < y;
    }
    return a.n < b.n;
}

// By insertion: they are few, and those of one name stay as they came.
static bool sort_headers(const struct sigv4_request *r, const struct sigv4_pair *sorted[SIGV4_HEADERS_MAX], struct err *e) {
    if (r->header_count > SIGV4_HEADERS_MAX) return err_set(e, ERR_TOO_LARGE, "sigv4", "more than %d headers to sign", SIGV4_HEADERS_MAX);
    for (unsigned i = 0; i < r->header_count; i++) {
        unsigned at = i;
        for (; at > 0 && name_before(r->headers[i].name, sorted[at - 1]->name); at--) sorted[at] = sorted[at - 1];
        sorted[at] = &r->headers[i];
    }
    return true;
}

static bool same_name(const struct sigv4_pair *const *sorted, unsigned i) {
    return i > 0 && str_eq_nocase(sorted[i]->name, sorted[i - 1]->name);
}

bool sigv4_signed_headers(struct buf *to, const struct sigv4_request *r, struct err *e) {
    const struct sigv4_pair *sorted[SIGV4_HEADERS_MAX];
    if (!sort_headers(r, sorted, e)) return false;
    for (unsigned i = 0; i < r->header_count; i++) {
        if (same_name(sorted, i)) continue;
        if (i) buf_addc(to, ';');
        add_lower(to, sorted[i]->name);
    }
    return buf_ok(to, e);
}

static bool add_headers(struct buf *to, const struct sigv4_request *r, struct err *e) {
    const struct sigv4_pair *sorted[SIGV4_HEADERS_MAX];
    if (!sort_headers(r, sorted, e)) return false;
    for (unsigned i = 0; i < r->header_count; i++) {
        if (same_name(sorted, i)) {
            buf_addc(to, ',');
        } else {
            if (i) buf_addc(to, '\n');
            add_lower(to, sorted[i]->name);
            buf_addc(to, ':');
        }
        add_value(to, sorted[i]->value);
    }
    if (r->header_count) buf_addc(to, '\n');
    return buf_ok(to, e);
}

bool sigv4_canonical(struct buf *to, const struct sigv4_request *r, struct err *e) {
    buf_addf(to, "%s\n%.*s\n", r->method, STR_FMT(r->path));
    if (!sigv4_query(to, r->params, r->param_count, e)) return false;
    buf_addc(to, '\n');
    if (!add_headers(to, r, e)) return false;
    buf_addc(to, '\n');
    if (!sigv4_signed_headers(to, r, e)) return false;
    buf_addc(to, '\n');
    buf_addz(to, r->payload);
    return buf_ok(to, e);
}

// ---- the signature ----

static void add_scope(struct buf *to, const struct sigv4_scope *s) {
    buf_addf(to, "%.*s/%s/%s/aws4_request", SIGV4_DAY, s->time, s->region, s->service);
}

bool sigv4_string_to_sign(struct buf *to, const struct sigv4_scope *s, struct str canonical, struct err *e) {
    uint8_t digest[DIGEST_BYTES];
    char hex[DIGEST_HEX];
    if (!digest_of(canonical.p, canonical.n, digest, e)) return false;
    hex_encode(digest, sizeof digest, hex);
    buf_addf(to, ALGORITHM "\n%s\n", s->time);
    add_scope(to, s);
    buf_addc(to, '\n');
    buf_add(to, hex, sizeof hex);
    return buf_ok(to, e);
}

bool sigv4_key(const char *secret, const struct sigv4_scope *s, uint8_t key[DIGEST_BYTES], struct err *e) {
    struct buf first;
    uint8_t day[DIGEST_BYTES], region[DIGEST_BYTES], service[DIGEST_BYTES];
    buf_init(&first, 8 * 1024);
    buf_addz(&first, "AWS4");
    buf_addz(&first, secret);
    bool ok = buf_ok(&first, e) && digest_hmac(first.p, first.n, s->time, SIGV4_DAY, day, e) &&
              digest_hmac(day, sizeof day, s->region, strlen(s->region), region, e) &&
              digest_hmac(region, sizeof region, s->service, strlen(s->service), service, e) &&
              digest_hmac(service, sizeof service, "aws4_request", 12, key, e);
    if (first.n) explicit_bzero(first.p, first.n);
    buf_deinit(&first);
    return ok;
}

bool sigv4_signature(const uint8_t key[DIGEST_BYTES], struct str string_to_sign, char out[SIGV4_HEX_BYTES], struct err *e) {
    uint8_t code[DIGEST_BYTES];
    if (!digest_hmac(key, DIGEST_BYTES, string_to_sign.p, string_to_sign.n, code, e)) return false;
    hex_encode(code, sizeof code, out);
    out[DIGEST_HEX] = 0;
    return true;
}

// Signature of a request, by way of its two texts.
static bool sign(const struct sigv4_request *r, const struct sigv4_scope *s, const uint8_t key[DIGEST_BYTES], char out[SIGV4_HEX_BYTES], struct err *e) {
    struct buf canonical, text;
    buf_init(&canonical, TEXT_MAX);
    buf_init(&text, TEXT_MAX);
    bool ok = sigv4_canonical(&canonical, r, e) && sigv4_string_to_sign(&text, s, buf_str(&canonical), e) && sigv4_signature(key, buf_str(&text), out, e);
    buf_deinit(&canonical);
    buf_deinit(&text);
    return ok;
}

bool sigv4_authorization(struct buf *to, const struct sigv4_request *r, const struct sigv4_scope *s, const char *access_key, const uint8_t key[DIGEST_BYTES],
                         struct err *e) {
    char signature[SIGV4_HEX_BYTES];
    if (!sign(r, s, key, signature, e)) return false;
    buf_addf(to, ALGORITHM " Credential=%s/", access_key);
    add_scope(to, s);
    buf_addz(to, ",SignedHeaders=");
    if (!sigv4_signed_headers(to, r, e)) return false;
    buf_addf(to, ",Signature=%s", signature);
    return buf_ok(to, e);
}

bool sigv4_presign(struct buf *to, const struct sigv4_request *r, const struct sigv4_scope *s, const char *access_key, const char *token, unsigned seconds,
                   const uint8_t key[DIGEST_BYTES], struct err *e) {
    struct sigv4_pair params[SIGV4_PARAMS_MAX];
    struct buf credential, names;
    char expires[12], signature[SIGV4_HEX_BYTES];
    if (r->param_count + 6 > SIGV4_PARAMS_MAX) return err_set(e, ERR_TOO_LARGE, "sigv4", "more than %d parameters in a query", SIGV4_PARAMS_MAX - 6);
    buf_init(&credential, 1024);
    buf_init(&names, 4096);
    buf_addf(&credential, "%s/", access_key);
    add_scope(&credential, s);
    snprintf(expires, sizeof expires, "%u", seconds);
    bool ok = sigv4_signed_headers(&names, r, e) && buf_ok(&credential, e);
    unsigned n = r->param_count;
    for (unsigned i = 0; i < n; i++) params[i] = r->params[i];
    params[n++] = (struct sigv4_pair){STR_LIT("X-Amz-Algorithm"), STR_LIT(ALGORITHM)};
    params[n++] = (struct sigv4_pair){STR_LIT("X-Amz-Credential"), buf_str(&credential)};
    params[n++] = (struct sigv4_pair){STR_LIT("X-Amz-Date"), str_of(s->time)};
    params[n++] = (struct sigv4_pair){STR_LIT("X-Amz-Expires"), str_of(expires)};
    params[n++] = (struct sigv4_pair){STR_LIT("X-Amz-SignedHeaders"), buf_str(&names)};
    if (token) params[n++] = (struct sigv4_pair){STR_LIT("X-Amz-Security-Token"), str_of(token)};
    struct sigv4_request whole = *r;
    whole.params = params;
    whole.param_count = n;
    ok = ok && sign(&whole, s, key, signature, e) && sigv4_query(to, params, n, e);
    if (ok) buf_addf(to, "&X-Amz-Signature=%s", signature);
    buf_deinit(&credential);
    buf_deinit(&names);
    return ok && buf_ok(to, e);
}
