// Where a server is seen from outside: the configured base URL, or what a trusted proxy says of the request (RFC 7239, X-Forwarded-*).
#ifndef GANTRY_HTTP_BASE_URL_H
#define GANTRY_HTTP_BASE_URL_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

// Header fields of a request as they came; {NULL, 0} where absent.
struct http_forwarded {
    struct str host; // Host
    struct str forwarded, proto, x_host, port, prefix;
    bool tls; // of the connection itself
};

struct http_place {
    struct str base;   // "https://pacs.example.org/gantry": no slash at its end
    struct str prefix; // its path: "" or "/gantry"
};

// "http://..." or "https://..." with a host, perhaps a port and a path, nothing behind; a slash at the end is dropped.
bool http_base_parse(struct str text, struct http_place *out, struct err *e);

// configured: a base URL that http_base_parse takes, or {NULL, 0}. trusted: the peer is a proxy whose words count. What is malformed in
// the header fields is ignored. false: ERR_NOMEM.
bool http_base_make(struct arena *a, struct str configured, bool trusted, const struct http_forwarded *f, struct http_place *out, struct err *e);

#endif
