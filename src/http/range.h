// Range requests of bytes (RFC 9110 14): which parts of a representation are asked for.
#ifndef GANTRY_HTTP_RANGE_H
#define GANTRY_HTTP_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum { HTTP_RANGES_MAX = 64 }; // of one request: with more, or with many that overlap, the whole is sent (RFC 9110 14.2)

struct http_range {
    uint64_t from, length; // length is never 0
};

enum http_range_kind {
    HTTP_RANGE_WHOLE,   // no Range, or one that does not count: another unit, malformed, too many
    HTTP_RANGE_SOME,    // out[0..*n)
    HTTP_RANGE_OUTSIDE, // well formed, and nothing of it lies within: 416
};

// header: the Range field's value, may be absent. out: room for HTTP_RANGES_MAX, in the order asked for.
enum http_range_kind http_range_parse(struct str header, uint64_t length, struct http_range *out, unsigned *n);

#endif
