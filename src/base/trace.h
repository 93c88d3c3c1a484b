// Which request a thread works for (W3C Trace Context): told to log lines, events and other servers, so that what belongs together is found together.
#ifndef GANTRY_BASE_TRACE_H
#define GANTRY_BASE_TRACE_H

#include <stdbool.h>

#include "base/str.h"

enum { TRACE_ID_HEX = 32, TRACE_SPAN_HEX = 16, TRACE_PARENT_BYTES = 2 + 1 + TRACE_ID_HEX + 1 + TRACE_SPAN_HEX + 1 + 2 + 1 };

// This thread's work from now on. parent: the value of a traceparent header field; what is absent, or none by section 3.2, begins a trace of its own.
void trace_begin(struct str parent);
void trace_end(void);
// The trace's 32 digits, borrowed until this thread's trace ends; {"", 0} when there is none.
struct str trace_id(void);
// "00-TRACE-SPAN-FLAGS", the span being this thread's work; "" when there is none.
void trace_parent(char out[TRACE_PARENT_BYTES]);

#endif
