// Multipart bodies: the first byte says how the body is cut into chunks; parts must add up however it is cut.
#include <stdlib.h>

#include "http/multipart.h"

struct seen {
    size_t parts, ended, bytes;
};

static bool on_begin(void *context, const struct multipart_headers *h, struct err *e) {
    struct seen *s = context;
    (void)e;
    for (unsigned i = 0; i < h->count; i++)
        if (memchr(h->all[i].value.p ? h->all[i].value.p : "", '\n', h->all[i].value.n)) abort();
    s->parts++;
    return true;
}

static bool on_data(void *context, const void *p, size_t n, struct err *e) {
    struct seen *s = context;
    (void)p, (void)e;
    if (s->parts != s->ended + 1) abort();
    s->bytes += n;
    return true;
}

static bool on_end(void *context, struct err *e) {
    struct seen *s = context;
    (void)e;
    s->ended++;
    return true;
}

static bool parse(const uint8_t *p, size_t n, size_t chunk, struct seen *out) {
    struct multipart m;
    struct multipart_events on = {on_begin, on_data, on_end, out};
    bool ok = multipart_init(&m, STR_LIT("B"), &on, NULL);
    for (size_t at = 0; ok && at < n; at += chunk) ok = multipart_feed(&m, p + at, n - at < chunk ? n - at : chunk, NULL);
    ok = ok && multipart_finish(&m, NULL);
    multipart_deinit(&m);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    struct seen cut = {0}, whole = {0};
    bool one = parse(data + 1, size - 1, (size_t)data[0] + 1, &cut);
    bool other = parse(data + 1, size - 1, size, &whole);
    if (one != other || (one && (cut.parts != whole.parts || cut.bytes != whole.bytes || cut.ended != cut.parts))) abort();
    return 0;
}
