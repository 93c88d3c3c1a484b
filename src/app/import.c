// Walking what is to be imported, and the workers that put it: several at once, so that their objects share a flush.
#include "app/import.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/dicomdir.h"
#include "app/walk.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/thread.h"
#include "dicom/vr.h"
#include "sys/file.h"
#include "sys/unarchive.h"

enum { WORKERS_MAX = 64, QUEUE_ITEMS = 128, SNIFF_BYTES = 512 };

// Against bombs: what one archive may hold and inflate to.
static const struct unarchive_limits LIMITS = {.entries_max = 4 << 20, .entry_bytes_max = STORE_OBJECT_BYTES_MAX, .ratio_max = 200, .ratio_free = 256 << 20};
enum { ENTRY_MEMORY_MAX = 8 << 20, ENTRIES_MEMORY_MAX = 64 << 20 }; // a larger entry waits in an unlinked file

const char *const IMPORT_OUTCOME_NAMES[IMPORT_OUTCOMES] = {"stored", "known", "conflicting", "quarantined", "not_dicom", "failed"};

struct importer {
    const struct import_run *run;
    pthread_mutex_t lock;
    pthread_cond_t not_empty, not_full;
    struct import_item queue[QUEUE_ITEMS];
    size_t queue_bytes;
    unsigned head, count;
    bool ended;
    uint64_t found, done;
    struct import_counts counts;
    struct err open_err; // a destination that did not open
    bool open_failed;
    // of the archive being read
    const char *archive_name;
    char *entry_name;
    struct buf entry;
    int entry_fd; // -1: in memory
    uint64_t entry_size;
    bool entry_dropped; // its first bytes say that it is no object
    bool archive_read;  // something was in it
};

bool import_read(const struct import_item *item, uint64_t at, void *p, size_t n, struct err *e) {
    if (item->fd >= 0) return sys_read_at(NULL, item->fd, p, n, at, e);
    if (at > item->size || n > item->size - at) return err_set(e, ERR_BAD_INPUT, "import", "read past the end");
    if (n) memcpy(p, item->bytes + at, n);
    return true;
}

// An element header that could begin a data set: group 2 or 8, and a VR or a length that makes sense (PS3.5 7.1).
static bool begins_as_data_set(const uint8_t *b) {
    unsigned group = b[0] | b[1] << 8, element = b[2] | b[3] << 8;
    bool big = group == 0x0800;
    if (big) element = b[2] << 8 | b[3];
    if ((group != 0x0002 && group != 0x0008 && !big) || element > 0x0100) return false;
    if (dcm_vr_find(DCM_VR_CODE(b[4], b[5]))) return true;
    uint32_t length = b[4] | b[5] << 8 | b[6] << 16 | (uint32_t)b[7] << 24;
    return !big && length <= 256;
}

bool import_looks_like_dicom(const struct import_item *item) {
    uint8_t b[132];
    if (item->size >= sizeof b && import_read(item, 0, b, sizeof b, NULL) && memcmp(b + 128, "DICM", 4) == 0) return true;
    return item->size >= 16 && import_read(item, 0, b, 16, NULL) && begins_as_data_set(b);
}

static void free_item(struct import_item *item) {
    sys_close(NULL, item->fd);
    free(item->bytes);
    free(item->name);
}

// ---- workers ----

static bool take(struct importer *m, struct import_item *out) {
    pthread_mutex_lock(&m->lock);
    while (m->count == 0 && !m->ended) pthread_cond_wait(&m->not_empty, &m->lock);
    bool there = m->count > 0;
    if (there) {
        *out = m->queue[m->head];
        m->head = (m->head + 1) % QUEUE_ITEMS;
        m->count--;
        if (out->fd < 0) m->queue_bytes -= out->size;
        pthread_cond_signal(&m->not_full);
    }
    pthread_mutex_unlock(&m->lock);
    return there;
}

static void note(struct importer *m, const struct import_item *item, enum import_outcome outcome, const struct err *why) {
    pthread_mutex_lock(&m->lock);
    m->counts.of[outcome]++;
    if (outcome == IMPORT_STORED) m->counts.bytes += item->size;
    m->done++;
    if (m->run->on_item) m->run->on_item(m->run->ctx, item->name, outcome, why);
    if (m->run->on_progress) m->run->on_progress(m->run->ctx, m->done, m->found);
    pthread_mutex_unlock(&m->lock);
}

