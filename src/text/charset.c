// Conversion descriptors, opened once a thread, and the sets that need none.
#include "text/charset.h"

#include <errno.h>
#include <iconv.h>
#include <pthread.h>
#include <stdlib.h>

#include "text/utf8.h"

// NULL: converted here, without iconv. The supersets that are in use (GB18030 for GBK, UHC for EUC-KR, CP932 for Shift_JIS) read
// everything that the plain sets hold and what senders put there besides.
static const char *const DECODE_NAME[TEXT_SET_COUNT] = {
    [TEXT_LATIN2] = "ISO-8859-2", [TEXT_LATIN3] = "ISO-8859-3", [TEXT_LATIN4] = "ISO-8859-4", [TEXT_CYRILLIC] = "ISO-8859-5", [TEXT_ARABIC] = "ISO-8859-6",
    [TEXT_GREEK] = "ISO-8859-7",  [TEXT_HEBREW] = "ISO-8859-8", [TEXT_LATIN5] = "ISO-8859-9", [TEXT_LATIN9] = "ISO-8859-15",  [TEXT_THAI] = "ISO-8859-11",
    [TEXT_CP1252] = "CP1252",     [TEXT_GBK] = "GB18030",       [TEXT_GB18030] = "GB18030",   [TEXT_BIG5] = "BIG5",           [TEXT_SHIFT_JIS] = "CP932",
    [TEXT_EUC_KR] = "UHC",        [TEXT_JISX0208] = "EUC-JP",   [TEXT_JISX0212] = "EUC-JP",   [TEXT_KSX1001] = "UHC",         [TEXT_GB2312] = "GBK",
};

// Encoding is strict: what goes out must be in the set that is declared.
static const char *encode_name(enum text_set set) {
    switch (set) {
    case TEXT_GBK:
        return "GBK";
    case TEXT_KSX1001:
    case TEXT_EUC_KR:
        return "EUC-KR";
    case TEXT_GB2312:
        return "EUC-CN";
    default:
        return DECODE_NAME[set];
    }
}

// Opening a descriptor costs as much as converting thousands of names: each thread keeps those that it used, at most one a set and direction.
struct descriptors {
    iconv_t cd[2][TEXT_SET_COUNT]; // 0: not opened yet
};

static pthread_key_t descriptors_key;
static pthread_once_t descriptors_once = PTHREAD_ONCE_INIT;
static bool descriptors_keyed;
static _Thread_local struct descriptors *descriptors;

static void close_descriptors(void *arg) {
    struct descriptors *d = arg;
    for (unsigned way = 0; way < 2; way++)
        for (unsigned set = 0; set < TEXT_SET_COUNT; set++)
            if (d->cd[way][set] && d->cd[way][set] != (iconv_t)-1) iconv_close(d->cd[way][set]);
    free(d);
    descriptors = NULL;
}

static void close_at_exit(void) {
    if (descriptors) close_descriptors(descriptors);
}

static void make_key(void) {
    descriptors_keyed = pthread_key_create(&descriptors_key, close_descriptors) == 0;
    atexit(close_at_exit); // the main thread runs no key destructors
}

static bool make_descriptors(void) {
    pthread_once(&descriptors_once, make_key);
    if (descriptors) return true;
    descriptors = calloc(1, sizeof *descriptors);
    if (descriptors && descriptors_keyed && pthread_setspecific(descriptors_key, descriptors) == 0) return true;
    free(descriptors);
    descriptors = NULL;
    return false;
}

// (iconv_t)-1 when the C library has no such table; when it only could not be opened now, out fails as well, so that no text is taken for undecodable.
static iconv_t descriptor(enum text_set set, bool encode, struct buf *out) {
    if (!make_descriptors()) {
        out->failed = ERR_NOMEM;
        return (iconv_t)-1;
    }
    iconv_t *cached = &descriptors->cd[encode][set];
    iconv_t cd = *cached;
    if (cd) return cd;
    cd = encode ? iconv_open(encode_name(set), "UTF-8") : iconv_open("UTF-8", DECODE_NAME[set]);
    if (cd != (iconv_t)-1 || errno == EINVAL)
        *cached = cd;
    else
        out->failed = ERR_NOMEM;
    return cd;
}

