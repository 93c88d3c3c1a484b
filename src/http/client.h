// HTTP client: one request, its body streamed both ways. The adapter of libcurl.
#ifndef GANTRY_HTTP_CLIENT_H
#define GANTRY_HTTP_CLIENT_H

#include "base/err.h"
#include "base/str.h"

enum { HTTP_CLIENT_HEADERS_MAX = 16, HTTP_CLIENT_TYPE_MAX = 256, HTTP_CLIENT_HEADER_VALUE_MAX = 128 };

struct http_call {
    const char *method;                           // "GET", "POST", ...
    const char *url;                              // http or https only; redirects are not followed
    const char *headers[HTTP_CLIENT_HEADERS_MAX]; // "Name: value", up to the first NULL
    const char *bearer;                           // token, or NULL
    const char *want;                             // header of the answer whose value is kept; may be NULL
    // Body: at most n bytes into p; 0 at the end, -1 to give up. NULL: no body.
    int64_t (*read)(void *context, void *p, size_t n);
    int64_t body_length; // -1: chunked
    // Answer's body as it comes; false ends the call. NULL: dropped.
    bool (*write)(void *context, const void *p, size_t n);
    void *context;
    int connect_ms; // 0: 10 s
    int stall_s;    // no byte for so long is ERR_TIMEOUT; 0: 60 s
};

struct http_result {
    unsigned status;
    char content_type[HTTP_CLIENT_TYPE_MAX];
    char wanted[HTTP_CLIENT_HEADER_VALUE_MAX]; // of the header that was wanted; "" when the answer has none
};

// true when an answer came, whatever its status. ERR_NET, ERR_TIMEOUT, ERR_CANCELLED (a callback gave up), ERR_USAGE (the URL).
bool http_call(const struct http_call *c, struct http_result *out, struct err *e);

#endif
