// Client of an S3 object store: signed requests over libcurl with retries, checksums and credentials that renew themselves.
//
// AWS Signature Version 4 ("Authenticating Requests", Amazon S3 API Reference). Any number of threads share one client; connections are kept.
#ifndef GANTRY_HTTP_S3_H
#define GANTRY_HTTP_S3_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum { S3_KEY_MAX = 1024, S3_ETAG_MAX = 80, S3_CLASS_MAX = 32, S3_PART_BYTES = 16 * 1024 * 1024 };

enum s3_style { S3_PATH, S3_VIRTUAL_HOST };
enum s3_credentials {
    S3_STATIC,       // access_key and secret_key
    S3_ENVIRONMENT,  // AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
    S3_FILE,         // AWS credentials file and profile, read again when it changes
    S3_INSTANCE,     // instance metadata service, version 2
    S3_WEB_IDENTITY, // STS AssumeRoleWithWebIdentity with a token file
};

// All borrowed for the client's life.
struct s3_options {
    const char *endpoint;        // "https://s3.example.org[:port]"
    const char *bucket, *region; // region NULL: "us-east-1"
    enum s3_style style;
    enum s3_credentials credentials;
    const char *access_key, *secret_key, *session_token;           // S3_STATIC
    const char *credentials_file, *profile;                        // S3_FILE
    const char *metadata_endpoint;                                 // S3_INSTANCE; NULL: http://169.254.169.254
    const char *sts_endpoint, *role_arn, *token_file;              // S3_WEB_IDENTITY
    const char *ca_file;                                           // NULL: the system's
    const char *proxy;                                             // NULL: by the environment as curl has it
    const char *storage_class;                                     // of what is put; NULL: the bucket's
    const char *lock_mode;                                         // "GOVERNANCE" or "COMPLIANCE": what is put is locked; NULL: not
    unsigned lock_days;                                            // for so long
    unsigned connect_ms, stall_ms, request_ms, retry_ms, attempts; // 0: defaults; retry_ms: the whole budget of one call
};

struct s3;
bool s3_open(const struct s3_options *o, struct s3 **out, struct err *e);
void s3_close(struct s3 *c); // NULL is fine

// Calls under way and all later ones end soon, with ERR_CANCELLED: for a node that stops while its service hangs. Not undone.
void s3_cancel(struct s3 *c);

struct s3_object {
    uint64_t size;
    int64_t modified_ms;
    char etag[S3_ETAG_MAX];
    char storage_class[S3_CLASS_MAX]; // "" is STANDARD
    bool archived;                    // cannot be read before it is restored
    bool restoring;
};

// Body of a put, read as often as the call is tried.
struct s3_body {
    bool (*read_at)(void *ctx, uint64_t at, void *p, size_t n, struct err *e);
    void *ctx;
    uint64_t size;
    const uint8_t *sha256; // of the whole when it is known; NULL: computed
};

// Errors of all: ERR_NET, ERR_TIMEOUT (retried until the budget is spent), ERR_BUSY (5xx, SlowDown; an archived object), ERR_NOT_FOUND, ERR_FORBIDDEN,
// ERR_FULL (quota), ERR_CORRUPT (a checksum differs, an object is too short), ERR_CONFLICT (If-None-Match, object lock), ERR_USAGE (no such bucket, another
// region: somebody must configure), ERR_UNSUPPORTED (the service lacks it), ERR_CANCELLED (s3_cancel), ERR_PEER (anything else, with the service's code and
// message).

// Puts a whole object: in one request, or by multipart upload from S3_PART_BYTES on; a multipart upload that fails is aborted. create: ERR_CONFLICT when
// the key is there already (where the service can tell; else it is written over). The service checks the bytes by checksum.
bool s3_put(struct s3 *c, const char *key, const struct s3_body *body, bool create, struct err *e);
// Bytes [at, at + n) to p, whole or an error; the answer's length and range are checked. size (may be NULL): of the whole object.
bool s3_get(struct s3 *c, const char *key, uint64_t at, void *p, size_t n, uint64_t *size, struct err *e);
bool s3_head(struct s3 *c, const char *key, struct s3_object *out, struct err *e);
// A key that is not there is no error.
bool s3_delete(struct s3 *c, const char *key, struct err *e);
// Keys with a prefix, ascending, all pages. visit returns false to stop (*e is then its own).
typedef bool s3_visit(void *ctx, const char *key, const struct s3_object *o, struct err *e);
bool s3_list(struct s3 *c, const char *prefix, const char *after, s3_visit *visit, void *ctx, struct err *e);
// Another storage class for the same bytes (a copy onto itself, in parts where it must be).
bool s3_set_class(struct s3 *c, const char *key, const char *storage_class, struct err *e);
// Asks for an archived object back for some days.
bool s3_restore(struct s3 *c, const char *key, unsigned days, struct err *e);
// Nobody removes the object while it is on. ERR_UNSUPPORTED: the bucket has no object lock.
bool s3_legal_hold(struct s3 *c, const char *key, bool on, struct err *e);
// Uploads begun before a time and never finished: aborted.
bool s3_abort_stale(struct s3 *c, const char *prefix, int64_t before_ms, unsigned *aborted, struct err *e);

// Makes the bucket. One that is there and ours is no error.
bool s3_make_bucket(struct s3 *c, struct err *e);

struct s3_stats {
    uint64_t puts, gets, heads, deletes, lists, others; // requests sent, retries included
    uint64_t retries, failures, bytes_out, bytes_in;
    int64_t last_good_ms, last_bad_ms; // monotonic; 0: never
};
void s3_stats_get(struct s3 *c, struct s3_stats *out);

#endif
