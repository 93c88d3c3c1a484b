// The web door: health, metrics, the event stream, sign-in, the page and what it asks for.
#ifndef GANTRY_MOD_WEB_WEB_H
#define GANTRY_MOD_WEB_WEB_H

#include "base/buf.h"
#include "core/archive.h"
#include "http/server.h"
#include "mod/web/session.h"

struct node;

struct web {
    struct archive *archive;
    struct node *node; // NULL: /readyz is /healthz
    struct accounts *accounts;
    struct sessions *sessions;
    // Adds lines of Prometheus text for what other modules count; may be NULL.
    void (*more_metrics)(void *context, struct buf *to);
    void *more_context;
};

// Mounted at "" with a struct web as context.
extern const struct http_route WEB_ROUTES[];

#endif
