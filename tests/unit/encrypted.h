// Tests that run once more with everything encrypted: GANTRY_TEST_ENCRYPTED names the cipher.
#ifndef GANTRY_TESTS_UNIT_ENCRYPTED_H
#define GANTRY_TESTS_UNIT_ENCRYPTED_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/volume.h"

static char encrypted_master[64];

static inline void encrypted_forget(void) {
    unlink(encrypted_master);
}

// NULL: not asked for.
static inline const struct vol_encryption *encrypted(void) {
    static const char *masters[] = {encrypted_master};
    static struct vol_encryption o = {.masters = masters, .master_count = 1};
    o.cipher = getenv("GANTRY_TEST_ENCRYPTED");
    if (!o.cipher || !o.cipher[0]) return NULL;
    if (encrypted_master[0]) return &o;
    snprintf(encrypted_master, sizeof encrypted_master, "/tmp/gantry-master-%ld", (long)getpid());
    if (access(encrypted_master, R_OK) != 0 && !vol_master_new(encrypted_master, NULL)) abort(); // another file of the program may have made it
    atexit(encrypted_forget);
    return &o;
}

#endif
