// The read cache of a remote set: which blocks of which volumes are on this disk, fetching those that are missing, and making room.
#include "store/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/remote.h"

enum block { BLOCK_ABSENT, BLOCK_FETCHING, BLOCK_PRESENT };

enum {
    BLOCK = STORE_CACHE_BLOCK_BYTES,
    SMALL_OBJECT_BYTES = 4 * BLOCK, // fetched as a whole when a part of it is asked for
    FETCHES_MAX = 16,               // at once: each has its bytes in memory
    FILES_MAX = 1 << 16,            // known at once
    MEMORY_BYTES_MAX = 64 << 20,    // of files in memory
    MEMORY_FILES_MAX = 512,         // each has a descriptor
    MEMORY_FILE_BYTES = 256 * 1024, // what was just written and is no larger lies in memory
    REFETCH_MS = 5 * 1000,          // bytes that are wrong again so soon are wrong in the bucket
};

// ---- the table; all under the lock ----

void cache_path(const struct cache *c, const struct cache_file *f, char out[STORE_PATH_MAX]) {
    snprintf(out, STORE_PATH_MAX, "%.4000s/v%08u-%llu.%s", c->dir, f->info.volume, (unsigned long long)f->stamp,
             f->info.place == VOL_IN_INDEX ? "index" : "bucket");
}

static struct cache_file *find(const struct cache *c, uint32_t volume) {
    struct cache_file *f = c->files[volume % CACHE_BUCKETS];
    while (f && (f->info.volume != volume || f->gone)) f = f->next;
    return f;
}

static void unlink_use(struct cache *c, struct cache_file *f) {
    *(f->older ? &f->older->newer : &c->uses[f->in_memory].oldest) = f->newer;
    *(f->newer ? &f->newer->older : &c->uses[f->in_memory].newest) = f->older;
    f->older = f->newer = NULL;
    c->uses[f->in_memory].count--;
}

static void link_use(struct cache *c, struct cache_file *f) {
    f->older = c->uses[f->in_memory].newest;
    *(f->older ? &f->older->newer : &c->uses[f->in_memory].oldest) = f;
    c->uses[f->in_memory].newest = f;
    c->uses[f->in_memory].count++;
}

static void touch(struct cache *c, struct cache_file *f) {
    if (c->uses[f->in_memory].newest == f || f->gone) return;
    unlink_use(c, f);
    link_use(c, f);
}

static void account(struct cache *c, const struct cache_file *f, int64_t bytes) {
    if (f->gone) return;
    uint64_t *sum = f->in_memory ? &c->memory_bytes : &c->bytes;
    *sum += (uint64_t)bytes;
}

static void close_fd(struct vol_set *vs, struct cache *c, struct cache_file *f) {
    if (f->fd < 0) return;
    sys_close(vs->files, f->fd);
    f->fd = -1;
    if (!f->in_memory) c->open--;
}

static void destroy(struct vol_set *vs, struct cache *c, struct cache_file *f) {
    struct cache_file **link = &c->files[f->info.volume % CACHE_BUCKETS];
    while (*link != f) link = &(*link)->next;
    *link = f->next;
    close_fd(vs, c, f);
    free(f);
}

static void release(struct vol_set *vs, struct cache *c, struct cache_file *f) {
    if (--f->refs) return;
    if (f->gone) {
        destroy(vs, c, f);
    } else if (c->open > STORE_DESCRIPTORS_MAX && !f->in_memory) {
        close_fd(vs, c, f);
    }
}

// No longer the volume's. Who has a reference reads on; the name goes when the lock was let go (bury).
static void drop(struct vol_set *vs, struct cache *c, struct cache_file *f) {
    unlink_use(c, f);
    account(c, f, -(int64_t)f->bytes);
    f->gone = true;
    f->refs++;
    if (f->in_memory) {
        release(vs, c, f);
        return;
    }
    f->next_doomed = c->doomed;
    c->doomed = f;
}

