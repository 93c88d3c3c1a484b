// HTTP server: routes, requests with streamed bodies, responses from memory, files and generators. The adapter of libmicrohttpd.
//
// One thread per connection, so that handlers are straight-line code and may block; a reaper cuts connections whose header is not whole in time or
// whose body only trickles, so that slow sockets cost a bounded number of threads and nothing else.
#ifndef GANTRY_HTTP_SERVER_H
#define GANTRY_HTTP_SERVER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "http/route.h"
#include "http/uri.h"
#include "net/tls.h"

enum { HTTP_HEADERS_MAX = 24 };

struct http_server;

// Lives from the request line to the last byte of the response; so does everything in its arena.
struct http_request {
    struct arena *arena;
    const struct http_server *server;
    void *context; // of the mount
    enum http_method method;
    bool head; // HEAD: the same handler, no body is sent
    struct uri uri;
    struct http_match match;
    struct str address;             // peer's, without port
    struct str user;                // set by authorise; empty when nobody in particular
    const void *principal;          // likewise: who asks, as the callback's side knows it; NULL: nobody
    bool refused;                   // by authorise
    bool noted;                     // set by a handler that has told the audit callback's side itself of what was done, whatever came of it
    struct str trace;               // its trace id (base/trace.h): of the asker's traceparent, or its own
    const struct net_tls_info *tls; // of the connection, the client's certificate in it; NULL: plain
    struct str body;                // of routes without a body callback
    void *state;                    // the handler's own between begin, body, handle and end
    void *adapter;
};

// First value of a captured name, of a query parameter (names are case-sensitive), of a header (case-insensitive); {NULL, 0} when absent.
struct str http_capture(const struct http_request *rq, const char *name);
struct str http_query(const struct http_request *rq, const char *name);
struct str http_header(const struct http_request *rq, const char *name);
// The value of a cookie.
struct str http_cookie(const struct http_request *rq, const char *name);
// Whether the asker takes Content-Encoding: gzip, and likes it no less than the plain form.
bool http_takes_gzip(const struct http_request *rq);
// Where the asker sees this server: "https://pacs.example.org/gantry", and its path, "" or "/gantry" (http/base_url.h). Whoever writes a URL that leads
// here puts one of the two before "/dicom-web/...". Never {NULL, 0}.
struct str http_base(const struct http_request *rq);
struct str http_prefix(const struct http_request *rq);
// True once the server is stopping: generators of endless streams must end.
bool http_stopping(const struct http_request *rq);

// Fills at most n bytes: the number, 0 at the end, -1 on failure (the connection is then cut, so that nobody takes a part for the whole). May block.
typedef int64_t http_generate(void *context, uint64_t position, void *p, size_t n);

enum { HTTP_LENGTH_UNKNOWN = -1 };

struct http_response {
    unsigned status;
    struct uri_param headers[HTTP_HEADERS_MAX];
    unsigned header_count;
    enum { HTTP_BODY_NONE, HTTP_BODY_TEXT, HTTP_BODY_BUF, HTTP_BODY_FILE, HTTP_BODY_STREAM } kind;
    bool compress; // gzip or zstd when the asker takes that (TEXT and BUF)
    struct str text;
    struct buf buf;
    int fd;
    uint64_t offset, length;
    http_generate *generate;
    void *generate_context;
    void (*generate_end)(void *context);
    int64_t stream_length; // or HTTP_LENGTH_UNKNOWN: chunked
};

// Borrowed value: must live as long as the request (arena, literal).
void http_set(struct http_response *rs, const char *name, struct str value);
void http_setz(struct http_response *rs, const char *name, const char *value);
// One more of that name, where several may stand (Set-Cookie).
void http_add(struct http_response *rs, const char *name, struct str value);

