// multipart parser and writer.
#include "http/multipart.h"

#include <sys/random.h>

#include "base/limits.h"
#include "sys/digest.h"

static bool boundary_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("'()+_,-./:=? ", c));
}

bool multipart_init(struct multipart *m, struct str boundary, const struct multipart_events *on, struct err *e) {
    *m = (struct multipart){.on = *on, .state = MULTIPART_PREAMBLE};
    buf_init(&m->header, HTTP_PART_HEADER_BYTES_MAX);
    bool fits = boundary.n >= 1 && boundary.n <= MULTIPART_BOUNDARY_MAX && boundary.p[boundary.n - 1] != ' ';
    for (size_t i = 0; fits && i < boundary.n; i++) fits = boundary_char(boundary.p[i]);
    if (!fits) return err_set(e, ERR_BAD_INPUT, "multipart", "the content type has no boundary of 1 to %d allowed characters", MULTIPART_BOUNDARY_MAX);
    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, boundary.p, boundary.n);
    m->delimiter_n = boundary.n + 4;
    m->matched = m->lent = 2; // the first delimiter may stand at the very beginning
    return true;
}

void multipart_deinit(struct multipart *m) {
    buf_deinit(&m->header);
}

struct str multipart_header(const struct multipart_headers *h, const char *name) {
    for (unsigned i = 0; i < h->count; i++)
        if (str_eq_nocase(h->all[i].name, str_of(name))) return h->all[i].value;
    return (struct str){0};
}

static bool give(struct multipart *m, const char *p, size_t n, struct err *e) {
    return m->state != MULTIPART_DATA || n == 0 || m->on.data(m->on.context, p, n, e);
}

static bool delimiter_found(struct multipart *m, struct err *e) {
    m->matched = m->lent = 0;
    buf_clear(&m->header);
    bool in_part = m->state == MULTIPART_DATA;
    m->state = MULTIPART_LINE;
    return !in_part || m->on.end(m->on.context, e);
}

// Goes on with a delimiter that began in an earlier chunk. What turns out to be data was the delimiter's own beginning.
static bool resume_match(struct multipart *m, struct str *s, struct err *e) {
    while (m->matched && s->n && m->matched < m->delimiter_n) {
        if (s->p[0] == m->delimiter[m->matched]) {
            m->matched++;
            *s = str_sub(*s, 1, s->n);
            continue;
        }
        size_t held = m->matched - m->lent, from = m->lent;
        m->matched = m->lent = 0; // CR stands at the delimiter's beginning only, so that a new match cannot begin inside what was held
        if (!give(m, m->delimiter + from, held, e)) return false;
    }
    return m->matched < m->delimiter_n || delimiter_found(m, e);
}

// How many of the last bytes may begin a delimiter.
static size_t tail_match(const struct multipart *m, struct str s) {
    size_t most = s.n < m->delimiter_n - 1 ? s.n : m->delimiter_n - 1;
    const char *from = s.p + (s.n - most);
    for (const char *cr; most && (cr = memchr(from, '\r', most)); from = cr + 1) {
        size_t n = (size_t)(s.p + s.n - cr);
        if (memcmp(cr, m->delimiter, n) == 0) return n;
        most = n - 1;
    }
    return 0;
}

// Data (or preamble) up to a delimiter or the chunk's end.
static bool take_data(struct multipart *m, struct str *s, struct err *e) {
    if (m->matched) return resume_match(m, s, e);
    const char *at = memmem(s->p, s->n, m->delimiter, m->delimiter_n);
    if (at) {
        size_t n = (size_t)(at - s->p);
        if (!give(m, s->p, n, e)) return false;
        *s = str_sub(*s, n + m->delimiter_n, s->n);
        return delimiter_found(m, e);
    }
    m->matched = tail_match(m, *s);
    if (!give(m, s->p, s->n - m->matched, e)) return false;
    *s = str_sub(*s, s->n, 0);
    return true;
}

// Moves bytes to m->header up to and with the next LF. *whole: it is there.
static bool take_line(struct multipart *m, struct str *s, bool *whole, struct err *e) {
    size_t n = str_find(*s, '\n', 0);
    *whole = n < s->n;
    if (*whole) n++;
    buf_add(&m->header, s->p, n);
    *s = str_sub(*s, n, s->n);
    return buf_ok(&m->header, e) || err_wrap(e, "header of part %u", m->parts);
}