// The names of dropped files, without holding the lock meanwhile: a large file takes its time.
static void bury(struct vol_set *vs, struct cache *c) {
    char path[STORE_PATH_MAX];
    while (c->doomed) {
        struct cache_file *f = c->doomed;
        c->doomed = f->next_doomed;
        pthread_mutex_unlock(&c->lock);
        cache_path(c, f, path);
        sys_unlink(vs->files, path, NULL);
        pthread_mutex_lock(&c->lock);
        release(vs, c, f);
    }
}

static bool drop_oldest(struct vol_set *vs, struct cache *c, bool in_memory, bool in_use) {
    struct cache_file *f = c->uses[in_memory].oldest;
    while (f && (f->bytes == 0 || (f->refs && !in_use))) f = f->newer;
    if (f) drop(vs, c, f);
    return f;
}

// The oldest, whatever it holds.
static bool drop_any(struct vol_set *vs, struct cache *c, bool in_memory) {
    struct cache_file *f = c->uses[in_memory].oldest;
    while (f && f->refs) f = f->newer;
    if (f) drop(vs, c, f);
    return f;
}

// The least recently used go first, those that are being read last.
static void keep_limits(struct vol_set *vs, struct cache *c) {
    while (c->bytes > c->limit && (drop_oldest(vs, c, false, false) || drop_oldest(vs, c, false, true))) continue;
    while (c->uses[false].count > FILES_MAX && drop_any(vs, c, false)) continue;
    while (c->uses[true].count > MEMORY_FILES_MAX && drop_any(vs, c, true)) continue;
    while (c->memory_bytes > MEMORY_BYTES_MAX && drop_oldest(vs, c, true, false)) continue;
}

static uint64_t next_stamp(struct cache *c) {
    uint64_t now = (uint64_t)clock_wall_ms() * 1000000;
    return c->stamp = now > c->stamp ? now : c->stamp + 1;
}

static struct cache_file *file_new(struct cache *c, const struct vol_info *v, bool in_memory, enum block state, struct err *e) {
    size_t n = (size_t)((v->size + BLOCK - 1) / BLOCK);
    struct cache_file *f = v->size <= (uint64_t)STORE_OBJECT_BYTES_MAX * 2 ? calloc(1, sizeof *f + n) : NULL;
    if (!f) return err_nomem(e, "store"), NULL;
    *f = (struct cache_file){.info = *v, .stamp = next_stamp(c), .fd = -1, .in_memory = in_memory, .block_count = n};
    memset(f->blocks, state, n);
    struct cache_file **link = &c->files[v->volume % CACHE_BUCKETS];
    f->next = *link;
    *link = f;
    link_use(c, f);
    return f;
}

// The descriptor of a file that has a reference.
static bool open_fd(struct vol_set *vs, struct cache *c, struct cache_file *f, struct err *e) {
    char path[STORE_PATH_MAX];
    if (f->fd >= 0) return true;
    cache_path(c, f, path);
    int flags = O_RDWR | (f->bytes ? 0 : O_CREAT);
    if (!(f->in_memory ? sys_open_memory(&f->fd, e) : sys_open(vs->files, path, flags, 0640, &f->fd, e))) return false;
    if (!f->in_memory) c->open++;
    if (f->bytes || sys_resize(f->in_memory ? NULL : vs->files, f->fd, f->info.size, e)) return true; // all holes: a restart tells by it what is there
    close_fd(vs, c, f);
    return false;
}

// A reference to the volume's file, which is begun when there is none. in_memory: not to one on the disk. The lock is let go meanwhile.
static struct cache_file *acquire(struct vol_set *vs, struct cache *c, uint32_t volume, bool in_memory, struct err *e) {
    struct cache_file *f = find(c, volume);
    if (!f) {
        struct vol_info info;
        pthread_mutex_unlock(&c->lock);
        bool known = remote_find(vs, volume, &info, e);
        pthread_mutex_lock(&c->lock);
        if (!known) return NULL;
        f = find(c, volume);
        if (!f) f = file_new(c, &info, in_memory || c->memory_only, BLOCK_ABSENT, e);
    }
    if (f && in_memory && !f->in_memory) {
        struct vol_info info = f->info;
        drop(vs, c, f);
        f = file_new(c, &info, true, BLOCK_ABSENT, e);
    }
    if (!f) return NULL;
    f->refs++;
    touch(c, f);
    return f;
}

