// Behaviour of what the S3 client decides by itself: answers read, keys found, retries paced.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
// cmocka needs the four above first
#include <cmocka.h>

#include "base/clock.h"
#include "base/limits.h"
#include "http/condition.h"
#include "http/s3_keys.h"
#include "http/s3_retry.h"
#include "http/s3_xml.h"

// ---- answers ----

static void an_error_is_read_whoever_says_it(void **state) {
    (void)state;
    struct s3_error e;
    // "Error responses", Amazon S3 API Reference
    assert_true(s3_xml_error(
        STR_LIT(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>\n  <Code>NoSuchKey</Code>\n  <Message>The resource you requested does not exist</Message>\n"
            "  <Resource>/mybucket/myfoto.jpg</Resource> \n  <RequestId>4442587FB7D0A2F9</RequestId>\n</Error>"),
        &e));
    assert_string_equal(e.code, "NoSuchKey");
    assert_string_equal(e.message, "The resource you requested does not exist");
    // "AssumeRoleWithWebIdentity" answers of STS wrap it
    assert_true(s3_xml_error(
        STR_LIT("<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Code>ExpiredTokenException</Code></Error></ErrorResponse>"), &e));
    assert_string_equal(e.code, "ExpiredTokenException");
    assert_true(s3_xml_error(STR_LIT("\n   \n<Error><Code>InternalError</Code></Error>"), &e));
    assert_string_equal(e.code, "InternalError");
}

static void what_is_no_error_is_none(void **state) {
    (void)state;
    struct s3_error e;
    static const char *const others[] = {"",       "Bad Gateway",         "<html><body>502</body></html>",
                                         "<Error", "<CopyObjectResult/>", "<!DOCTYPE x [<!ENTITY a 'b'>]><Error><Code>&a;</Code></Error>"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_false(s3_xml_error(str_of(others[i]), &e));
        assert_string_equal(e.code, "");
    }
}

static void what_an_error_says_is_cut_and_cannot_forge_lines(void **state) {
    (void)state;
    struct s3_error e;
    struct buf b;
    buf_init(&b, 1 << 20);
    buf_addz(&b, "<Error><Code>");
    for (int i = 0; i < 5000; i++) buf_addc(&b, 'C');
    buf_addz(&b, "</Code><Message>one\ntwo</Message></Error>");
    assert_true(s3_xml_error(buf_str(&b), &e));
    assert_int_equal(strlen(e.code), sizeof e.code - 1);
    assert_string_equal(e.message, "one two");
    buf_deinit(&b);
}

struct seen {
    unsigned count, stop_at;
    char last[S3_KEY_MAX + 1];
    struct s3_object object;
};

static bool see(void *ctx, const char *key, const struct s3_object *o, struct err *e) {
    struct seen *s = ctx;
    snprintf(s->last, sizeof s->last, "%s", key);
    s->object = *o;
    return ++s->count != s->stop_at || err_set(e, ERR_CANCELLED, "test", "enough");
}

