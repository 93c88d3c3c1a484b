// /healthz, /readyz and /metrics: is the server able to do its work, may it be sent more, and how much it does.
#include "base/clock.h"
#include "base/limits.h"
#include "core/events.h"
#include "core/nodes.h"
#include "core/service.h"
#include "mod/web/handlers.h"
#include "mod/web/web.h"
#include "text/json.h"

bool web_health(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct web *web = rq->context;
    struct archive_figures f = {0};
    struct buf b;
    struct json_writer w;
    if (!archive_figures_get(web->archive, &f, e)) return false;
    bool ok = !f.read_only && !f.full;
    buf_init(&b, 4096);
    json_init(&w, &b, false);
    json_begin_object(&w);
    json_put_bool(&w, "ok", ok);
    json_put_strz(&w, "disk", f.read_only ? "read-only" : f.full ? "full" : "ok");
    json_put_uint(&w, "disk_free_bytes", f.disk_free);
    json_put_uint(&w, "flushes", f.flushes_total);
    json_end_object(&w);
    http_setz(rs, "Cache-Control", "no-store");
    http_reply_buf(rs, ok ? 200 : 503, "application/json", &b);
    return true;
}

bool web_ready(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct web *web = rq->context;
    struct buf b;
    if (!web->node) return web_health(rq, rs, e);
    buf_init(&b, 16 * 1024);
    bool ready = node_ready_json(web->node, &b);
    http_setz(rs, "Cache-Control", "no-store");
    http_reply_buf(rs, ready ? 200 : 503, "application/json", &b);
    return true;
}

static void add_metric(struct buf *b, const char *name, const char *type, const char *help, uint64_t value) {
    buf_addf(b, "# HELP gantry_%s %s\n# TYPE gantry_%s %s\ngantry_%s %llu\n", name, help, name, type, name, (unsigned long long)value);
}

static void add_archive(struct buf *b, const struct archive_figures *f) {
    add_metric(b, "patients", "gauge", "Patients in the index.", f->patients);
    add_metric(b, "studies", "gauge", "Studies in the index.", f->studies);
    add_metric(b, "series", "gauge", "Series in the index.", f->series);
    add_metric(b, "instances", "gauge", "Instances that are served.", f->instances);
    add_metric(b, "stored_bytes", "gauge", "Bytes of the instances that are served.", f->bytes);
    add_metric(b, "conflicts", "gauge", "Conflicting copies kept aside.", f->conflicts);
    add_metric(b, "quarantined", "gauge", "Objects in quarantine.", f->quarantined);
    add_metric(b, "events_total", "counter", "Events in the log.", f->events);
    add_metric(b, "disk_free_bytes", "gauge", "Room on the disk of the volumes.", f->disk_free);
    add_metric(b, "read_only", "gauge", "1 when nothing can be stored because a flush failed.", f->read_only);
    add_metric(b, "disk_full", "gauge", "1 when nothing can be stored for want of room.", f->full);
    add_metric(b, "ingest_stored_total", "counter", "Objects stored since start.", f->stored_total);
    add_metric(b, "ingest_known_total", "counter", "Objects that were there already, since start.", f->known_total);
    add_metric(b, "ingest_conflict_total", "counter", "Conflicting copies since start.", f->conflict_total);
    add_metric(b, "ingest_quarantined_total", "counter", "Objects put into quarantine since start.", f->quarantined_total);
    add_metric(b, "ingest_failed_total", "counter", "Objects that could not be kept, since start.", f->failed_total);
    add_metric(b, "flushes_total", "counter", "Flushes of volumes since start.", f->flushes_total);
}

static void add_http(struct buf *b, const struct http_figures *f) {
    add_metric(b, "http_connections", "gauge", "Open HTTP connections.", f->connections);
    add_metric(b, "http_connections_total", "counter", "HTTP connections since start.", f->connections_total);
    add_metric(b, "http_reaped_total", "counter", "HTTP connections cut for being slow.", f->reaped_total);
    add_metric(b, "http_requests_in_flight", "gauge", "HTTP requests under way.", f->in_flight);
    add_metric(b, "http_body_bytes_total", "counter", "Bytes of request bodies.", f->body_bytes_in);
    buf_addz(b, "# HELP gantry_http_responses_total HTTP responses by class.\n# TYPE gantry_http_responses_total counter\n");
    for (int i = 1; i < 6; i++) buf_addf(b, "gantry_http_responses_total{class=\"%dxx\"} %llu\n", i, (unsigned long long)f->responses[i]);
}

bool web_metrics(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct web *web = rq->context;
    struct archive_figures f = {0};
    struct http_figures h;
    struct buf b;
    if (!archive_figures_get(web->archive, &f, e)) return false;
    http_server_figures(rq->server, &h);
    buf_init(&b, 256 * 1024);
    add_archive(&b, &f);
    add_http(&b, &h);
    if (web->more_metrics) web->more_metrics(web->more_context, &b);
    http_setz(rs, "Cache-Control", "no-store");
    http_reply_buf(rs, 200, "text/plain; version=0.0.4; charset=utf-8", &b);
    rs->compress = true;
    return true;
}
