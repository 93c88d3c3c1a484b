// /metrics: what the server does and how the archive is, as Prometheus text.
#include "base/limits.h"
#include "core/events.h"
#include "core/keeper.h"
#include "core/nodes.h"
#include "core/scope.h"
#include "core/service.h"
#include "db/db.h"
#include "mod/web/handlers.h"
#include "mod/web/web.h"
#include "store/volume.h"
#include "text/json.h"

enum { METRICS_BYTES_MAX = 1 << 20 };

static void add_head(struct buf *b, const char *name, const char *type, const char *help) {
    buf_addf(b, "# HELP gantry_%s %s\n# TYPE gantry_%s %s\n", name, help, name, type);
}

static void add_metric(struct buf *b, const char *name, const char *type, const char *help, uint64_t value) {
    add_head(b, name, type, help);
    buf_addf(b, "gantry_%s %llu\n", name, (unsigned long long)value);
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
}

static void add_server(struct buf *b, const struct archive_figures *f) {
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
    add_metric(b, "http_refused_total", "counter", "HTTP connections refused: too many, or made too fast.", f->refused_total);
    add_metric(b, "http_handshakes_failed_total", "counter", "TLS handshakes of HTTP that did not come about.", f->handshakes_failed);
    add_metric(b, "http_requests_in_flight", "gauge", "HTTP requests under way.", f->in_flight);
    add_metric(b, "http_body_bytes_total", "counter", "Bytes of request bodies.", f->body_bytes_in);
    add_head(b, "http_responses_total", "counter", "HTTP responses by class.");
    for (int i = 1; i < 6; i++) buf_addf(b, "gantry_http_responses_total{class=\"%dxx\"} %llu\n", i, (unsigned long long)f->responses[i]);
}

// ---- the archive and its nodes ----

// As a label's value: backslash, quote and line end are escaped (Prometheus text format 0.0.4).
static void add_label(struct buf *b, const char *name, struct str value) {
    buf_addf(b, "%s=\"", name);
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\\' || value.p[i] == '"') buf_addc(b, '\\');
        if (value.p[i] == '\n')
            buf_addz(b, "\\n");
        else
            buf_addc(b, value.p[i]);
    }
    buf_addc(b, '"');
}

static long long number_of(const struct json *row, const char *key) {
    int64_t v = 0;
    const struct json *at = json_get(row, key);
    if (at) json_to_i64(at, &v);
    return v;
}

static const struct json *rows_of(const struct json *status, const char *key) {
    const struct json *all = json_get(status, key);
    return all ? all->first : NULL;
}

static void add_nodes(struct buf *b, const struct json *status) {
    static const char *const states[] = {"starting", "ready", "draining", "stopped", "dead"};
    unsigned counts[5] = {0};
    for (const struct json *n = rows_of(status, "nodes"); n; n = n->next)
        for (int i = 0; i < 5; i++)
            if (str_eqz(json_text(json_get(n, "state")), states[i])) counts[i]++;
    add_head(b, "nodes", "gauge", "Nodes of the archive by state, as all of them see it.");
    for (int i = 0; i < 5; i++) buf_addf(b, "gantry_nodes{state=\"%s\"} %u\n", states[i], counts[i]);
}

static void add_jobs(struct buf *b, const struct json *status) {
    static const char *const states[] = {"due", "waiting", "leased", "dead"};
    add_head(b, "jobs", "gauge", "Background jobs of the archive by kind and state.");
    for (const struct json *j = rows_of(status, "jobs"); j; j = j->next)
        for (int i = 0; i < 4; i++) {
            buf_addz(b, "gantry_jobs{");
            add_label(b, "kind", json_text(json_get(j, "kind")));
            buf_addf(b, ",state=\"%s\"} %lld\n", states[i], number_of(j, states[i]));
        }
}

static void add_volume_rows(struct buf *b, const struct json *status, const char *name, const char *help, const char *key) {
    add_head(b, name, "gauge", help);
    for (const struct json *v = rows_of(status, "volumes"); v; v = v->next) {
        buf_addf(b, "gantry_%s{", name);
        add_label(b, "place", json_text(json_get(v, "place")));
        buf_addc(b, ',');
        add_label(b, "class", json_text(json_get(v, "class")));
        buf_addf(b, "} %lld\n", number_of(v, key));
    }
}

static void add_volumes(struct buf *b, const struct json *status) {
    long long kept = 0;
    for (const struct json *v = rows_of(status, "volumes"); v; v = v->next)
        if (str_eqz(json_text(json_get(v, "place")), "index")) kept += number_of(v, "bytes");
    add_volume_rows(b, status, "volumes", "Volumes of the archive by place and storage class.", "volumes");
    add_volume_rows(b, status, "volumes_to_merge", "Volumes that wait to be built into larger ones.", "to_merge");
    add_volume_rows(b, status, "volumes_removed", "Volumes that nothing refers to any more, to be removed.", "removed");
    add_metric(b, "index_kept_bytes", "gauge", "Bytes of small volumes that are kept in the index.", (uint64_t)kept);
}

