// Errors as values, and the one table that maps them to every door's status.
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/log.h"

static const struct err_class CLASSES[ERR_KIND_COUNT] = {
    [ERR_NONE] = {"ok", 200, 0x0000, 0, LOG_DEBUG, false},
    [ERR_USAGE] = {"usage", 400, 0x0115, EX_USAGE, LOG_INFO, false},
    [ERR_BAD_INPUT] = {"bad-input", 400, 0xC000, EX_DATAERR, LOG_WARN, false},
    [ERR_UNDECODABLE] = {"undecodable", 422, 0xC000, EX_DATAERR, LOG_WARN, false},
    [ERR_UNSUPPORTED] = {"unsupported", 415, 0x0122, EX_DATAERR, LOG_WARN, false},
    [ERR_NOT_ACCEPTABLE] = {"not-acceptable", 406, 0xC000, EX_DATAERR, LOG_INFO, false},
    [ERR_NOT_FOUND] = {"not-found", 404, 0x0112, EX_NOINPUT, LOG_INFO, false},
    [ERR_CONFLICT] = {"conflict", 409, 0x0111, EX_DATAERR, LOG_WARN, false},
    [ERR_UNAUTHORIZED] = {"unauthorized", 401, 0x0124, EX_NOPERM, LOG_WARN, false},
    [ERR_FORBIDDEN] = {"forbidden", 403, 0x0124, EX_NOPERM, LOG_WARN, false},
    [ERR_TOO_LARGE] = {"too-large", 413, 0xA700, EX_DATAERR, LOG_WARN, false},
    [ERR_FULL] = {"disk-full", 507, 0xA700, EX_IOERR, LOG_ERROR, true},
    [ERR_BUSY] = {"busy", 503, 0xA700, EX_TEMPFAIL, LOG_WARN, true},
    [ERR_TIMEOUT] = {"timeout", 503, 0xA700, EX_TEMPFAIL, LOG_WARN, true},
    [ERR_NET] = {"network", 502, 0x0110, EX_UNAVAILABLE, LOG_WARN, true},
    [ERR_PEER] = {"peer", 502, 0x0110, EX_PROTOCOL, LOG_WARN, false},
    [ERR_CANCELLED] = {"cancelled", 503, 0xFE00, EX_TEMPFAIL, LOG_INFO, true},
    [ERR_IO] = {"io", 500, 0x0110, EX_IOERR, LOG_ERROR, false},
    [ERR_CORRUPT] = {"corrupt", 500, 0x0110, EX_DATAERR, LOG_ERROR, false},
    [ERR_NOMEM] = {"out-of-memory", 503, 0xA700, EX_OSERR, LOG_ERROR, true},
    [ERR_INTERNAL] = {"internal", 500, 0x0110, EX_SOFTWARE, LOG_ERROR, false},
};

const struct err_class *err_class_of(enum err_kind kind) {
    return &CLASSES[kind < ERR_KIND_COUNT ? kind : ERR_INTERNAL];
}

__attribute__((format(printf, 4, 0))) static void set_v(struct err *e, enum err_kind kind, const char *module, const char *format, va_list args) {
    if (!e) return;
    e->kind = kind;
    e->module = module;
    vsnprintf(e->message, sizeof e->message, format, args);
}

void err_set_(struct err *e, enum err_kind kind, const char *module, const char *format, ...) {
    va_list args;
    va_start(args, format);
    set_v(e, kind, module, format, args);
    va_end(args);
}

void err_errno_(struct err *e, enum err_kind kind, const char *module, const char *format, ...) {
    int code = errno;
    if (code == ENOSPC || code == EDQUOT) kind = ERR_FULL;
    if (code == ENOMEM) kind = ERR_NOMEM;
    if (code == EMFILE || code == ENFILE) kind = ERR_BUSY;
    va_list args;
    va_start(args, format);
    set_v(e, kind, module, format, args);
    va_end(args);
    if (!e) return;
    char why[128] = "";
    size_t n = strlen(e->message);
    snprintf(e->message + n, sizeof e->message - n, ": %s", strerror_r(code, why, sizeof why));
}

void err_wrap_(struct err *e, const char *format, ...) {
    if (!e) return;
    char inner[ERR_MESSAGE_MAX];
    memcpy(inner, e->message, sizeof inner);
    va_list args;
    va_start(args, format);
    vsnprintf(e->message, sizeof e->message, format, args);
    va_end(args);
    size_t n = strlen(e->message);
    snprintf(e->message + n, sizeof e->message - n, ": %s", inner);
}

void err_clear(struct err *e) {
    if (!e) return;
    e->kind = ERR_NONE;
    e->module = NULL;
    e->message[0] = '\0';
}