// "ListObjectsV2", Amazon S3 API Reference: its sample answer, with a second key.
static const char LIST[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n<Name>bucket</Name>\n<Prefix/>"
    "<KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>true</IsTruncated><NextContinuationToken>1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=</"
    "NextContinuationToken>"
    "<Contents><Key>my-image.jpg</Key><LastModified>2009-10-12T17:50:30.000Z</LastModified><ETag>\"fba9dede5f27731c9771645a39863328\"</ETag><Size>434234</Size>"
    "<StorageClass>STANDARD</StorageClass></Contents><Contents><Key>my-third-image.jpg</Key><LastModified>2009-10-12T17:50:31.250Z</LastModified>"
    "<ETag>\"1b2cf535f27731c974343645a3985328\"</ETag><Size>64994</Size><StorageClass>DEEP_ARCHIVE</StorageClass></Contents></ListBucketResult>";

static void a_page_of_keys_is_read(void **state) {
    (void)state;
    struct seen s = {0};
    struct s3_page page;
    struct arena a;
    arena_init(&a, 1 << 20);
    assert_true(s3_xml_list(&a, STR_LIT(LIST), see, &s, &page, NULL));
    assert_int_equal(s.count, 2);
    assert_true(page.more && !page.stopped && str_eqz(page.next, "1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM="));
    assert_string_equal(s.last, "my-third-image.jpg");
    assert_true(s.object.size == 64994 && s.object.modified_ms == 1255369831250 && s.object.archived);
    assert_string_equal(s.object.storage_class, "DEEP_ARCHIVE");
    assert_string_equal(s.object.etag, "\"1b2cf535f27731c974343645a3985328\"");
    arena_deinit(&a);
}

static void who_has_seen_enough_stops(void **state) {
    (void)state;
    struct seen s = {.stop_at = 1};
    struct s3_page page;
    struct arena a;
    struct err e;
    arena_init(&a, 1 << 20);
    assert_false(s3_xml_list(&a, STR_LIT(LIST), see, &s, &page, &e));
    assert_true(page.stopped && e.kind == ERR_CANCELLED && s.count == 1);
    assert_string_equal(s.object.storage_class, "");
    arena_deinit(&a);
}

static void times_of_services_are_read(void **state) {
    (void)state;
    int64_t ms;
    char out[32];
    assert_true(s3_time_parse(STR_LIT("2009-10-12T17:50:30.000Z"), &ms) && ms == 1255369830000);
    assert_true(s3_time_parse(STR_LIT("2009-10-12T17:50:30Z"), &ms) && ms == 1255369830000);
    assert_true(s3_time_parse(STR_LIT("2009-10-12T17:50:30.5Z"), &ms) && ms == 1255369830500);
    assert_false(s3_time_parse(STR_LIT("2009-10-12"), &ms));
    assert_false(s3_time_parse(STR_LIT("yesterday, all my troubles"), &ms));
    s3_time_format(1255369830, out);
    assert_string_equal(out, "2009-10-12T17:50:30Z");
}

// ---- what an answer means ----

static enum s3_again meaning(unsigned status, const char *code, const char *message, struct err *e) {
    struct s3_error error = {0};
    snprintf(error.code, sizeof error.code, "%s", code);
    snprintf(error.message, sizeof error.message, "%s", message);
    *e = (struct err){0};
    return s3_meaning(status, &error, "PUT a", e);
}

static void each_answer_has_its_kind(void **state) {
    (void)state;
    static const struct {
        unsigned status;
        const char *code;
        enum s3_again again;
        enum err_kind kind;
    } cases[] = {
        {200, "", S3_DONE, ERR_NONE},
        {204, "", S3_DONE, ERR_NONE},
        {206, "", S3_DONE, ERR_NONE},
        {200, "InternalError", S3_LATER, ERR_BUSY}, // in the answer to the end of an upload
        {500, "", S3_LATER, ERR_BUSY},
        {500, "SomethingNew", S3_LATER, ERR_BUSY},
        {502, "", S3_LATER, ERR_BUSY},
        {503, "SlowDown", S3_LATER, ERR_BUSY},
        {504, "", S3_LATER, ERR_BUSY},
        {429, "", S3_LATER, ERR_BUSY},
        {400, "RequestTimeout", S3_LATER, ERR_TIMEOUT},
        {400, "XAmzContentSHA256Mismatch", S3_LATER, ERR_CORRUPT},
        {400, "ExpiredToken", S3_RENEW, ERR_FORBIDDEN},
        {403, "RequestTimeTooSkewed", S3_CLOCK, ERR_FORBIDDEN},
        {403, "AccessDenied", S3_FAIL, ERR_FORBIDDEN},
        {403, "", S3_FAIL, ERR_FORBIDDEN},
        {403, "InvalidObjectState", S3_FAIL, ERR_BUSY},
        {404, "", S3_FAIL, ERR_NOT_FOUND},
        {404, "NoSuchKey", S3_FAIL, ERR_NOT_FOUND},
        {404, "NoSuchBucket", S3_FAIL, ERR_USAGE},
        {412, "PreconditionFailed", S3_FAIL, ERR_CONFLICT},
        {412, "", S3_FAIL, ERR_CONFLICT},
        {301, "PermanentRedirect", S3_FAIL, ERR_USAGE},
        {403, "QuotaExceeded", S3_FAIL, ERR_FULL},
        {507, "", S3_FAIL, ERR_FULL},
        {413, "EntityTooLarge", S3_FAIL, ERR_TOO_LARGE},
        {418, "", S3_FAIL, ERR_PEER},
    };
    struct err e;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(meaning(cases[i].status, cases[i].code, "", &e), cases[i].again);
        assert_int_equal(e.kind, cases[i].kind);
    }
    assert_int_equal(meaning(413, "EntityTooLarge", "Upload exceeds quota.", &e), S3_FAIL); // Swift's words of a full container
    assert_int_equal(e.kind, ERR_FULL);
}

