// The defined terms of PS3.3 C.12.1.1.2, and decoding and encoding by them.
#include "dicom/charset.h"

#include "base/buf.h"
#include "base/limits.h"
#include "dicom/vr.h"
#include "text/detect.h"
#include "text/iso2022.h"
#include "text/utf8.h"

struct defined_term {
    const char *name;
    enum text_set set;
    bool extension; // a term of table C.12-3 or C.12-4: ISO 2022
};

// Index 0 is the default repertoire (ISO_IR 6).
static const struct defined_term TERMS[] = {
    {"", TEXT_ASCII, false},
    {"ISO_IR 100", TEXT_LATIN1, false},
    {"ISO_IR 101", TEXT_LATIN2, false},
    {"ISO_IR 109", TEXT_LATIN3, false},
    {"ISO_IR 110", TEXT_LATIN4, false},
    {"ISO_IR 144", TEXT_CYRILLIC, false},
    {"ISO_IR 127", TEXT_ARABIC, false},
    {"ISO_IR 126", TEXT_GREEK, false},
    {"ISO_IR 138", TEXT_HEBREW, false},
    {"ISO_IR 148", TEXT_LATIN5, false},
    {"ISO_IR 203", TEXT_LATIN9, false},
    {"ISO_IR 13", TEXT_JISX0201, false},
    {"ISO_IR 166", TEXT_THAI, false},
    {"ISO_IR 192", TEXT_UTF8, false},
    {"GB18030", TEXT_GB18030, false},
    {"GBK", TEXT_GBK, false},
    {"ISO 2022 IR 6", TEXT_ASCII, true},
    {"ISO 2022 IR 100", TEXT_LATIN1, true},
    {"ISO 2022 IR 101", TEXT_LATIN2, true},
    {"ISO 2022 IR 109", TEXT_LATIN3, true},
    {"ISO 2022 IR 110", TEXT_LATIN4, true},
    {"ISO 2022 IR 144", TEXT_CYRILLIC, true},
    {"ISO 2022 IR 127", TEXT_ARABIC, true},
    {"ISO 2022 IR 126", TEXT_GREEK, true},
    {"ISO 2022 IR 138", TEXT_HEBREW, true},
    {"ISO 2022 IR 148", TEXT_LATIN5, true},
    {"ISO 2022 IR 203", TEXT_LATIN9, true},
    {"ISO 2022 IR 13", TEXT_JISX0201, true},
    {"ISO 2022 IR 166", TEXT_THAI, true},
    {"ISO 2022 IR 87", TEXT_JISX0208, true},
    {"ISO 2022 IR 159", TEXT_JISX0212, true},
    {"ISO 2022 IR 149", TEXT_KSX1001, true},
    {"ISO 2022 IR 58", TEXT_GB2312, true},
};
enum { TERM_COUNT = sizeof TERMS / sizeof TERMS[0], SPELLING_MAX = 32 };

// What else senders write, in letters and digits only, and what they mean.
static const struct {
    const char *spelling;
    const char *term;
} MISSPELLED[] = {
    {"ISOIR6", ""},
    {"IR6", ""},
    {"USASCII", ""},
    {"ASCII", ""},
    {"ISO646", ""},
    {"ISO88591", "ISO_IR 100"},
    {"LATIN1", "ISO_IR 100"},
    {"ISO88592", "ISO_IR 101"},
    {"ISO88593", "ISO_IR 109"},
    {"ISO88594", "ISO_IR 110"},
    {"ISO88595", "ISO_IR 144"},
    {"ISO88596", "ISO_IR 127"},
    {"ISO88597", "ISO_IR 126"},
    {"ISO88598", "ISO_IR 138"},
    {"ISO88599", "ISO_IR 148"},
    {"ISO885915", "ISO_IR 203"},
    {"TIS620", "ISO_IR 166"},
    {"UTF8", "ISO_IR 192"},
    {"ISO2022IR192", "ISO_IR 192"},
    {"ISO10646", "ISO_IR 192"},
    {"UNICODE", "ISO_IR 192"},
    {"ISO2022GB18030", "GB18030"},
    {"ISOIRGB18030", "GB18030"},
    {"ISO2022GBK", "GBK"},
    {"CP936", "GBK"},
    {"GB2312", "GBK"},
    {"ISOIR87", "ISO 2022 IR 87"},
    {"ISOIR159", "ISO 2022 IR 159"},
    {"ISOIR149", "ISO 2022 IR 149"},
    {"ISOIR58", "ISO 2022 IR 58"},
};
enum { MISSPELLED_COUNT = sizeof MISSPELLED / sizeof MISSPELLED[0] };