// ---- of an earlier run ----

static void mark(struct cache *c, struct cache_file *f, size_t first, size_t end, enum block state) {
    memset(f->blocks + first, state, end - first);
    if (state == BLOCK_PRESENT) {
        uint64_t to = (uint64_t)end * BLOCK < f->info.size ? (uint64_t)end * BLOCK : f->info.size, n = to - (uint64_t)first * BLOCK;
        account(c, f, (int64_t)n);
        f->bytes += n;
    }
    pthread_cond_broadcast(&c->fetched);
}

struct cache_file *cache_take_file(struct cache *c, const struct vol_info *v, uint64_t stamp) {
    struct cache_file *f = find(c, v->volume) ? NULL : file_new(c, v, false, BLOCK_ABSENT, NULL);
    if (!f) return NULL;
    f->stamp = stamp;
    if (c->stamp < stamp) c->stamp = stamp;
    return f;
}

void cache_take_block(struct cache *c, struct cache_file *f, size_t block) {
    if (block < f->block_count) mark(c, f, block, block + 1, BLOCK_PRESENT);
}

// ---- fetching ----

struct want {
    uint64_t from, to; // bytes that are needed
    uint64_t object_end;
};

enum fetched { FETCHED, NOT_FETCHED, DISK_REFUSES };

// Where a fetch that begins at a block may end: what is needed, the rest of an object that is small, and more when it is read in order.
static size_t plan(struct cache_file *f, size_t first, const struct want *w) {
    uint64_t at = (uint64_t)first * BLOCK, end = w->to;
    bool in_order = at == f->ahead_at && at > 0;
    f->ahead = in_order ? 2 * f->ahead : BLOCK;
    if (f->ahead > STORE_FETCH_BYTES_MAX) f->ahead = STORE_FETCH_BYTES_MAX;
    if (w->object_end - w->from <= SMALL_OBJECT_BYTES && w->object_end > end) end = w->object_end;
    if (in_order && at + f->ahead > end) end = at + f->ahead;
    if (end > at + STORE_FETCH_BYTES_MAX) end = at + STORE_FETCH_BYTES_MAX;
    if (end > f->info.size) end = f->info.size;
    size_t last = (size_t)((end - 1) / BLOCK), i = first;
    while (i <= last && f->blocks[i] == BLOCK_ABSENT) i++;
    f->ahead_at = (uint64_t)i * BLOCK;
    return i;
}

static bool write_block(struct vol_set *vs, struct cache *c, struct cache_file *f, const void *p, size_t n, uint64_t at) {
    struct err e = {0};
    uint64_t room;
    bool ok = (f->in_memory || set_room(vs, n, &room, &e)) && sys_write_at(f->in_memory ? NULL : vs->files, f->fd, p, n, at, &e);
    if (ok || e.kind != ERR_FULL || f->in_memory) return ok;
    pthread_mutex_lock(&c->lock);
    for (uint64_t before = c->bytes; before - c->bytes < 4 * n && drop_oldest(vs, c, false, false);) continue;
    bury(vs, c);
    pthread_mutex_unlock(&c->lock);
    return sys_write_at(vs->files, f->fd, p, n, at, NULL);
}

// Blocks [first, end), marked as being fetched. The lock is let go meanwhile.
static enum fetched fetch(struct vol_set *vs, struct cache *c, struct cache_file *f, size_t first, size_t end, struct err *e) {
    uint64_t at = (uint64_t)first * BLOCK, to = (uint64_t)end * BLOCK < f->info.size ? (uint64_t)end * BLOCK : f->info.size;
    size_t n = (size_t)(to - at);
    while (c->fetching >= FETCHES_MAX) pthread_cond_wait(&c->fetched, &c->lock);
    c->fetching++;
    pthread_mutex_unlock(&c->lock);
    void *p = malloc(n);
    bool ok = p ? remote_fetch(vs, &f->info, at, p, n, e) : err_nomem(e, "store");
    bool kept = ok && write_block(vs, c, f, p, n, at);
    free(p);
    pthread_mutex_lock(&c->lock);
    c->fetching--;
    mark(c, f, first, end, kept ? BLOCK_PRESENT : BLOCK_ABSENT);
    return !ok ? NOT_FETCHED : kept ? FETCHED : DISK_REFUSES;
}

