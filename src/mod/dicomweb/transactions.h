// The transactions of DICOMweb by resource: what the capabilities and the conformance statement say of each route.
#ifndef GANTRY_MOD_DICOMWEB_TRANSACTIONS_H
#define GANTRY_MOD_DICOMWEB_TRANSACTIONS_H

#include "http/route.h"

struct dw_transaction {
    enum http_method method;
    const char *pattern;         // of the route
    const char *id;              // of the WADL method: "RetrieveStudy"
    const char *section;         // of PS3.18
    const char *const *request;  // media types taken; NULL: no payload
    const char *const *response; // media types answered, the default first; NULL: no payload
    const char *const *params;   // query parameters; NULL: none but accept
    const unsigned *statuses;    // ends with 0
};

// NULL for a route that has no row.
const struct dw_transaction *dw_transaction_of(const struct http_route *route);

#endif
