// The designations of PS3.3 tables C.12-3 and C.12-4 and the machine that follows them.
#include "text/iso2022.h"

#include "text/utf8.h"

enum { ESC = 0x1B };

struct designation {
    char escape[5]; // without ESC
    unsigned char g;
    enum text_set set;
};

// The first of a set is the one that is written; the others are older forms that are met in the field.
static const struct designation DESIGNATIONS[] = {
    {"(B", 0, TEXT_ASCII},     {"(J", 0, TEXT_ASCII},    {"-A", 1, TEXT_LATIN1},    {"-B", 1, TEXT_LATIN2},   {"-C", 1, TEXT_LATIN3},
    {"-D", 1, TEXT_LATIN4},    {"-L", 1, TEXT_CYRILLIC}, {"-G", 1, TEXT_ARABIC},    {"-F", 1, TEXT_GREEK},    {"-H", 1, TEXT_HEBREW},
    {"-M", 1, TEXT_LATIN5},    {"-T", 1, TEXT_THAI},     {"-b", 1, TEXT_LATIN9},    {")I", 1, TEXT_JISX0201}, {"$)C", 1, TEXT_KSX1001},
    {"$)A", 1, TEXT_GB2312},   {"$B", 0, TEXT_JISX0208}, {"$(D", 0, TEXT_JISX0212}, {"$@", 0, TEXT_JISX0208}, {"$(B", 0, TEXT_JISX0208},
    {"$(@", 0, TEXT_JISX0208},
};
enum { DESIGNATION_COUNT = sizeof DESIGNATIONS / sizeof DESIGNATIONS[0] };

static const struct designation *designation_at(struct str s) {
    for (unsigned i = 0; i < DESIGNATION_COUNT; i++)
        if (str_starts(s, str_of(DESIGNATIONS[i].escape))) return &DESIGNATIONS[i];
    return NULL;
}

bool text_has_designation(struct str s) {
    for (size_t at = str_find(s, ESC, 0); at < s.n; at = str_find(s, ESC, at + 1))
        if (designation_at(str_sub(s, at + 1, s.n))) return true;
    return false;
}

static bool is_double(enum text_set set) {
    return set == TEXT_JISX0208 || set == TEXT_JISX0212;
}

static bool is_delimiter(const struct text_iso2022 *how, unsigned char b) {
    return b < 0x20 || (b == '\\' && how->reset_backslash) || ((b == '^' || b == '=') && how->reset_name);
}

static bool is_graphic(char c) {
    return (unsigned char)c > 0x20 && (unsigned char)c < 0x7F;
}

// A stretch of text that one set governs.
struct run {
    enum text_set set;
    struct str text;
    bool escape; // a designation (set and text mean nothing), or an unknown one when unknown
    bool unknown;
};

struct machine {
    const struct text_iso2022 *how;
    enum text_set g[2];
};

static void reset(struct machine *m) {
    m->g[0] = m->how->g0;
    m->g[1] = m->how->g1;
}

// Length of the run of 7-bit characters at s, and its set. A pair's bytes may look like delimiters; a lone one at the end is one.
static struct run run_left(struct machine *m, struct str s) {
    size_t n = 0;
    if (is_double(m->g[0]) && s.n >= 2 && is_graphic(s.p[0]) && is_graphic(s.p[1])) {
        while (n + 1 < s.n && is_graphic(s.p[n]) && is_graphic(s.p[n + 1])) n += 2;
        return (struct run){.set = m->g[0], .text = str_sub(s, 0, n)};
    }
    if (is_delimiter(m->how, (unsigned char)s.p[0])) {
        reset(m);
        return (struct run){.set = TEXT_ASCII, .text = str_sub(s, 0, 1)};
    }
    n = 1;
    while (!is_double(m->g[0]) && n < s.n && (unsigned char)s.p[n] < 0x80 && s.p[n] != ESC && !is_delimiter(m->how, (unsigned char)s.p[n])) n++;
    return (struct run){.set = TEXT_ASCII, .text = str_sub(s, 0, n)};
}

static struct run run_right(struct machine *m, struct str s) {
    size_t n = 0;
    while (n < s.n && (unsigned char)s.p[n] >= 0x80) n++;
    enum text_set set = m->g[1] == TEXT_NONE ? m->how->g1_lenient : m->g[1];
    return (struct run){.set = set, .text = str_sub(s, 0, n)};
}