// All blocks of [from, to) are there, or being what they are could not be. One thread fetches a block, others wait for it.
static enum fetched ensure(struct vol_set *vs, struct cache *c, struct cache_file *f, const struct want *w, struct err *e) {
    size_t i = (size_t)(w->from / BLOCK), last = (size_t)((w->to - 1) / BLOCK);
    bool missed = false;
    if (w->from >= w->to) return FETCHED;
    while (i <= last) {
        if (f->blocks[i] == BLOCK_PRESENT) {
            i++;
            continue;
        }
        missed = true;
        if (f->blocks[i] == BLOCK_FETCHING) {
            pthread_cond_wait(&c->fetched, &c->lock);
            continue;
        }
        size_t end = plan(f, i, w);
        memset(f->blocks + i, BLOCK_FETCHING, end - i);
        enum fetched result = fetch(vs, c, f, i, end, e);
        if (result != FETCHED) return result;
    }
    c->hits += !missed;
    c->misses += missed;
    return FETCHED;
}

static bool inside(const struct cache_file *f, struct vol_loc loc, struct err *e) {
    if (loc.offset <= f->info.size && loc.length <= f->info.size - loc.offset) return true;
    return err_set(e, ERR_CORRUPT, "store", "volume %u ends before byte %llu", f->info.volume, (unsigned long long)(loc.offset + loc.length));
}

// A reference to a file with its descriptor and the bytes. Under the lock. *refused: the disk did not take them.
static struct cache_file *lend(struct vol_set *vs, struct cache *c, struct vol_loc loc, uint64_t object_end, bool in_memory, bool *refused, struct err *e) {
    const struct want w = {loc.offset, loc.offset + loc.length, object_end};
    struct cache_file *f = acquire(vs, c, loc.volume, in_memory, e);
    *refused = false;
    if (!f) return NULL;
    bool ok = inside(f, loc, e);
    if (ok && !open_fd(vs, c, f, e)) *refused = true;
    enum fetched result = ok && !*refused ? ensure(vs, c, f, &w, e) : NOT_FETCHED;
    keep_limits(vs, c);
    if (result == FETCHED) return f;
    *refused |= result == DISK_REFUSES;
    if (*refused && !f->gone) drop(vs, c, f); // it can hold no more
    release(vs, c, f);
    return NULL;
}

bool cache_fd(struct vol_set *vs, struct vol_loc loc, int *fd, struct err *e) {
    struct cache *c = &vs->remote->cache;
    bool refused;
    pthread_mutex_lock(&c->lock);
    struct cache_file *f = lend(vs, c, loc, loc.offset + loc.length, false, &refused, e);
    if (!f && refused) f = lend(vs, c, loc, loc.offset + loc.length, true, &refused, e);
    if (f) *fd = f->fd;
    bury(vs, c);
    pthread_mutex_unlock(&c->lock);
    return f;
}

// By its descriptor: it may be the volume's no longer.
void cache_release(struct vol_set *vs, uint32_t volume, int fd) {
    struct cache *c = &vs->remote->cache;
    pthread_mutex_lock(&c->lock);
    struct cache_file *f = c->files[volume % CACHE_BUCKETS];
    while (f && f->fd != fd) f = f->next;
    if (f) release(vs, c, f);
    pthread_mutex_unlock(&c->lock);
}

// ---- reading ----

static bool fetch_direct(struct vol_set *vs, struct vol_loc loc, void *p, struct err *e) {
    struct vol_info info;
    return remote_find(vs, loc.volume, &info, e) && remote_fetch(vs, &info, loc.offset, p, loc.length, e);
}

