// The one error type: a caller-owned value with a kind, the module that failed and a message; nothing is allocated.
#ifndef GANTRY_BASE_ERR_H
#define GANTRY_BASE_ERR_H

#include <stdbool.h>
#include <stdint.h>

enum err_kind {
    ERR_NONE,
    ERR_USAGE,          // the command line or a request's parameters are wrong
    ERR_BAD_INPUT,      // bytes from outside do not parse
    ERR_UNDECODABLE,    // well formed, but its content (pixels) cannot be decoded
    ERR_UNSUPPORTED,    // a SOP class, transfer syntax or media type that is not taken
    ERR_NOT_ACCEPTABLE, // nothing that the asker accepts can be produced
    ERR_NOT_FOUND,
    ERR_CONFLICT,
    ERR_UNAUTHORIZED, // who are you
    ERR_FORBIDDEN,    // you may not
    ERR_TOO_LARGE,    // a named ceiling was met
    ERR_FULL,         // no room on the disk
    ERR_BUSY,         // a bound on concurrency was met, or shutting down
    ERR_TIMEOUT,
    ERR_NET,  // the connection failed or was cut
    ERR_PEER, // the peer broke the protocol or refused
    ERR_CANCELLED,
    ERR_IO, // the system refused: read, write, flush
    ERR_CORRUPT,
    ERR_NOMEM,
    ERR_INTERNAL, // a state that should not be
    ERR_KIND_COUNT
};

// What each door answers for a kind. http: status code; dimse: C-STORE-family status (PS3.7 Annex C, PS3.4 GG.4);
// exit: process exit code (sysexits.h); level: enum log_level; retry: whether the same request may succeed later.
struct err_class {
    const char *name;
    uint16_t http;
    uint16_t dimse;
    uint8_t exit;
    uint8_t level;
    bool retry;
};

enum { ERR_MESSAGE_MAX = 480 };

struct err {
    enum err_kind kind;
    const char *module;            // static string: "dicom", "store", ...
    char message[ERR_MESSAGE_MAX]; // UTF-8, outermost context first: "import a.dcm: read element (0010,0010): ..."
};

const struct err_class *err_class_of(enum err_kind kind);

// Every setter takes an *e that may be NULL (the caller does not care) and is an expression of value false that compilers and analysers know
// to be false, so that a failure is one line:
//   return err_set(e, ERR_BAD_INPUT, "dicom", "item length %u exceeds ...", n);
#define err_set(...) err_false((err_set_(__VA_ARGS__), 0))
// As err_set, with ": <strerror(errno)>" appended; ENOSPC and EDQUOT become ERR_FULL, ENOMEM ERR_NOMEM, whatever kind says.
#define err_errno(...) err_false((err_errno_(__VA_ARGS__), 0))
// Puts context before the message that *e already has: "context: message".
#define err_wrap(...) err_false((err_wrap_(__VA_ARGS__), 0))
// ERR_NOMEM with a fixed message.
#define err_nomem(e, module) err_false((err_set_(e, ERR_NOMEM, module, "out of memory"), 0))

void err_set_(struct err *e, enum err_kind kind, const char *module, const char *format, ...) __attribute__((format(printf, 4, 5)));
void err_errno_(struct err *e, enum err_kind kind, const char *module, const char *format, ...) __attribute__((format(printf, 4, 5)));
void err_wrap_(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline bool err_false(int ignored) {
    (void)ignored;
    return false;
}

void err_clear(struct err *e);

#endif
