// What an S3 service answers in XML: errors, pages of keys, uploads (Amazon S3 API Reference). Namespaces are ignored: services differ in them.
#ifndef GANTRY_HTTP_S3_XML_H
#define GANTRY_HTTP_S3_XML_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "http/s3.h"

struct s3_error {
    char code[64], message[200];
    char region[64], endpoint[160]; // where the bucket is, when the answer says so
};

// Whether the document is an error. Never fails: what is not one leaves *out empty.
bool s3_xml_error(struct str document, struct s3_error *out);

struct s3_page {
    unsigned count;      // keys visited
    bool more;           // there is a next page
    bool stopped;        // visit said so
    struct str next;     // continuation token (version 2) or the marker (version 1), in the arena; {NULL, 0}: the last key is it
    struct str last_key; // in the arena
};

// ListBucketResult of either version. false: not one, or visit returned false (page->stopped, *e is its own).
bool s3_xml_list(struct arena *a, struct str document, s3_visit *visit, void *ctx, struct s3_page *page, struct err *e);

// Seconds or milliseconds of a time such as "2009-10-12T17:50:30.000Z"; false on anything else.
bool s3_time_parse(struct str text, int64_t *unix_ms);

struct s3_uploads {
    bool more;
    char next_key[S3_KEY_MAX + 1], next_id[1024];
};

// ListMultipartUploadsResult. visit returns false to stop (*e is then its own).
typedef bool s3_upload_visit(void *ctx, const char *key, const char *id, int64_t begun_ms, struct err *e);
bool s3_xml_uploads(struct str document, s3_upload_visit *visit, void *ctx, struct s3_uploads *page, struct err *e);

// "2009-10-12T17:50:30Z"
void s3_time_format(int64_t unix_s, char out[32]);

// Whether a storage class is one that must be restored before it can be read.
bool s3_class_archived(struct str storage_class);

// Whether the document is one of that root. false: ERR_PEER, ERR_NOMEM.
bool s3_xml_is(struct str document, const char *root, struct err *e);
// Text of the first element of that name below the root, "" when there is none; ERR_PEER when it does not fit or the document is not root.
bool s3_xml_value(struct str document, const char *root, const char *name, char *out, size_t n, struct err *e);

#endif