static void replace(struct buf *out, unsigned *bad) {
    utf8_add(out, UTF8_REPLACEMENT);
    ++*bad;
}

static void decode_by_iconv(enum text_set set, struct str in, struct buf *out, unsigned *bad) {
    iconv_t cd = descriptor(set, false, out);
    char *p = (char *)(uintptr_t)in.p; // iconv takes char ** but does not write there
    size_t left = in.n;
    if (cd != (iconv_t)-1) iconv(cd, NULL, NULL, NULL, NULL);
    while (left) {
        size_t room = (left < 4096 ? left : 4096) * 3 + 16, n = room;
        char *to = buf_reserve(out, room), *q = to;
        if (!to) return;
        errno = EILSEQ;
        size_t rc = cd == (iconv_t)-1 ? (size_t)-1 : iconv(cd, &p, &left, &q, &n);
        out->n += (size_t)(q - to);
        if (rc != (size_t)-1 || errno == E2BIG) continue;
        bool ascii = left && (unsigned char)*p < 0x80;
        if (ascii)
            buf_addc(out, *p); // only without a descriptor: ASCII stays readable
        else
            replace(out, bad);
        if (left) p++, left--; // glibc has been seen to consume what it refuses (UHC 0xA2E8 at the end)
    }
}

static void decode_by_hand(enum text_set set, struct str in, struct buf *out, unsigned *bad) {
    for (size_t i = 0; i < in.n; i++) {
        unsigned char b = (unsigned char)in.p[i];
        if (b < 0x80 || set == TEXT_LATIN1)
            utf8_add(out, b);
        else if (set == TEXT_JISX0201 && b >= 0xA1 && b <= 0xDF)
            utf8_add(out, 0xFF61u + b - 0xA1);
        else
            replace(out, bad);
    }
}

// JIS X 0208 and 0212 as 7-bit pairs: EUC-JP knows them with the high bits set, 0212 behind 0x8F.
static void decode_jis_pairs(enum text_set set, struct str in, struct buf *out, unsigned *bad) {
    for (size_t i = 0; i < in.n; i += 2) {
        if (i + 1 == in.n) return replace(out, bad);
        char euc[3] = {(char)0x8F, (char)(in.p[i] | 0x80), (char)(in.p[i + 1] | 0x80)};
        unsigned before = *bad;
        size_t at = out->n;
        decode_by_iconv(set, set == TEXT_JISX0212 ? (struct str){euc, 3} : (struct str){euc + 1, 2}, out, bad);
        if (*bad == before) continue;
        out->n = at; // one replacement for the pair
        *bad = before;
        replace(out, bad);
    }
}

void text_decode(enum text_set set, struct str in, struct buf *out, unsigned *bad) {
    if (set == TEXT_UTF8) return utf8_add_clean(out, in, bad);
    if (set == TEXT_JISX0208 || set == TEXT_JISX0212) return decode_jis_pairs(set, in, out, bad);
    if (utf8_is_ascii(in)) return buf_add_str(out, in);
    if (DECODE_NAME[set])
        decode_by_iconv(set, in, out, bad);
    else
        decode_by_hand(set, in, out, bad);
}

static bool encode_by_hand(enum text_set set, struct str utf8, struct buf *out) {
    uint32_t c;
    while (utf8_take(&utf8, &c)) {
        if (c < 0x80 || (set == TEXT_LATIN1 && c <= 0xFF))
            buf_addc(out, (char)c);
        else if (set == TEXT_JISX0201 && c >= 0xFF61 && c <= 0xFF9F)
            buf_addc(out, (char)(c - 0xFF61 + 0xA1));
        else
            return false;
    }
    return true;
}

