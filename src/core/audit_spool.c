// The spool of noted events: records with sums behind a head that names the lineage.
#include "core/audit_spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sys/digest.h"
#include "sys/file.h"
#include "sys/sums.h"

#define MAGIC "gantry audit spool 1\n"

enum { HEAD_BYTES = 64, TEXTS = 6, FIRST_BYTES = 1024, BLOCK_BYTES = 1024 * 1024, RESERVE_BYTES = 1 << 20 };

// Before each record. sum: of what follows it.
struct frame {
    uint64_t sum;
    uint32_t length; // of the texts and their lengths
    uint32_t lengths[TEXTS];
    uint32_t spare;
    uint64_t number;
    int64_t time_ms;
};

static bool write_head(struct audit_spool *s, struct err *e) {
    uint8_t random[AUDIT_LINEAGE_HEX / 2];
    char head[HEAD_BYTES] = MAGIC;
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) return err_errno(e, ERR_IO, "audit", "no random bytes for the spool's name");
    hex_encode(random, sizeof random, s->lineage);
    s->lineage[AUDIT_LINEAGE_HEX] = '\0';
    memcpy(head + sizeof MAGIC - 1, s->lineage, AUDIT_LINEAGE_HEX);
    s->end = HEAD_BYTES;
    return sys_write_at(NULL, s->fd, head, sizeof head, 0, e);
}

static bool read_head(struct audit_spool *s, bool *there, struct err *e) {
    char head[HEAD_BYTES];
    size_t got;
    if (!sys_read_upto(NULL, s->fd, head, sizeof head, 0, &got, e)) return false;
    *there = got == sizeof head;
    if (!*there) return true;
    if (memcmp(head, MAGIC, sizeof MAGIC - 1) != 0) return err_set(e, ERR_CORRUPT, "audit", "the spool of the audit trail is no such file: move it aside");
    memcpy(s->lineage, head + sizeof MAGIC - 1, AUDIT_LINEAGE_HEX);
    s->lineage[AUDIT_LINEAGE_HEX] = '\0';
    return true;
}

static uint64_t sum_frame(const struct frame *f) {
    return sum_of(&f->length, sizeof *f - sizeof f->sum + f->length);
}

// The record at an offset, in a; *whole false: none is there, or it is torn.
static bool read_frame(const struct audit_spool *s, struct arena *a, uint64_t at, struct frame **out, bool *whole, struct err *e) {
    struct frame head;
    size_t got;
    *whole = false;
    if (!sys_read_upto(NULL, s->fd, &head, sizeof head, at, &got, e)) return false;
    if (got < sizeof head || head.length > AUDIT_RECORD_BYTES_MAX) return true;
    struct frame *f = arena_alloc(a, sizeof head + head.length, e);
    if (!f || !sys_read_upto(NULL, s->fd, f, sizeof head + head.length, at, &got, e)) return false;
    *whole = got == sizeof head + head.length && f->length == head.length && sum_frame(f) == f->sum;
    *out = f;
    return true;
}

// What an earlier process left: the numbers go on behind it. Numbers that do not go on are of records that were taken long ago.
static bool find_end(struct audit_spool *s, struct err *e) {
    struct arena a;
    struct frame *f;
    bool whole = true, ok = true;
    arena_init(&a, 4 * AUDIT_RECORD_BYTES_MAX);
    s->end = HEAD_BYTES;
    while (ok && whole) {
        arena_reset(&a);
        ok = read_frame(s, &a, s->end, &f, &whole, e);
        if (!ok || !whole || (s->kept_before && f->number != s->next)) break;
        s->end += sizeof *f + f->length;
        s->next = f->number + 1;
        s->kept_before = true;
    }
    arena_deinit(&a);
    return ok;
}

bool audit_spool_open(struct audit_spool *s, const char *path, struct err *e) {
    pthread_condattr_t attr;
    bool there = false;
    *s = (struct audit_spool){.fd = -1, .next = 1, .read = HEAD_BYTES};
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->grew, &attr);
    pthread_condattr_destroy(&attr);
    bool ok = sys_open(NULL, path, O_RDWR | O_CREAT, 0600, &s->fd, e) && read_head(s, &there, e) && (there ? find_end(s, e) : write_head(s, e));
    struct sys_stat st;
    // What is read on a full disk is noted, too; where nothing can be reserved it may have to be refused.
    if (ok && sys_stat_fd(s->fd, &st, NULL) && st.size < RESERVE_BYTES) sys_reserve(NULL, s->fd, RESERVE_BYTES, NULL);
    if (!ok) audit_spool_close(s);
    return ok || err_wrap(e, "%s", path);
}

void audit_spool_close(struct audit_spool *s) {
    sys_close(NULL, s->fd);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->grew);
    s->fd = -1;
}

// ---- adding ----

static bool put(struct audit_spool *s, struct frame *f, struct err *e) {
    pthread_mutex_lock(&s->lock);
    f->number = s->next;
    f->sum = sum_frame(f);
    bool ok = sys_write_at(NULL, s->fd, f, sizeof *f + f->length, s->end, e);
    bool first = s->end == s->read;
    if (ok) {
        s->end += sizeof *f + f->length;
        s->next++;
    }
    pthread_mutex_unlock(&s->lock);
    if (ok && first) pthread_cond_signal(&s->grew); // later ones are seen with it
    return ok || err_wrap(e, "the audit trail could not be kept, so this was not done");
}

