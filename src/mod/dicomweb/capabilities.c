// Retrieve Capabilities: a tree of resources made of the route table, written as JSON or WADL.
#include "mod/dicomweb/capabilities.h"

#include <stdio.h>

#include "base/limits.h"
#include "codec/codec.h"
#include "core/query_rows.h"
#include "dicom/uid.h"
#include "http/media.h"
#include "http/server.h"
#include "mod/dicomweb/dicomweb.h"
#include "mod/dicomweb/handlers.h"
#include "mod/dicomweb/qido.h"
#include "mod/dicomweb/transactions.h"
#include "text/json.h"
#include "text/xml.h"

enum { ARENA_BYTES = 1024 * 1024, NODE_METHODS_MAX = HTTP_METHODS, CAPABILITIES_BYTES_MAX = 4 * 1024 * 1024 };

// One segment of the paths.
struct node {
    const char *segment;
    const struct http_route *methods[NODE_METHODS_MAX];
    unsigned method_count;
    struct node *first, *last, *next;
};

// Elements with attributes, as XML or as JSON: repeated elements are arrays there.
struct out {
    struct xml_writer *xml;
    struct json_writer *json;
};

// ---- the tree ----

static struct node *child_of(struct arena *a, struct node *parent, struct str segment, struct err *e) {
    for (struct node *n = parent->first; n; n = n->next)
        if (str_eqz(segment, n->segment)) return n;
    struct node *n = arena_zero(a, 1, sizeof *n, e);
    if (!n || !(n->segment = arena_strz(a, segment, e))) return NULL;
    if (parent->last)
        parent->last->next = n;
    else
        parent->first = n;
    return parent->last = n;
}

static struct node *make_tree(struct arena *a, struct err *e) {
    struct node *root = arena_zero(a, 1, sizeof *root, e);
    for (const struct http_route *r = DICOMWEB_ROUTES; root && r->pattern; r++) {
        struct node *n = root;
        struct str rest = str_of(r->pattern);
        while (n && rest.p) {
            struct str segment = str_split(&rest, '/');
            if (segment.n) n = child_of(a, n, segment, e);
        }
        if (!n) return NULL;
        if (n->method_count < NODE_METHODS_MAX) n->methods[n->method_count++] = r;
    }
    return root;
}

// ---- writing ----

static void begin(struct out *o, const char *name) {
    if (o->xml) xml_begin(o->xml, name);
    if (o->json) json_begin_object(o->json);
}

static void end(struct out *o) {
    if (o->xml) xml_end(o->xml);
    if (o->json) json_end_object(o->json);
}

static void list(struct out *o, const char *name) {
    if (!o->json) return;
    json_key(o->json, name);
    json_begin_array(o->json);
}

static void end_list(struct out *o) {
    if (o->json) json_end_array(o->json);
}

static void put(struct out *o, const char *name, const char *value) {
    if (o->xml) xml_attrz(o->xml, name, value);
    if (o->json) json_put_strz(o->json, name, value);
}

static void put_options(struct out *o, const char *name, const char *style, const char *const *values) {
    begin(o, "param");
    put(o, "name", name);
    put(o, "style", style);
    if (values[0]) put(o, "default", values[0]);
    list(o, "option");
    for (; *values; values++) {
        begin(o, "option");
        put(o, "value", *values);
        end(o);
    }
    end_list(o);
    end(o);
}

static void put_request(struct out *o, const struct dw_transaction *t) {
    if (o->json) json_key(o->json, "request");
    begin(o, "request");
    list(o, "param");
    if (t->response) put_options(o, "Accept", "header", t->response);
    for (const char *const *p = t->params; p && *p; p++) {
        begin(o, "param");
        put(o, "name", *p);
        put(o, "style", "query");
        end(o);
    }
    end_list(o);
    list(o, "representation");
    for (const char *const *m = t->request; m && *m; m++) {
        begin(o, "representation");
        put(o, "mediaType", *m);
        end(o);
    }
    end_list(o);
    end(o);
}

static void put_response(struct out *o, unsigned status, const struct dw_transaction *t) {
    char text[16];
    snprintf(text, sizeof text, "%u", status);
    begin(o, "response");
    put(o, "status", text);
    list(o, "representation");
    static const char *const PROBLEM[] = {"application/problem+json", NULL};
    const char *const *media = status == 200 || status == 202 || status == 206 || (status == 409 && t->request) ? t->response : status >= 400 ? PROBLEM : NULL;
    for (; media && *media; media++) {
        begin(o, "representation");
        put(o, "mediaType", *media);
        end(o);
    }
    end_list(o);
    end(o);
}

static void put_method(struct out *o, const struct http_route *route) {
    const struct dw_transaction *t = dw_transaction_of(route);
    begin(o, "method");
    put(o, "name", http_method_name(route->method));
    if (t) {
        put(o, "id", t->id);
        put_request(o, t);
        list(o, "response");
        for (const unsigned *s = t->statuses; *s; s++) put_response(o, *s, t);
        end_list(o);
    }
    end(o);
}

// As deep as the deepest pattern of the table.
static void put_node(struct out *o, const struct node *n) {
    begin(o, "resource");
    put(o, "path", n->segment ? n->segment : "/");
    list(o, "method");
    for (unsigned i = 0; i < n->method_count; i++) put_method(o, n->methods[i]);
    end_list(o);
    list(o, "resource");
    for (const struct node *c = n->first; c; c = c->next) put_node(o, c);
    end_list(o);
    end(o);
}

