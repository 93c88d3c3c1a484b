// The administration's HTTP door.
#ifndef GANTRY_MOD_ADMIN_HTTP_H
#define GANTRY_MOD_ADMIN_HTTP_H

#include "http/server.h"
#include "mod/admin/admin.h"

struct admin_door {
    struct archive *archive;
    struct accounts *accounts;
    struct peers *peers;
};

// Mounted at "" with a struct admin_door as context.
extern const struct http_route ADMIN_ROUTES[];

#endif
