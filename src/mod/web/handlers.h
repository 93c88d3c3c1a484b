// The handlers behind the table of web routes, by file.
#ifndef GANTRY_MOD_WEB_HANDLERS_H
#define GANTRY_MOD_WEB_HANDLERS_H

#include "http/server.h"

// health.c
bool web_health(struct http_request *rq, struct http_response *rs, struct err *e);
bool web_ready(struct http_request *rq, struct http_response *rs, struct err *e);
// metrics.c
bool web_metrics(struct http_request *rq, struct http_response *rs, struct err *e);
// stream.c
bool web_events(struct http_request *rq, struct http_response *rs, struct err *e);
// access.c
bool web_access(struct http_request *rq, struct http_response *rs, struct err *e);
// sign_in.c
bool web_session(struct http_request *rq, struct http_response *rs, struct err *e);
bool web_sign_in(struct http_request *rq, struct http_response *rs, struct err *e);
bool web_sign_out(struct http_request *rq, struct http_response *rs, struct err *e);
// account.c
bool web_account(struct http_request *rq, struct http_response *rs, struct err *e);
bool web_account_password(struct http_request *rq, struct http_response *rs, struct err *e);
bool web_account_factor(struct http_request *rq, struct http_response *rs, struct err *e);
bool web_account_factor_on(struct http_request *rq, struct http_response *rs, struct err *e);
bool web_account_factor_off(struct http_request *rq, struct http_response *rs, struct err *e);
bool web_account_sessions(struct http_request *rq, struct http_response *rs, struct err *e);
bool web_account_session_end(struct http_request *rq, struct http_response *rs, struct err *e);
bool web_account_sessions_end(struct http_request *rq, struct http_response *rs, struct err *e);
bool web_account_tokens(struct http_request *rq, struct http_response *rs, struct err *e);
bool web_account_token_add(struct http_request *rq, struct http_response *rs, struct err *e);
bool web_account_token_end(struct http_request *rq, struct http_response *rs, struct err *e);
// api.c
bool web_conflicts(struct http_request *rq, struct http_response *rs, struct err *e);
bool web_quarantine(struct http_request *rq, struct http_response *rs, struct err *e);
bool web_cluster(struct http_request *rq, struct http_response *rs, struct err *e);
bool web_figures(struct http_request *rq, struct http_response *rs, struct err *e);
// holds.c
bool web_holds(struct http_request *rq, struct http_response *rs, struct err *e);
bool web_hold(struct http_request *rq, struct http_response *rs, struct err *e);
bool web_release(struct http_request *rq, struct http_response *rs, struct err *e);
// worklist.c
bool web_worklist(struct http_request *rq, struct http_response *rs, struct err *e);
// page.c
bool web_page(struct http_request *rq, struct http_response *rs, struct err *e);
bool web_asset(struct http_request *rq, struct http_response *rs, struct err *e);

#endif
