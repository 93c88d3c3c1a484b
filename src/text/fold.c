// Folding by libunistring's normalisation and case folding.
#include "text/fold.h"

#include <errno.h>
#include <stdlib.h>
#include <unicase.h>
#include <uninorm.h>

#include "base/buf.h"
#include "base/limits.h"
#include "text/utf8.h"

// Letters with a stroke or a ligature have no decomposition, yet are written without by those who cannot type them.
static const struct {
    uint16_t letter;
    char plain[3];
} PLAIN[] = {
    {0x00E6, "ae"}, {0x00F0, "d"}, {0x00F8, "o"}, {0x00FE, "th"}, {0x0111, "d"}, {0x0127, "h"}, {0x0131, "i"}, {0x0142, "l"}, {0x0153, "oe"}, {0x0167, "t"},
};

static const char *plain_of(uint32_t c) {
    if (c < 0xE6 || c > 0x167) return NULL;
    for (size_t i = 0; i < sizeof PLAIN / sizeof PLAIN[0]; i++)
        if (PLAIN[i].letter == c) return PLAIN[i].plain;
    return NULL;
}

// Accents, points and vowel signs that writers leave out. Marks of other scripts (kana, Thai, Indic) are part of the spelling.
static bool is_accent(uint32_t c) {
    return (c >= 0x0300 && c <= 0x036F) || (c >= 0x0591 && c <= 0x05C7 && c != 0x05BE && c != 0x05C0 && c != 0x05C3 && c != 0x05C6) ||
           (c >= 0x064B && c <= 0x065F) || c == 0x0670 || (c >= 0x1AB0 && c <= 0x1AFF) || (c >= 0x1DC0 && c <= 0x1DFF) || (c >= 0x20D0 && c <= 0x20FF) ||
           (c >= 0xFE20 && c <= 0xFE2F);
}

static bool is_space(uint32_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct folding {
    struct buf to;
    bool space;   // one is due before the next character
    bool compose; // a script whose marks were kept
};

static void add_folded(struct folding *f, uint32_t c) {
    if (is_space(c)) {
        f->space = f->to.n > 0;
        return;
    }
    if (is_accent(c)) return;
    if (f->space) buf_addc(&f->to, ' ');
    f->space = false;
    const char *plain = plain_of(c);
    if (plain)
        buf_addz(&f->to, plain);
    else
        utf8_add(&f->to, c);
    bool han = (c >= 0x3400 && c <= 0x9FFF) || c >= 0x20000;
    if (c >= 0x0900 && !han) f->compose = true;
}

static bool fold_ascii(struct arena *a, struct str s, struct str *out, struct err *e) {
    char *p = arena_alloc(a, s.n + 1, e);
    if (!p) return false;
    size_t n = 0;
    bool space = false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (is_space((unsigned char)c)) {
            space = n > 0;
            continue;
        }
        if (space) p[n++] = ' ';
        space = false;
        p[n++] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    p[n] = '\0';
    *out = (struct str){p, n};
    return true;
}

// Hangul syllables and voiced kana back to one character each.
static bool recompose(struct arena *a, struct str s, struct str *out, struct err *e) {
    size_t n = 0;
    uint8_t *whole = u8_normalize(UNINORM_NFC, (const uint8_t *)s.p, s.n, NULL, &n);
    if (!whole) return err_nomem(e, "fold");
    bool ok = arena_dup(a, (struct str){(const char *)whole, n}, out, e);
    free(whole);
    return ok;
}

static bool fold_clean(struct arena *a, struct str s, struct str *out, struct err *e) {
    size_t n = 0;
    uint8_t *folded = u8_casefold((const uint8_t *)s.p, s.n, NULL, UNINORM_NFKD, NULL, &n);
    if (!folded) return errno == ENOMEM ? err_nomem(e, "fold") : err_set(e, ERR_INTERNAL, "fold", "text cannot be case folded");
    struct folding f = {0};
    buf_init(&f.to, n * 2 + 64);
    uint32_t c;
    for (struct str rest = {(const char *)folded, n}; utf8_take(&rest, &c);) add_folded(&f, c);
    free(folded);
    bool ok = buf_ok(&f.to, e) && (f.compose ? recompose(a, buf_str(&f.to), out, e) : arena_dup(a, buf_str(&f.to), out, e));
    buf_deinit(&f.to);
    return ok;
}

bool text_fold(struct arena *a, struct str utf8, struct str *out, struct err *e) {
    if (utf8_is_ascii(utf8)) return fold_ascii(a, utf8, out, e);
    if (utf8.n > DCM_HEADER_BYTES_MAX) return err_set(e, ERR_TOO_LARGE, "fold", "a text of %zu bytes", utf8.n);
    if (utf8_valid(utf8)) return fold_clean(a, utf8, out, e);
    struct buf clean;
    unsigned bad = 0;
    buf_init(&clean, utf8.n * 3 + 64);
    utf8_add_clean(&clean, utf8, &bad);
    bool ok = buf_ok(&clean, e) && fold_clean(a, buf_str(&clean), out, e);
    buf_deinit(&clean);
    return ok;
}
