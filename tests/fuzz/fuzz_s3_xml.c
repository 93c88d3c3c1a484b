// Any bytes as the answer of an S3 service, of a token service or of a machine's metadata service, or as a file of keys.
#include <stdint.h>
#include <stdlib.h>

#include "http/s3_keys.h"
#include "http/s3_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool see_key(void *ctx, const char *key, const struct s3_object *o, struct err *e) {
    (void)ctx, (void)e;
    if (!key[0] || strlen(key) > S3_KEY_MAX || strlen(o->etag) >= sizeof o->etag) abort();
    return true;
}

static bool see_upload(void *ctx, const char *key, const char *id, int64_t begun_ms, struct err *e) {
    (void)ctx, (void)begun_ms, (void)e;
    if (!key[0] || !id[0]) abort();
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct str text = {(const char *)data, size};
    struct arena a;
    struct s3_error error;
    struct s3_page page;
    struct s3_uploads uploads;
    struct s3_keys keys;
    char value[64];
    int64_t lasts;
    if (size > 1 << 16) return 0;
    arena_init(&a, 1 << 24);
    s3_xml_error(text, &error);
    s3_xml_list(&a, text, see_key, NULL, &page, NULL);
    s3_xml_uploads(text, see_upload, NULL, &uploads, NULL);
    s3_xml_value(text, "InitiateMultipartUploadResult", "UploadId", value, sizeof value, NULL);
    s3_keys_parse_identity(text, 0, &keys, &lasts, NULL);
    s3_keys_parse_instance(text, 0, &keys, &lasts, NULL);
    s3_keys_parse_file(text, "default", &keys, NULL);
    arena_deinit(&a);
    return 0;
}
