// What protects browsers and those who sit before them: header fields of every answer, and which requests of other sites' pages are heard.
#ifndef GANTRY_HTTP_ARMOUR_H
#define GANTRY_HTTP_ARMOUR_H

#include "http/cors.h"
#include "http/route.h"
#include "http/uri.h"

struct http_response;

// Adds what is not there yet: no sniffing, no frames, no scripts, no referrers elsewhere, nothing kept by caches. No Strict-Transport-Security: it would bind
// every port of the host, those of other programs too.
void http_armour(struct http_response *rs);

// What the header of a request tells of the page that it comes from (Fetch standard, Fetch Metadata); {NULL, 0} where absent.
struct http_site {
    enum http_method method;
    struct str origin, site, mode, dest; // Origin, Sec-Fetch-Site, Sec-Fetch-Mode, Sec-Fetch-Dest
    struct str host;                     // Host
    struct str base;                     // where the asker sees this server
    enum http_cors cors;                 // of origin
    bool cookie;                         // the browser's cookies came with it
};

// Whether the request may be heard. What changes something comes from a page of ours, from one that the configuration names, or from no page at all; what
// only reads may also be a link that somebody follows. Programs other than browsers send none of these fields.
bool http_site_fits(const struct http_site *s);

#endif
