// Header fields and origins.
#include "http/armour.h"

#include "http/server.h"

// Content that must not run or be sniffed in a browser: everything is inert unless it is our own page, which brings a policy of its own.
static const struct uri_param ALWAYS[] = {
    {STR_LIT("X-Content-Type-Options"), STR_LIT("nosniff")},
    {STR_LIT("X-Frame-Options"), STR_LIT("DENY")},
    {STR_LIT("Referrer-Policy"), STR_LIT("same-origin")},
    {STR_LIT("Cross-Origin-Resource-Policy"), STR_LIT("same-origin")},
    {STR_LIT("Cross-Origin-Opener-Policy"), STR_LIT("same-origin")},
    {STR_LIT("Permissions-Policy"), STR_LIT("camera=(), geolocation=(), microphone=(), payment=(), usb=()")},
    {STR_LIT("Content-Security-Policy"), STR_LIT("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")},
};
// What may hold a patient's data is kept nowhere unless its handler says so.
static const struct uri_param NOT_KEPT = {STR_LIT("Cache-Control"), STR_LIT("no-store")};

enum { NOT_MODIFIED = 304 }; // what it says of caching would count for what is kept already

static void add(struct http_response *rs, const struct uri_param *field) {
    for (unsigned i = 0; i < rs->header_count; i++)
        if (str_eq_nocase(rs->headers[i].name, field->name)) return;
    if (rs->header_count < HTTP_HEADERS_MAX) rs->headers[rs->header_count++] = *field;
}

void http_armour(struct http_response *rs) {
    for (size_t i = 0; i < sizeof ALWAYS / sizeof *ALWAYS; i++) add(rs, &ALWAYS[i]);
    if (rs->status != NOT_MODIFIED) add(rs, &NOT_KEPT);
}

// "scheme://host[:port]" of a page against where we are seen: by the base, or by the host that was asked for.
static bool is_ours(const struct http_site *s) {
    size_t at = str_find(s->origin, '/', 0), base_at = str_find(s->base, '/', 0);
    struct str host = str_sub(s->origin, at + 2, s->origin.n); // behind "scheme://"; "null" has none
    struct str base = str_sub(s->base, base_at + 2, s->base.n);
    struct str base_host = str_sub(base, 0, str_find(base, '/', 0));
    return host.n && (str_eq_nocase(host, s->host) || str_eq_nocase(host, base_host));
}

static bool is_link(const struct http_site *s) {
    return str_eqz(s->mode, "navigate") && (!s->dest.n || str_eqz(s->dest, "document"));
}

static bool site_is_ours(const struct http_site *s) {
    return !s->site.n || str_eqz(s->site, "same-origin") || str_eqz(s->site, "none"); // none: typed by somebody, or a bookmark
}

bool http_site_fits(const struct http_site *s) {
    // "*" lets pages in that bring a token of their own, never the browser's session.
    if (s->cors == HTTP_CORS_EXACT || (s->cors == HTTP_CORS_ANY && !s->cookie)) return true;
    if (s->method == HTTP_GET) return site_is_ours(s) || is_link(s);
    return site_is_ours(s) && (!s->origin.p || is_ours(s));
}
