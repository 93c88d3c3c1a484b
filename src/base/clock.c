// Clocks.
#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic int64_t wall_offset_ms, wall_held_ms;

static int64_t read_us(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_mono_us(void) {
    return read_us(CLOCK_MONOTONIC);
}

int64_t clock_mono_ms(void) {
    return clock_mono_us() / 1000;
}

int64_t clock_wall_ms(void) {
    const int64_t held = wall_held_ms;
    return held ? held : read_us(CLOCK_REALTIME) / 1000 + wall_offset_ms;
}

void clock_shift_wall_ms(int64_t offset_ms) {
    wall_offset_ms = offset_ms;
    wall_held_ms = 0;
}

void clock_hold_wall_ms(int64_t at_ms) {
    wall_held_ms = at_ms;
}
