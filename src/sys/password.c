// Passwords by libargon2, few at once.
#include "sys/password.h"

#include <argon2.h>
#include <pthread.h>
#include <time.h>

#include "base/clock.h"
#include "sys/secret.h"

enum { MEMORY_KIB = 64 * 1024, PASSES = 3, LANES = 4, SALT_BYTES = 16, TAG_BYTES = 32 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static unsigned at_work;
static unsigned memory_kib = MEMORY_KIB;

void password_cost_kib(unsigned kib) {
    memory_kib = kib;
}

static bool begin(struct err *e) {
    int64_t until = clock_mono_ms() + PASSWORD_WAIT_MS;
    struct timespec step;
    bool mine = false;
    pthread_mutex_lock(&lock);
    while (at_work >= PASSWORD_AT_ONCE && clock_mono_ms() < until) {
        clock_gettime(CLOCK_REALTIME, &step);
        step.tv_sec++;
        pthread_cond_timedwait(&ended, &lock, &step);
    }
    if (at_work < PASSWORD_AT_ONCE) mine = ++at_work;
    pthread_mutex_unlock(&lock);
    return mine || err_set(e, ERR_BUSY, "password", "too many are signing in at this moment: try again");
}

static void end(void) {
    pthread_mutex_lock(&lock);
    at_work--;
    pthread_cond_signal(&ended);
    pthread_mutex_unlock(&lock);
}

static bool failed(int code, struct err *e) {
    if (code == ARGON2_MEMORY_ALLOCATION_ERROR) return err_nomem(e, "password");
    return err_set(e, ERR_INTERNAL, "password", "argon2id: %s", argon2_error_message(code));
}

bool password_hash(struct str password, char out[PASSWORD_ENCODED_BYTES], struct err *e) {
    unsigned char salt[SALT_BYTES];
    if (!random_bytes(salt, sizeof salt, e) || !begin(e)) return false;
    int code =
        argon2id_hash_encoded(PASSES, memory_kib, LANES, password.n ? password.p : "", password.n, salt, SALT_BYTES, TAG_BYTES, out, PASSWORD_ENCODED_BYTES);
    end();
    return code == ARGON2_OK || failed(code, e);
}

bool password_verify(const char *encoded, struct str password, bool *matches, struct err *e) {
    *matches = false;
    if (!begin(e)) return false;
    int code = argon2id_verify(encoded, password.n ? password.p : "", password.n);
    end();
    *matches = code == ARGON2_OK;
    return code == ARGON2_OK || code == ARGON2_VERIFY_MISMATCH || failed(code, e);
}
