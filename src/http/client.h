// HTTP client: one request, its body streamed both ways; connections may be kept for the next one. The adapter of libcurl.
#ifndef GANTRY_HTTP_CLIENT_H
#define GANTRY_HTTP_CLIENT_H

#include "base/err.h"
#include "base/str.h"

struct net_guard;

enum { HTTP_CLIENT_HEADERS_MAX = 32, HTTP_CLIENT_TYPE_MAX = 256, HTTP_CLIENT_HEADER_VALUE_MAX = 128, HTTP_CLIENT_FIELD_MAX = 512 };

// Connections that wait for their next request, and how they are made. Any number of threads share one.
struct http_pool;
struct http_pool_options {
    const char *ca_file; // certificates that a server's must come from; NULL: the system's
    const char *proxy;   // "http://host:port"; NULL: as the environment says (http_proxy, https_proxy, no_proxy); "": none
    unsigned idle_max;   // connections kept while nobody uses them; 0: 16
};
bool http_pool_open(const struct http_pool_options *o, struct http_pool **out, struct err *e); // strings are borrowed for its life
void http_pool_close(struct http_pool *p);                                                     // NULL is fine; no call is under way

// A header field of the answer that the caller wants to see; "" when the answer has none. What is longer is cut.
struct http_field {
    const char *name;
    char value[HTTP_CLIENT_FIELD_MAX];
};

struct http_call {
    const char *method;                           // "GET", "POST", ...
    const char *url;                              // http or https only; redirects are not followed
    const char *headers[HTTP_CLIENT_HEADERS_MAX]; // "Name: value", up to the first NULL
    const char *bearer;                           // token, or NULL
    const char *want;                             // header of the answer whose value is kept; may be NULL
    struct http_field *fields;                    // more of them, up to one without a name; NULL: none
    // Body: at most n bytes into p; 0 at the end, -1 to give up. NULL: no body.
    int64_t (*read)(void *context, void *p, size_t n);
    int64_t body_length; // -1: chunked
    // Starts the body again, when a kept connection turned out to be dead. NULL: it cannot, and the call fails.
    bool (*rewind)(void *context);
    // Once, when the answer's header is whole and before the first write (an answer without a body: not called). fields are set. false ends the call.
    bool (*begin)(void *context, unsigned status);
    // Answer's body as it comes; false ends the call. NULL: dropped.
    bool (*write)(void *context, const void *p, size_t n);
    // Asked about once a second: true ends the call (ERR_CANCELLED). NULL: nobody ends it.
    bool (*cancelled)(void *context);
    void *context;
    int connect_ms;         // 0: 10 s
    int stall_s;            // no byte for so long is ERR_TIMEOUT; 0: 60 s
    int64_t whole_ms;       // the whole call; 0: no limit
    struct http_pool *pool; // NULL: a connection of its own, closed at the end
    // Where it may lead (net/guard.h), judged by the address at the moment of connecting: ERR_FORBIDDEN. A proxy of the environment is then not used, and one
    // of the pool's options is what is judged. NULL: anywhere, for what the configuration itself names.
    const struct net_guard *guard;
};

struct http_result {
    unsigned status;
    char content_type[HTTP_CLIENT_TYPE_MAX];
    char wanted[HTTP_CLIENT_HEADER_VALUE_MAX]; // of the header that was wanted; "" when the answer has none
    char address[64];                          // numeric, of who answered
};

// true when an answer came, whatever its status. ERR_NET, ERR_TIMEOUT, ERR_CANCELLED (a callback gave up), ERR_USAGE (the URL).
bool http_call(const struct http_call *c, struct http_result *out, struct err *e);

#endif
