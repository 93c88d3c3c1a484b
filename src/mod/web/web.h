// The web door: health, metrics, the event stream, sign-in and the page.
#ifndef GANTRY_MOD_WEB_WEB_H
#define GANTRY_MOD_WEB_WEB_H

#include "core/archive.h"
#include "http/server.h"

struct web {
    struct archive *archive;
    struct http_server *http; // set once it is started; for its figures
};

// Mounted at "" with a struct web as context.
extern const struct http_route WEB_ROUTES[];

#endif
