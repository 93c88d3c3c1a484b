// Keys behind one lock that is never held while the network is asked.
#include "http/s3_credentials.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/s3_keys.h"

enum {
    EARLY_MS = 5 * 60 * 1000, // renewed so long before their end, or at three quarters of a shorter life
    AGAIN_MS = 5 * 1000,      // after a renewal that failed
    FRESH_MS = 1000           // refused so soon after they came, others would not help
};

struct s3_source {
    const struct s3_options *o;
    struct http_pool *pool, *direct;
    pthread_mutex_t mutex;
    pthread_cond_t renewed;
    bool have, renewing;
    struct s3_keys keys;
    int64_t fetched_ms, renew_ms, end_ms; // monotonic
    uint64_t stamp;                       // of the file
    bool failed;                          // the last renewal
    struct err why;                       // the last renewal failed
};

bool s3_source_open(const struct s3_options *o, struct http_pool *pool, struct s3_source **out, struct err *e) {
    struct s3_source *s = calloc(1, sizeof *s);
    if (!s) return err_nomem(e, "s3");
    s->o = o;
    s->pool = pool;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->renewed, NULL);
    if (o->credentials == S3_INSTANCE && !http_pool_open(&(struct http_pool_options){.proxy = "", .idle_max = 1}, &s->direct, e))
        return s3_source_close(s), false;
    *out = s;
    return true;
}

void s3_source_close(struct s3_source *s) {
    if (!s) return;
    http_pool_close(s->direct);
    pthread_cond_destroy(&s->renewed);
    pthread_mutex_destroy(&s->mutex);
    explicit_bzero(s, sizeof *s);
    free(s);
}

static bool fetch(struct s3_source *s, struct s3_keys *out, int64_t *lasts_ms, struct err *e) {
    switch (s->o->credentials) {
    case S3_STATIC:
        return s3_keys_static(s->o, out, lasts_ms, e);
    case S3_ENVIRONMENT:
        return s3_keys_environment(s->o, out, lasts_ms, e);
    case S3_FILE:
        return s3_keys_file(s->o, out, lasts_ms, e);
    case S3_INSTANCE:
        return s3_keys_instance(s->o, s->direct, out, lasts_ms, e);
    case S3_WEB_IDENTITY:
        return s3_keys_web_identity(s->o, s->pool, out, lasts_ms, e);
    }
    return err_set(e, ERR_USAGE, "s3", "there is no such source of credentials");
}

static void keep(struct s3_source *s, const struct s3_keys *fresh, int64_t lasts_ms) {
    uint64_t version = s->keys.version + 1;
    int64_t now = clock_mono_ms();
    s->keys = *fresh;
    s->keys.version = version;
    s->have = true;
    s->fetched_ms = now;
    s->end_ms = lasts_ms == S3_KEYS_FOREVER ? INT64_MAX : now + lasts_ms;
    s->renew_ms = lasts_ms == S3_KEYS_FOREVER ? INT64_MAX : now + (lasts_ms > 4 * EARLY_MS ? lasts_ms - EARLY_MS : lasts_ms / 4 * 3);
}

// By one thread at a time, the lock let go meanwhile.
static bool renew(struct s3_source *s, uint64_t stamp) {
    struct s3_keys fresh;
    struct err why = {0};
    int64_t lasts_ms = 0;
    s->renewing = true;
    pthread_mutex_unlock(&s->mutex);
    bool ok = fetch(s, &fresh, &lasts_ms, &why);
    pthread_mutex_lock(&s->mutex);
    s->renewing = false;
    s->stamp = stamp;
    s->failed = !ok;
    if (ok) {
        keep(s, &fresh, lasts_ms);
    } else {
        s->why = why;
        s->renew_ms = clock_mono_ms() + AGAIN_MS;
        if (s->have && clock_mono_ms() < s->end_ms) log_line(LOG_WARN, "s3", "the keys could not be renewed, those that are there go on: %s", why.message);
    }
    s3_keys_wipe(&fresh);
    pthread_cond_broadcast(&s->renewed);
    return ok;
}

static bool good(const struct s3_source *s) {
    return s->have && clock_mono_ms() < s->end_ms;
}

bool s3_source_get(struct s3_source *s, struct s3_keys *out, struct err *e) {
    uint64_t stamp = s->o->credentials == S3_FILE ? s3_keys_file_stamp(s->o) : 0;
    bool ok = true, waited = false;
    pthread_mutex_lock(&s->mutex);
    while (s->renewing && !good(s)) {
        waited = true;
        pthread_cond_wait(&s->renewed, &s->mutex);
    }
    bool due = !s->have || clock_mono_ms() >= s->renew_ms || stamp != s->stamp;
    const bool told = waited && s->failed; // what another found out just now
    if (told || (due && !s->renewing && !renew(s, stamp))) ok = good(s);
    if (ok) *out = s->keys;
    if (!ok && e) *e = s->why;
    pthread_mutex_unlock(&s->mutex);
    return ok;
}

bool s3_source_refused(struct s3_source *s, uint64_t version) {
    bool fixed = s->o->credentials == S3_STATIC || s->o->credentials == S3_ENVIRONMENT;
    pthread_mutex_lock(&s->mutex);
    bool newer = s->keys.version > version, others = !fixed && clock_mono_ms() - s->fetched_ms >= FRESH_MS;
    if (!newer && others) s->have = false;
    pthread_mutex_unlock(&s->mutex);
    return newer || others;
}
