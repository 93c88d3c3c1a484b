// Fetching the keys that sign requests, source by source (http/s3_credentials.h keeps what was fetched).
#ifndef GANTRY_HTTP_S3_KEYS_H
#define GANTRY_HTTP_S3_KEYS_H

#include "http/s3_credentials.h"

enum { S3_KEYS_FOREVER = -1 };

// Each fills access, secret and token; *lasts_ms: how long they count from now, or S3_KEYS_FOREVER.
bool s3_keys_static(const struct s3_options *o, struct s3_keys *out, int64_t *lasts_ms, struct err *e);
bool s3_keys_environment(const struct s3_options *o, struct s3_keys *out, int64_t *lasts_ms, struct err *e);
bool s3_keys_file(const struct s3_options *o, struct s3_keys *out, int64_t *lasts_ms, struct err *e);
// direct: a pool without a proxy; the metadata service is on the machine's own link.
bool s3_keys_instance(const struct s3_options *o, struct http_pool *direct, struct s3_keys *out, int64_t *lasts_ms, struct err *e);
bool s3_keys_web_identity(const struct s3_options *o, struct http_pool *pool, struct s3_keys *out, int64_t *lasts_ms, struct err *e);

// Path of the credentials file, in to; a stamp that changes when the file does (0: it cannot be read).
bool s3_keys_file_path(const struct s3_options *o, char *to, size_t n);
uint64_t s3_keys_file_stamp(const struct s3_options *o);

// The parsers by themselves, for tests. Profile of an AWS credentials file.
bool s3_keys_parse_file(struct str text, const char *profile, struct s3_keys *out, struct err *e);
// What the metadata service says of a role. now_ms: of the service.
bool s3_keys_parse_instance(struct str json, int64_t now_ms, struct s3_keys *out, int64_t *lasts_ms, struct err *e);
// AssumeRoleWithWebIdentityResponse.
bool s3_keys_parse_identity(struct str xml, int64_t now_ms, struct s3_keys *out, int64_t *lasts_ms, struct err *e);

#endif
