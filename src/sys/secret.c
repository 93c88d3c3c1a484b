// Random bytes by getrandom(2).
#include "sys/secret.h"

#include <stdint.h>
#include <sys/random.h>

bool random_bytes(void *p, size_t n, struct err *e) {
    return (n <= 256 && getrandom(p, n, 0) == (ssize_t)n) || err_errno(e, ERR_IO, "random", "no random bytes");
}

bool secret_equal(const void *a, const void *b, size_t n) {
    const volatile uint8_t *x = a, *y = b;
    unsigned difference = 0;
    for (size_t i = 0; i < n; i++) difference |= (unsigned)(x[i] ^ y[i]);
    return difference == 0;
}
