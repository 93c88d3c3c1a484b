// What a request's head gives to parse: the target, then (behind a NUL) a list of media types, or of ranges.
#include <stdlib.h>

#include "http/media.h"
#include "http/range.h"
#include "http/route.h"
#include "http/uri.h"

static bool never(struct http_request *rq, struct http_response *rs, struct err *e) {
    (void)rq, (void)rs, (void)e;
    return false;
}

static const struct http_route ROUTES[] = {
    {HTTP_GET, 1, "/studies/{study}/series/{series}/instances/{instance}", never},
    {HTTP_GET, 1, "/files/{path*}", never},
    {HTTP_GET, 1, "/", never},
    {.pattern = NULL},
};
static const struct http_mount MOUNTS[] = {{"/dicom-web", ROUTES, NULL}, {"", ROUTES, NULL}, {.routes = NULL}};

// Every range that is answered lies within, and together they are not more than the whole.
static void read_ranges(struct str header, uint64_t length) {
    struct http_range ranges[HTTP_RANGES_MAX];
    unsigned n;
    uint64_t left = length;
    if (http_range_parse(header, length, ranges, &n) != HTTP_RANGE_SOME) return;
    if (n == 0 || n > HTTP_RANGES_MAX) abort();
    for (unsigned i = 0; i < n; i++) {
        if (ranges[i].length == 0 || ranges[i].from >= length || ranges[i].length > length - ranges[i].from) abort();
        if (ranges[i].length > left) abort();
        left -= ranges[i].length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const offers[] = {"application/dicom+json", "multipart/related", NULL};
    struct arena a;
    arena_init(&a, 64 * 1024 * 1024);
    struct str all = {(const char *)data, size};
    struct str accept = all.p ? all : STR_LIT("");
    struct str target = str_split(&accept, '\0');
    struct uri u;
    if (uri_parse(&a, target, &u, NULL)) {
        struct http_match m;
        http_route_find(MOUNTS, HTTP_GET, &u, &m);
        for (unsigned i = 0; i < u.segment_count; i++)
            if (memchr(u.segment[i].p, '\0', u.segment[i].n)) abort();
    }
    struct http_media *list;
    unsigned n;
    if (http_media_parse_list(&a, accept, &list, &n, NULL))
        for (unsigned i = 1; i < n; i++)
            if (list[i - 1].q < list[i].q) abort();
    http_accept_choose(&a, accept, offers);
    read_ranges(accept, 0);
    read_ranges(accept, 1000);
    read_ranges(accept, UINT64_MAX);
    arena_deinit(&a);
    return 0;
}