static void a_message_says_what_to_do(void **state) {
    (void)state;
    struct err e;
    meaning(404, "NoSuchBucket", "The specified bucket does not exist.", &e);
    assert_string_equal(
        e.message,
        "PUT a: the service answered 404 NoSuchBucket: The specified bucket does not exist.; there is no such bucket: create it or correct its name");
}

// ---- pauses ----

static void pauses_grow_and_are_never_the_same(void **state) {
    (void)state;
    struct s3_tries t = {.until_ms = clock_mono_ms() + 3600 * 1000};
    for (t.made = 1; t.made < 12; t.made++) {
        int64_t most = S3_PAUSE_MS << (t.made - 1), longest = 0, shortest = INT64_MAX;
        if (most > S3_PAUSE_MAX_MS) most = S3_PAUSE_MAX_MS;
        for (int i = 0; i < 200; i++) {
            int64_t p = s3_pause_ms(&t, 0);
            assert_true(p >= 0 && p < most);
            longest = p > longest ? p : longest;
            shortest = p < shortest ? p : shortest;
        }
        assert_true(longest > most / 2 && shortest < most / 2);
    }
    assert_true(s3_pause_ms(&t, 1500) >= 1500);
}

static void a_pause_beyond_the_budget_is_not_made(void **state) {
    (void)state;
    struct s3_tries t = {.made = 1, .until_ms = clock_mono_ms() + 1000};
    assert_true(s3_pause_ms(&t, 0) >= 0);
    assert_int_equal(s3_pause_ms(&t, 1000), -1);
}

static void a_service_says_when_to_come_back(void **state) {
    (void)state;
    char date[HTTP_DATE_BYTES];
    assert_int_equal(s3_retry_after_ms("120"), 120000);
    assert_int_equal(s3_retry_after_ms(""), 0);
    assert_int_equal(s3_retry_after_ms("soon"), 0);
    assert_int_equal(s3_retry_after_ms("-1"), 0);
    http_date_format(clock_wall_ms() / 1000 + 100, date);
    assert_true(s3_retry_after_ms(date) > 90000 && s3_retry_after_ms(date) <= 100000);
    http_date_format(clock_wall_ms() / 1000 - 100, date);
    assert_int_equal(s3_retry_after_ms(date), 0);
}

static void an_outage_uses_up_the_clients_retries(void **state) {
    (void)state;
    struct s3_budget b;
    int taken = 0;
    s3_budget_init(&b);
    while (taken < 1000 && s3_budget_take(&b)) taken++;
    assert_true(taken >= S3_BUDGET_MAX && taken < S3_BUDGET_MAX + 5);
    assert_false(s3_budget_take(&b));
    for (int i = 0; i < 6; i++) s3_budget_give(&b); // successes give back
    assert_true(s3_budget_take(&b));
    b.tokens = 0;
    b.filled_ms -= 2000; // and time
    assert_true(s3_budget_take(&b));
    s3_budget_deinit(&b);
}

// ---- keys ----

