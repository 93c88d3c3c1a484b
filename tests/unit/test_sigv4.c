// Signature Version 4 against the published vectors.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
// cmocka needs the four above first
#include <cmocka.h>

#include "http/sigv4.h"

#define P(name, value) \
    { STR_LIT(name), STR_LIT(value) }
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

// "Examples: Signature Calculations", Amazon S3 API Reference (Authenticating Requests: Using the Authorization Header; Using Query Parameters):
// the keys, the bucket examplebucket in us-east-1, 24 May 2013 00:00:00 UTC.
static const char S3_ACCESS[] = "AKIAIOSFODNN7EXAMPLE", S3_SECRET[] = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
static const struct sigv4_scope S3_SCOPE = {"20130524T000000Z", "us-east-1", "s3"};
#define S3_HOST P("Host", "examplebucket.s3.amazonaws.com")
#define S3_TIME P("x-amz-date", "20130524T000000Z")
#define S3_NOTHING P("x-amz-content-sha256", SIGV4_EMPTY)

static void signs(const struct sigv4_request *r, const struct sigv4_scope *s, const char *access, const char *secret, const char *names,
                  const char *signature) {
    uint8_t key[DIGEST_BYTES];
    char want[1024];
    struct buf to;
    buf_init(&to, 4096);
    assert_true(sigv4_key(secret, s, key, NULL));
    assert_true(sigv4_authorization(&to, r, s, access, key, NULL));
    buf_addc(&to, 0);
    snprintf(want, sizeof want, "AWS4-HMAC-SHA256 Credential=%s/%.8s/%s/%s/aws4_request,SignedHeaders=%s,Signature=%s", access, s->time, s->region, s->service,
             names, signature);
    assert_string_equal(to.p, want);
    buf_deinit(&to);
}

static void signs_s3(const struct sigv4_request *r, const char *names, const char *signature) {
    signs(r, &S3_SCOPE, S3_ACCESS, S3_SECRET, names, signature);
}

static void a_ranged_get_is_signed_as_published(void **state) {
    (void)state;
    const struct sigv4_pair h[] = {S3_HOST, P("Range", "bytes=0-9"), S3_NOTHING, S3_TIME};
    const struct sigv4_request r = {.method = "GET", .path = STR_LIT("/test.txt"), .headers = h, .header_count = COUNT(h), .payload = SIGV4_EMPTY};
    signs_s3(&r, "host;range;x-amz-content-sha256;x-amz-date", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void a_put_is_signed_as_published(void **state) {
    (void)state;
    uint8_t digest[DIGEST_BYTES];
    char payload[DIGEST_HEX + 1] = "";
    assert_true(digest_of("Welcome to Amazon S3.", 21, digest, NULL));
    hex_encode(digest, sizeof digest, payload);
    assert_string_equal(payload, "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
    const struct sigv4_pair h[] = {S3_TIME,
                                   P("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                                   {STR_LIT("x-amz-content-sha256"), str_of(payload)},
                                   S3_HOST,
                                   P("Date", "Fri, 24 May 2013 00:00:00 GMT")};
    struct buf path;
    buf_init(&path, 100);
    sigv4_encode(&path, STR_LIT("/test$file.text"), true);
    const struct sigv4_request r = {.method = "PUT", .path = buf_str(&path), .headers = h, .header_count = COUNT(h), .payload = payload};
    signs_s3(&r, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
    buf_deinit(&path);
}

static void a_question_about_the_bucket_is_signed_as_published(void **state) {
    (void)state;
    const struct sigv4_pair h[] = {S3_HOST, S3_NOTHING, S3_TIME}, q[] = {P("lifecycle", "")};
    const struct sigv4_request r = {
        .method = "GET", .path = STR_LIT("/"), .params = q, .param_count = 1, .headers = h, .header_count = COUNT(h), .payload = SIGV4_EMPTY};
    signs_s3(&r, "host;x-amz-content-sha256;x-amz-date", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

static void a_list_is_signed_as_published(void **state) {
    (void)state;
    const struct sigv4_pair h[] = {S3_HOST, S3_NOTHING, S3_TIME}, q[] = {P("prefix", "J"), P("max-keys", "2")};
    const struct sigv4_request r = {
        .method = "GET", .path = STR_LIT("/"), .params = q, .param_count = 2, .headers = h, .header_count = COUNT(h), .payload = SIGV4_EMPTY};
    signs_s3(&r, "host;x-amz-content-sha256;x-amz-date", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void a_url_for_others_is_signed_as_published(void **state) {
    (void)state;
    uint8_t key[DIGEST_BYTES];
    struct buf to;
    const struct sigv4_pair h[] = {S3_HOST};
    const struct sigv4_request r = {.method = "GET", .path = STR_LIT("/test.txt"), .headers = h, .header_count = 1, .payload = SIGV4_UNSIGNED};
    buf_init(&to, 4096);
    assert_true(sigv4_key(S3_SECRET, &S3_SCOPE, key, NULL));
    assert_true(sigv4_presign(&to, &r, &S3_SCOPE, S3_ACCESS, NULL, 86400, key, NULL));
    buf_addc(&to, 0);
    assert_string_equal(to.p, "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
                              "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
                              "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    buf_deinit(&to);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ranged_get_is_signed_as_published),
        cmocka_unit_test(a_put_is_signed_as_published),
        cmocka_unit_test(a_question_about_the_bucket_is_signed_as_published),
        cmocka_unit_test(a_list_is_signed_as_published),
        cmocka_unit_test(a_url_for_others_is_signed_as_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
