// Time-based one-time passwords (RFC 6238): HMAC-SHA-1, six digits, steps of thirty seconds, which is what every authenticator takes.
#ifndef GANTRY_SYS_OTP_H
#define GANTRY_SYS_OTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { OTP_SECRET_BYTES = 20, OTP_STEP_S = 30, OTP_DIGITS = 6, OTP_SKEW_STEPS = 1, OTP_TEXT = 12 };

// The code of a step (Unix time over OTP_STEP_S), of so many digits (6 to 8), NUL-terminated.
bool otp_code(const void *secret, size_t secret_n, int64_t step, unsigned digits, char out[OTP_TEXT], struct err *e);

#endif
