// JSON (RFC 8259): a streaming writer into a buffer, and a reader into an arena.
//
// The reader is ours rather than a library's because DICOM needs what libraries lose: numbers as they are written (a DS keeps its
// digits, a UV its 64 bits), memory that stops at the arena's ceiling, and strings that are borrowed instead of copied.
#ifndef GANTRY_TEXT_JSON_H
#define GANTRY_TEXT_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

// ---- out ----

// Commas and nesting are the writer's business; that every begin has its end and every member its key is the caller's.
// Failure stays in the buffer (buf_ok).
struct json_writer {
    struct buf *to;
    bool pretty; // two spaces per level
    bool comma;  // the next value of this level needs one before it
    bool keyed;  // a key was written, its value follows
    unsigned depth;
};

void json_init(struct json_writer *w, struct buf *to, bool pretty);
void json_begin_object(struct json_writer *w);
void json_end_object(struct json_writer *w);
void json_begin_array(struct json_writer *w);
void json_end_array(struct json_writer *w);
void json_key(struct json_writer *w, const char *key);
void json_key_str(struct json_writer *w, struct str key);

// UTF-8; malformed bytes become U+FFFD.
void json_str(struct json_writer *w, struct str utf8);
void json_strz(struct json_writer *w, const char *utf8);
void json_int(struct json_writer *w, int64_t v);
void json_uint(struct json_writer *w, uint64_t v);
// The fewest of 15, 16 or 17 digits that read back as the same double; NaN and infinities, which JSON has not, become null.
void json_double(struct json_writer *w, double v);
void json_bool(struct json_writer *w, bool v);
void json_null(struct json_writer *w);
// Text that is JSON already: a number's digits, a stored object.
void json_raw(struct json_writer *w, struct str json);

// A string in pieces: open, append to w->to what needs no escaping (base64), close.
void json_str_open(struct json_writer *w);
void json_str_close(struct json_writer *w);

// Members: key and value at once.
void json_put_str(struct json_writer *w, const char *key, struct str utf8);
void json_put_strz(struct json_writer *w, const char *key, const char *utf8);
void json_put_int(struct json_writer *w, const char *key, int64_t v);
void json_put_uint(struct json_writer *w, const char *key, uint64_t v);
void json_put_double(struct json_writer *w, const char *key, double v);
void json_put_bool(struct json_writer *w, const char *key, bool v);

// A double's round-trip digits as above, NUL-terminated; returns their number.
enum { JSON_NUMBER_MAX = 32 };
unsigned json_format_double(char out[JSON_NUMBER_MAX], double v);

// ---- in ----

enum json_kind { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
    enum json_kind kind;
    uint32_t count;     // of an array's or object's children
    struct str key;     // of an object's member, else {NULL, 0}
    struct str text;    // JSON_STRING: unescaped UTF-8 (may hold NULs). JSON_NUMBER: its digits as they stand
    struct json *first; // child
    struct json *next;  // sibling
    size_t at;          // offset in the document, for messages
};

// A whole document. Unescaped strings and numbers are borrowed from text, which must outlive the tree. Nesting beyond depth_max
// (JSON_DEPTH_MAX when 0) is ERR_TOO_LARGE, as is a tree beyond the arena's ceiling; anything else that is not JSON is ERR_BAD_INPUT. Every
// message says line and column. NULL on failure.
const struct json *json_read(struct arena *a, struct str text, unsigned depth_max, struct err *e);

// The member of an object (the last one of that name), or NULL; NULL also when object is NULL or of another kind, so that look-ups chain.
const struct json *json_get(const struct json *object, const char *key);
// The text of a string, else {NULL, 0}.
struct str json_text(const struct json *v);
// A number (or, as some senders write them, a string that is one) within the type's range. false otherwise.
bool json_to_i64(const struct json *v, int64_t *out);
bool json_to_f64(const struct json *v, double *out);

// Sets *e as err_set with ERR_BAD_INPUT and "line L, column C: " in front; returns false.
bool json_fail(struct str document, const struct json *at, struct err *e, const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