static const char CREDENTIALS[] = "# of the department\n[default]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key = abc/def+1=\n\n[ archive ]\r\n; "
                                  "CRLF\r\naws_access_key_id=AKIAARCHIVE\r\n"
                                  "aws_secret_access_key=xyz=\r\naws_session_token = tok//==\r\n[profile other]\naws_access_key_id = "
                                  "AKIAOTHER\naws_secret_access_key = o\n[half]\naws_access_key_id = H\n";

static void a_profile_of_a_file_is_found(void **state) {
    (void)state;
    struct s3_keys k;
    assert_true(s3_keys_parse_file(STR_LIT(CREDENTIALS), "default", &k, NULL));
    assert_string_equal(k.access, "AKIADEFAULT");
    assert_string_equal(k.secret, "abc/def+1=");
    assert_string_equal(k.token, "");
    assert_true(s3_keys_parse_file(STR_LIT(CREDENTIALS), "archive", &k, NULL));
    assert_string_equal(k.access, "AKIAARCHIVE");
    assert_string_equal(k.secret, "xyz=");
    assert_string_equal(k.token, "tok//==");
    assert_true(s3_keys_parse_file(STR_LIT(CREDENTIALS), "other", &k, NULL));
    assert_string_equal(k.access, "AKIAOTHER");
}

static void a_profile_that_is_not_whole_is_refused_without_its_secret(void **state) {
    (void)state;
    struct s3_keys k;
    struct err e;
    assert_false(s3_keys_parse_file(STR_LIT(CREDENTIALS), "none", &k, &e));
    assert_int_equal(e.kind, ERR_USAGE);
    assert_false(s3_keys_parse_file(STR_LIT(CREDENTIALS), "half", &k, &e));
    assert_non_null(strstr(e.message, "secret key"));
    assert_false(s3_keys_parse_file(STR_LIT("[a]\naws_access_key_id=A\naws_secret_access_key=in two words\n"), "a", &k, &e));
    assert_null(strstr(e.message, "two words"));
    assert_false(s3_keys_parse_file(STR_LIT(""), "a", &k, &e));
    assert_false(s3_keys_parse_file(STR_LIT("[a\n=\n[]\n["), "a", &k, &e));
}

static void keys_of_a_machine_are_read(void **state) {
    (void)state;
    struct s3_keys k;
    int64_t lasts;
    struct err e;
    // "Retrieve security credentials from instance metadata", Amazon EC2 User Guide
    static const char answer[] =
        "{\n  \"Code\" : \"Success\",\n  \"LastUpdated\" : \"2012-04-26T16:39:16Z\",\n  \"Type\" : \"AWS-HMAC\",\n  \"AccessKeyId\" : "
        "\"ASIAIOSFODNN7EXAMPLE\",\n"
        "  \"SecretAccessKey\" : \"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\",\n  \"Token\" : \"token\",\n  \"Expiration\" : \"2017-05-17T15:09:54Z\"\n}";
    assert_true(s3_keys_parse_instance(STR_LIT(answer), 1495033194000 - 60000, &k, &lasts, NULL)); // 2017-05-17T14:58:54Z and 2017-05-17T14:59:54Z
    assert_string_equal(k.access, "ASIAIOSFODNN7EXAMPLE");
    assert_string_equal(k.token, "token");
    assert_int_equal(lasts, 660000);
    assert_false(s3_keys_parse_instance(STR_LIT(answer), 1595033194000, &k, &lasts, &e));
    assert_non_null(strstr(e.message, "ended already"));
    assert_false(s3_keys_parse_instance(STR_LIT("{\"Code\": \"AssumeRoleUnauthorizedAccess\"}"), 0, &k, &lasts, &e));
    assert_false(s3_keys_parse_instance(STR_LIT("<html>"), 0, &k, &lasts, &e));
}

