// Volumes of a batch that cannot be read are left as they are, so that one of them does not keep all others from being built anew.
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "core/build.h"
#include "core/damage.h"

enum { PATIENCE = 3 }; // attempts before a failure that may pass is held against a volume

static bool is_of_the_volume(const struct err *why) {
    static const enum err_kind kinds[] = {ERR_NOT_FOUND, ERR_FORBIDDEN, ERR_UNAUTHORIZED, ERR_CORRUPT, ERR_TOO_LARGE, ERR_PEER, ERR_IO};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (why->kind == kinds[i]) return true;
    return why->kind == ERR_BUSY && strstr(why->message, "archived");
}

// Again and again, while others of the batch can be read.
static bool is_stubborn(const struct build *b, const struct err *why) {
    bool passes = why->kind == ERR_BUSY || why->kind == ERR_NET || why->kind == ERR_TIMEOUT;
    return passes && b->job && b->job->attempts >= PATIENCE && b->copied > 0;
}

bool build_is_left(const struct build *b, uint32_t volume) {
    const struct build_left *l = b->left;
    while (l && l->volume != volume) l = l->next;
    return l;
}

bool build_leave(struct build *b, uint32_t volume, const struct err *why, struct err *e) {
    struct build_left *l = is_of_the_volume(why) || is_stubborn(b, why) ? arena_zero(&b->arena, 1, sizeof *l, e) : NULL;
    if (!l) {
        if (e) *e = *why;
        return false;
    }
    log_err(why, "volume %u is left as it is", volume);
    *l = (struct build_left){.volume = volume, .why = *why, .next = b->left};
    b->left = l;
    b->report->left++;
    return true;
}

bool build_tell_left(struct build *b, struct db *w, struct err *e) {
    char message[ERR_MESSAGE_MAX + 64];
    bool ok = true;
    for (const struct build_left *l = b->left; ok && l; l = l->next) {
        if (l->why.kind == ERR_NOT_FOUND) continue;
        snprintf(message, sizeof message, "volume %u could not be read and is left as it is: %s", l->volume, l->why.message);
        ok = damage_alarm(b->ar, w, message, e);
    }
    return ok;
}

bool build_mark_left(struct build *b, struct err *e) {
    bool ok = true;
    for (const struct build_left *l = b->left; ok && l; l = l->next)
        if (l->why.kind == ERR_NOT_FOUND) ok = damage_is_there(b->ar, l->volume) || damage_tell_missing(b->ar, &l->volume, 1, e);
    return ok;
}
