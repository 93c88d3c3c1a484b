// The volume that is being written: beginning, ending, and going on with it after a restart.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/directory.h"

static uint64_t page_up(uint64_t n) {
    return (n + STORE_PAGE - 1) / STORE_PAGE * STORE_PAGE;
}

// Full size while there is plenty of room, smaller near the end of the disk, so that its last part is used too.
static uint64_t size_for(const struct vol_set *vs, uint64_t need, uint64_t room) {
    uint64_t size = vs->dir->volume_bytes < room / 4 ? vs->dir->volume_bytes : room / 4;
    if (size < STORE_VOLUME_BYTES_MIN) size = STORE_VOLUME_BYTES_MIN;
    if (size > vs->dir->volume_bytes) size = vs->dir->volume_bytes;
    if (size > room) size = room;
    return page_up(size > need ? size : need);
}

bool segment_create(struct vol_set *vs, const char *path, uint64_t need, int *fd, uint64_t *size, struct err *e) {
    uint64_t room;
    need += TAR_EOF_BYTES;
    if (!set_room(vs, need, &room, e) || !sys_open(vs->files, path, O_RDWR | O_CREAT | O_TRUNC, 0640, fd, e)) return false;
    *size = size_for(vs, need, room);
    if (sys_reserve(vs->files, *fd, *size, e) && sys_flush(vs->files, *fd, e)) return true;
    sys_close(vs->files, *fd);
    sys_unlink(vs->files, path, NULL);
    return false;
}

bool segment_seal(struct vol_set *vs, struct segment *s, struct err *e) {
    // Cut first and grown again: what may have been behind the end is gone, zeros follow.
    bool ok = sys_resize(vs->files, s->fd, s->end, e) && sys_resize(vs->files, s->fd, s->end + TAR_EOF_BYTES, e);
    ok = ok && sys_flush(vs->files, s->fd, e) && sys_mark_read_only(s->fd, e);
    sys_close(vs->files, s->fd);
    s->fd = -1;
    return ok;
}

static void publish(struct vol_set *vs, struct segment s) {
    pthread_mutex_lock(&vs->lock);
    vs->dir->open = s;
    if (s.fd >= 0) vs->stats.volumes++;
    if (s.fd >= 0 && s.number > vs->dir->highest) vs->dir->highest = s.number;
    pthread_mutex_unlock(&vs->lock);
}

// The file of a new volume, under its name.
static bool begin(struct vol_set *vs, uint64_t need, struct segment *s, struct err *e) {
    char path[STORE_PATH_MAX], from[STORE_PATH_MAX];
    directory_path(vs, s->number, path);
    if (!spare_take(vs, need + TAR_EOF_BYTES, &s->fd, &s->size, from)) {
        snprintf(from, sizeof from, "%.4000s/new.tar", vs->staging);
        if (!segment_create(vs, from, need, &s->fd, &s->size, e)) return false;
    }
    if (sys_rename(vs->files, from, path, e) && sys_flush_dir(vs->files, vs->dir->volumes, e)) return true;
    sys_close(vs->files, s->fd);
    sys_unlink(vs->files, from, NULL);
    sys_unlink(vs->files, path, NULL);
    return false;
}

bool segment_roll(struct vol_set *vs, uint64_t need, struct err *e) {
    struct segment s = {.fd = -1}, before = vs->dir->open;
    if (!number_take(vs, &s.number, e)) return false;
    if (!begin(vs, need, &s, e)) {
        number_give_back(vs, s.number);
        return err_wrap(e, "begin volume %u", s.number);
    }
    publish(vs, s);
    if (before.fd >= 0) spare_retire(vs, before);
    return true;
}

void segment_failed(struct vol_set *vs, const struct err *why) {
    struct err e = *why;
    pthread_mutex_lock(&vs->lock);
    bool give_up = ++vs->dir->failures >= STORE_FAILURES_MAX;
    vs->stats.read_only |= give_up;
    pthread_mutex_unlock(&vs->lock);
    set_alarm(vs, &e);
    if (!give_up) return;
    err_wrap(&e, "writing failed %u times one after the other: nothing more is taken, check the disk and restart", STORE_FAILURES_MAX);
    set_alarm(vs, &e);
}

