// Where the keys that sign requests come from, and their renewal before they end.
#ifndef GANTRY_HTTP_S3_CREDENTIALS_H
#define GANTRY_HTTP_S3_CREDENTIALS_H

#include "base/err.h"
#include "http/client.h"
#include "http/s3.h"

enum { S3_ACCESS_MAX = 256, S3_SECRET_MAX = 512, S3_TOKEN_MAX = 8192 };

// A copy; whoever has it wipes it (s3_keys_wipe). Never in a message, never in a log line.
struct s3_keys {
    char access[S3_ACCESS_MAX], secret[S3_SECRET_MAX], token[S3_TOKEN_MAX]; // token: "" when there is none
    uint64_t version;                                                       // grows with each renewal
};

struct s3_source;

// Gets nothing yet: a service that is away now does not keep a node from starting.
bool s3_source_open(const struct s3_options *o, struct http_pool *pool, struct s3_source **out, struct err *e);
void s3_source_close(struct s3_source *s); // NULL is fine

// Keys that have not ended. One thread renews at a time; the others go on with what they have while it holds.
bool s3_source_get(struct s3_source *s, struct s3_keys *out, struct err *e);
// The service refused keys of that version: the next get brings others. false when no others can come from this source.
bool s3_source_refused(struct s3_source *s, uint64_t version);
void s3_keys_wipe(struct s3_keys *k);

#endif