bool cache_read(struct vol_set *vs, struct vol_loc loc, uint64_t from, void *p, size_t n, struct err *e) {
    struct cache *c = &vs->remote->cache;
    const struct vol_loc part = {loc.volume, loc.offset + from, n};
    bool refused = false;
    if (n == 0) return true;
    pthread_mutex_lock(&c->lock);
    struct cache_file *f = lend(vs, c, part, loc.offset + loc.length, false, &refused, e);
    bury(vs, c);
    pthread_mutex_unlock(&c->lock);
    bool got = f && sys_read_at(f->in_memory ? NULL : vs->files, f->fd, p, n, part.offset, NULL);
    if (f) {
        pthread_mutex_lock(&c->lock);
        if (!got && !f->gone) drop(vs, c, f);
        release(vs, c, f);
        bury(vs, c);
        pthread_mutex_unlock(&c->lock);
    }
    return got || ((f || refused) && fetch_direct(vs, part, p, e));
}

static bool all_present(const struct cache_file *f, uint64_t from, uint64_t to) {
    for (uint64_t i = from / BLOCK; i * BLOCK < to; i++)
        if (i >= f->block_count || f->blocks[i] != BLOCK_PRESENT) return false;
    return true;
}

bool cache_peek(struct vol_set *vs, uint32_t volume, void *p, size_t n, uint64_t at) {
    struct cache *c = &vs->remote->cache;
    pthread_mutex_lock(&c->lock);
    struct cache_file *f = find(c, volume);
    bool there = f && all_present(f, at, at + n) && open_fd(vs, c, f, NULL);
    if (there) f->refs++;
    pthread_mutex_unlock(&c->lock);
    if (!there) return false;
    bool ok = sys_read_at(f->in_memory ? NULL : vs->files, f->fd, p, n, at, NULL);
    pthread_mutex_lock(&c->lock);
    release(vs, c, f);
    pthread_mutex_unlock(&c->lock);
    return ok;
}

bool cache_state(struct vol_set *vs, uint32_t volume, struct vol_state *out, struct err *e) {
    struct cache *c = &vs->remote->cache;
    pthread_mutex_lock(&c->lock);
    struct cache_file *f = acquire(vs, c, volume, false, e);
    if (f) {
        *out = (struct vol_state){.size = f->info.size, .stamp = (int64_t)f->stamp, .file = f->stamp};
        release(vs, c, f);
        keep_limits(vs, c);
    }
    bury(vs, c);
    pthread_mutex_unlock(&c->lock);
    return f;
}

// ---- what is known to be wrong, or not to be needed ----

void cache_forget(struct vol_set *vs, uint32_t volume) {
    struct cache *c = &vs->remote->cache;
    pthread_mutex_lock(&c->lock);
    struct cache_file *f = find(c, volume);
    if (f) drop(vs, c, f);
    bury(vs, c);
    pthread_mutex_unlock(&c->lock);
}

bool cache_refetch(struct vol_set *vs, struct vol_loc loc) {
    struct cache *c = &vs->remote->cache;
    int64_t now = clock_mono_ms();
    unsigned slot = loc.volume % REFETCHES_NOTED;
    pthread_mutex_lock(&c->lock);
    bool lately = c->refetches[slot].volume == loc.volume && now - c->refetches[slot].at_ms < REFETCH_MS;
    if (!lately) {
        c->refetches[slot].volume = loc.volume;
        c->refetches[slot].at_ms = now;
    }
    pthread_mutex_unlock(&c->lock);
    if (!lately) cache_forget(vs, loc.volume);
    return true; // lately: what another has dropped is there anew
}

bool cache_shrink(struct vol_set *vs, uint64_t need) {
    struct cache *c = &vs->remote->cache;
    pthread_mutex_lock(&c->lock);
    uint64_t before = c->bytes;
    while (before - c->bytes < need && drop_oldest(vs, c, false, false)) continue;
    bool some = c->bytes < before;
    bury(vs, c);
    pthread_mutex_unlock(&c->lock);
    return some;
}