// Adds a name to Vary.
void http_add_vary(const struct http_request *rq, struct http_response *rs, const char *name);
// Sets ETag (etag with its quotes; absent: none) and Last-Modified (0: none). true when the asker has that already (If-None-Match, else
// If-Modified-Since) or means another one (If-Match, else If-Unmodified-Since): the answer is then 304 or 412 and nothing more is to be done. PS3.18 and RFC 9110 13.
bool http_not_modified(const struct http_request *rq, struct http_response *rs, struct str etag, int64_t modified_s);

// Each sets the status, the type and the body, replacing an earlier one.
void http_reply_text(struct http_response *rs, unsigned status, const char *type, struct str borrowed);
void http_reply_buf(struct http_response *rs, unsigned status, const char *type, struct buf *taken); // *taken becomes empty
// 200 with the JSON in *taken; false, and no reply, where it did not come about (ok) or outgrew its ceiling. *taken becomes empty either way.
bool http_reply_json(struct http_response *rs, struct buf *taken, bool ok, struct err *e);
void http_reply_file(struct http_response *rs, unsigned status, const char *type, int fd_taken, uint64_t offset, uint64_t length);
// end(context) is called exactly once, after the last generate, also when nothing was sent.
void http_reply_stream(struct http_response *rs, unsigned status, const char *type, int64_t length, http_generate *generate, void *context,
                       void (*end)(void *context));
void http_reply_status(struct http_response *rs, unsigned status); // no body
// application/problem+json (RFC 9457) for an error; what a handler that returns false gets. type is "/problems/<kind>", by the kind of *e or, where
// status is another one than that kind's, by the status; instance is the path.
void http_reply_problem(const struct http_request *rq, struct http_response *rs, unsigned status, const struct err *e);
// Releases what was set: what the server does after sending, for those who throw a response away.
void http_response_deinit(struct http_response *rs);

struct http_options {
    const char *address;                       // numeric, IPv4 or IPv6
    uint16_t port;                             // 0: any free one
    struct net_tls *tls;                       // NULL: plain
    bool plain_too;                            // beside the port with TLS, ...
    uint16_t plain_port;                       // ... one without
    unsigned connections_max, per_address_max; // 0: HTTP_CONNECTIONS_MAX; three quarters of that. A trusted proxy may have all.
    unsigned per_second;                       // new connections of an address; 0: net/pace.h's
    const struct http_mount *mounts;
    // Decides on a request before its body is read; sets rq->user and rq->principal. Returns false with ERR_UNAUTHORIZED or ERR_FORBIDDEN.
    bool (*authorise)(void *context, struct http_request *rq, unsigned permission, struct err *e);
    void *authorise_context;
    // Told of each request once its answer's status is known and before it goes out; false: it cannot be noted, and the answer is that instead. NULL: nobody.
    bool (*audit)(void *context, struct http_request *rq, unsigned status, struct err *e);
    void *audit_context;
    bool loopback_host_only;            // refuse a Host that is not a loopback name or address (DNS rebinding), for servers that ask for no credentials
    const char *base_url;               // where the server is seen from outside (http/base_url.h); NULL: by each request
    const char *const *trusted_proxies; // addresses and networks whose X-Forwarded-* and Forwarded count
    unsigned trusted_proxy_count;
    const char *const *cors_origins; // http/cors.h
    unsigned cors_origin_count;
};

bool http_server_start(const struct http_options *o, struct http_server **out, struct err *e);
uint16_t http_server_port(const struct http_server *s);
uint16_t http_server_plain_port(const struct http_server *s); // 0: there is none
// Refuses new work, waits up to drain_ms for requests under way, then cuts the rest and frees everything.
void http_server_stop(struct http_server *s, int drain_ms);

struct http_figures {
    uint64_t connections, connections_total, reaped_total;
    uint64_t handshakes_failed, refused_total; // TLS that did not come about; too many connections, or made too fast
    uint64_t in_flight;
    uint64_t responses[6]; // by hundreds: responses[2] is 2xx
    uint64_t body_bytes_in;
};
void http_server_figures(const struct http_server *s, struct http_figures *out);

#endif
