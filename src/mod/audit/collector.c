// One collector's thread: connect, send what the log has behind the cursor, wait for more.
#include "mod/audit/collector.h"

#include <linux/sockios.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "core/audit_cursor.h"
#include "core/nodes.h"
#include "mod/audit/message.h"
#include "net/socket.h"
#include "net/tls.h"

enum {
    BATCH = 256,
    BATCH_BYTES_MAX = 64 << 20,
    EVENTS_BYTES_MAX = 64 << 20,
    CONNECT_MS = 10 * 1000,
    SEND_MS = 30 * 1000,
    WAIT_MS = 1000,
    STEP_MS = 20,
    PAUSE_MIN_MS = 500,
    PAUSE_MAX_MS = 30 * 1000,
    PORT_TLS = 6514,
    PORT_PLAIN = 514,
};

struct collector {
    struct archive *ar;
    const struct collector_options *o;
    char cursor[320], host[256];
    struct audit_source source;
    struct net_tls *tls;
    struct net_conn conn;
    bool open, failing;
    int halt;
    int64_t seq; // sent and acknowledged
    struct lease lease;
    pthread_t thread;
    atomic_bool stopping;
};

// ---- connection ----

static uint16_t port_of(const struct collector_options *o) {
    return o->port ? o->port : o->plain ? PORT_PLAIN : PORT_TLS;
}

static void hang_up(struct collector *c) {
    if (c->open) net_close(&c->conn);
    c->open = false;
}

static bool call(struct collector *c, struct err *e) {
    int64_t deadline = clock_mono_ms() + CONNECT_MS;
    if (c->open) return true;
    c->conn = (struct net_conn){.fd = -1, .wake = -1, .halt = c->halt};
    if (!net_connect(&c->conn, c->o->host, port_of(c->o), deadline, e)) return false;
    c->conn.halt = c->halt;
    c->open = true;
    if (c->o->plain || net_tls_connect(c->tls, &c->conn, c->o->name ? c->o->name : c->o->host, deadline, NULL, e)) return true;
    hang_up(c);
    return false;
}

// Until the other system has all that was written: what waits in a socket is lost with the connection.
static bool await_acknowledgement(struct collector *c, struct err *e) {
    int64_t until = clock_mono_ms() + SEND_MS;
    for (int waiting = 1; waiting;) {
        char byte;
        size_t got;
        if (ioctl(c->conn.fd, SIOCOUTQ, &waiting) != 0) return err_errno(e, ERR_NET, "audit", "ask how much of the audit trail is under way");
        enum net_status s = net_read_now(&c->conn, &byte, 1, &got, e); // a collector says nothing; what comes is its end
        if (s == NET_EOF) return err_set(e, ERR_NET, "audit", "the collector closed the connection");
        if (s == NET_FAIL) return false;
        if (!waiting) return true;
        if (clock_mono_ms() > until || c->stopping) return err_set(e, ERR_TIMEOUT, "audit", "the collector takes nothing");
        nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000000L}, NULL);
    }
    return true;
}

// ---- sending ----

static bool add_message(struct collector *c, const struct event *ev, struct buf *to, struct err *e) {
    struct arena a;
    struct str patient, issuer;
    arena_init(&a, EVENTS_BYTES_MAX);
    const struct audit_hit h = {.event = ev, .detail = json_read(&a, ev->detail, 0, NULL), .arena = &a};
    bool ok = audit_patient_of(c->ar, &a, ev->study_uid, &patient, &issuer, e) && audit_syslog(&c->source, c->host, &h, patient, issuer, to, e);
    arena_deinit(&a);
    return ok;
}

static bool send_list(struct collector *c, const struct event *list, unsigned n, struct err *e) {
    struct buf b;
    buf_init(&b, BATCH_BYTES_MAX);
    bool ok = true;
    for (unsigned i = 0; ok && i < n; i++) ok = add_message(c, &list[i], &b, e);
    ok = ok && net_write(&c->conn, b.p, b.n, clock_mono_ms() + SEND_MS, e) && await_acknowledgement(c, e);
    buf_deinit(&b);
    if (!ok) hang_up(c);
    if (!ok || !audit_cursor_set(c->ar, c->cursor, list[n - 1].seq, "", e)) return false;
    c->seq = list[n - 1].seq;
    return true;
}

