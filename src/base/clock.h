// The one clock: monotonic time for deadlines, wall time for what people read; tests may inject both.
#ifndef GANTRY_BASE_CLOCK_H
#define GANTRY_BASE_CLOCK_H

#include <stdint.h>

// Milliseconds that only grow; their origin means nothing.
int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);
// Milliseconds since 1970-01-01T00:00:00Z.
int64_t clock_wall_ms(void);

// Test seams, not for production code: an offset added to the wall clock (a jump of the clock), and a moment at which it stands still until it is shifted.
void clock_shift_wall_ms(int64_t offset_ms);
void clock_hold_wall_ms(int64_t at_ms);

#endif
