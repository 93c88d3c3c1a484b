// Growing buffer: doubles up to its ceiling.
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_BYTES = 256 };

void buf_init(struct buf *b, size_t ceiling) {
    *b = (struct buf){.ceiling = ceiling};
}

void buf_deinit(struct buf *b) {
    free(b->p);
    *b = (struct buf){.ceiling = b->ceiling};
}

void buf_clear(struct buf *b) {
    b->n = 0;
    b->failed = ERR_NONE;
}

static char *fail(struct buf *b, enum err_kind kind) {
    b->failed = kind;
    return NULL;
}

char *buf_reserve(struct buf *b, size_t n) {
    if (b->failed) return NULL;
    if (n <= b->cap - b->n) return b->p ? b->p + b->n : NULL;
    if (n > b->ceiling - b->n) return fail(b, ERR_TOO_LARGE);
    size_t cap = b->cap ? b->cap : b->ceiling < FIRST_BYTES ? b->ceiling : FIRST_BYTES;
    while (cap - b->n < n) cap = cap > b->ceiling / 2 ? b->ceiling : cap * 2;
    char *p = realloc(b->p, cap);
    if (!p) return fail(b, ERR_NOMEM);
    b->p = p;
    b->cap = cap;
    return p + b->n;
}

void buf_addz(struct buf *b, const char *z) {
    buf_add(b, z, strlen(z));
}

void buf_addf(struct buf *b, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *to = n < 0 ? fail(b, ERR_INTERNAL) : buf_reserve(b, (size_t)n + 1);
    if (to) {
        vsnprintf(to, (size_t)n + 1, format, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

void buf_drop(struct buf *b, size_t n) {
    if (n >= b->n) {
        b->n = 0;
        return;
    }
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}

bool buf_ok(const struct buf *b, struct err *e) {
    if (!b->failed) return true;
    if (b->failed == ERR_TOO_LARGE) return err_set(e, ERR_TOO_LARGE, "buf", "more than the %zu bytes that are allowed here", b->ceiling);
    if (b->failed == ERR_NOMEM) return err_nomem(e, "buf");
    return err_set(e, b->failed, "buf", "formatting failed");
}