static bool encode_by_iconv(enum text_set set, struct str utf8, struct buf *out) {
    iconv_t cd = descriptor(set, true, out);
    if (cd == (iconv_t)-1) return out->failed != ERR_NONE; // the failure is in out
    char *p = (char *)(uintptr_t)utf8.p;
    size_t left = utf8.n;
    iconv(cd, NULL, NULL, NULL, NULL);
    while (left) {
        size_t room = (left < 4096 ? left : 4096) * 2 + 16, n = room;
        char *to = buf_reserve(out, room), *q = to;
        if (!to) return true; // the failure is in out
        size_t rc = iconv(cd, &p, &left, &q, &n);
        out->n += (size_t)(q - to);
        if (rc == (size_t)-1 && errno != E2BIG) return false;
    }
    return true;
}

// EUC-JP's bytes to 7-bit pairs; false when the character came out in another of its code sets.
static bool euc_to_pairs(enum text_set set, struct buf *out, size_t from) {
    size_t to = from;
    for (size_t i = from; i < out->n;) {
        bool three = (unsigned char)out->p[i] == 0x8F;
        if (three) i++;
        if (three != (set == TEXT_JISX0212) || i + 1 >= out->n || (unsigned char)out->p[i] < 0xA1 || (unsigned char)out->p[i + 1] < 0xA1) return false;
        out->p[to++] = (char)(out->p[i] & 0x7F);
        out->p[to++] = (char)(out->p[i + 1] & 0x7F);
        i += 2;
    }
    out->n = to;
    return true;
}

bool text_encode(enum text_set set, struct str utf8, struct buf *out) {
    size_t from = out->n;
    bool fits;
    if (set == TEXT_UTF8) {
        buf_add_str(out, utf8);
        return true;
    }
    if (set == TEXT_JISX0208 || set == TEXT_JISX0212) {
        fits = encode_by_iconv(set, utf8, out) && (out->failed || euc_to_pairs(set, out, from));
    } else if (utf8_is_ascii(utf8)) {
        buf_add_str(out, utf8);
        return true;
    } else {
        fits = DECODE_NAME[set] ? encode_by_iconv(set, utf8, out) : encode_by_hand(set, utf8, out);
    }
    if (!fits) out->n = from;
    return fits;
}

static bool within(unsigned char b, unsigned char low, unsigned char high) {
    return b >= low && b <= high;
}

// Trail bytes: GBK 0x40-0xFE, Big5 0x40-0x7E and 0xA1-0xFE, Shift_JIS 0x40-0xFC, UHC letters and 0x81-0xFE; all without 0x7F.
size_t text_char_length(enum text_set set, const char *p, size_t n) {
    const unsigned char *b = (const unsigned char *)p;
    if (b[0] < 0x80 || n < 2) return 1;
    switch (set) {
    case TEXT_GB18030:
    case TEXT_GBK:
        if (!within(b[0], 0x81, 0xFE)) return 1;
        if (n >= 4 && within(b[1], 0x30, 0x39) && within(b[2], 0x81, 0xFE) && within(b[3], 0x30, 0x39)) return 4;
        return within(b[1], 0x40, 0xFE) && b[1] != 0x7F ? 2 : 1;
    case TEXT_BIG5:
        return within(b[0], 0x81, 0xFE) && (within(b[1], 0x40, 0x7E) || within(b[1], 0xA1, 0xFE)) ? 2 : 1;
    case TEXT_SHIFT_JIS:
        return (within(b[0], 0x81, 0x9F) || within(b[0], 0xE0, 0xFC)) && within(b[1], 0x40, 0xFC) && b[1] != 0x7F ? 2 : 1;
    case TEXT_EUC_KR:
        return within(b[0], 0x81, 0xFE) && (within(b[1], 0x41, 0x5A) || within(b[1], 0x61, 0x7A) || within(b[1], 0x81, 0xFE)) ? 2 : 1;
    default:
        return 1;
    }
}
