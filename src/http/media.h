// Media types with parameters (RFC 9110 8.3, 12.5.1): reading Content-Type and Accept, and choosing by them.
#ifndef GANTRY_HTTP_MEDIA_H
#define GANTRY_HTTP_MEDIA_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "http/uri.h"

enum { HTTP_MEDIA_PARAMS_MAX = 8, HTTP_MEDIA_RANGES_MAX = 64 };

struct http_media {
    struct str type;                                // "multipart/related", "*/*", as written
    struct uri_param params[HTTP_MEDIA_PARAMS_MAX]; // without q; names as written, quotes taken off the values
    unsigned param_count;
    double q; // 1 when not given
};

// One media type: a Content-Type.
bool http_media_parse(struct arena *a, struct str text, struct http_media *out, struct err *e);
// A list of ranges: an Accept header. Sorted: best first; at equal q the more specific, then as they stood. Those of q=0 are kept, at the end.
bool http_media_parse_list(struct arena *a, struct str text, struct http_media **out, unsigned *n, struct err *e);
// {NULL, 0} when there is no such parameter (name: case-insensitive).
struct str http_media_param(const struct http_media *m, const char *name);
// Whether the range's type takes a type: equal, "application/*" or "*/*"; parameters are not looked at.
bool http_media_takes(const struct http_media *range, const char *type);
// The index of the offered type that the asker likes best, or -1 when it takes none. An absent header takes the first. offers: ends with NULL.
int http_accept_choose(struct arena *a, struct str accept, const char *const *offers);

#endif