// Letters (as capitals) and digits only, so that "ISO-IR 100", "iso_ir_100" and "ISO_IR100" are one spelling.
static void strip(struct str s, char out[SPELLING_MAX]) {
    size_t n = 0;
    for (size_t i = 0; i < s.n && n + 1 < SPELLING_MAX; i++) {
        char c = s.p[i];
        if (c >= 'a' && c <= 'z') c = (char)(c - 32);
        if ((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) out[n++] = c;
    }
    out[n] = '\0';
}

static bool find_exact(struct str s, uint8_t *term) {
    for (unsigned i = 0; i < TERM_COUNT; i++)
        if (str_eqz(s, TERMS[i].name)) return *term = (uint8_t)i, true;
    return false;
}

static bool find_term(struct str s, uint8_t *term) {
    if (find_exact(s, term)) return true;
    char given[SPELLING_MAX], known[SPELLING_MAX];
    strip(s, given);
    for (unsigned i = 1; i < TERM_COUNT; i++) {
        strip(str_of(TERMS[i].name), known);
        if (strcmp(given, known) == 0) return *term = (uint8_t)i, true;
    }
    for (unsigned i = 0; i < MISSPELLED_COUNT; i++)
        if (strcmp(given, MISSPELLED[i].spelling) == 0) return find_exact(str_of(MISSPELLED[i].term), term);
    return false;
}

void dcm_charset_parse(struct str value, struct dcm_charset *cs) {
    *cs = (struct dcm_charset){0};
    struct str rest = value.p ? value : STR_LIT("");
    while (rest.p && cs->count < DCM_CHARSET_TERMS_MAX) {
        uint8_t term = 0;
        if (!find_term(str_trim(str_split(&rest, '\\')), &term)) cs->unknown = true;
        if (TERMS[term].extension) cs->extended = true;
        cs->term[cs->count++] = term;
    }
    // PS3.3 C.12.1.1.2: these stand alone and know no code extension, whatever stands behind them
    enum text_set first = TERMS[cs->term[0]].set;
    if (first == TEXT_UTF8 || first == TEXT_GB18030 || first == TEXT_GBK) {
        cs->extended = false;
        cs->count = 1;
    }
}

static bool is_left_only(enum text_set set) {
    return set == TEXT_ASCII || set == TEXT_JISX0208 || set == TEXT_JISX0212;
}

static struct text_iso2022 machine_of(const struct dcm_charset *cs, uint16_t vr) {
    const struct dcm_vr_info *info = dcm_vr_find(vr);
    enum text_set first = TERMS[cs->term[0]].set;
    struct text_iso2022 how = {.g0 = TEXT_ASCII, .g1 = is_left_only(first) ? TEXT_NONE : first, .g1_lenient = TEXT_NONE};
    how.reset_name = vr == DCM_VR_PN;
    how.reset_backslash = !info || info->multi;
    for (unsigned i = 0; i < cs->count && how.g1_lenient == TEXT_NONE; i++) {
        enum text_set set = TERMS[cs->term[i]].set;
        if (set == TEXT_KSX1001 || set == TEXT_GB2312) how.g1_lenient = set;
    }
    return how;
}

struct attempt {
    struct buf utf8;
    unsigned bad;
};

static void try_set(struct attempt *t, enum text_set set, struct str bytes) {
    buf_clear(&t->utf8);
    t->bad = 0;
    if (set == TEXT_SET_COUNT)
        t->utf8.failed = ERR_NOMEM;
    else
        text_decode(set, bytes, &t->utf8, &t->bad);
}

static void try_iso2022(struct attempt *t, const struct text_iso2022 *how, struct str bytes) {
    buf_clear(&t->utf8);
    t->bad = 0;
    text_decode_iso2022(how, bytes, &t->utf8, &t->bad);
}

// What the file declares. Bytes beyond the default repertoire are shown as ISO 8859-1, as everybody does.
static unsigned decode_declared(struct attempt *t, const struct dcm_charset *cs, uint16_t vr, struct str bytes) {
    enum text_set set = TERMS[cs->term[0]].set;
    unsigned flags = DCM_DECODE_CLEAN;
    if (cs->extended) {
        struct text_iso2022 how = machine_of(cs, vr);
        try_iso2022(t, &how, bytes);
    } else if (set == TEXT_ASCII) {
        try_set(t, TEXT_LATIN1, bytes);
        if (!utf8_is_ascii(bytes)) flags = DCM_DECODE_DETECTED;
    } else {
        try_set(t, set, bytes);
    }
    return flags | (t->bad ? DCM_DECODE_REPLACED : DCM_DECODE_CLEAN);
}

// Escape sequences are used without being declared: they say themselves what they are.
static bool repair_by_escapes(struct attempt *t, const struct dcm_charset *cs, uint16_t vr, struct str bytes) {
    if (cs->extended || !text_has_designation(bytes)) return false;
    struct text_iso2022 how = machine_of(cs, vr);
    if (how.g1 == TEXT_UTF8 || how.g1 == TEXT_GB18030 || how.g1 == TEXT_GBK) how.g1 = TEXT_NONE;
    try_iso2022(t, &how, bytes);
    return t->bad == 0;
}

// Code extension is declared, yet the text has bytes above 0x7F and no escape sequence.
static unsigned repair_without_escapes(struct attempt *t, const struct dcm_charset *cs, uint16_t vr, struct str bytes) {
    struct text_iso2022 how = machine_of(cs, vr);
    bool valid_utf8 = utf8_valid(bytes);
    if (how.g1_lenient != TEXT_NONE && !valid_utf8) {
        try_iso2022(t, &how, bytes);
        if (t->bad == 0) return how.g1 == TEXT_NONE ? DCM_DECODE_DETECTED : DCM_DECODE_CLEAN;
    }
    enum text_set declared = how.g1 == TEXT_NONE || how.g1 == TEXT_KSX1001 || how.g1 == TEXT_GB2312 ? TEXT_ASCII : how.g1;
    enum text_set found = text_detect(bytes, declared, vr == DCM_VR_PN);
    try_set(t, found, bytes);
    return (found == how.g1 ? DCM_DECODE_CLEAN : DCM_DECODE_DETECTED) | (t->bad ? DCM_DECODE_REPLACED : DCM_DECODE_CLEAN);
}

static unsigned decode_repaired(struct attempt *t, const struct dcm_charset *cs, uint16_t vr, struct str bytes) {
    if (repair_by_escapes(t, cs, vr, bytes)) return DCM_DECODE_DETECTED;
    if (cs->extended && (text_has_designation(bytes) || utf8_is_ascii(bytes))) return decode_declared(t, cs, vr, bytes);
    if (cs->extended) return repair_without_escapes(t, cs, vr, bytes);
    enum text_set declared = cs->unknown ? TEXT_ASCII : TERMS[cs->term[0]].set;
    enum text_set found = text_detect(bytes, declared, vr == DCM_VR_PN);
    try_set(t, found, bytes);
    return (found == declared ? DCM_DECODE_CLEAN : DCM_DECODE_DETECTED) | (t->bad ? DCM_DECODE_REPLACED : DCM_DECODE_CLEAN);
}

static bool is_plain(struct str bytes) {
    return utf8_is_ascii(bytes) && str_find(bytes, 0x1B, 0) == bytes.n;
}

bool dcm_charset_decode(struct arena *a, const struct dcm_charset *cs, uint16_t vr, struct str bytes, bool repair, struct str *out, unsigned *flags,
                        struct err *e) {
    *flags = DCM_DECODE_CLEAN;
    if (is_plain(bytes)) return arena_dup(a, bytes, out, e);
    if (bytes.n > DCM_HEADER_BYTES_MAX) return err_set(e, ERR_TOO_LARGE, "charset", "a text of %zu bytes", bytes.n);
    struct attempt t;
    buf_init(&t.utf8, bytes.n * 4 + 4096);
    *flags = repair ? decode_repaired(&t, cs, vr, bytes) : decode_declared(&t, cs, vr, bytes);
    bool ok = buf_ok(&t.utf8, e) && arena_dup(a, buf_str(&t.utf8), out, e);
    buf_deinit(&t.utf8);
    return ok;
}

size_t dcm_charset_find(const struct dcm_charset *cs, uint16_t vr, struct str bytes, char delimiter, size_t from) {
    if (cs->extended) {
        struct text_iso2022 how = machine_of(cs, vr);
        return text_find_iso2022(&how, bytes, delimiter, from);
    }
    enum text_set set = TERMS[cs->term[0]].set;
    if (set != TEXT_GB18030 && set != TEXT_GBK) return str_find(bytes, delimiter, from);
    for (size_t i = 0; i < bytes.n; i += text_char_length(set, bytes.p + i, bytes.n - i))
        if (i >= from && bytes.p[i] == delimiter) return i;
    return bytes.n;
}

char *dcm_charset_name(struct arena *a, const struct dcm_charset *cs, struct err *e) {
    char *name = arena_printf(a, e, "%s", TERMS[cs->term[0]].name);
    for (unsigned i = 1; name && i < cs->count; i++) name = arena_printf(a, e, "%s\\%s", name, TERMS[cs->term[i]].name);
    return name;
}

static bool encode_to(const struct dcm_charset *cs, uint16_t vr, struct str utf8, struct buf *to) {
    if (!cs->extended) return text_encode(TERMS[cs->term[0]].set, utf8, to);
    struct text_iso2022 how = machine_of(cs, vr);
    enum text_set sets[DCM_CHARSET_TERMS_MAX];
    for (unsigned i = 0; i < cs->count; i++) sets[i] = TERMS[cs->term[i]].set;
    return text_encode_iso2022(&how, sets, cs->count, utf8, to);
}

bool dcm_charset_encode(struct arena *a, const struct dcm_charset *cs, uint16_t vr, struct str utf8, struct str *out, bool *fits, struct err *e) {
    *fits = true;
    if (is_plain(utf8)) return arena_dup(a, utf8, out, e);
    if (utf8.n > DCM_HEADER_BYTES_MAX) return err_set(e, ERR_TOO_LARGE, "charset", "a text of %zu bytes", utf8.n);
    struct buf to;
    buf_init(&to, utf8.n * 8 + 4096);
    *fits = encode_to(cs, vr, utf8, &to);
    bool ok = buf_ok(&to, e) && (!*fits || arena_dup(a, buf_str(&to), out, e));
    buf_deinit(&to);
    return ok;
}