// What follows a delimiter on its line: "--" ends the body, blanks are padding.
static bool take_delimiter_line(struct multipart *m, struct str *s, struct err *e) {
    bool whole;
    // "--" may be the body's last bytes, with no line end behind it
    while (m->header.n < 2 && s->n && s->p[0] != '\n') {
        buf_addc(&m->header, s->p[0]);
        *s = str_sub(*s, 1, s->n);
    }
    if (m->header.n >= 2 && memcmp(m->header.p, "--", 2) == 0) {
        m->state = MULTIPART_EPILOGUE;
        return true;
    }
    if (!take_line(m, s, &whole, e)) return false;
    if (!whole) return true;
    if (str_trim(buf_str(&m->header)).n) return err_set(e, ERR_BAD_INPUT, "multipart", "text behind the boundary before part %u", m->parts + 1);
    if (++m->parts > HTTP_PARTS_MAX) return err_set(e, ERR_TOO_LARGE, "multipart", "more than %d parts", HTTP_PARTS_MAX);
    buf_clear(&m->header);
    m->state = MULTIPART_HEADERS;
    return true;
}

static bool begin_part(struct multipart *m, struct err *e) {
    struct multipart_headers h = {0};
    struct str rest = buf_str(&m->header);
    while (rest.p && h.count < MULTIPART_HEADERS_MAX) {
        struct str line = str_split(&rest, '\n');
        size_t colon = str_find(line, ':', 0);
        if (colon == line.n) continue;
        h.all[h.count++] = (struct multipart_header){str_trim(str_sub(line, 0, colon)), str_trim(str_sub(line, colon + 1, line.n))};
    }
    m->state = MULTIPART_DATA;
    m->matched = m->lent = 2; // the line end before an empty part's delimiter is the header's own
    bool ok = m->on.begin(m->on.context, &h, e);
    buf_clear(&m->header);
    return ok;
}

static bool ends_with_empty_line(struct str s) {
    return s.p && (str_eqz(s, "\r\n") || str_eqz(s, "\n") || str_ends(s, STR_LIT("\n\r\n")) || str_ends(s, STR_LIT("\n\n")));
}

static bool take_headers(struct multipart *m, struct str *s, struct err *e) {
    bool whole;
    if (!take_line(m, s, &whole, e)) return false;
    return !whole || !ends_with_empty_line(buf_str(&m->header)) || begin_part(m, e);
}

bool multipart_feed(struct multipart *m, const void *p, size_t n, struct err *e) {
    struct str s = {p, n};
    while (s.n) {
        bool ok = true;
        switch (m->state) {
        case MULTIPART_PREAMBLE:
        case MULTIPART_DATA:
            ok = take_data(m, &s, e);
            break;
        case MULTIPART_LINE:
            ok = take_delimiter_line(m, &s, e);
            break;
        case MULTIPART_HEADERS:
            ok = take_headers(m, &s, e);
            break;
        case MULTIPART_EPILOGUE:
            return true;
        }
        if (!ok) return false;
    }
    return true;
}

bool multipart_finish(struct multipart *m, struct err *e) {
    if (m->state == MULTIPART_EPILOGUE) return true;
    if (m->parts == 0) return err_set(e, ERR_BAD_INPUT, "multipart", "the boundary that the content type names is not in the body");
    return err_set(e, ERR_BAD_INPUT, "multipart", "the body ends inside part %u, without the closing boundary", m->parts);
}

bool multipart_make_boundary(char out[MULTIPART_MADE_BOUNDARY], struct err *e) {
    uint8_t random[16];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) return err_errno(e, ERR_IO, "multipart", "no random bytes for a boundary");
    memcpy(out, "g-", 2);
    hex_encode(random, sizeof random, out + 2);
    out[MULTIPART_MADE_BOUNDARY - 1] = '\0';
    return true;
}

void multipart_write_begin(struct buf *to, const char *boundary, bool first, const char *content_type, struct str location) {
    buf_addf(to, "%s--%s\r\nContent-Type: %s\r\n", first ? "" : "\r\n", boundary, content_type);
    if (location.p) buf_addf(to, "Content-Location: %.*s\r\n", STR_FMT(location));
    buf_addz(to, "\r\n");
}

void multipart_write_end(struct buf *to, const char *boundary) {
    buf_addf(to, "\r\n--%s--\r\n", boundary);
}