bool dw_capabilities_wadl(const char *base, struct buf *to, struct err *e) {
    struct arena a;
    struct xml_writer w;
    struct out o = {.xml = &w};
    arena_init(&a, ARENA_BYTES);
    const struct node *root = make_tree(&a, e);
    xml_init(&w, to, true);
    xml_begin(&w, "application");
    xml_attrz(&w, "xmlns", "http://wadl.dev.java.net/2009/02");
    xml_begin(&w, "resources");
    xml_attrz(&w, "base", base);
    if (root) put_node(&o, root);
    xml_end(&w);
    xml_end(&w);
    arena_deinit(&a);
    return root && buf_ok(to, e);
}

// ---- what WADL has no place for ----

static void put_syntaxes(struct json_writer *w) {
    size_t n;
    const struct dcm_uid_entry *all = dcm_uid_all(&n);
    json_key(w, "transferSyntax");
    json_begin_array(w);
    for (size_t i = 0; i < n; i++) {
        const struct dcm_ts *ts = all[i].kind == DCM_UID_TRANSFER_SYNTAX ? dcm_ts_find(str_of(all[i].uid)) : NULL;
        if (!ts) continue;
        json_begin_object(w);
        json_put_strz(w, "uid", ts->uid);
        json_put_strz(w, "name", ts->name);
        json_put_bool(w, "decode", codec_can_decode(ts) && !ts->video);
        json_put_bool(w, "encode", codec_can_encode(ts) && !ts->video);
        json_end_object(w);
    }
    json_end_array(w);
}

static void put_attribute(struct json_writer *w, uint32_t tag) {
    char text[9];
    const struct dcm_dict_entry *d = dcm_dict_find(tag);
    snprintf(text, sizeof text, "%08X", tag);
    json_begin_object(w);
    json_put_strz(w, "tag", text);
    json_put_strz(w, "keyword", d && d->keyword ? d->keyword : "");
    json_put_bool(w, "indexed", qrow_column(tag) != NULL);
    json_end_object(w);
}

static void put_attributes(struct json_writer *w) {
    static const char *const NAMES[] = {[QUERY_STUDY] = "study", [QUERY_SERIES] = "series", [QUERY_INSTANCE] = "instance"};
    json_key(w, "queryAttribute");
    json_begin_object(w);
    for (enum query_level level = QUERY_STUDY; level <= QUERY_INSTANCE; level++) {
        json_key(w, NAMES[level]);
        json_begin_object(w);
        json_key(w, "returned");
        json_begin_array(w);
        for (const uint32_t *tag = dw_query_attributes(level); *tag; tag++) put_attribute(w, *tag);
        json_end_array(w);
        unsigned n;
        const struct qcolumn *c = qrow_columns(level, &n);
        json_key(w, "indexed");
        json_begin_array(w);
        for (unsigned i = 0; i < n; i++) put_attribute(w, c[i].tag);
        json_end_array(w);
        json_end_object(w);
    }
    json_end_object(w);
}

bool dw_capabilities_json(const char *base, struct buf *to, struct err *e) {
    struct arena a;
    struct json_writer w;
    struct out o = {.json = &w};
    arena_init(&a, ARENA_BYTES);
    const struct node *root = make_tree(&a, e);
    json_init(&w, to, false);
    json_begin_object(&w);
    json_key(&w, "application");
    json_begin_object(&w);
    json_key(&w, "resources");
    json_begin_object(&w);
    json_put_strz(&w, "base", base);
    json_key(&w, "resource");
    json_begin_array(&w);
    if (root) put_node(&o, root);
    json_end_array(&w);
    json_end_object(&w);
    json_end_object(&w);
    json_key(&w, "details");
    json_begin_object(&w);
    put_syntaxes(&w);
    put_attributes(&w);
    json_end_object(&w);
    json_end_object(&w);
    arena_deinit(&a);
    return root && buf_ok(to, e);
}

// ---- the transaction ----

bool dw_capabilities(struct http_request *rq, struct http_response *rs, struct err *e) {
    static const char *const OFFERS[] = {"application/json", "application/vnd.sun.wadl+xml", "application/dicom+json", "application/xml", "text/xml", NULL};
    struct str accept = http_query(rq, "accept");
    int chosen = http_accept_choose(rq->arena, accept.n ? accept : http_header(rq, "Accept"), OFFERS);
    if (chosen < 0) return err_set(e, ERR_NOT_ACCEPTABLE, "dicomweb", "the capabilities can be had as application/json or application/vnd.sun.wadl+xml");
    bool wadl = chosen == 1 || chosen > 2;
    char *base = arena_printf(rq->arena, e, "%.*s" DICOMWEB_ROOT, STR_FMT(http_base(rq)));
    struct buf b;
    buf_init(&b, CAPABILITIES_BYTES_MAX);
    bool ok = base && (wadl ? dw_capabilities_wadl(base, &b, e) : dw_capabilities_json(base, &b, e));
    http_setz(rs, "Vary", "Accept");
    http_setz(rs, "Allow", "GET, HEAD, OPTIONS");
    if (ok) http_reply_buf(rs, 200, OFFERS[chosen], &b);
    rs->compress = true;
    buf_deinit(&b);
    return ok;
}
