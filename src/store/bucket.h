// The bucket behind a remote set: volumes by their numbers, and what is done while it does not answer. Private to src/store, and a seam for its tests.
#ifndef GANTRY_STORE_BUCKET_H
#define GANTRY_STORE_BUCKET_H

#include <pthread.h>

#include "http/s3.h"
#include "store/volume.h"

// As the functions of http/s3.h of these names.
struct bucket_ops {
    bool (*put)(void *ctx, const char *key, const struct s3_body *body, bool create, struct err *e);
    bool (*get)(void *ctx, const char *key, uint64_t at, void *p, size_t n, struct err *e);
    bool (*head)(void *ctx, const char *key, struct s3_object *out, struct err *e);
    bool (*remove)(void *ctx, const char *key, struct err *e);
    bool (*list)(void *ctx, const char *prefix, const char *after, s3_visit *visit, void *visit_ctx, struct err *e);
    bool (*set_class)(void *ctx, const char *key, const char *storage_class, struct err *e);
    bool (*restore)(void *ctx, const char *key, unsigned days, struct err *e);
    bool (*legal_hold)(void *ctx, const char *key, bool on, struct err *e);
    bool (*abort_stale)(void *ctx, const char *prefix, int64_t before_ms, unsigned *aborted, struct err *e);
    void (*stats)(void *ctx, struct s3_stats *out);
    void (*cancel)(void *ctx);
    void *ctx;
};

// A call that failed for want of an answer has spent its whole budget: after it, others fail at once until a small request in the background was
// answered. Puts that are refused are left alone for a while likewise.
struct bucket {
    struct bucket_ops ops;
    struct s3_options options; // the client's
    struct s3 *client;         // NULL: the ops are a test's
    char prefix[S3_KEY_MAX / 2];

    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t prober;
    bool prober_runs, closing, closed;
    bool away;           // no answer
    unsigned failures;   // one after the other
    int64_t answered_ms; // when it last did
    int64_t next_ms;     // when it is probed
    int64_t puts_ms;     // puts are not tried before
};

// *b is zeroed; bucket_close also after a failure.
bool bucket_open(struct bucket *b, const struct vol_remote *o, struct err *e);
// Before what is under way is awaited: with a bucket that does not answer it ends at once, with one that hangs after a while.
void bucket_closing(struct bucket *b);
void bucket_close(struct bucket *b);

// Whether a put may be tried now.
bool bucket_takes(struct bucket *b);
// All of them: ERR_BUSY when there is no answer, or none was a moment ago. put: ERR_CONFLICT: there is such a volume; every other failure may pass.
bool bucket_put(struct bucket *b, uint32_t volume, const struct s3_body *body, struct err *e);
// *archived (ERR_BUSY): it cannot be read before it is restored.
bool bucket_get(struct bucket *b, uint32_t volume, uint64_t at, void *p, size_t n, bool *archived, struct err *e);
bool bucket_head(struct bucket *b, uint32_t volume, struct s3_object *out, struct err *e);
bool bucket_remove(struct bucket *b, uint32_t volume, struct err *e);
bool bucket_each(struct bucket *b, uint32_t after, vol_each_visit *visit, void *ctx, struct err *e);
bool bucket_set_class(struct bucket *b, uint32_t volume, const char *storage_class, struct err *e);
// That it is being restored already is no failure.
bool bucket_restore(struct bucket *b, uint32_t volume, unsigned days, struct err *e);
// ERR_UNSUPPORTED: the bucket has no object lock.
bool bucket_legal_hold(struct bucket *b, uint32_t volume, bool on, struct err *e);
bool bucket_abort_stale(struct bucket *b, int64_t before_ms, unsigned *aborted, struct err *e);
// Wrapped keys (keys.h), by the first volume of each run: keys/v00000001.key beside volumes/.
bool bucket_put_keys(struct bucket *b, uint32_t first, const struct s3_body *body, struct err *e);
bool bucket_get_keys(struct bucket *b, uint32_t first, char *p, size_t max, size_t *n, struct err *e);
bool bucket_remove_keys(struct bucket *b, uint32_t first, struct err *e);
bool bucket_each_keys(struct bucket *b, uint32_t after, bool (*visit)(void *ctx, uint32_t first, struct err *e), void *ctx, struct err *e);
void bucket_stats(struct bucket *b, struct vol_stats *out);

#endif
