// The routes of the web door.
#include "mod/web/handlers.h"
#include "mod/web/web.h"

const struct http_route WEB_ROUTES[] = {
    {HTTP_GET, HTTP_OPEN, "/", web_page},
    {HTTP_GET, HTTP_OPEN, "/web/{file}", web_asset},
    {HTTP_GET, HTTP_OPEN, "/healthz", web_health},
    {HTTP_GET, HTTP_OPEN, "/readyz", web_ready},
    {HTTP_GET, HTTP_READ, "/metrics", web_metrics},
    {HTTP_GET, HTTP_READ, "/events", web_events},
    {HTTP_GET, HTTP_OPEN, "/api/session", web_session},
    {HTTP_POST, HTTP_OPEN, "/api/session", web_sign_in},
    {HTTP_DELETE, HTTP_OPEN, "/api/session", web_sign_out},
    {HTTP_GET, HTTP_READ, "/api/worklist", web_worklist},
    {HTTP_GET, HTTP_READ, "/api/figures", web_figures},
    {HTTP_GET, HTTP_ADMIN, "/api/cluster", web_cluster},
    {HTTP_GET, HTTP_ADMIN, "/api/holds", web_holds},
    {HTTP_POST, HTTP_ADMIN, "/api/holds", web_hold},
    {HTTP_DELETE, HTTP_ADMIN, "/api/holds/{study}", web_release},
    {HTTP_GET, HTTP_ADMIN, "/api/conflicts", web_conflicts},
    {HTTP_GET, HTTP_ADMIN, "/api/quarantine", web_quarantine},
    {.pattern = NULL},
};
