// Any bytes as a token that somebody brings, and as the set of keys that an identity provider publishes.
#include <stdint.h>
#include <stdlib.h>

#include "http/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The key of RFC 7515 A.3, on P-256.
#define KEYS                                                                                                                     \
    "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":\"x_FEzRu9m36HLN_" \
    "tue659LNpXW6pCyStikYjKIWI5a0\"}]}"

static void verify(const struct jwks *keys, struct str token) {
    static const struct jwt_rules RULES[] = {
        {.use = JWT_ID_TOKEN,
         .algorithms = JWT_ALL,
         .issuer = STR_LIT("joe"),
         .audience = STR_LIT("a"),
         .nonce = STR_LIT("n"),
         .now_s = 1300819000,
         .skew_s = 60},
        {.use = JWT_ACCESS_TOKEN, .algorithms = JWT_ALL, .issuer = STR_LIT("joe"), .audience = STR_LIT("a"), .now_s = 1300819000, .skew_s = 60},
        {.use = JWT_LOGOUT_TOKEN, .algorithms = JWT_ALL, .issuer = STR_LIT("joe"), .audience = STR_LIT("a"), .now_s = 1300819000, .skew_s = 60},
    };
    struct arena a;
    struct jwt t;
    arena_init(&a, 1 << 24);
    // Nobody but the holder of the key can make one that is taken: RFC 7515 A.3's own is for nobody.
    for (size_t i = 0; i < sizeof RULES / sizeof *RULES; i++)
        if (jwt_verify(&a, keys, token, &RULES[i], &t, NULL)) abort();
    arena_deinit(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct str text = {(const char *)data, size};
    struct jwks *ours = NULL, *theirs = NULL;
    if (size > 1 << 16) return 0;
    if (!jwks_read(STR_LIT(KEYS), &ours, NULL)) abort();
    verify(ours, text);
    jwks_free(ours);
    if (jwks_read(text, &theirs, NULL)) {
        if (theirs->count == 0 || theirs->count > JWKS_KEYS_MAX) abort();
        jwks_free(theirs);
    }
    return 0;
}
