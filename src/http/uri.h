// Request targets (RFC 3986): path segments, percent-decoding and query parameters.
#ifndef GANTRY_HTTP_URI_H
#define GANTRY_HTTP_URI_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum { URI_SEGMENTS_MAX = 32, URI_PARAMS_MAX = 512 };

struct uri_param {
    struct str name, value; // decoded
};

struct uri {
    struct str raw_path;                  // as it came, without the query
    struct str segment[URI_SEGMENTS_MAX]; // decoded one by one, so that an encoded slash never splits; a trailing empty one is dropped
    unsigned segment_count;
    struct uri_param *params; // in the order of the query
    unsigned param_count;
};

// %XX to bytes; plus: '+' is a space (query). ERR_BAD_INPUT for a broken escape or a NUL.
bool uri_decode(struct arena *a, struct str raw, bool plus, struct str *out, struct err *e);

// "/a/b?x=1&y=2". Segments "." and ".." are refused. Everything is in a, or borrowed from raw.
bool uri_parse(struct arena *a, struct str raw, struct uri *out, struct err *e);

// "a=1&b=2" (query, or an application/x-www-form-urlencoded body).
bool uri_parse_query(struct arena *a, struct str raw, struct uri_param **out, unsigned *n, struct err *e);

// Whether a Host header ("localhost:8080", "127.0.0.1", "[::1]:80") names this machine and nothing else: a name such as 127.example.org may
// lead anywhere.
bool http_host_is_loopback(struct str host);

#endif
