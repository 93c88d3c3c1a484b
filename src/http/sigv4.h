// AWS Signature Version 4 over what a request is made of: pure functions, no clock and no network ("Signature Version 4 signing process", AWS General
// Reference; "Authenticating Requests", Amazon S3 API Reference).
#ifndef GANTRY_HTTP_SIGV4_H
#define GANTRY_HTTP_SIGV4_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "sys/digest.h"

enum { SIGV4_HEADERS_MAX = 32, SIGV4_PARAMS_MAX = 32, SIGV4_TIME_BYTES = 17, SIGV4_DAY = 8, SIGV4_HEX_BYTES = DIGEST_HEX + 1 };

#define SIGV4_UNSIGNED "UNSIGNED-PAYLOAD"
// SHA-256 of nothing.
#define SIGV4_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct sigv4_pair {
    struct str name, value; // neither is encoded
};

// Where and when a signature counts: "20130524/us-east-1/s3/aws4_request".
struct sigv4_scope {
    char time[SIGV4_TIME_BYTES]; // "20130524T000000Z"; its first 8 characters are the day
    const char *region, *service;
};

struct sigv4_request {
    const char *method;
    struct str path;                  // encoded as it goes on the wire, from its slash on
    const struct sigv4_pair *params;  // of the query, any order
    unsigned param_count;             // at most SIGV4_PARAMS_MAX
    const struct sigv4_pair *headers; // that are signed, "host" among them, any order and case
    unsigned header_count;            // at most SIGV4_HEADERS_MAX
    const char *payload;              // hexadecimal SHA-256 of the body, or SIGV4_UNSIGNED
};

void sigv4_time(int64_t unix_s, char out[SIGV4_TIME_BYTES]);

// Percent-encoded: all but A-Z a-z 0-9 - . _ ~ and, where slash says so, '/'.
void sigv4_encode(struct buf *to, struct str s, bool slash);
// "a=1&b=%20": encoded, sorted by the encoded names and then the values. The query that goes on the wire is this one.
bool sigv4_query(struct buf *to, const struct sigv4_pair *params, unsigned count, struct err *e);
// "host;range;x-amz-date"
bool sigv4_signed_headers(struct buf *to, const struct sigv4_request *r, struct err *e);
bool sigv4_canonical(struct buf *to, const struct sigv4_request *r, struct err *e);
// canonical: of the request.
bool sigv4_string_to_sign(struct buf *to, const struct sigv4_scope *s, struct str canonical, struct err *e);

// Signing key of a day, region and service: four HMACs that need doing once a day.
bool sigv4_key(const char *secret, const struct sigv4_scope *s, uint8_t key[DIGEST_BYTES], struct err *e);
// Hexadecimal, with its NUL.
bool sigv4_signature(const uint8_t key[DIGEST_BYTES], struct str string_to_sign, char out[SIGV4_HEX_BYTES], struct err *e);

// Value of the Authorization header: "AWS4-HMAC-SHA256 Credential=...,SignedHeaders=...,Signature=...".
bool sigv4_authorization(struct buf *to, const struct sigv4_request *r, const struct sigv4_scope *s, const char *access_key, const uint8_t key[DIGEST_BYTES],
                         struct err *e);
// The signature in the query (a URL that others may use for so many seconds): r->params get the X-Amz-* ones before the signature is made; *to is the
// whole query. token may be NULL.
bool sigv4_presign(struct buf *to, const struct sigv4_request *r, const struct sigv4_scope *s, const char *access_key, const char *token, unsigned seconds,
                   const uint8_t key[DIGEST_BYTES], struct err *e);

#endif
