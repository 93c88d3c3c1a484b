// The adapter of libcurl.
#include "http/client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init_library(void) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t on_write(char *p, size_t size, size_t n, void *context) {
    const struct http_call *c = context;
    if (c->write && !c->write(c->context, p, size * n)) return 0;
    return size * n;
}

static size_t on_read(char *p, size_t size, size_t n, void *context) {
    const struct http_call *c = context;
    int64_t got = c->read(c->context, p, size * n);
    return got < 0 ? CURL_READFUNC_ABORT : (size_t)got;
}

static bool add_header(struct curl_slist **list, const char *line) {
    struct curl_slist *grown = curl_slist_append(*list, line);
    if (grown) *list = grown;
    return grown != NULL;
}

static bool set_headers(CURL *curl, const struct http_call *c, struct curl_slist **list) {
    char bearer[512];
    bool ok = add_header(list, "Expect:"); // no waiting for 100 Continue
    for (int i = 0; ok && i < HTTP_CLIENT_HEADERS_MAX && c->headers[i]; i++) ok = add_header(list, c->headers[i]);
    if (ok && c->bearer) {
        snprintf(bearer, sizeof bearer, "Authorization: Bearer %s", c->bearer);
        ok = add_header(list, bearer);
    }
    if (ok && c->read && c->body_length < 0) ok = add_header(list, "Transfer-Encoding: chunked");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *list);
    return ok;
}

static void set_options(CURL *curl, const struct http_call *c, char *message) {
    curl_easy_setopt(curl, CURLOPT_URL, c->url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, c->method);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, message);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)(c->connect_ms ? c->connect_ms : 10000));
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)(c->stall_s ? c->stall_s : 60));
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, c);
    if (strcmp(c->method, "HEAD") == 0) curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    if (!c->read) return;
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(curl, CURLOPT_READDATA, c);
    if (c->body_length >= 0) curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)c->body_length);
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

static void keep_wanted(CURL *curl, const char *name, char value[HTTP_CLIENT_HEADER_VALUE_MAX]) {
    struct curl_header *h;
    if (name && curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK) snprintf(value, HTTP_CLIENT_HEADER_VALUE_MAX, "%s", h->value);
}

bool http_call(const struct http_call *c, struct http_result *out, struct err *e) {
    char message[CURL_ERROR_SIZE] = "";
    struct curl_slist *list = NULL;
    pthread_once(&once, init_library);
    CURL *curl = curl_easy_init();
    if (!curl) return err_nomem(e, "http");
    set_options(curl, c, message);
    CURLcode code = set_headers(curl, c, &list) ? curl_easy_perform(curl) : CURLE_OUT_OF_MEMORY;
    long status = 0;
    const char *type = NULL;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    *out = (struct http_result){.status = (unsigned)status};
    snprintf(out->content_type, sizeof out->content_type, "%s", type ? type : "");
    keep_wanted(curl, c->want, out->wanted);
    curl_slist_free_all(list);
    curl_easy_cleanup(curl);
    if (code == CURLE_OK) return true;
    return err_set(e, kind_of(code), "http", "%s %s: %s", c->method, c->url, message[0] ? message : curl_easy_strerror(code));
}
