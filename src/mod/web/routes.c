// The routes of the web door.
#include "mod/web/health.h"
#include "mod/web/web.h"

const struct http_route WEB_ROUTES[] = {
    {HTTP_GET, HTTP_OPEN, "/healthz", web_health},
    {.pattern = NULL},
};
