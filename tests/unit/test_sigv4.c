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

// ---- the suite ----

// Cases of the published "aws-sig-v4-test-suite": these keys, region us-east-1, a service named "service", 30 August 2015 12:36:00 UTC. Its cases of
// paths that a service other than S3 tidies up ("/a/../b") are left out: S3 takes a key as it is.
#define UNRESERVED "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define SUITE_TOKEN                                                                                                                                       \
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1" \
    "NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOL" \
    "n9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="

struct suite_case {
    const char *name, *method, *path; // path not encoded
    const char *body;
    struct sigv4_pair params[4], headers[6]; // besides Host and X-Amz-Date
    const char *names, *signature;
};

static const struct suite_case SUITE[] = {
    {"get-vanilla", "GET", "/", "", {{{0}, {0}}}, {{{0}, {0}}}, "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-vanilla-empty-query-key",
     "GET",
     "/",
     "",
     {P("Param1", "value1")},
     {{{0}, {0}}},
     "host;x-amz-date",
     "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
    {"get-vanilla-query-order-key-case",
     "GET",
     "/",
     "",
     {P("Param2", "value2"), P("Param1", "value1")},
     {{{0}, {0}}},
     "host;x-amz-date",
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"get-vanilla-query-order-key",
     "GET",
     "/",
     "",
     {P("Param1", "value2"), P("Param1", "Value1")},
     {{{0}, {0}}},
     "host;x-amz-date",
     "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1"},
    {"get-vanilla-query-order-value",
     "GET",
     "/",
     "",
     {P("Param1", "value2"), P("Param1", "value1")},
     {{{0}, {0}}},
     "host;x-amz-date",
     "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
    {"get-vanilla-query-order-encoded",
     "GET",
     "/",
     "",
     {P("Param-3", "Value3"), P("Param", "Value2"), P("ሴ", "Value1")},
     {{{0}, {0}}},
     "host;x-amz-date",
     "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"},
    {"get-vanilla-query-unreserved",
     "GET",
     "/",
     "",
     {P(UNRESERVED, UNRESERVED)},
     {{{0}, {0}}},
     "host;x-amz-date",
     "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
    {"get-vanilla-utf8-query",
     "GET",
     "/",
     "",
     {P("ሴ", "bar")},
     {{{0}, {0}}},
     "host;x-amz-date",
     "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
    {"get-vanilla-with-session-token",
     "GET",
     "/",
     "",
     {{{0}, {0}}},
     {P("X-Amz-Security-Token", "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267")},
     "host;x-amz-date;x-amz-security-token",
     "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"},
    {"get-unreserved",
     "GET",
     "/" UNRESERVED,
     "",
     {{{0}, {0}}},
     {{{0}, {0}}},
     "host;x-amz-date",
     "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
    {"get-utf8", "GET", "/ሴ", "", {{{0}, {0}}}, {{{0}, {0}}}, "host;x-amz-date", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {"get-space",
     "GET",
     "/example space/",
     "",
     {{{0}, {0}}},
     {{{0}, {0}}},
     "host;x-amz-date",
     "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
    {"get-special-character",
     "GET",
     "/example/$delete",
     "",
     {{{0}, {0}}},
     {{{0}, {0}}},
     "host;x-amz-date",
     "a853c9b21b528b19643d00910d35b83a10c366a10833ceefb45edd6c80e40f27"},
    {"get-header-key-duplicate",
     "GET",
     "/",
     "",
     {{{0}, {0}}},
     {P("My-Header1", "value2"), P("My-Header1", "value2"), P("My-Header1", "value1")},
     "host;my-header1;x-amz-date",
     "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
    {"get-header-value-multiline",
     "GET",
     "/",
     "",
     {{{0}, {0}}},
     {P("My-Header1", "value1\n  value2\n     value3")},
     "host;my-header1;x-amz-date",
     "cfd34249e4b1c8d6b91ef74165d41a32e5fab3306300901bb65a51a73575eefd"},
    {"get-header-value-order",
     "GET",
     "/",
     "",
     {{{0}, {0}}},
     {P("My-Header1", "value4"), P("My-Header1", "value1"), P("My-Header1", "value3"), P("My-Header1", "value2")},
     "host;my-header1;x-amz-date",
     "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
    {"get-header-value-trim",
     "GET",
     "/",
     "",
     {{{0}, {0}}},
     {P("My-Header1", " value1"), P("My-Header2", " \"a   b   c\"")},
     "host;my-header1;my-header2;x-amz-date",
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
    {"post-vanilla", "POST", "/", "", {{{0}, {0}}}, {{{0}, {0}}}, "host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"post-vanilla-query",
     "POST",
     "/",
     "",
     {P("Param1", "value1")},
     {{{0}, {0}}},
     "host;x-amz-date",
     "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
    {"post-header-key-sort",
     "POST",
     "/",
     "",
     {{{0}, {0}}},
     {P("My-Header1", "value1")},
     "host;my-header1;x-amz-date",
     "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
    {"post-header-value-case",
     "POST",
     "/",
     "",
     {{{0}, {0}}},
     {P("My-Header1", "VALUE1")},
     "host;my-header1;x-amz-date",
     "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
    {"post-x-www-form-urlencoded",
     "POST",
     "/",
     "Param1=value1",
     {{{0}, {0}}},
     {P("Content-Type", "application/x-www-form-urlencoded")},
     "content-type;host;x-amz-date",
     "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
    {"post-x-www-form-urlencoded-parameters",
     "POST",
     "/",
     "Param1=value1",
     {{{0}, {0}}},
     {P("Content-Type", "application/x-www-form-urlencoded; charset=utf8")},
     "content-type;host;x-amz-date",
     "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe"},
    {"post-sts-header-before",
     "POST",
     "/",
     "",
     {{{0}, {0}}},
     {P("X-Amz-Security-Token", SUITE_TOKEN)},
     "host;x-amz-date;x-amz-security-token",
     "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
};

static void run_case(const struct suite_case *c) {
    const struct sigv4_scope scope = {"20150830T123600Z", "us-east-1", "service"};
    struct sigv4_pair h[8] = {P("X-Amz-Date", "20150830T123600Z"), P("Host", "example.amazonaws.com")};
    struct sigv4_request r = {.method = c->method, .params = c->params, .headers = h, .header_count = 2};
    char payload[DIGEST_HEX + 1] = "";
    uint8_t digest[DIGEST_BYTES];
    struct buf path;
    buf_init(&path, 400);
    sigv4_encode(&path, str_of(c->path), true);
    r.path = buf_str(&path);
    while (r.param_count < 4 && c->params[r.param_count].name.p) r.param_count++;
    for (unsigned i = 0; i < 6 && c->headers[i].name.p; i++) h[r.header_count++] = c->headers[i];
    assert_true(digest_of(c->body, strlen(c->body), digest, NULL));
    hex_encode(digest, sizeof digest, payload);
    r.payload = payload;
    signs(&r, &scope, "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", c->names, c->signature);
    buf_deinit(&path);
}

static void every_case_of_the_published_suite_is_signed_as_there(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(SUITE); i++) {
        print_message("  %s\n", SUITE[i].name);
        run_case(&SUITE[i]);
    }
}

static void the_texts_on_the_way_are_those_published(void **state) {
    (void)state;
    // "Create a signed AWS API request", AWS Identity and Access Management User Guide
    const struct sigv4_scope scope = {"20150830T123600Z", "us-east-1", "iam"};
    const struct sigv4_pair q[] = {P("Action", "ListUsers"), P("Version", "2010-05-08")};
    const struct sigv4_pair h[] = {P("content-type", "application/x-www-form-urlencoded; charset=utf-8"), P("host", "iam.amazonaws.com"),
                                   P("x-amz-date", "20150830T123600Z")};
    const struct sigv4_request r = {
        .method = "GET", .path = STR_LIT("/"), .params = q, .param_count = 2, .headers = h, .header_count = 3, .payload = SIGV4_EMPTY};
    uint8_t key[DIGEST_BYTES];
    char hex[DIGEST_HEX + 1] = "";
    struct buf canonical, text;
    buf_init(&canonical, 4096);
    buf_init(&text, 4096);
    assert_true(sigv4_canonical(&canonical, &r, NULL));
    assert_true(sigv4_string_to_sign(&text, &scope, buf_str(&canonical), NULL));
    buf_addc(&canonical, 0);
    buf_addc(&text, 0);
    assert_string_equal(canonical.p,
                        "GET\n/\nAction=ListUsers&Version=2010-05-08\ncontent-type:application/x-www-form-urlencoded; charset=utf-8\nhost:iam.amazonaws.com\n"
                        "x-amz-date:20150830T123600Z\n\ncontent-type;host;x-amz-date\n" SIGV4_EMPTY);
    assert_string_equal(
        text.p, "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/iam/aws4_request\nf536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59");
    assert_true(sigv4_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", &scope, key, NULL));
    hex_encode(key, sizeof key, hex);
    assert_string_equal(hex, "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
    buf_deinit(&canonical);
    buf_deinit(&text);
}

static void a_time_is_written_as_it_is_signed(void **state) {
    (void)state;
    char out[SIGV4_TIME_BYTES];
    sigv4_time(1369353600, out);
    assert_string_equal(out, "20130524T000000Z");
}

static void too_many_parameters_are_refused(void **state) {
    (void)state;
    struct sigv4_pair q[SIGV4_PARAMS_MAX + 1];
    struct err e;
    struct buf to;
    buf_init(&to, 4096);
    for (unsigned i = 0; i <= SIGV4_PARAMS_MAX; i++) q[i] = (struct sigv4_pair)P("a", "b");
    assert_true(sigv4_query(&to, q, SIGV4_PARAMS_MAX, NULL));
    assert_false(sigv4_query(&to, q, SIGV4_PARAMS_MAX + 1, &e));
    assert_int_equal(e.kind, ERR_TOO_LARGE);
    buf_deinit(&to);
}

// ---- what it is built from ----

static void hmac_is(const void *key, size_t key_n, const char *text, const char *want) {
    uint8_t code[DIGEST_BYTES];
    char hex[DIGEST_HEX + 1] = "";
    assert_true(digest_hmac(key, key_n, text, strlen(text), code, NULL));
    hex_encode(code, sizeof code, hex);
    assert_string_equal(hex, want);
}

static void hmacs_are_those_of_rfc_4231(void **state) {
    (void)state;
    uint8_t key[131];
    memset(key, 0x0b, 20);
    hmac_is(key, 20, "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");                       // 4.2
    hmac_is("Jefe", 4, "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"); // 4.3
    memset(key, 0xaa, sizeof key);
    hmac_is(key, sizeof key, "Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"); // 4.7
}

static void md5_is_that_of_rfc_1321(void **state) {
    (void)state;
    struct digest d;
    uint8_t sum[MD5_BYTES];
    char hex[2 * MD5_BYTES + 1] = "";
    assert_true(md5_init(&d, NULL));
    digest_add(&d, "message ", 8);
    digest_add(&d, "digest", 6);
    assert_true(md5_final(&d, sum, NULL));
    digest_deinit(&d);
    hex_encode(sum, sizeof sum, hex);
    assert_string_equal(hex, "f96b697d7cb7938d525a2f31aaf161d0"); // A.5
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ranged_get_is_signed_as_published),
        cmocka_unit_test(a_put_is_signed_as_published),
        cmocka_unit_test(a_question_about_the_bucket_is_signed_as_published),
        cmocka_unit_test(a_list_is_signed_as_published),
        cmocka_unit_test(a_url_for_others_is_signed_as_published),
        cmocka_unit_test(every_case_of_the_published_suite_is_signed_as_there),
        cmocka_unit_test(the_texts_on_the_way_are_those_published),
        cmocka_unit_test(a_time_is_written_as_it_is_signed),
        cmocka_unit_test(too_many_parameters_are_refused),
        cmocka_unit_test(hmacs_are_those_of_rfc_4231),
        cmocka_unit_test(md5_is_that_of_rfc_1321),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
