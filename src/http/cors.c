// CORS decisions.
#include "http/cors.h"

#include <stddef.h>

const char HTTP_CORS_ALLOWED_HEADERS[] =
    "Accept, Accept-Charset, Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Match, If-Range, Prefer, Range, X-Requested-With";
const char HTTP_CORS_EXPOSED_HEADERS[] = "Accept-Ranges, Content-Disposition, Content-Encoding, Content-Length, Content-Location, Content-Range, ETag, "
                                         "Gantry-Outcome, Last-Modified, Location, Retry-After, Warning";

bool http_cors_origin_valid(const char *origin) {
    struct str s = str_of(origin);
    if (str_eqz(s, "*")) return true;
    size_t at = str_starts(s, STR_LIT("https://")) ? 8 : str_starts(s, STR_LIT("http://")) ? 7 : 0;
    if (at == 0 || at == s.n) return false;
    for (size_t i = at; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7F || s.p[i] == '/' || s.p[i] == ',' || s.p[i] == '*') return false;
    return true;
}

enum http_cors http_cors_decide(const char *const *origins, unsigned count, struct str origin) {
    enum http_cors found = HTTP_CORS_NONE;
    for (unsigned i = 0; i < count && origin.n; i++) {
        if (str_eq_nocase(origin, str_of(origins[i]))) return HTTP_CORS_EXACT;
        if (str_eqz(STR_LIT("*"), origins[i])) found = HTTP_CORS_ANY;
    }
    return found;
}
