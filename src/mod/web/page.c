// The page's files, as they were embedded.
#include "mod/web/assets.h"
#include "mod/web/handlers.h"

// Scripts, styles and images from here and nowhere else, none of them inline.
#define PAGE_POLICY                                                                                                                            \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; " \
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

static const struct web_asset *find(struct str name) {
    for (const struct web_asset *a = WEB_ASSETS; a->name; a++)
        if (str_eqz(name, a->name)) return a;
    return NULL;
}

static bool reply_asset(struct http_request *rq, struct http_response *rs, struct str name, struct err *e) {
    const struct web_asset *a = find(name);
    if (!a) return err_set(e, ERR_NOT_FOUND, "web", "the page has no file %.*s", STR_FMT(str_sub(name, 0, 100)));
    bool gzip = http_takes_gzip(rq);
    http_setz(rs, "Content-Security-Policy", PAGE_POLICY);
    http_setz(rs, "Cache-Control", "no-cache");
    http_setz(rs, "Vary", "Accept-Encoding");
    http_setz(rs, "ETag", a->etag);
    if (str_eqz(http_header(rq, "If-None-Match"), a->etag)) {
        http_reply_status(rs, 304);
        return true;
    }
    if (gzip) http_setz(rs, "Content-Encoding", "gzip");
    struct str content = {(const char *)(gzip ? a->gzip : a->plain), gzip ? a->gzip_bytes : a->plain_bytes};
    http_reply_text(rs, 200, a->type, content);
    return true;
}

bool web_page(struct http_request *rq, struct http_response *rs, struct err *e) {
    return reply_asset(rq, rs, STR_LIT("index.html"), e);
}

bool web_asset(struct http_request *rq, struct http_response *rs, struct err *e) {
    return reply_asset(rq, rs, http_capture(rq, "file"), e);
}
