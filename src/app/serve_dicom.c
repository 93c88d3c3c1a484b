// The DICOM side of a server.
#include "app/serve_dicom.h"

#include <pthread.h>
#include <stdlib.h>

#include "app/serve_oidc.h"
#include "dimse/scp.h"
#include "mod/dicom/dicom.h"

struct serve_dicom {
    struct dicom_config config;
    struct net_guard guard;
    struct dicom_module *module;
};

static void configure(const struct server *sv, struct serve_dicom *d) {
    const struct settings *s = sv->settings;
    d->guard = settings_guard(s);
    d->config = (struct dicom_config){.guard = &d->guard,
                                      .aet = s->aet,
                                      .bind = s->bind,
                                      .port = s->dicom_port,
                                      .peers = sv->peers,
                                      .accounts = sv->accounts,
                                      .verify = sv->oidc && s->oidc.audience ? serve_oidc_verify : NULL,
                                      .verify_context = sv->oidc,
                                      .tls = sv->tls.dicom,
                                      .calls = sv->tls.out,
                                      .plain_too = s->dicom.plain_too,
                                      .plain_port = s->dicom.plain_port,
                                      .any_called = s->any_called,
                                      .accept_unknown_storage = s->accept_unknown_storage,
                                      .associations_max = s->associations_max,
                                      .per_peer_max = s->per_peer_max,
                                      .per_second = s->dicom.per_second,
                                      .drain_ms = (int)s->deadline_ms};
}

// The counts are read over HTTP while this module may be stopping.
static pthread_mutex_t counts_lock = PTHREAD_MUTEX_INITIALIZER;

static void show_counts_of(struct server *s, struct serve_dicom *d) {
    pthread_mutex_lock(&counts_lock);
    s->dicom = d;
    pthread_mutex_unlock(&counts_lock);
}

bool serve_dicom_start(struct server *s, void **state, struct err *e) {
    struct serve_dicom *d = calloc(1, sizeof *d);
    if (!d) return err_nomem(e, "dicom");
    configure(s, d);
    if (!dicom_start(&d->config, s->archive, &d->module, e)) {
        free(d);
        return false;
    }
    s->dicom_port = dicom_port(d->module);
    s->dicom_plain_port = dicom_plain_port(d->module);
    show_counts_of(s, d);
    *state = d;
    return true;
}

void serve_dicom_stop(struct server *s, void *state) {
    struct serve_dicom *d = state;
    show_counts_of(s, NULL);
    dicom_stop(d->module);
    free(d);
}

static struct scp_figures figures_of(const struct server *s) {
    struct scp_figures f = {0};
    pthread_mutex_lock(&counts_lock);
    if (s->dicom) dicom_figures(s->dicom->module, &f);
    pthread_mutex_unlock(&counts_lock);
    return f;
}

unsigned serve_dicom_active(const struct server *s) {
    return figures_of(s).active;
}

void serve_dicom_metrics(void *context, struct buf *to) {
    const struct scp_figures f = figures_of(context);
    buf_addf(to, "# HELP gantry_associations Open DICOM associations.\n# TYPE gantry_associations gauge\ngantry_associations %u\n", f.active);
    buf_addf(to,
             "# HELP gantry_associations_total DICOM associations since start, by outcome.\n# TYPE gantry_associations_total counter\n"
             "gantry_associations_total{outcome=\"accepted\"} %llu\ngantry_associations_total{outcome=\"rejected\"} %llu\n"
             "gantry_associations_total{outcome=\"failed\"} %llu\n",
             (unsigned long long)f.accepted, (unsigned long long)f.rejected, (unsigned long long)f.failed);
}