static void keys_of_an_identity_are_read(void **state) {
    (void)state;
    struct s3_keys k;
    int64_t lasts, end;
    struct err e;
    // "AssumeRoleWithWebIdentity", AWS Security Token Service API Reference (its token shortened)
    static const char answer[] = "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  "
                                 "<AssumeRoleWithWebIdentityResult>\n    <Audience>client.5498841531868486423.1548@apps.example.com</Audience>\n"
                                 "    <Credentials>\n      <SessionToken>AQoDYXdzEE0a8ANXXXXXXXXNO1ewxE5TijQyp+IEXAMPLE</SessionToken>\n      "
                                 "<SecretAccessKey>wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY</SecretAccessKey>\n"
                                 "      <Expiration>2014-10-24T23:00:23Z</Expiration>\n      <AccessKeyId>ASgeIAIOSFODNN7EXAMPLE</AccessKeyId>\n    "
                                 "</Credentials>\n  </AssumeRoleWithWebIdentityResult>\n</AssumeRoleWithWebIdentityResponse>";
    assert_true(s3_time_parse(STR_LIT("2014-10-24T23:00:23Z"), &end));
    assert_true(s3_keys_parse_identity(STR_LIT(answer), end - 1000, &k, &lasts, NULL));
    assert_string_equal(k.access, "ASgeIAIOSFODNN7EXAMPLE");
    assert_string_equal(k.secret, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY");
    assert_int_equal(lasts, 1000);
    assert_false(s3_keys_parse_identity(STR_LIT("<AssumeRoleWithWebIdentityResponse/>"), 0, &k, &lasts, &e));
    assert_false(s3_keys_parse_identity(STR_LIT(""), 0, &k, &lasts, &e));
}

static void a_client_is_refused_what_cannot_work(void **state) {
    (void)state;
    struct err e;
    struct s3 *c = NULL;
    static const struct s3_options bad[] = {
        {.endpoint = NULL, .bucket = "images"},
        {.endpoint = "s3.example.org", .bucket = "images"},
        {.endpoint = "http://s3.example.org/with/path", .bucket = "images"},
        {.endpoint = "http://s3.example.org", .bucket = NULL},
        {.endpoint = "http://s3.example.org", .bucket = "a b"},
        {.endpoint = "http://s3.example.org", .bucket = "images", .region = "eu/1"},
        {.endpoint = "http://s3.example.org", .bucket = "images", .lock_mode = "SOFT", .lock_days = 1},
        {.endpoint = "http://s3.example.org", .bucket = "images", .lock_mode = "GOVERNANCE"},
        {.endpoint = "http://[::1]:9000", .bucket = "images", .style = S3_VIRTUAL_HOST},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(s3_open(&bad[i], &c, &e));
        assert_int_equal(e.kind, ERR_USAGE);
    }
    assert_true(s3_open(&(struct s3_options){.endpoint = "https://s3.example.org:9000/", .bucket = "images"}, &c, &e)); // nobody is asked yet
    s3_close(c);
    s3_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_is_read_whoever_says_it),
        cmocka_unit_test(what_is_no_error_is_none),
        cmocka_unit_test(what_an_error_says_is_cut_and_cannot_forge_lines),
        cmocka_unit_test(a_page_of_keys_is_read),
        cmocka_unit_test(who_has_seen_enough_stops),
        cmocka_unit_test(times_of_services_are_read),
        cmocka_unit_test(each_answer_has_its_kind),
        cmocka_unit_test(a_message_says_what_to_do),
        cmocka_unit_test(pauses_grow_and_are_never_the_same),
        cmocka_unit_test(a_pause_beyond_the_budget_is_not_made),
        cmocka_unit_test(a_service_says_when_to_come_back),
        cmocka_unit_test(an_outage_uses_up_the_clients_retries),
        cmocka_unit_test(a_profile_of_a_file_is_found),
        cmocka_unit_test(a_profile_that_is_not_whole_is_refused_without_its_secret),
        cmocka_unit_test(keys_of_a_machine_are_read),
        cmocka_unit_test(keys_of_an_identity_are_read),
        cmocka_unit_test(a_client_is_refused_what_cannot_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
