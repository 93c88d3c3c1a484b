// One request to an S3 service: signed, sent, answered, and tried again where that may help. What the files of the S3 client share.
#ifndef GANTRY_HTTP_S3_WIRE_H
#define GANTRY_HTTP_S3_WIRE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/buf.h"
#include "http/client.h"
#include "http/s3.h"
#include "http/s3_credentials.h"
#include "http/s3_retry.h"
#include "http/s3_xml.h"
#include "http/sigv4.h"

enum { S3_HEADERS_MAX = 16, S3_PARAMS_MAX = 8, S3_HOST_MAX = 400, S3_NAME_MAX = 64, S3_MARK_BYTES = 33, S3_SLOW_MS = 5 * 60 * 1000 };

struct s3 {
    struct s3_options o; // strings are the opener's; numbers are filled in
    char base[S3_HOST_MAX + 8], host[S3_HOST_MAX];
    struct http_pool *pool;
    struct s3_source *source;
    struct s3_budget budget;
    atomic_llong skew_ms;         // the service's clock less ours
    atomic_bool old_list;         // the service lacks version 2 of the list
    atomic_bool no_if_none;       // the service lacks If-None-Match, for a put
    atomic_bool no_if_none_parts; // and for the end of an upload
    atomic_bool cancelled;
    atomic_int locks;      // whether the bucket has object lock: 0 is not known
    pthread_mutex_t mutex; // of what follows; never held while waiting for anything
    struct s3_stats stats;
    char key_day[SIGV4_DAY];
    uint64_t key_version; // 0: none yet
    uint8_t key[DIGEST_BYTES];
};

enum s3_op { S3_OP_PUT, S3_OP_GET, S3_OP_HEAD, S3_OP_DELETE, S3_OP_LIST, S3_OP_OTHER };

struct s3_request {
    enum s3_op op;
    const char *method;
    const char *key; // NULL: the bucket itself
    struct sigv4_pair params[S3_PARAMS_MAX];
    unsigned param_count;
    struct sigv4_pair headers[S3_HEADERS_MAX]; // besides those of every request
    unsigned header_count;
    const struct s3_body *body; // NULL: none
    uint64_t body_at, body_n;   // the slice of it that is sent
    bool md5;                   // with a Content-MD5 over the slice
    const char *wants;          // root of what a 200 must hold, where it may hold an error instead (the service answers before it is done); or NULL
    int64_t slow_ms;            // longer than others may it take: the service is at work on many bytes
    // A ranged read: bytes from at on come here, and what has come is not asked for again.
    uint8_t *into;
    uint64_t at;
    size_t into_n;
};

struct s3_answer {
    unsigned status;
    struct buf text; // body, unless it went elsewhere
    struct s3_error error;
    char etag[S3_ETAG_MAX];
    char modified[64], length[24], storage_class[S3_CLASS_MAX], restore[128], mark[40];
    uint64_t size; // of the whole object, after a ranged read
    bool doubtful; // a try before the last may have been done by the service though no answer said so
    size_t got;    // of a ranged read
    unsigned tries;
};

void s3_param(struct s3_request *r, const char *name, struct str value);
void s3_header(struct s3_request *r, const char *name, const char *value);

void s3_answer_init(struct s3_answer *a);
void s3_answer_deinit(struct s3_answer *a);

// true: a 2xx came (and, where an error may hide in it, none did). a->error says what the service answered otherwise.
bool s3_do(struct s3 *c, struct s3_request *r, struct s3_answer *a, struct err *e);

// 1 to S3_KEY_MAX bytes, no segment "." or "..".
bool s3_key_fits(const char *key, struct err *e);

// Whether the answer says that the service does not have what was asked.
bool s3_lacks(const struct s3_answer *a);

// A body in memory.
struct s3_memory {
    struct s3_body body;
    struct str text;
};
void s3_memory(struct s3_memory *m, struct str text);

// Headers that every object put by this client has (storage class, lock); the texts are kept in *keep.
struct s3_put_texts {
    char until[32], mark[S3_MARK_BYTES];
};
bool s3_put_headers(const struct s3 *c, struct s3_request *r, const char *storage_class, struct s3_put_texts *keep, struct err *e);
// The header that tells an object of this call from another's.
#define S3_MARK "x-amz-meta-gantry-put"
// Whether the bucket has object lock; asked once. ERR_USAGE when not: a service that does not know it would take a question about it for the object's bytes.
bool s3_needs_lock(struct s3 *c, struct err *e);
// After ERR_CONFLICT or ERR_NOT_FOUND of a call that may have been done before: whether what lies there is what this call put.
bool s3_was_put(struct s3 *c, const char *key, const char *mark, uint64_t size);

bool s3_put_parts(struct s3 *c, const char *key, const struct s3_body *body, bool create, struct err *e);

#endif
