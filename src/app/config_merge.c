// What becomes of volumes after they were stored, of the configuration.
#include <stdlib.h>

#include "app/config_file.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, YEAR_DAYS = 366 };
#define DAY (24LL * 60 * MINUTE)

static bool take_number(const char *key, const unsigned *from, unsigned max, int64_t unit, int64_t *to, struct err *e) {
    if (!from) return true;
    *to = (int64_t)*from * unit;
    return (*from > 0 && *from <= max) || err_set(e, ERR_USAGE, "settings", "store: merge: %s is a number from 1 to %u", key, max);
}

static bool take_mib(const char *key, const unsigned *from, uint64_t *to, struct err *e) {
    int64_t bytes = 0;
    if (!take_number(key, from, 64 * 1024, 1 << 20, &bytes, e)) return false;
    if (from) *to = (uint64_t)bytes;
    return true;
}

static bool take_merge(const struct file_merge *f, struct merge_options *o, struct err *e) {
    if (!f) return true;
    if (f->dead_percent) o->dead_percent = *f->dead_percent;
    if (f->dead_percent && *f->dead_percent == 0)
        return err_set(e, ERR_USAGE, "settings", "store: merge: dead-percent is at least 1; above 100 it is never done");
    return take_mib("target-mib", f->target_mib, &o->target_bytes, e) && take_mib("small-mib", f->small_mib, &o->small_bytes, e) &&
           take_number("quiet-seconds", f->quiet_seconds, 24 * 3600, SECOND, &o->quiet_ms, e) &&
           take_number("age-seconds", f->age_seconds, 30 * 24 * 3600, SECOND, &o->age_ms, e) &&
           take_number("keep-removed-seconds", f->keep_removed_seconds, 30 * 24 * 3600, SECOND, &o->removed_ms, e) &&
           take_number("keep-removed-days", f->keep_removed_days, 100 * YEAR_DAYS, DAY, &o->removed_bucket_ms, e) &&
           take_number("orphan-minutes", f->orphan_minutes, 30 * 24 * 60, MINUTE, &o->orphan_ms, e);
}

static int by_age(const void *a, const void *b) {
    const struct tier_rule *x = a, *y = b;
    return (x->after_ms > y->after_ms) - (x->after_ms < y->after_ms);
}

static bool take_tiers(const struct file_store *st, struct arena *a, struct merge_options *o, struct err *e) {
    struct tier_rule *rules = arena_zero(a, st->tiers_count + 1, sizeof *rules, e);
    if (!rules) return false;
    for (unsigned i = 0; i < st->tiers_count; i++) {
        const struct file_tier *f = &st->tiers[i];
        rules[i].after_ms = f->after_days * DAY;
        if (f->after_days == 0 || f->after_days > 100 * YEAR_DAYS)
            return err_set(e, ERR_USAGE, "settings", "store: tiers: after-days is a number from 1 to %d", 100 * YEAR_DAYS);
        if (!config_take_text(a, f->storage_class, &rules[i].storage_class, e) || !config_take_text(a, f->modality, &rules[i].modality, e)) return false;
    }
    qsort(rules, st->tiers_count, sizeof *rules, by_age);
    o->tiers = rules;
    o->tier_count = st->tiers_count;
    return true;
}

bool config_take_merge(const struct file_store *st, struct arena *a, struct settings *s, struct err *e) {
    s->merge.index_bytes_max = s->remote.index_bytes_max;
    return take_merge(st->merge, &s->merge, e) && take_tiers(st, a, &s->merge, e);
}