// Cuts the next run from *rest.
static struct run next_run(struct machine *m, struct str *rest) {
    struct run r;
    if (rest->p[0] == ESC) {
        const struct designation *d = designation_at(str_sub(*rest, 1, rest->n));
        r = (struct run){.escape = true, .unknown = !d, .text = str_sub(*rest, 0, d ? 1 + strlen(d->escape) : 1)};
        if (d) m->g[d->g] = d->set;
    } else if ((unsigned char)rest->p[0] >= 0x80) {
        r = run_right(m, *rest);
    } else {
        r = run_left(m, *rest);
    }
    *rest = str_sub(*rest, r.text.n, rest->n);
    return r;
}

void text_decode_iso2022(const struct text_iso2022 *how, struct str in, struct buf *out, unsigned *bad) {
    struct machine m = {.how = how};
    reset(&m);
    while (in.n) {
        struct run r = next_run(&m, &in);
        if (r.unknown) {
            utf8_add(out, UTF8_REPLACEMENT);
            ++*bad;
        } else if (!r.escape) {
            text_decode(r.set, r.text, out, bad);
        }
    }
}

size_t text_find_iso2022(const struct text_iso2022 *how, struct str s, char delimiter, size_t from) {
    struct machine m = {.how = how};
    struct str rest = s;
    reset(&m);
    while (rest.n) {
        struct run r = next_run(&m, &rest);
        if (r.escape || is_double(r.set)) continue;
        size_t start = (size_t)(r.text.p - s.p);
        size_t at = str_find(r.text, delimiter, from > start ? from - start : 0);
        if (at < r.text.n) return start + at;
    }
    return s.n;
}

// ---- encoding ----

static const struct designation *designation_of(enum text_set set) {
    for (unsigned i = 0; i < DESIGNATION_COUNT; i++)
        if (DESIGNATIONS[i].set == set) return &DESIGNATIONS[i];
    return NULL;
}

static void designate(struct machine *m, enum text_set set, struct buf *out) {
    const struct designation *d = designation_of(set);
    if (!d || m->g[d->g] == set) return;
    buf_addc(out, ESC);
    buf_addz(out, d->escape);
    m->g[d->g] = set;
}

// What value 1 says must be active again before a delimiter and at the end (PS3.5 6.1.2.5.3). Nothing designated has no escape sequence.
static void restore(struct machine *m, struct buf *out) {
    designate(m, m->how->g0, out);
    if (m->how->g1 != TEXT_NONE) designate(m, m->how->g1, out);
    reset(m);
}

static bool encode_in(struct machine *m, enum text_set set, struct str c, struct buf *out) {
    struct buf one;
    buf_init(&one, 64);
    bool fits = text_encode(set, c, &one) && (unsigned char)(one.n ? one.p[0] : 0) >= (is_double(set) ? 0x21 : 0xA0);
    if (fits) {
        designate(m, set, out);
        buf_add_str(out, buf_str(&one));
    }
    if (one.failed) out->failed = one.failed;
    buf_deinit(&one);
    return fits;
}

// The set that is active is tried first, so that a run of characters needs one escape sequence.
static bool encode_wide(struct machine *m, const enum text_set *sets, unsigned count, struct str c, struct buf *out) {
    for (unsigned g = 0; g < 2; g++)
        if (m->g[g] != TEXT_NONE && m->g[g] != TEXT_ASCII && encode_in(m, m->g[g], c, out)) return true;
    for (unsigned i = 0; i < count; i++)
        if (designation_of(sets[i]) && sets[i] != TEXT_ASCII && encode_in(m, sets[i], c, out)) return true;
    return false;
}

bool text_encode_iso2022(const struct text_iso2022 *how, const enum text_set *sets, unsigned count, struct str utf8, struct buf *out) {
    struct machine m = {.how = how};
    size_t from = out->n;
    reset(&m);
    while (utf8.n) {
        struct str before = utf8;
        uint32_t c;
        utf8_take(&utf8, &c);
        struct str one = str_sub(before, 0, before.n - utf8.n);
        if (c < 0x80) {
            if (is_delimiter(how, (unsigned char)c)) restore(&m, out);
            designate(&m, how->g0, out);
            buf_add_str(out, one);
        } else if (!encode_wide(&m, sets, count, one, out)) {
            out->n = from;
            return false;
        }
    }
    restore(&m, out);
    return true;
}