static void *work(void *arg) {
    struct importer *m = arg;
    struct import_item item;
    struct err why = {0};
    void *worker = m->run->target->open(m->run->target->shared, &why);
    if (!worker) {
        pthread_mutex_lock(&m->lock);
        m->open_failed = true;
        m->open_err = why;
        pthread_mutex_unlock(&m->lock);
    }
    while (take(m, &item)) {
        enum import_outcome outcome = IMPORT_NOT_DICOM;
        if (worker) err_clear(&why);
        if (!worker)
            outcome = IMPORT_FAILED;
        else if (import_looks_like_dicom(&item))
            outcome = m->run->target->put(worker, &item, &why);
        note(m, &item, outcome, &why);
        free_item(&item);
    }
    if (worker) m->run->target->close(worker);
    return NULL;
}

// ---- finding ----

// Hands over: the item is the queue's, whatever comes of it.
static void hand_over(struct importer *m, struct import_item *item) {
    pthread_mutex_lock(&m->lock);
    while (m->count == QUEUE_ITEMS || (item->fd < 0 && m->queue_bytes > ENTRIES_MEMORY_MAX)) pthread_cond_wait(&m->not_full, &m->lock);
    m->queue[(m->head + m->count++) % QUEUE_ITEMS] = *item;
    if (item->fd < 0) m->queue_bytes += item->size;
    m->found++;
    pthread_cond_signal(&m->not_empty);
    pthread_mutex_unlock(&m->lock);
}

// Of what no worker gets to see.
static void note_found(struct importer *m, const char *file, enum import_outcome outcome, const struct err *why) {
    struct import_item item = {.name = (char *)(uintptr_t)file, .fd = -1};
    pthread_mutex_lock(&m->lock);
    m->found++;
    pthread_mutex_unlock(&m->lock);
    note(m, &item, outcome, why);
}

static void note_failed(void *ctx, const char *file, const struct err *why) {
    note_found(ctx, file, IMPORT_FAILED, why);
}

static bool begin_entry(void *ctx, const char *name, bool *take_it, struct err *e) {
    struct importer *m = ctx;
    size_t n = strlen(m->archive_name) + strlen(name) + 3;
    buf_init(&m->entry, ENTRY_MEMORY_MAX);
    m->entry_fd = -1;
    m->entry_size = 0;
    m->entry_dropped = false;
    m->archive_read = true;
    free(m->entry_name);
    m->entry_name = malloc(n);
    if (!m->entry_name) return err_nomem(e, "import");
    snprintf(m->entry_name, n, "%s!/%s", m->archive_name, name);
    *take_it = true;
    return true;
}

static bool entry_to_file(struct importer *m, struct err *e) {
    FILE *f = tmpfile();
    m->entry_fd = f ? fcntl(fileno(f), F_DUPFD_CLOEXEC, 0) : -1;
    if (m->entry_fd < 0) err_errno(e, ERR_IO, "import", "temporary file");
    if (f) fclose(f);
    if (m->entry_fd < 0 || !sys_write_at(NULL, m->entry_fd, m->entry.p, m->entry.n, 0, e)) return false;
    buf_deinit(&m->entry);
    return true;
}

static bool add_bytes(void *ctx, const void *p, size_t n, struct err *e) {
    struct importer *m = ctx;
    if (m->entry_dropped) return true;
    if (m->entry_size == 0 && n >= 132) {
        struct import_item first = {.fd = -1, .bytes = (char *)(uintptr_t)p, .size = n};
        m->entry_dropped = !import_looks_like_dicom(&first);
        if (m->entry_dropped) return true;
    }
    if (m->entry_fd < 0 && m->entry.n + n > ENTRY_MEMORY_MAX && !entry_to_file(m, e)) return false;
    if (m->entry_fd >= 0 && !sys_write_at(NULL, m->entry_fd, p, n, m->entry_size, e)) return false;
    if (m->entry_fd < 0) buf_add(&m->entry, p, n);
    m->entry_size += n;
    return buf_ok(&m->entry, e);
}

