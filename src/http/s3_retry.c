// What services answer, as a table; pauses that grow and never coincide.
#include "http/s3_retry.h"

#include <stdio.h>
#include <sys/random.h>

#include "base/clock.h"
#include "http/condition.h"

struct meaning {
    const char *code;
    enum err_kind kind;
    enum s3_again again;
    const char *advice;
};

// "Error responses", Amazon S3 API Reference; below them what Ceph, MinIO and Swift have besides.
static const struct meaning CODES[] = {
    {"AccessDenied", ERR_FORBIDDEN, S3_FAIL, "the keys may not do this: see the bucket's policy and the role of the keys"},
    {"AllAccessDisabled", ERR_FORBIDDEN, S3_FAIL, NULL},
    {"AccountProblem", ERR_FORBIDDEN, S3_FAIL, NULL},
    {"AuthorizationHeaderMalformed", ERR_USAGE, S3_FAIL, "the bucket is in another region: set the region"},
    {"AuthorizationQueryParametersError", ERR_USAGE, S3_FAIL, "the bucket is in another region: set the region"},
    {"BadDigest", ERR_CORRUPT, S3_LATER, NULL},
    {"BucketAlreadyOwnedByYou", ERR_CONFLICT, S3_FAIL, NULL},
    {"BucketAlreadyExists", ERR_CONFLICT, S3_FAIL, NULL},
    {"ConditionalRequestConflict", ERR_CONFLICT, S3_LATER, NULL},
    {"EntityTooLarge", ERR_TOO_LARGE, S3_FAIL, NULL},
    {"ExpiredToken", ERR_FORBIDDEN, S3_RENEW, "the session token has ended"},
    {"ExpiredTokenException", ERR_FORBIDDEN, S3_RENEW, "the identity token has ended"},
    {"IncompleteBody", ERR_NET, S3_LATER, NULL},
    {"InternalError", ERR_BUSY, S3_LATER, NULL},
    {"InvalidAccessKeyId", ERR_FORBIDDEN, S3_RENEW, "the access key is not known there"},
    {"InvalidBucketName", ERR_USAGE, S3_FAIL, "correct the bucket's name"},
    {"InvalidDigest", ERR_CORRUPT, S3_LATER, NULL},
    {"InvalidObjectState", ERR_BUSY, S3_FAIL, "it is archived: it must be restored before it can be read"},
    {"InvalidRange", ERR_CORRUPT, S3_FAIL, "the object is shorter than what was asked of it"},
    {"InvalidStorageClass", ERR_UNSUPPORTED, S3_FAIL, "the service has no such storage class"},
    {"InvalidToken", ERR_FORBIDDEN, S3_RENEW, "the session token is not taken"},
    {"KeyTooLongError", ERR_USAGE, S3_FAIL, NULL},
    {"MethodNotAllowed", ERR_FORBIDDEN, S3_FAIL, NULL},
    {"NoSuchBucket", ERR_USAGE, S3_FAIL, "there is no such bucket: create it or correct its name"},
    {"NoSuchKey", ERR_NOT_FOUND, S3_FAIL, NULL},
    {"NoSuchUpload", ERR_NOT_FOUND, S3_FAIL, NULL},
    {"NoSuchVersion", ERR_NOT_FOUND, S3_FAIL, NULL},
    {"NotImplemented", ERR_UNSUPPORTED, S3_FAIL, "the service lacks this"},
    {"ObjectAlreadyInActiveTierError", ERR_CONFLICT, S3_FAIL, NULL},
    {"OperationAborted", ERR_BUSY, S3_LATER, NULL},
    {"PermanentRedirect", ERR_USAGE, S3_FAIL, "the bucket is elsewhere: set the endpoint and the region"},
    {"PreconditionFailed", ERR_CONFLICT, S3_FAIL, NULL},
    {"Redirect", ERR_USAGE, S3_FAIL, "the bucket is elsewhere: set the endpoint and the region"},
    {"RequestExpired", ERR_FORBIDDEN, S3_CLOCK, "set this machine's clock"},
    {"RequestTimeout", ERR_TIMEOUT, S3_LATER, NULL},
    {"RequestTimeTooSkewed", ERR_FORBIDDEN, S3_CLOCK, "set this machine's clock"},
    {"RestoreAlreadyInProgress", ERR_CONFLICT, S3_FAIL, NULL},
    {"ServiceUnavailable", ERR_BUSY, S3_LATER, NULL},
    {"SignatureDoesNotMatch", ERR_FORBIDDEN, S3_RENEW, "the secret key is not the access key's"},
    {"SlowDown", ERR_BUSY, S3_LATER, NULL},
    {"TemporaryRedirect", ERR_USAGE, S3_FAIL, "the bucket is elsewhere for now: set the endpoint and the region"},
    {"TokenRefreshRequired", ERR_FORBIDDEN, S3_RENEW, NULL},
    {"XAmzContentSHA256Mismatch", ERR_CORRUPT, S3_LATER, NULL},
    {"IDPCommunicationError", ERR_BUSY, S3_LATER, NULL}, // STS
    {"Throttling", ERR_BUSY, S3_LATER, NULL},
    {"RequestLimitExceeded", ERR_BUSY, S3_LATER, NULL},
    {"QuotaExceeded", ERR_FULL, S3_FAIL, "the bucket's quota is used up"},
    {"ObjectLocked", ERR_CONFLICT, S3_FAIL, "the object is locked"},
    {"XMinioStorageFull", ERR_FULL, S3_FAIL, NULL},
    {"XMinioAdminBucketQuotaExceeded", ERR_FULL, S3_FAIL, "the bucket's quota is used up"},
    {"XMinioServerNotInitialized", ERR_BUSY, S3_LATER, NULL},
};

