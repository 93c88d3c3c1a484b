// Log lines.
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/trace.h"

enum { TRACE_ROOM = TRACE_ID_HEX + 16 };

static _Atomic int minimum = LOG_INFO;

static const char *const NAMES[] = {"debug", "info", "warn", "error"};

void log_set_level(enum log_level level) {
    minimum = (int)level;
}

// Escapes control characters into out; returns the bytes written (without a NUL).
static size_t escape(char *out, size_t cap, const char *in) {
    size_t n = 0;
    for (; *in && n + 4 < cap; in++) {
        unsigned char c = (unsigned char)*in;
        if (c >= 0x20 && c != 0x7f) {
            out[n++] = (char)c;
            continue;
        }
        n += (size_t)snprintf(out + n, cap - n, "\\x%02x", c);
    }
    return n;
}

static void write_line(enum log_level level, const char *module, const char *message) {
    char line[2048];
    int64_t now_ms = clock_wall_ms();
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(line + n, sizeof line - n, ".%03dZ %s %s: ", (int)(now_ms % 1000), NAMES[level], module);
    n += escape(line + n, sizeof line - n - TRACE_ROOM, message);
    struct str trace = trace_id();
    if (trace.n) n += (size_t)snprintf(line + n, sizeof line - n, " trace=%.*s", STR_FMT(trace));
    line[n++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, n);
    (void)ignored;
}

void log_line(enum log_level level, const char *module, const char *format, ...) {
    if ((int)level < minimum) return;
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    write_line(level, module, message);
}

void log_err(const struct err *e, const char *format, ...) {
    enum log_level level = (enum log_level)err_class_of(e->kind)->level;
    if ((int)level < minimum) return;
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    size_t n = strlen(message);
    snprintf(message + n, sizeof message - n, ": %s", e->message);
    write_line(level, e->module ? e->module : "gantry", message);
}