static bool send_some(struct collector *c, struct err *e) {
    struct arena a;
    struct event *list;
    unsigned n;
    arena_init(&a, EVENTS_BYTES_MAX);
    bool ok = events_after(c->ar, &a, c->seq, BATCH, &list, &n, e) && (n == 0 || (call(c, e) && send_list(c, list, n, e)));
    arena_deinit(&a);
    return ok;
}

// ---- the thread ----

static void rest(struct collector *c, int64_t ms) {
    for (int64_t until = clock_mono_ms() + ms; !c->stopping && clock_mono_ms() < until;) nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000000L}, NULL);
}

// The one node that sends; it goes on from where the one before it had come.
static bool holds(struct collector *c, struct err *e) {
    bool taken;
    if (c->lease.held && lease_held(&c->lease)) return true;
    if (c->lease.held) lease_drop(c->ar, &c->lease);
    return lease_take(c->ar, c->cursor, &c->lease, &taken, e) && taken && audit_cursor_get(c->ar, c->cursor, &c->seq, e);
}

static void tell(struct collector *c, const struct err *e) {
    if (e->kind && !c->failing) log_err(e, "the audit trail waits for %s", c->cursor);
    if (!e->kind && c->failing) log_line(LOG_INFO, "audit", "the audit trail goes to %s again", c->cursor);
    if (e->kind) audit_cursor_set(c->ar, c->cursor, c->seq, e->message, NULL);
    c->failing = e->kind != ERR_NONE;
}

static void *run(void *arg) {
    struct collector *c = arg;
    int64_t pause = PAUSE_MIN_MS;
    while (!c->stopping) {
        struct err e = {0};
        if (!holds(c, &e)) {
            rest(c, WAIT_MS);
            continue;
        }
        if (!events_wait(c->ar, c->seq, WAIT_MS)) continue;
        bool ok = send_some(c, &e);
        if (ok != !c->failing) tell(c, &e);
        pause = ok ? PAUSE_MIN_MS : pause < PAUSE_MAX_MS ? pause * 2 : PAUSE_MAX_MS;
        if (!ok) rest(c, pause);
    }
    return NULL;
}

// ---- life ----

static bool prepare(struct collector *c, struct err *e) {
    const struct collector_options *o = c->o;
    const struct net_tls_options tls = {.ca = o->ca, .cert = o->cert, .key = o->key, .profile = NET_TLS_BCP195};
    snprintf(c->cursor, sizeof c->cursor, "syslog %.250s:%u", o->host, port_of(o));
    gethostname(c->host, sizeof c->host - 1);
    if (!c->host[0]) strcpy(c->host, "-");
    c->source = (struct audit_source){.id = o->node ? o->node : c->host, .site = o->site, .aet = o->aet};
    c->halt = net_wake_open(e);
    return c->halt >= 0 && audit_cursor_begin(c->ar, c->cursor, e) && (o->plain || net_tls_open(&tls, &c->tls, e));
}

bool collector_start(struct archive *ar, const struct collector_options *o, struct collector **out, struct err *e) {
    struct collector *c = calloc(1, sizeof *c);
    if (!c) return err_nomem(e, "audit");
    c->ar = ar;
    c->o = o;
    c->halt = -1;
    if (prepare(c, e) && thread_start(&c->thread, "collector", run, c, e)) return *out = c, true;
    if (c->halt >= 0) close(c->halt);
    net_tls_close(c->tls);
    free(c);
    return err_wrap(e, "the collector of the audit trail at %s", o->host);
}

void collector_stop(struct collector *c) {
    if (!c) return;
    c->stopping = true;
    net_wake(c->halt);
    pthread_join(c->thread, NULL);
    hang_up(c);
    if (c->lease.held) lease_drop(c->ar, &c->lease);
    net_tls_close(c->tls);
    close(c->halt);
    free(c);
}
