// Structured log lines on standard error: one line per event, key=value, no patient names.
#ifndef GANTRY_BASE_LOG_H
#define GANTRY_BASE_LOG_H

#include "base/err.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

// Lines below the level are dropped. Default LOG_INFO.
void log_set_level(enum log_level level);

// "2026-11-21T10:00:00.123Z warn dimse: message trace=ID" (the trace where the thread has one). Control characters in the message are escaped, so that no input can
// forge a line. Thread-safe: one write(2) per line.
void log_line(enum log_level level, const char *module, const char *format, ...) __attribute__((format(printf, 3, 4)));

// The error at its class's level, with context.
void log_err(const struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
