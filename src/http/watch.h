// Watches over connections: cuts those whose request does not arrive in time.
#ifndef GANTRY_HTTP_WATCH_H
#define GANTRY_HTTP_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

// A header must be whole HTTP_HEADER_MS after the connection was made (for a later request: after the idle time that keep-alive allows).
// A body must bring HTTP_BODY_BYTES_MIN in each HTTP_BODY_MS, not counting the time in which its handler is at work.
enum { HTTP_BODY_MS = 60 * 1000, HTTP_BODY_BYTES_MIN = 4096 };

struct http_watch;
struct http_watched; // one connection

enum http_watch_state { HTTP_WATCH_HEADER, HTTP_WATCH_BODY, HTTP_WATCH_ANSWER };

bool http_watch_start(struct http_watch **out, struct err *e);
// Every watched connection must be gone.
void http_watch_stop(struct http_watch *w);

// NULL when there is no memory.
struct http_watched *http_watch_add(struct http_watch *w, int fd, const char *address);
// Connections of an address.
unsigned http_watch_count(struct http_watch *w, const char *address);
// Before the descriptor is closed, so that another one's is never cut.
void http_watch_remove(struct http_watch *w, struct http_watched *c);
void http_watch_set(struct http_watched *c, enum http_watch_state state);
// Bytes of a body came; the handler is at work on them from busy true to busy false.
void http_watch_body(struct http_watched *c, size_t n, bool busy);
// Cuts all: for the end of a drain.
void http_watch_cut_all(struct http_watch *w);
void http_watch_figures(struct http_watch *w, uint64_t *now, uint64_t *total, uint64_t *reaped);

#endif
