// The adapter of libcurl.
#include "http/client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/trace.h"
#include "net/guard.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init_library(void) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

// ---- connections that are kept ----

struct http_pool {
    pthread_mutex_t mutex;
    struct http_pool_options options;
    CURL **idle; // each holds its connections
    unsigned count;
};

bool http_pool_open(const struct http_pool_options *o, struct http_pool **out, struct err *e) {
    struct http_pool *p = calloc(1, sizeof *p);
    if (!p) return err_nomem(e, "http");
    p->options = *o;
    if (!p->options.idle_max) p->options.idle_max = 16;
    p->idle = calloc(p->options.idle_max, sizeof(CURL *));
    if (!p->idle) return free(p), err_nomem(e, "http");
    pthread_mutex_init(&p->mutex, NULL);
    *out = p;
    return true;
}

void http_pool_close(struct http_pool *p) {
    if (!p) return;
    while (p->count) curl_easy_cleanup(p->idle[--p->count]);
    pthread_mutex_destroy(&p->mutex);
    free(p->idle);
    free(p);
}

// The one used last first: its connection is the likeliest to live.
static CURL *take(struct http_pool *p) {
    CURL *curl = NULL;
    if (p) {
        pthread_mutex_lock(&p->mutex);
        if (p->count) curl = p->idle[--p->count];
        pthread_mutex_unlock(&p->mutex);
    }
    return curl ? curl : curl_easy_init();
}

static void give_back(struct http_pool *p, CURL *curl) {
    if (p) {
        curl_easy_reset(curl); // forgets what pointed to the caller's memory, keeps the connection
        pthread_mutex_lock(&p->mutex);
        bool room = p->count < p->options.idle_max;
        if (room) p->idle[p->count++] = curl;
        pthread_mutex_unlock(&p->mutex);
        if (room) return;
    }
    curl_easy_cleanup(curl);
}

// ---- a call ----

struct call {
    const struct http_call *c;
    CURL *curl;
    bool begun;
    bool guarded; // the guard refused an address
    struct err refused;
};

static void keep_field(CURL *curl, const char *name, char *value, size_t n) {
    struct curl_header *h;
    if (name && curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK) snprintf(value, n, "%s", h->value);
}

static void keep_fields(const struct call *k) {
    for (struct http_field *f = k->c->fields; f && f->name; f++) {
        f->value[0] = 0;
        keep_field(k->curl, f->name, f->value, sizeof f->value);
    }
}

static bool begin(struct call *k) {
    long status = 0;
    k->begun = true;
    keep_fields(k);
    curl_easy_getinfo(k->curl, CURLINFO_RESPONSE_CODE, &status);
    return !k->c->begin || k->c->begin(k->c->context, (unsigned)status);
}

