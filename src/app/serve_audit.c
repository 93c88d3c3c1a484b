// The audit trail of a server: from settings to its spool, its collectors, and a thread that takes old events away once a day.
#include "app/serve_audit.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "core/audit.h"
#include "core/audit_retain.h"
#include "mod/audit/collector.h"

enum { STEP_MS = 200, HOUR_MS = 3600 * 1000 };
#define DAY_MS (24LL * HOUR_MS)

struct serve_audit {
    struct server *server;
    struct collector_options options[SETTINGS_COLLECTORS_MAX];
    struct collector *collectors[SETTINGS_COLLECTORS_MAX];
    unsigned count;
    pthread_t keeper;
    bool keeping;
    atomic_bool stopping;
};

bool serve_audit_open(struct server *s, struct err *e) {
    const struct setting_audit *a = &s->settings->audit;
    const struct audit_options o = {.elsewhere = a->checkpoints, .elsewhere_count = a->checkpoint_count, .checkpoint_s = a->checkpoint_s};
    return audit_start(s->archive, &o, e);
}

// ---- retention ----

static void take_old(const struct serve_audit *a) {
    static const struct actor WHO = {.door = DOOR_JOB, .user = STR_LIT("retention")};
    struct audit_cut cut;
    struct err e = {0};
    int64_t before_ms = clock_wall_ms() - a->server->settings->audit.keep_days * DAY_MS;
    bool ok = audit_retain(a->server->archive, &WHO, before_ms, &a->stopping, &cut, &e);
    if (!ok) {
        if (e.kind == ERR_BUSY)
            log_line(LOG_INFO, "audit", "old events stay for today: %s", e.message);
        else
            log_err(&e, "old events of the audit trail stay");
    }
    if (cut.waits_for[0])
        log_line(LOG_WARN, "audit", "old events stay until the collector '%s' has them; one that is no more is forgotten by 'gantry audit forget'",
                 cut.waits_for);
    if (ok && cut.last) log_line(LOG_INFO, "audit", "events %lld to %lld were taken away by the rule of keep-days", (long long)cut.first, (long long)cut.last);
}

static void *keep(void *arg) {
    struct serve_audit *a = arg;
    for (int64_t next = clock_mono_ms(); !a->stopping;) {
        if (clock_mono_ms() >= next) {
            take_old(a);
            next = clock_mono_ms() + DAY_MS;
        }
        nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000000L}, NULL);
    }
    return NULL;
}

// ---- life ----

static bool start_collectors(struct serve_audit *a, struct err *e) {
    const struct settings *s = a->server->settings;
    for (; a->count < s->audit.collector_count; a->count++) {
        const struct setting_collector *c = &s->audit.collectors[a->count];
        a->options[a->count] = (struct collector_options){.host = c->host,
                                                          .port = c->port,
                                                          .plain = c->plain,
                                                          .ca = c->ca,
                                                          .cert = c->cert,
                                                          .key = c->key,
                                                          .name = c->name,
                                                          .node = s->node,
                                                          .aet = s->aet,
                                                          .site = s->audit.site};
        if (!collector_start(a->server->archive, &a->options[a->count], &a->collectors[a->count], e)) return false;
    }
    return true;
}

bool serve_audit_start(struct server *s, void **state, struct err *e) {
    struct serve_audit *a = calloc(1, sizeof *a);
    if (!a) return err_nomem(e, "audit");
    a->server = s;
    bool ok = start_collectors(a, e);
    if (ok && s->settings->audit.keep_days) ok = a->keeping = thread_start(&a->keeper, "audit-keep", keep, a, e);
    if (ok)
        *state = a;
    else
        serve_audit_stop(s, a);
    return ok;
}

void serve_audit_stop(struct server *s, void *state) {
    struct serve_audit *a = state;
    (void)s;
    a->stopping = true;
    if (a->keeping) pthread_join(a->keeper, NULL);
    for (unsigned i = 0; i < a->count; i++) collector_stop(a->collectors[i]);
    free(a);
}
