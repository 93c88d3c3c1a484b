// The audit trail's part of the configuration.
#include "app/config_file.h"

enum { DAYS_MAX = 36500, CHECKPOINT_MAX_S = 30 * 24 * 3600 };

static bool take_collector(const struct file_collector *f, struct arena *a, struct setting_collector *to, struct err *e) {
    to->port = f->port ? *f->port : 0;
    to->plain = f->plain && *f->plain == TRUTH_YES;
    if (!config_take_text(a, f->host, &to->host, e) || !config_take_text(a, f->ca, &to->ca, e) || !config_take_text(a, f->cert, &to->cert, e) ||
        !config_take_text(a, f->key, &to->key, e) || !config_take_text(a, f->name, &to->name, e))
        return false;
    if (to->plain && (to->ca || to->cert || to->key || to->name))
        return err_set(e, ERR_USAGE, "settings", "audit: collectors: %s: plain and certificates say two things: leave one out", to->host);
    if (!to->cert != !to->key) return err_set(e, ERR_USAGE, "settings", "audit: collectors: %s: cert and key belong together", to->host);
    if (to->plain && !settings_is_loopback(to->host))
        return err_set(e, ERR_USAGE, "settings", "audit: collectors: %s: patients' data go in the clear to loopback only; use TLS", to->host);
    return true;
}

bool config_take_audit(const struct file_audit *f, struct arena *a, struct settings *s, struct err *e) {
    struct setting_audit *to = &s->audit;
    if (!f) return true;
    if (f->checkpoint_seconds) to->checkpoint_s = *f->checkpoint_seconds;
    if (f->keep_days) to->keep_days = *f->keep_days;
    if (f->checkpoint_seconds && (to->checkpoint_s == 0 || to->checkpoint_s > CHECKPOINT_MAX_S))
        return err_set(e, ERR_USAGE, "settings", "audit: checkpoint-seconds is a number from 1 to %d", CHECKPOINT_MAX_S);
    if (f->keep_days && (to->keep_days == 0 || to->keep_days > DAYS_MAX))
        return err_set(e, ERR_USAGE, "settings", "audit: keep-days is a number from 1 to %d; without it events are kept for ever", DAYS_MAX);
    for (unsigned i = 0; i < f->checkpoints_count && to->checkpoint_count < SETTINGS_CHECKPOINTS_MAX; i++)
        if (!config_take_text(a, f->checkpoints[i], &to->checkpoints[to->checkpoint_count++], e)) return false;
    for (unsigned i = 0; i < f->collectors_count && to->collector_count < SETTINGS_COLLECTORS_MAX; i++)
        if (!take_collector(&f->collectors[i], a, &to->collectors[to->collector_count++], e)) return false;
    return config_take_text(a, f->site, &to->site, e);
}
