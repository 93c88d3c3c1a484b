// Cross-origin requests of browsers (the Fetch standard's CORS protocol): who may read answers, decided by configuration.
#ifndef GANTRY_HTTP_CORS_H
#define GANTRY_HTTP_CORS_H

#include <stdbool.h>

#include "base/str.h"

enum http_cors {
    HTTP_CORS_NONE,  // not a cross-origin request, or one of an origin that is not configured
    HTTP_CORS_ANY,   // "*" is configured: anybody may read what needs no credentials of the browser's
    HTTP_CORS_EXACT, // this very origin is configured: credentials too
};

// "*", or "https://viewer.example.org[:port]": as browsers send it, without a path.
bool http_cors_origin_valid(const char *origin);
// origin: of the request, {NULL, 0} when absent. An origin that is named goes before "*".
enum http_cors http_cors_decide(const char *const *origins, unsigned count, struct str origin);

// What pages may send and see beyond what the protocol allows by itself.
extern const char HTTP_CORS_ALLOWED_HEADERS[];
extern const char HTTP_CORS_EXPOSED_HEADERS[];
enum { HTTP_CORS_MAX_AGE_S = 7200 };

#endif
