// One-time passwords by RFC 4226 section 5.3.
#include "sys/otp.h"

#include <stdio.h>

#include "sys/digest.h"

bool otp_code(const void *secret, size_t secret_n, int64_t step, unsigned digits, char out[OTP_TEXT], struct err *e) {
    static const uint32_t MODULUS[] = {1000000, 10000000, 100000000};
    uint8_t counter[8], mac[SHA1_BYTES];
    if (digits < 6 || digits > 8) return err_set(e, ERR_INTERNAL, "otp", "codes have 6 to 8 digits, not %u", digits);
    for (int i = 0; i < 8; i++) counter[i] = (uint8_t)((uint64_t)step >> (56 - 8 * i));
    if (!hmac_sha1(secret, secret_n, counter, sizeof counter, mac, e)) return false;
    unsigned at = mac[SHA1_BYTES - 1] & 15;
    uint32_t number = (uint32_t)(mac[at] & 0x7f) << 24 | (uint32_t)mac[at + 1] << 16 | (uint32_t)mac[at + 2] << 8 | mac[at + 3];
    snprintf(out, OTP_TEXT, "%0*u", (int)digits, number % MODULUS[digits - 6]);
    return true;
}