static bool end_entry(void *ctx, struct err *e) {
    struct importer *m = ctx;
    struct import_item item = {.name = m->entry_name, .fd = m->entry_fd, .bytes = m->entry.p, .size = m->entry_size};
    (void)e;
    m->entry_name = NULL;
    m->entry.p = NULL;
    m->entry_fd = -1;
    hand_over(m, &item);
    return true;
}

static void read_archive(struct importer *m, const char *file) {
    struct err why = {0};
    const struct unarchive_visit visit = {begin_entry, add_bytes, end_entry, m};
    m->archive_name = file;
    m->archive_read = false;
    m->entry_fd = -1;
    bool ok = unarchive_read(file, &LIMITS, &visit, &why);
    // gzip of something else than a tar is just another file
    if (!ok) note_found(m, file, why.kind == ERR_UNSUPPORTED && !m->archive_read ? IMPORT_NOT_DICOM : IMPORT_FAILED, &why);
    sys_close(NULL, m->entry_fd);
    free(m->entry.p);
    free(m->entry_name);
    m->entry = (struct buf){0};
    m->entry_name = NULL;
}

static bool looks_like_archive(const struct import_item *item) {
    uint8_t b[SNIFF_BYTES];
    size_t n = item->size < sizeof b ? (size_t)item->size : sizeof b;
    return import_read(item, 0, b, n, NULL) && unarchive_looks_like(b, n);
}

static bool visit_file(void *ctx, const char *file, struct err *e) {
    struct importer *m = ctx;
    struct import_item item = {.fd = -1};
    struct sys_stat st;
    struct err why = {0};
    if (!sys_open(NULL, file, O_RDONLY, 0, &item.fd, &why) || !sys_stat_fd(item.fd, &st, &why)) {
        sys_close(NULL, item.fd);
        note_failed(m, file, &why);
        return true;
    }
    item.size = st.size;
    if (!import_looks_like_dicom(&item) && looks_like_archive(&item)) {
        sys_close(NULL, item.fd);
        read_archive(m, file);
        return true;
    }
    item.name = strdup(file);
    if (!item.name) {
        sys_close(NULL, item.fd);
        return err_nomem(e, "import");
    }
    hand_over(m, &item);
    return true;
}

// A path that is a DICOMDIR stands for the files that it lists.
static bool find_all(struct importer *m, char *const *paths, unsigned n, struct err *e) {
    bool ok = true;
    for (unsigned i = 0; ok && i < n; i++) {
        struct err why = {0};
        if (!dicomdir_is(paths[i]))
            ok = walk_what_can_be_read((char **)(uintptr_t)&paths[i], 1, visit_file, note_failed, m, e);
        else if (!dicomdir_files(paths[i], visit_file, note_failed, m, &why))
            note_failed(m, paths[i], &why);
    }
    return ok;
}

bool import_paths(const struct import_run *run, char *const *paths, unsigned n, struct import_counts *out, struct err *e) {
    struct importer *m = calloc(1, sizeof *m);
    pthread_t threads[WORKERS_MAX];
    unsigned started = 0;
    if (!m) return err_nomem(e, "import");
    m->run = run;
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->not_empty, NULL);
    pthread_cond_init(&m->not_full, NULL);
    bool ok = true;
    while (ok && started < run->workers && started < WORKERS_MAX) {
        ok = thread_start(&threads[started], "import", work, m, e);
        started += ok;
    }
    ok = started > 0 && find_all(m, paths, n, e);
    pthread_mutex_lock(&m->lock);
    m->ended = true;
    pthread_cond_broadcast(&m->not_empty);
    pthread_mutex_unlock(&m->lock);
    for (unsigned i = 0; i < started; i++) pthread_join(threads[i], NULL);
    *out = m->counts;
    if (ok && m->open_failed) {
        if (e) *e = m->open_err;
        ok = false;
    }
    pthread_mutex_destroy(&m->lock);
    pthread_cond_destroy(&m->not_empty);
    pthread_cond_destroy(&m->not_full);
    free(m);
    return ok;
}