// ---- what was just written ----

// A file whose blocks are all on their way. Under the lock.
static struct cache_file *begin_whole(struct vol_set *vs, struct cache *c, const struct vol_info *v, bool in_memory) {
    struct cache_file *f = find(c, v->volume);
    if (c->memory_only || v->size > c->limit / 2) return NULL;
    if (f) drop(vs, c, f);
    f = file_new(c, v, in_memory, BLOCK_FETCHING, NULL);
    if (f) f->refs++;
    return f;
}

static void end_whole(struct vol_set *vs, struct cache *c, struct cache_file *f, bool ok) {
    mark(c, f, 0, f->block_count, ok ? BLOCK_PRESENT : BLOCK_ABSENT);
    if (!ok && !f->gone) drop(vs, c, f);
    keep_limits(vs, c);
    release(vs, c, f);
    bury(vs, c);
}

void cache_add(struct vol_set *vs, const struct vol_info *v, struct iovec *iov, int n) {
    struct cache *c = &vs->remote->cache;
    uint64_t room;
    bool in_memory = v->size <= MEMORY_FILE_BYTES;
    pthread_mutex_lock(&c->lock);
    struct cache_file *f = begin_whole(vs, c, v, in_memory);
    bool ok = f && open_fd(vs, c, f, NULL);
    pthread_mutex_unlock(&c->lock);
    if (!f) return;
    ok = ok && (in_memory || set_room(vs, v->size, &room, NULL)) && sys_writev_at(in_memory ? NULL : vs->files, f->fd, iov, n, 0, NULL);
    pthread_mutex_lock(&c->lock);
    end_whole(vs, c, f, ok);
    pthread_mutex_unlock(&c->lock);
}

void cache_adopt(struct vol_set *vs, const struct vol_info *v, const char *from) {
    struct cache *c = &vs->remote->cache;
    char path[STORE_PATH_MAX];
    pthread_mutex_lock(&c->lock);
    struct cache_file *f = begin_whole(vs, c, v, false);
    if (f) cache_path(c, f, path);
    pthread_mutex_unlock(&c->lock);
    bool ok = f && sys_rename(vs->files, from, path, NULL);
    if (!ok) sys_unlink(vs->files, from, NULL);
    if (!f) return;
    pthread_mutex_lock(&c->lock);
    end_whole(vs, c, f, ok);
    pthread_mutex_unlock(&c->lock);
}

// ---- life ----

bool cache_open(struct vol_set *vs, const char *dir, uint64_t limit, bool memory_only, struct err *e) {
    struct cache *c = &vs->remote->cache;
    snprintf(c->dir, sizeof c->dir, "%.4000s", dir);
    c->limit = limit ? limit : STORE_CACHE_BYTES;
    c->memory_only = memory_only;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->fetched, NULL);
    if (memory_only) return true;
    if (!sys_mkdir(dir, e) || !cache_load(vs, c, e)) return false;
    pthread_mutex_lock(&c->lock);
    keep_limits(vs, c);
    bury(vs, c);
    pthread_mutex_unlock(&c->lock);
    return true;
}

void cache_close(struct vol_set *vs) {
    struct cache *c = &vs->remote->cache;
    pthread_mutex_lock(&c->lock);
    bury(vs, c);
    for (unsigned i = 0; i < CACHE_BUCKETS; i++)
        for (struct cache_file *f = c->files[i], *next; f; f = next) {
            next = f->next;
            destroy(vs, c, f);
        }
    pthread_mutex_unlock(&c->lock);
    pthread_cond_destroy(&c->fetched);
    pthread_mutex_destroy(&c->lock);
}

void cache_stats(struct vol_set *vs, struct vol_stats *out) {
    struct cache *c = &vs->remote->cache;
    pthread_mutex_lock(&c->lock);
    out->cache_bytes = c->bytes + c->memory_bytes;
    out->cache_hits = c->hits;
    out->cache_misses = c->misses;
    pthread_mutex_unlock(&c->lock);
}