// Not for the programs that this one starts.
static curl_socket_t on_socket(void *context, curlsocktype purpose, struct curl_sockaddr *to) {
    struct call *k = context;
    (void)purpose;
    if (!net_guard_allows_socket(k->c->guard, &to->addr, &k->refused)) {
        k->guarded = true;
        return CURL_SOCKET_BAD;
    }
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static size_t on_write(char *p, size_t size, size_t n, void *context) {
    struct call *k = context;
    if (!k->begun && !begin(k)) return CURL_WRITEFUNC_ERROR;
    if (k->c->write && !k->c->write(k->c->context, p, size * n)) return CURL_WRITEFUNC_ERROR;
    return size * n;
}

static size_t on_read(char *p, size_t size, size_t n, void *context) {
    const struct call *k = context;
    int64_t got = k->c->read(k->c->context, p, size * n);
    return got < 0 ? CURL_READFUNC_ABORT : (size_t)got;
}

static int on_seek(void *context, curl_off_t to, int origin) {
    const struct call *k = context;
    if (to != 0 || origin != SEEK_SET || !k->c->rewind) return CURL_SEEKFUNC_CANTSEEK;
    return k->c->rewind(k->c->context) ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

static bool add_header(struct curl_slist **list, const char *line) {
    struct curl_slist *grown = curl_slist_append(*list, line);
    if (grown) *list = grown;
    return grown != NULL;
}

#define TRACE_FIELD "traceparent: "

static bool set_headers(CURL *curl, const struct http_call *c, struct curl_slist **list) {
    char traced[sizeof TRACE_FIELD + TRACE_PARENT_BYTES] = TRACE_FIELD;
    bool ok = add_header(list, "Expect:"); // no waiting for 100 Continue
    trace_parent(traced + sizeof TRACE_FIELD - 1);
    if (ok && traced[sizeof TRACE_FIELD - 1]) ok = add_header(list, traced);
    for (int i = 0; ok && i < HTTP_CLIENT_HEADERS_MAX && c->headers[i]; i++) ok = add_header(list, c->headers[i]);
    if (ok && c->bearer) {
        char *bearer = NULL; // of any length
        ok = asprintf(&bearer, "Authorization: Bearer %s", c->bearer) > 0 && add_header(list, bearer);
        free(bearer);
    }
    if (ok && c->read && c->body_length < 0) ok = add_header(list, "Transfer-Encoding: chunked");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *list);
    return ok;
}

static int on_progress(void *context, curl_off_t down_all, curl_off_t down, curl_off_t up_all, curl_off_t up) {
    const struct call *k = context;
    (void)down_all, (void)down, (void)up_all, (void)up;
    return k->c->cancelled(k->c->context);
}

static void set_cancelled(struct call *k) {
    curl_easy_setopt(k->curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(k->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(k->curl, CURLOPT_XFERINFODATA, k);
}

static void set_body(struct call *k) {
    const struct http_call *c = k->c;
    curl_easy_setopt(k->curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(k->curl, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(k->curl, CURLOPT_READDATA, k);
    curl_easy_setopt(k->curl, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(k->curl, CURLOPT_SEEKDATA, k);
    if (c->body_length >= 0) curl_easy_setopt(k->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)c->body_length);
}

static void set_pool(CURL *curl, const struct http_pool_options *o) {
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1); // a connection carries one call at a time
    curl_easy_setopt(curl, CURLOPT_MAXCONNECTS, 2L);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 128 * 1024L);
    curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 128 * 1024L);
    if (o->ca_file) curl_easy_setopt(curl, CURLOPT_CAINFO, o->ca_file);
    if (o->proxy) curl_easy_setopt(curl, CURLOPT_PROXY, o->proxy);
}

static void set_options(struct call *k, char *message) {
    const struct http_call *c = k->c;
    CURL *curl = k->curl;
    curl_easy_setopt(curl, CURLOPT_URL, c->url);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L); // what is signed is what is sent
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, c->method);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, k);
    if (c->guard) curl_easy_setopt(curl, CURLOPT_PROXY, ""); // unless the pool names one
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, message);
    curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)(c->connect_ms ? c->connect_ms : 10000));
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)(c->stall_s ? c->stall_s : 60));
    if (c->whole_ms > 0) curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)c->whole_ms);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, k);
    if (c->pool) set_pool(curl, &c->pool->options);
    if (strcmp(c->method, "HEAD") == 0) curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    if (c->read) set_body(k);
    if (c->cancelled) set_cancelled(k);
}

static enum err_kind kind_of(CURLcode code) {
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return ERR_TIMEOUT;
    case CURLE_ABORTED_BY_CALLBACK:
    case CURLE_WRITE_ERROR:
        return ERR_CANCELLED;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return ERR_USAGE;
    case CURLE_OUT_OF_MEMORY:
        return ERR_NOMEM;
    default:
        return ERR_NET;
    }
}

static void take_answer(const struct call *k, struct http_result *out) {
    long status = 0;
    const char *type = NULL, *address = NULL;
    curl_easy_getinfo(k->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(k->curl, CURLINFO_CONTENT_TYPE, &type);
    *out = (struct http_result){.status = (unsigned)status};
    curl_easy_getinfo(k->curl, CURLINFO_PRIMARY_IP, &address);
    snprintf(out->address, sizeof out->address, "%s", address ? address : "");
    snprintf(out->content_type, sizeof out->content_type, "%s", type ? type : "");
    keep_field(k->curl, k->c->want, out->wanted, sizeof out->wanted);
    keep_fields(k);
}

bool http_call(const struct http_call *c, struct http_result *out, struct err *e) {
    char message[CURL_ERROR_SIZE] = "";
    struct curl_slist *list = NULL;
    pthread_once(&once, init_library);
    struct call k = {.c = c, .curl = take(c->pool)};
    *out = (struct http_result){0};
    if (!k.curl) return err_nomem(e, "http");
    set_options(&k, message);
    CURLcode code = set_headers(k.curl, c, &list) ? curl_easy_perform(k.curl) : CURLE_OUT_OF_MEMORY;
    take_answer(&k, out);
    bool ok = code == CURLE_OK;
    if (!ok && k.guarded)
        err_set(e, ERR_FORBIDDEN, "http", "%s %s: %s", c->method, c->url, k.refused.message);
    else if (!ok)
        err_set(e, kind_of(code), "http", "%s %s: %s", c->method, c->url, message[0] ? message : curl_easy_strerror(code));
    give_back(ok ? c->pool : NULL, k.curl); // a connection after a failure is not trusted
    curl_slist_free_all(list);
    return ok;
}
