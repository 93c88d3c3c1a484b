// Health and metrics.
#ifndef GANTRY_MOD_WEB_HEALTH_H
#define GANTRY_MOD_WEB_HEALTH_H

#include "http/server.h"

bool web_health(struct http_request *rq, struct http_response *rs, struct err *e);

#endif
