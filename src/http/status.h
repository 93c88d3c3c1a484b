// Reason phrases of status codes (RFC 9110 15).
#ifndef GANTRY_HTTP_STATUS_H
#define GANTRY_HTTP_STATUS_H

// "Not Found"; "Unknown" for codes that are not used here.
const char *http_status_text(unsigned status);

#endif