static const struct meaning STATUSES[] = {
    {"301", ERR_USAGE, S3_FAIL, "the bucket is elsewhere: set the endpoint and the region"},
    {"302", ERR_USAGE, S3_FAIL, "the bucket is elsewhere: set the endpoint and the region"},
    {"307", ERR_USAGE, S3_FAIL, "the bucket is elsewhere for now: set the endpoint and the region"},
    {"401", ERR_FORBIDDEN, S3_RENEW, NULL},
    {"403", ERR_FORBIDDEN, S3_FAIL, NULL},
    {"404", ERR_NOT_FOUND, S3_FAIL, NULL},
    {"408", ERR_TIMEOUT, S3_LATER, NULL},
    {"409", ERR_CONFLICT, S3_FAIL, NULL},
    {"412", ERR_CONFLICT, S3_FAIL, NULL},
    {"413", ERR_TOO_LARGE, S3_FAIL, NULL},
    {"416", ERR_CORRUPT, S3_FAIL, "the object is shorter than what was asked of it"},
    {"429", ERR_BUSY, S3_LATER, NULL},
    {"499", ERR_TIMEOUT, S3_LATER, NULL}, // Swift: the body did not come in time, or was cut
    {"500", ERR_BUSY, S3_LATER, NULL},
    {"501", ERR_UNSUPPORTED, S3_FAIL, "the service lacks this"},
    {"502", ERR_BUSY, S3_LATER, NULL},
    {"503", ERR_BUSY, S3_LATER, NULL},
    {"504", ERR_BUSY, S3_LATER, NULL},
    {"507", ERR_FULL, S3_FAIL, NULL},
    {"509", ERR_BUSY, S3_LATER, NULL},
};

static const struct meaning *find(const struct meaning *list, size_t n, const char *code) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].code, code) == 0) return &list[i];
    return NULL;
}

static struct meaning meaning_of(unsigned status, const struct s3_error *error) {
    char number[12];
    snprintf(number, sizeof number, "%u", status);
    const struct meaning *m = error->code[0] ? find(CODES, sizeof CODES / sizeof CODES[0], error->code) : NULL;
    if (!m) m = find(STATUSES, sizeof STATUSES / sizeof STATUSES[0], number);
    struct meaning out = m ? *m : (struct meaning){.kind = ERR_PEER, .again = S3_FAIL};
    if (out.kind == ERR_TOO_LARGE && strstr(error->message, "quota")) out = (struct meaning){.kind = ERR_FULL, .again = S3_FAIL}; // Swift's words
    return out;
}

enum s3_again s3_meaning(unsigned status, const struct s3_error *error, const char *what, struct err *e) {
    if (status >= 200 && status < 300 && !error->code[0]) return S3_DONE;
    struct meaning m = meaning_of(status, error);
    char said[320] = "", where[280] = "";
    if (error->code[0]) snprintf(said, sizeof said, " %s%s%s", error->code, error->message[0] ? ": " : "", error->message);
    if (error->region[0] || error->endpoint[0])
        snprintf(where, sizeof where, " (region %s%s%s)", error->region[0] ? error->region : "not named", error->endpoint[0] ? ", endpoint " : "",
                 error->endpoint);
    err_set(e, m.kind, "s3", "%s: the service answered %u%s%s%s%s", what, status, said, m.advice ? "; " : "", m.advice ? m.advice : "", where);
    return m.again;
}

// ---- the client's budget ----

void s3_budget_init(struct s3_budget *b) {
    *b = (struct s3_budget){.tokens = S3_BUDGET_MAX, .filled_ms = clock_mono_ms()};
    pthread_mutex_init(&b->mutex, NULL);
}

void s3_budget_deinit(struct s3_budget *b) {
    pthread_mutex_destroy(&b->mutex);
}

bool s3_budget_take(struct s3_budget *b) {
    pthread_mutex_lock(&b->mutex);
    int64_t now = clock_mono_ms();
    b->tokens += (double)(now - b->filled_ms) * S3_BUDGET_PER_S / 1000;
    if (b->tokens > S3_BUDGET_MAX) b->tokens = S3_BUDGET_MAX;
    b->filled_ms = now;
    bool some = b->tokens >= 1;
    if (some) b->tokens -= 1;
    pthread_mutex_unlock(&b->mutex);
    return some;
}

void s3_budget_give(struct s3_budget *b) {
    pthread_mutex_lock(&b->mutex);
    b->tokens = b->tokens + 0.2 > S3_BUDGET_MAX ? S3_BUDGET_MAX : b->tokens + 0.2;
    pthread_mutex_unlock(&b->mutex);
}

// ---- pauses ----

int64_t s3_retry_after_ms(const char *value) {
    uint64_t seconds;
    int64_t at;
    if (str_to_u64(str_of(value), &seconds)) return seconds > 3600 ? 3600 * 1000 : (int64_t)seconds * 1000;
    if (!value[0] || !http_date_parse(str_of(value), &at)) return 0;
    int64_t ms = at * 1000 - clock_wall_ms();
    return ms > 0 ? ms : 0;
}

static uint32_t random_number(void) {
    uint32_t r;
    return getrandom(&r, sizeof r, 0) == (ssize_t)sizeof r ? r : (uint32_t)clock_mono_us() * 2654435761u;
}

int64_t s3_pause_ms(const struct s3_tries *t, int64_t retry_after_ms) {
    int64_t most = S3_PAUSE_MS;
    for (unsigned i = 1; i < t->made && most < S3_PAUSE_MAX_MS; i++) most *= 2;
    if (most > S3_PAUSE_MAX_MS) most = S3_PAUSE_MAX_MS;
    int64_t pause = retry_after_ms + (int64_t)(random_number() % (uint32_t)most);
    return clock_mono_ms() + pause >= t->until_ms ? -1 : pause;
}
