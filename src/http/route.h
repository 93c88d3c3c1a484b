// Routes as a table: method, path pattern with {names}, handlers, permission.
#ifndef GANTRY_HTTP_ROUTE_H
#define GANTRY_HTTP_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "http/uri.h"

struct http_request;
struct http_response;

enum http_method { HTTP_GET, HTTP_POST, HTTP_PUT, HTTP_DELETE, HTTP_OPTIONS, HTTP_METHODS };

enum { HTTP_CAPTURES_MAX = 6 };

// A route without body takes a request body of at most HTTP_FORM_BYTES_MAX, kept whole in request->body. With body, the chunks are given as they
// come and nothing is kept: begin is called when the header is there, and its failure is answered before the body is asked for.
// end, when given, is called once begin has succeeded, however the request ends.
struct http_route {
    enum http_method method; // HTTP_GET serves HEAD too
    unsigned permission;     // what the asker must be allowed to do, as the server's authorise callback numbers it; 0: undeclared, which no server starts with
    const char *pattern;     // "/studies/{study}/series"; a last "{name*}" takes all that is left
    bool (*handle)(struct http_request *rq, struct http_response *rs, struct err *e);
    bool (*begin)(struct http_request *rq, struct err *e);
    bool (*body)(struct http_request *rq, const void *p, size_t n, struct err *e);
    void (*end)(struct http_request *rq);
};

// A table (ending with {.pattern = NULL}) under a prefix such as "" or "/dicom-web", and what its handlers get as request->context.
struct http_mount {
    const char *prefix;
    const struct http_route *routes;
    void *context;
};

struct http_match {
    const struct http_route *route; // NULL: none
    const struct http_mount *mount;
    unsigned methods; // bit per enum http_method: those for which the path is known
    struct uri_param capture[HTTP_CAPTURES_MAX];
    unsigned capture_count;
};

// mounts ends with {.routes = NULL}. A pattern with fewer names wins by standing first.
void http_route_find(const struct http_mount *mounts, enum http_method method, const struct uri *uri, struct http_match *out);

// -1 when unknown. HEAD is HTTP_GET.
int http_method_of(struct str name);
const char *http_method_name(enum http_method method);

#endif
