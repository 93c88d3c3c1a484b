// Whether a request that failed is tried again, and when: the service's answer, the call's own budget, and one for the whole client so that an outage is
// not made worse by those who wait for its end.
#ifndef GANTRY_HTTP_S3_RETRY_H
#define GANTRY_HTTP_S3_RETRY_H

#include <pthread.h>

#include "base/err.h"
#include "base/str.h"
#include "http/s3_xml.h"

enum s3_again {
    S3_DONE,
    S3_FAIL,  // trying again cannot help
    S3_LATER, // after a pause
    S3_RENEW, // with other keys, once
    S3_CLOCK, // with the service's time, once
};

// What an answer (status, and the code of its error when it has one) means: *e is set unless it is success. what: "PUT key", for the message.
// retry_after: of the header, or "".
enum s3_again s3_meaning(unsigned status, const struct s3_error *error, const char *what, struct err *e);

// Of the whole client: each retry takes from it, each success and each second give back.
struct s3_budget {
    pthread_mutex_t mutex;
    double tokens;
    int64_t filled_ms;
};
enum { S3_BUDGET_MAX = 100, S3_BUDGET_PER_S = 2 };
void s3_budget_init(struct s3_budget *b);
void s3_budget_deinit(struct s3_budget *b);
bool s3_budget_take(struct s3_budget *b);
void s3_budget_give(struct s3_budget *b);

// Of one call.
struct s3_tries {
    int64_t began_ms, until_ms; // monotonic
    unsigned most, made;
    bool renewed, clocked;
};
enum { S3_PAUSE_MS = 100, S3_PAUSE_MAX_MS = 10 * 1000 };

// Seconds or a date (RFC 9110 10.2.3) as milliseconds from now, 0 when there is none or it has passed.
int64_t s3_retry_after_ms(const char *value);
// Full jitter: anything up to 100 ms, 200 ms, 400 ms ... 10 s, but not before the service wants. -1: the call's budget does not last so long.
int64_t s3_pause_ms(const struct s3_tries *t, int64_t retry_after_ms);

#endif
