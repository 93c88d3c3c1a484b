// A thread's trace.
#include "base/trace.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>

enum { RANDOM_BYTES = 240 }; // of ten requests; the kernel gives up to 256 at once

struct trace {
    char id[TRACE_ID_HEX + 1], span[TRACE_SPAN_HEX + 1], flags[3];
};

static _Thread_local struct trace own;

// Lower-case hexadecimal, and not all zeros where that means none.
static bool is_hex(struct str s, bool may_be_zero) {
    bool zero = true;
    for (size_t i = 0; i < s.n; i++) {
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f'))) return false;
        zero = zero && s.p[i] == '0';
    }
    return may_be_zero || !zero;
}

// From a store of the thread's: a system call for every request would cost more than the rest of its trace. Without random bytes these are zeros.
static void take_random(uint8_t *to, size_t n) {
    static _Thread_local uint8_t store[RANDOM_BYTES];
    static _Thread_local size_t left;
    if (left < n) left = getrandom(store, sizeof store, 0) == (ssize_t)sizeof store ? sizeof store : 0;
    if (left < n) return;
    memcpy(to, store + sizeof store - left, n);
    left -= n;
}

static void make(char *out, unsigned hex) {
    static const char DIGITS[] = "0123456789abcdef";
    uint8_t random[TRACE_ID_HEX / 2] = {0};
    take_random(random, hex / 2);
    random[0] |= 1; // all zeros are no identifier
    for (unsigned i = 0; i < hex; i++) out[i] = DIGITS[i % 2 ? random[i / 2] & 15 : random[i / 2] >> 4];
    out[hex] = '\0';
}

// version "-" trace-id "-" parent-id "-" trace-flags; a later version may have more behind a dash.
static bool take(struct str parent, struct trace *out) {
    struct str p = str_trim(parent), version = str_sub(p, 0, 2), id = str_sub(p, 3, TRACE_ID_HEX), span = str_sub(p, 36, TRACE_SPAN_HEX);
    struct str flags = str_sub(p, 53, 2);
    bool framed = p.n >= 55 && p.p[2] == '-' && p.p[35] == '-' && p.p[52] == '-' && (p.n == 55 || (p.p[55] == '-' && !str_eqz(version, "00")));
    if (!framed || !is_hex(version, true) || str_eqz(version, "ff") || !is_hex(id, false) || !is_hex(span, false) || !is_hex(flags, true)) return false;
    memcpy(out->id, id.p, id.n);
    memcpy(out->flags, flags.p, flags.n);
    return true;
}

void trace_begin(struct str parent) {
    own = (struct trace){.flags = "01"};
    if (!take(parent, &own)) make(own.id, TRACE_ID_HEX);
    make(own.span, TRACE_SPAN_HEX);
}

void trace_end(void) {
    own = (struct trace){.id = ""};
}

struct str trace_id(void) {
    return (struct str){own.id, strlen(own.id)};
}

void trace_parent(char out[TRACE_PARENT_BYTES]) {
    out[0] = '\0';
    if (own.id[0]) snprintf(out, TRACE_PARENT_BYTES, "00-%.32s-%.16s-%.2s", own.id, own.span, own.flags);
}
