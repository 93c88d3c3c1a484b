// A growing byte buffer with a ceiling.
#ifndef GANTRY_BASE_BUF_H
#define GANTRY_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

// Appends never fail halfway: once one has failed, `failed` stays set and later appends do nothing, so that a long run of
// appends needs one check at its end (buf_ok).
struct buf {
    char *p;
    size_t n;
    size_t cap;
    size_t ceiling; // bytes that n may reach
    enum err_kind failed;
};

void buf_init(struct buf *b, size_t ceiling);
void buf_deinit(struct buf *b);
void buf_clear(struct buf *b); // forgets content and failure, keeps the memory

// Room for n more bytes at b->p + b->n (which the caller then adds to b->n), or NULL.
char *buf_reserve(struct buf *b, size_t n);
void buf_addz(struct buf *b, const char *z);
void buf_addf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Removes the first n bytes.
void buf_drop(struct buf *b, size_t n);

// False with *e set when any append failed.
bool buf_ok(const struct buf *b, struct err *e);

// Most appends find their room there.
static inline void buf_add(struct buf *b, const void *p, size_t n) {
    if (n == 0) return;
    char *to = !b->failed && n <= b->cap - b->n ? b->p + b->n : buf_reserve(b, n);
    if (!to) return;
    memcpy(to, p, n);
    b->n += n;
}

static inline void buf_addc(struct buf *b, char c) {
    char *to = !b->failed && b->n < b->cap ? b->p + b->n : buf_reserve(b, 1);
    if (!to) return;
    *to = c;
    b->n++;
}

static inline void buf_add_str(struct buf *b, struct str s) {
    buf_add(b, s.p, s.n);
}

static inline struct str buf_str(const struct buf *b) {
    return (struct str){b->p, b->n};
}

#endif
