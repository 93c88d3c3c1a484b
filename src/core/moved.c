// Finding objects again that were moved after they were looked up.
#include "core/moved.h"

#include <stdlib.h>
#include <string.h>

#include "core/index.h"
#include "core/state.h"

void moved_init(struct moved *m) {
    pthread_mutex_init(&m->lock, NULL);
}

void moved_deinit(struct moved *m) {
    free(m->slots);
    pthread_mutex_destroy(&m->lock);
}

static bool same_place(struct vol_loc a, struct vol_loc b) {
    return a.volume == b.volume && a.offset == b.offset;
}

static bool is_of(const struct moved_slot *s, const struct instance_ref *ref) {
    return s->id == ref->id && same_place(s->from, ref->loc) && memcmp(s->digest, ref->digest, VOL_DIGEST_BYTES) == 0;
}

struct vol_loc moved_place(struct archive *ar, const struct instance_ref *ref) {
    struct moved *m = &ar->moved;
    struct vol_loc at = ref->loc;
    if (!m->any) return at;
    pthread_mutex_lock(&m->lock);
    const struct moved_slot *s = &m->slots[(uint64_t)ref->id % MOVED_SLOTS];
    if (is_of(s, ref)) at = s->to;
    pthread_mutex_unlock(&m->lock);
    return at;
}

// That it cannot be remembered costs the next reader a look.
static void remember(struct moved *m, const struct instance_ref *ref, struct vol_loc to) {
    pthread_mutex_lock(&m->lock);
    if (!m->slots) m->slots = calloc(MOVED_SLOTS, sizeof *m->slots);
    if (m->slots) {
        struct moved_slot *s = &m->slots[(uint64_t)ref->id % MOVED_SLOTS];
        *s = (struct moved_slot){.id = ref->id, .from = ref->loc, .to = to};
        memcpy(s->digest, ref->digest, VOL_DIGEST_BYTES);
        m->any = true;
    }
    pthread_mutex_unlock(&m->lock);
}

static bool look(struct archive *ar, const struct instance_ref *ref, struct vol_loc *at, struct err *e) {
    int64_t row[3];
    bool found = false;
    struct db *d = db_reader(ar->db, e);
    bool ok = d && sql_one(d, "SELECT volume, \"offset\", length FROM instances WHERE id = ?1 AND digest = ?2",
                           SQL_VALUES(SQL_I(ref->id), SQL_B(ref->digest, VOL_DIGEST_BYTES)), row, 3, &found, e);
    db_return(ar->db, d);
    if (!ok) return false;
    if (!found || (uint64_t)row[2] != ref->loc.length) return err_set(e, ERR_NOT_FOUND, "retrieve", "the object is no longer there");
    *at = (struct vol_loc){(uint32_t)row[0], (uint64_t)row[1], (uint64_t)row[2]};
    return true;
}

// After a read failed with *why: whether it lies somewhere else by now.
static bool look_again(struct archive *ar, const struct instance_ref *ref, struct vol_loc *at, const struct err *why, struct err *e) {
    struct vol_loc before = *at;
    if (why->kind == ERR_NOT_FOUND && !look(ar, ref, at, e)) return false;
    if (why->kind == ERR_NOT_FOUND && !same_place(*at, before)) return remember(&ar->moved, ref, *at), true;
    if (e) *e = *why;
    return false;
}

bool moved_read(struct archive *ar, const struct instance_ref *ref, uint64_t from, void *p, size_t n, struct err *e) {
    struct vol_loc at = moved_place(ar, ref);
    struct err why = {0};
    return vol_read_at(ar->volumes, at, from, p, n, &why) || (look_again(ar, ref, &at, &why, e) && vol_read_at(ar->volumes, at, from, p, n, e));
}

bool moved_state(struct archive *ar, const struct instance_ref *ref, struct vol_loc *at, struct vol_state *out, struct err *e) {
    struct err why = {0};
    *at = moved_place(ar, ref);
    return vol_state_get(ar->volumes, at->volume, out, &why) || (look_again(ar, ref, at, &why, e) && vol_state_get(ar->volumes, at->volume, out, e));
}

static struct vol_loc part_of(struct vol_loc whole, uint64_t from, uint64_t n) {
    return (struct vol_loc){whole.volume, whole.offset + from, n};
}

static bool open_part(struct archive *ar, struct vol_loc whole, uint64_t from, uint64_t n, struct vol_loc *at, int *fd, struct err *e) {
    *at = part_of(whole, from, n);
    if (vol_is_encrypted(whole))
        return err_set(e, ERR_UNSUPPORTED, "retrieve", "volume %u is encrypted: its objects are read, not sent from the file", whole.volume);
    return vol_fd(ar->volumes, *at, fd, e);
}

bool moved_fd(struct archive *ar, const struct instance_ref *ref, uint64_t from, uint64_t n, struct vol_loc *at, int *fd, struct err *e) {
    struct vol_loc whole = moved_place(ar, ref);
    struct err why = {0};
    if (open_part(ar, whole, from, n, at, fd, &why)) return true;
    return look_again(ar, ref, &whole, &why, e) && open_part(ar, whole, from, n, at, fd, e);
}

bool moved_verify(struct archive *ar, const struct instance_ref *ref, struct err *e) {
    struct vol_entry entry = {.kind = VOL_OBJECT, .loc = moved_place(ar, ref)};
    struct err why = {0};
    memcpy(entry.digest, ref->digest, VOL_DIGEST_BYTES);
    return vol_verify(ar->volumes, &entry, &why) || (look_again(ar, ref, &entry.loc, &why, e) && vol_verify(ar->volumes, &entry, e));
}