static void remember_end(struct vol_set *vs, struct segment s) {
    struct retired *r = malloc(sizeof *r);
    if (!r) return;
    pthread_mutex_lock(&vs->lock);
    *r = (struct retired){.segment = s, .next = vs->dir->abandoned};
    vs->dir->abandoned = r;
    pthread_mutex_unlock(&vs->lock);
}

void segment_abandon(struct vol_set *vs, const struct err *why) {
    struct err e = *why;
    struct segment s = vs->dir->open;
    publish(vs, (struct segment){.fd = -1});
    // When this fails too the volume is looked at again at the next start.
    if (!segment_seal(vs, &s, NULL)) remember_end(vs, s);
    pthread_mutex_lock(&vs->lock);
    vs->stats.sealed++;
    pthread_mutex_unlock(&vs->lock);
    err_wrap(&e, "volume %u is sealed at its last good entry, later objects go to a new one", s.number);
    segment_failed(vs, &e);
}

static bool resume_one(struct vol_set *vs, struct segment *s, struct err *e) {
    bool damaged = false;
    if (!scan_recover(vs, s, &s->end, &damaged, e)) return err_wrap(e, "volume %u", s->number);
    if (!damaged) return true;
    struct err found = {0};
    err_set(&found, ERR_CORRUPT, "store", "volume %u holds damaged bytes before its end: run gantry fsck", s->number);
    set_alarm(vs, &found);
    return true;
}

// An empty archive that once kept a number taken, and a higher number is there now.
static bool leftover(const struct vol_set *vs, const struct sys_stat *st, uint32_t number) {
    return !st->writable && st->size <= TAR_EOF_BYTES && number + 1 < vs->dir->next_number;
}

// Opens what may have been growing; fd stays -1 for a volume that is finished.
static bool resume_open(struct vol_set *vs, uint32_t number, struct segment *s, struct err *e) {
    char path[STORE_PATH_MAX];
    struct sys_stat st = {0};
    int fd;
    *s = (struct segment){.number = number, .fd = -1};
    directory_path(vs, number, path);
    if (!sys_open(vs->files, path, O_RDONLY, 0, &fd, e)) return false;
    bool ok = sys_stat_fd(fd, &st, e);
    sys_close(vs->files, fd);
    vs->stats.bytes_used += st.size;
    s->size = st.size;
    if (ok && leftover(vs, &st, number)) return sys_unlink(vs->files, path, e);
    if (!ok || !st.writable) return ok;
    vs->stats.bytes_used -= st.size;
    return sys_open(vs->files, path, O_RDWR, 0, &s->fd, e);
}

// One that was begun the other way, encrypted or not, is finished, so that it can be built anew as a whole.
static bool goes_on(const struct vol_set *vs, const struct segment *s) {
    char head[TAR_HEAD_MAX];
    struct tar_head first;
    size_t got;
    if (s->end == 0 || !sys_read_upto(vs->files, s->fd, head, sizeof head, 0, &got, NULL)) return true;
    enum tar_result begins = tar_decode(head, got, 0, &first);
    return begins != (vs->keys.writes ? TAR_ENTRY : TAR_SEALED);
}

bool segment_resume(struct vol_set *vs, uint64_t (*known_end)(void *ctx, uint32_t volume), struct err *e) {
    uint32_t *numbers;
    size_t n;
    vs->dir->open.fd = -1;
    vs->dir->next_number = 1;
    if (!vol_list(vs, &numbers, &n, e)) return false;
    bool ok = true;
    for (size_t i = n; ok && i-- > 0;) {
        struct segment s;
        if (i == n - 1) vs->dir->next_number = (vs->dir->highest = numbers[i]) + 1;
        ok = resume_open(vs, numbers[i], &s, e);
        if (!ok || s.fd < 0) continue;
        s.end = known_end ? known_end(vs->index.ctx, numbers[i]) : 0;
        ok = resume_one(vs, &s, e);
        vs->stats.bytes_used += s.end;
        bool useful = ok && goes_on(vs, &s) && vs->dir->open.fd < 0 && s.size >= s.end + STORE_VOLUME_BYTES_MIN / 4;
        if (useful)
            vs->dir->open = s;
        else if (ok)
            ok = segment_seal(vs, &s, e);
        else
            sys_close(vs->files, s.fd);
    }
    vs->stats.volumes = n;
    free(numbers);
    return ok;
}