bool audit_spool_add(struct audit_spool *s, const struct event *ev, struct err *e) {
    const struct str texts[TEXTS] = {ev->type, ev->actor, ev->study_uid, ev->series_uid, ev->sop_instance_uid, ev->detail};
    _Alignas(struct frame) char room[FIRST_BYTES];
    struct frame head = {.time_ms = ev->time_ms};
    size_t n = 0;
    for (int i = 0; i < TEXTS; i++) {
        n += texts[i].n;
        head.lengths[i] = (uint32_t)texts[i].n;
    }
    if (n > AUDIT_RECORD_BYTES_MAX) return err_set(e, ERR_TOO_LARGE, "audit", "an event of more than %d bytes", AUDIT_RECORD_BYTES_MAX);
    size_t padded = (n + 7) / 8 * 8; // so that the next one lies aligned
    head.length = (uint32_t)padded;
    char *p = sizeof head + padded <= sizeof room ? room : malloc(sizeof head + padded);
    if (!p) return err_nomem(e, "audit");
    memcpy(p, &head, sizeof head);
    char *to = p + sizeof head;
    for (int i = 0; i < TEXTS; to += texts[i].n, i++)
        if (texts[i].n) memcpy(to, texts[i].p, texts[i].n);
    memset(to, 0, padded - n);
    bool ok = put(s, (struct frame *)(void *)p, e);
    if (p != room) free(p);
    return ok;
}

// ---- taking ----

static bool split(const struct frame *f, struct audit_record *out) {
    struct str *texts[TEXTS] = {&out->event.type,  &out->event.actor, &out->event.study_uid, &out->event.series_uid, &out->event.sop_instance_uid,
                                &out->event.detail};
    const char *p = (const char *)(f + 1);
    uint64_t left = f->length;
    *out = (struct audit_record){.number = f->number, .event = {.time_ms = f->time_ms}};
    for (int i = 0; i < TEXTS; i++) {
        if (f->lengths[i] > left) return false;
        *texts[i] = (struct str){p, f->lengths[i]};
        p += f->lengths[i];
        left -= f->lengths[i];
    }
    return left < 8;
}

// Many at once: most are small.
static bool read_block(const struct audit_spool *s, struct arena *a, uint64_t at, uint64_t end, struct str *out, struct err *e) {
    size_t n = end - at < BLOCK_BYTES ? (size_t)(end - at) : BLOCK_BYTES;
    char *p = arena_alloc(a, n, e);
    if (!p || !sys_read_at(NULL, s->fd, p, n, at, e)) return false;
    *out = (struct str){p, n};
    return true;
}

// The record at the beginning of a block; NULL: it is not whole there.
static struct frame *frame_in(struct str block) {
    struct frame *f = (struct frame *)(void *)(uintptr_t)block.p;
    bool aligned = (uintptr_t)block.p % _Alignof(struct frame) == 0;
    return aligned && block.n >= sizeof *f && f->length <= block.n - sizeof *f && sum_frame(f) == f->sum ? f : NULL;
}

bool audit_spool_next(struct audit_spool *s, struct arena *a, unsigned max, struct audit_record *out, unsigned *n, uint64_t *to, struct err *e) {
    pthread_mutex_lock(&s->lock);
    uint64_t end = s->end, at = s->read;
    pthread_mutex_unlock(&s->lock);
    struct str block = {NULL, 0};
    if (at < end && !read_block(s, a, at, end, &block, e)) return false;
    for (*n = 0; *n < max && at < end; ++*n) {
        struct frame *f = frame_in(block);
        bool whole = f;
        if (!f && *n) break; // the next block begins with it
        if (!f && !read_frame(s, a, at, &f, &whole, e)) return false;
        block = f ? str_sub(block, sizeof *f + f->length, block.n) : block;
        if (!whole || !split(f, &out[*n]))
            return err_set(e, ERR_CORRUPT, "audit", "the spool of the audit trail is damaged at byte %llu", (unsigned long long)at);
        at += sizeof *f + f->length;
    }
    *to = at;
    return true;
}

void audit_spool_taken(struct audit_spool *s, uint64_t to) {
    pthread_mutex_lock(&s->lock);
    s->read = to;
    pthread_mutex_unlock(&s->lock);
}

bool audit_spool_wait(struct audit_spool *s, int timeout_ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_mutex_lock(&s->lock);
    if (s->end == s->read) pthread_cond_timedwait(&s->grew, &s->lock, &until);
    bool there = s->end != s->read;
    pthread_mutex_unlock(&s->lock);
    return there;
}

void audit_spool_wake(struct audit_spool *s) {
    pthread_mutex_lock(&s->lock);
    pthread_cond_signal(&s->grew);
    pthread_mutex_unlock(&s->lock);
}

bool audit_spool_empty(struct audit_spool *s, struct err *e) {
    bool ok = true;
    pthread_mutex_lock(&s->lock);
    if (s->read == s->end && s->end > HEAD_BYTES) {
        if (s->end > RESERVE_BYTES) ok = sys_resize(NULL, s->fd, RESERVE_BYTES, e);
        s->end = s->read = HEAD_BYTES;
    }
    pthread_mutex_unlock(&s->lock);
    return ok;
}
