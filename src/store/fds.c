// Descriptors of volumes for reading: shared, counted, and kept for a while after their last use.
#include <fcntl.h>
#include <stdlib.h>

#include "store/directory.h"

void fds_init(struct vol_set *vs) {
    pthread_mutex_init(&vs->dir->fds_lock, NULL);
}

static void fds_close(struct vol_set *vs, struct open_volume **link) {
    struct open_volume *c = *link;
    *link = c->next;
    sys_close(vs->files, c->fd);
    free(c);
    vs->dir->fds_count--;
}

void fds_deinit(struct vol_set *vs) {
    for (unsigned i = 0; i < FD_BUCKETS; i++) {
        while (vs->dir->fds[i]) fds_close(vs, &vs->dir->fds[i]);
    }
    pthread_mutex_destroy(&vs->dir->fds_lock);
}

static struct open_volume **fds_find(struct vol_set *vs, uint32_t volume) {
    struct open_volume **link = &vs->dir->fds[volume % FD_BUCKETS];
    while (*link && ((*link)->volume != volume || (*link)->gone)) link = &(*link)->next;
    return link;
}

// Closes the one that nobody has used for longest.
static void fds_evict(struct vol_set *vs) {
    struct open_volume **oldest = NULL;
    for (unsigned i = 0; i < FD_BUCKETS; i++) {
        for (struct open_volume **link = &vs->dir->fds[i]; *link; link = &(*link)->next) {
            if ((*link)->refs == 0 && (!oldest || (*link)->used < (*oldest)->used)) oldest = link;
        }
    }
    if (oldest) fds_close(vs, oldest);
}

static struct open_volume *fds_add(struct vol_set *vs, uint32_t volume, struct err *e) {
    char path[STORE_PATH_MAX];
    struct open_volume *c = calloc(1, sizeof *c);
    if (!c) return err_nomem(e, "store"), NULL;
    directory_path(vs, volume, path);
    if (!sys_open(vs->files, path, O_RDONLY, 0, &c->fd, e)) {
        free(c);
        return NULL;
    }
    if (vs->dir->fds_count >= STORE_DESCRIPTORS_MAX) fds_evict(vs);
    c->volume = volume;
    c->next = vs->dir->fds[volume % FD_BUCKETS];
    vs->dir->fds[volume % FD_BUCKETS] = c;
    vs->dir->fds_count++;
    return c;
}

bool fds_get(struct vol_set *vs, uint32_t volume, int *fd, struct err *e) {
    pthread_mutex_lock(&vs->dir->fds_lock);
    struct open_volume *c = *fds_find(vs, volume);
    if (!c) c = fds_add(vs, volume, e);
    if (c) {
        c->refs++;
        c->used = ++vs->dir->fds_tick;
        *fd = c->fd;
    }
    pthread_mutex_unlock(&vs->dir->fds_lock);
    return c != NULL;
}

void fds_release(struct vol_set *vs, uint32_t volume, int fd) {
    pthread_mutex_lock(&vs->dir->fds_lock);
    struct open_volume **link = &vs->dir->fds[volume % FD_BUCKETS];
    while (*link && (*link)->fd != fd) link = &(*link)->next;
    if (*link && --(*link)->refs == 0 && ((*link)->gone || vs->dir->fds_count > STORE_DESCRIPTORS_MAX)) fds_close(vs, link);
    pthread_mutex_unlock(&vs->dir->fds_lock);
}

void fds_forget(struct vol_set *vs, uint32_t volume) {
    pthread_mutex_lock(&vs->dir->fds_lock);
    struct open_volume **link = fds_find(vs, volume);
    if (*link && (*link)->refs == 0)
        fds_close(vs, link);
    else if (*link)
        (*link)->gone = true;
    pthread_mutex_unlock(&vs->dir->fds_lock);
}