static void add_status(struct buf *b, const struct web *web, const struct json *status) {
    int64_t lag = number_of(json_get(status, "events"), "last") - events_last(web->archive);
    add_metric(b, "event_lag", "gauge", "Events in the log that this node has not heard of yet.", lag > 0 ? (uint64_t)lag : 0);
    add_metric(b, "schema", "gauge", "Version of the index's schema.", (uint64_t)number_of(status, "schema"));
    add_nodes(b, status);
    add_jobs(b, status);
    add_volumes(b, status);
}

// ---- this node ----

static void add_node(struct buf *b, const struct web *web) {
    if (!web->node) return;
    struct err why = {0};
    add_head(b, "node_info", "gauge", "This node's name and version.");
    buf_addz(b, "gantry_node_info{");
    add_label(b, "node", str_of(node_name(web->node)));
    buf_addc(b, ',');
    add_label(b, "version", str_of(node_version(web->node)));
    buf_addz(b, "} 1\n");
    add_metric(b, "node_ready", "gauge", "1 when a balancer may send requests to this node.", node_is_ready(web->node, &why));
}

static void add_store(struct buf *b, struct archive *ar) {
    struct vol_stats v;
    vol_stats_get(archive_volumes(ar), &v);
    const struct {
        const char *kind;
        uint64_t n;
    } kinds[] = {{"put", v.puts}, {"get", v.gets}, {"head", v.heads}, {"delete", v.deletes}, {"list", v.lists}, {"other", v.others}};
    add_head(b, "s3_requests_total", "counter", "Requests to the bucket since start, those tried again included.");
    for (int i = 0; i < 6; i++) buf_addf(b, "gantry_s3_requests_total{kind=\"%s\"} %llu\n", kinds[i].kind, (unsigned long long)kinds[i].n);
    add_metric(b, "s3_retries_total", "counter", "Requests to the bucket that were tried again, since start.", v.retries);
    add_metric(b, "s3_away", "gauge", "1 when the last request to the bucket failed.", v.bucket_away);
    add_metric(b, "cache_bytes", "gauge", "Bytes of volumes in this node's read cache.", v.cache_bytes);
    add_metric(b, "cache_hits_total", "counter", "Reads that the cache had, since start.", v.cache_hits);
    add_metric(b, "cache_misses_total", "counter", "Reads that the bucket was asked for, since start.", v.cache_misses);
}

static void add_kept(struct buf *b, struct archive *ar) {
    struct keeper_figures f;
    keeper_figures_get(ar, &f);
    add_metric(b, "merge_batches_total", "counter", "Batches of volumes built anew since start, by merging or compaction.", f.batches);
    add_metric(b, "merge_failures_total", "counter", "Batches that failed and were put off, since start.", f.failures);
    add_metric(b, "merge_volumes_total", "counter", "Volumes that went into new ones since start.", f.volumes_in);
    add_metric(b, "merge_bytes_total", "counter", "Bytes of volumes written anew since start.", f.bytes_out);
    add_metric(b, "merge_damaged_total", "counter", "Entries that were found damaged and left where they are, since start.", f.damaged);
    add_metric(b, "volumes_reaped_total", "counter", "Removed volumes whose time was over, since start.", f.reaped);
    add_metric(b, "orphans_total", "counter", "Volumes of the bucket that the index did not know and was told of, since start.", f.orphans);
}

static void add_database(struct buf *b, struct archive *ar) {
    struct db_figures f;
    db_figures_get(archive_db(ar), &f);
    add_metric(b, "db_connections", "gauge", "Connections to the index.", f.connections);
    add_metric(b, "db_connections_lent", "gauge", "Connections to the index that are in use.", f.lent);
    add_metric(b, "db_lost_total", "counter", "Connections to the index that were lost in use, since start.", f.lost);
    add_metric(b, "db_refused_total", "counter", "Connections to the index that could not be made, since start.", f.refused);
}

// What the index tells. When it does not answer the rest is told all the same: that is when it is looked at.
static bool add_index(struct buf *b, const struct web *web, struct arena *a) {
    struct str text;
    struct err e = {0};
    if (!cluster_status_json(web->archive, a, &text, &e)) return false;
    const struct json *status = json_read(a, text, 0, &e);
    if (status) add_status(b, web, status);
    return status;
}

bool web_metrics(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct web *web = rq->context;
    struct archive_figures f = {0};
    struct http_figures h;
    struct buf b;
    struct err why = {0};
    const struct actor who = session_actor(rq), self = {.door = DOOR_JOB};
    if (!scope_everywhere(&who, ACCESS_METRICS_READ, e)) return false; // what it tells is of all that the server has
    http_server_figures(rq->server, &h);
    buf_init(&b, METRICS_BYTES_MAX);
    bool answers = archive_figures_get(web->archive, &self, &f, &why);
    if (answers) add_archive(&b, &f);
    answers = answers && add_index(&b, web, rq->arena);
    add_metric(&b, "index_up", "gauge", "1 when the index answers.", answers);
    add_server(&b, &f);
    add_node(&b, web);
    add_database(&b, web->archive);
    add_store(&b, web->archive);
    add_kept(&b, web->archive);
    add_http(&b, &h);
    if (web->more_metrics) web->more_metrics(web->more_context, &b);
    http_reply_buf(rs, 200, "text/plain; version=0.0.4; charset=utf-8", &b);
    rs->compress = true;
    return true;
}
