// The routes of the web door.
#include "core/access.h"
#include "mod/web/handlers.h"
#include "mod/web/web.h"

const struct http_route WEB_ROUTES[] = {
    {HTTP_GET, ACCESS_OPEN, "/", web_page},
    {HTTP_GET, ACCESS_OPEN, "/web/{file}", web_asset},
    {HTTP_GET, ACCESS_OPEN, "/healthz", web_health},
    {HTTP_GET, ACCESS_OPEN, "/readyz", web_ready},
    {HTTP_GET, ACCESS_METRICS_READ, "/metrics", web_metrics},
    {HTTP_GET, ACCESS_EVENTS_READ, "/events", web_events},
    {HTTP_GET, ACCESS_OPEN, "/api/session", web_session},
    {HTTP_POST, ACCESS_OPEN, "/api/session", web_sign_in},
    {HTTP_DELETE, ACCESS_OPEN, "/api/session", web_sign_out},
    {HTTP_GET, ACCESS_SELF, "/api/access", web_access},
    {HTTP_GET, ACCESS_SELF, "/api/account", web_account},
    {HTTP_POST, ACCESS_SELF, "/api/account/password", web_account_password},
    {HTTP_GET, ACCESS_SELF, "/api/account/sessions", web_account_sessions},
    {HTTP_DELETE, ACCESS_SELF, "/api/account/sessions", web_account_sessions_end},
    {HTTP_DELETE, ACCESS_SELF, "/api/account/sessions/{id}", web_account_session_end},
    {HTTP_POST, ACCESS_SELF, "/api/account/factor", web_account_factor},
    {HTTP_POST, ACCESS_SELF, "/api/account/factor/on", web_account_factor_on},
    {HTTP_POST, ACCESS_SELF, "/api/account/factor/off", web_account_factor_off},
    {HTTP_GET, ACCESS_SELF, "/api/account/tokens", web_account_tokens},
    {HTTP_POST, ACCESS_SELF, "/api/account/tokens", web_account_token_add},
    {HTTP_DELETE, ACCESS_SELF, "/api/account/tokens/{name}", web_account_token_end},
    {HTTP_GET, ACCESS_STUDY_FIND, "/api/worklist", web_worklist},
    {HTTP_GET, ACCESS_FIGURES_READ, "/api/figures", web_figures},
    {HTTP_GET, ACCESS_CLUSTER_READ, "/api/cluster", web_cluster},
    {HTTP_GET, ACCESS_STUDY_HOLD, "/api/holds", web_holds},
    {HTTP_POST, ACCESS_STUDY_HOLD, "/api/holds", web_hold},
    {HTTP_DELETE, ACCESS_STUDY_HOLD, "/api/holds/{study}", web_release},
    {HTTP_GET, ACCESS_FAULTS_READ, "/api/conflicts", web_conflicts},
    {HTTP_GET, ACCESS_FAULTS_READ, "/api/quarantine", web_quarantine},
    {.pattern = NULL},
};
