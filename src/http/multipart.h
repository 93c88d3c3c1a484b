// multipart bodies (RFC 2046 5.1, RFC 2387): a streaming parser and the pieces of a writer.
//
// The parser keeps one part header and at most one delimiter's length of data; parts of any size flow through.
#ifndef GANTRY_HTTP_MULTIPART_H
#define GANTRY_HTTP_MULTIPART_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum { MULTIPART_BOUNDARY_MAX = 70, MULTIPART_HEADERS_MAX = 16 };

struct multipart_header {
    struct str name, value;
};

// A part's header, borrowed until begin returns.
struct multipart_headers {
    struct multipart_header all[MULTIPART_HEADERS_MAX]; // later ones are not kept
    unsigned count;
};
// Case-insensitive; {NULL, 0} when absent.
struct str multipart_header(const struct multipart_headers *h, const char *name);

// false from any of them ends the parsing with its error.
struct multipart_events {
    bool (*begin)(void *context, const struct multipart_headers *h, struct err *e);
    bool (*data)(void *context, const void *p, size_t n, struct err *e);
    bool (*end)(void *context, struct err *e);
    void *context;
};

struct multipart {
    struct multipart_events on;
    char delimiter[MULTIPART_BOUNDARY_MAX + 4]; // CR LF "--" boundary
    size_t delimiter_n;
    size_t matched; // bytes of the delimiter that ended the last chunk
    size_t lent;    // of those, the ones that were not data: the line end that a header's own stands for
    enum { MULTIPART_PREAMBLE, MULTIPART_LINE, MULTIPART_HEADERS, MULTIPART_DATA, MULTIPART_EPILOGUE } state;
    struct buf header; // of the part, or the rest of the delimiter's line
    unsigned parts;
};

// ERR_BAD_INPUT for a boundary that RFC 2046 does not allow.
bool multipart_init(struct multipart *m, struct str boundary, const struct multipart_events *on, struct err *e);
void multipart_deinit(struct multipart *m);
// Takes all n bytes. ERR_TOO_LARGE: HTTP_PARTS_MAX, HTTP_PART_HEADER_BYTES_MAX.
bool multipart_feed(struct multipart *m, const void *p, size_t n, struct err *e);
// No more bytes: ERR_BAD_INPUT when the closing delimiter was not among them.
bool multipart_finish(struct multipart *m, struct err *e);

// A boundary of 128 random bits: 35 bytes with the NUL.
enum { MULTIPART_MADE_BOUNDARY = 35 };
bool multipart_make_boundary(char out[MULTIPART_MADE_BOUNDARY], struct err *e);
// "\r\n--boundary\r\nContent-Type: ...\r\n[Content-Location: ...\r\n]\r\n"; first: without the leading line end. location may be absent.
void multipart_write_begin(struct buf *to, const char *boundary, bool first, const char *content_type, struct str location);
void multipart_write_end(struct buf *to, const char *boundary); // "\r\n--boundary--\r\n"

#endif
