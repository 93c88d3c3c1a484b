// Conditional requests and content codings (RFC 9110 13.1, 12.5.3): the decisions that need only header fields.
#ifndef GANTRY_HTTP_CONDITION_H
#define GANTRY_HTTP_CONDITION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum { HTTP_DATE_BYTES = 30 }; // with its NUL

// "Sun, 06 Nov 1994 08:49:37 GMT"
void http_date_format(int64_t unix_s, char out[HTTP_DATE_BYTES]);
// That form and the two older ones (RFC 9110 5.6.7).
bool http_date_parse(struct str text, int64_t *unix_s);

// Whether a list of entity tags (If-None-Match, If-Match) names this one, or is "*". weak: W/ does not count.
bool http_etag_listed(struct str list, struct str etag, bool weak);

// How much the asker likes a coding, 0 to 1: by its name, by "*"; "identity" is 1/1000 when nothing is said of it, others 0.
double http_coding_weight(struct str accept_encoding, const char *coding);
// The best of those offered (ends with NULL; the first wins a tie), or NULL when it is identity that is liked best.
const char *http_coding_choose(struct str accept_encoding, const char *const *offers);

#endif
