// Detection by what each candidate would mean: valid codes, characters in common use, and whether the text is plausible as Latin.
#include "text/detect.h"

#include <string.h>

#include "text/utf8.h"

enum { SAMPLE_BYTES_MAX = 512, GOOD_ENOUGH = 45, COMMON_BONUS = 50, CHINESE_PRIOR = 10 };

// Family names and frequent words of radiology reports; being among them makes a reading more likely (points in the hundred).
static const char COMMON_CHINESE[] =
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许邓冯韩曹曾彭萧蔡潘田董袁于余叶蒋杜苏魏程吕丁沈任姚卢傅钟姜崔谭廖范汪陆金石戴贾韦夏"
    "邱方侯邹熊孟秦白江阎薛尹段雷黎史龙陶贺顾毛郝龚邵万钱严武莫孔向汤欧诸葛司上官伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华文玉建国红春"
    "梅兰小东晓婷雪子胸部腹头颅脑颈椎腰骨盆心肺肝肾扫增强检查医院科影像放射超声门急诊住的无有见";
static const char COMMON_TRADITIONAL[] =
    "王李張劉陳楊黃趙吳周徐孫馬朱胡郭何林高羅鄭梁謝宋唐許鄧馮韓曹曾彭蕭蔡潘田董袁于余葉蔣杜蘇魏程呂丁沈任姚盧傅鍾姜崔譚廖范汪陸金石戴賈韋夏"
    "邱方侯鄒熊孟秦白江閻薛尹段雷黎史龍陶賀顧毛郝龔邵萬錢嚴武莫孔向湯歐偉芳娜敏靜麗強磊軍洋勇艷傑娟濤明超秀霞平剛桂英華文玉建國紅春梅蘭小東曉"
    "婷雪子志家美淑雅怡君胸部腹頭顱腦頸椎腰骨盆心肺肝腎掃檢查醫院科影像放射超音波門急診住的無有見";
static const char COMMON_KOREAN[] =
    "김이박최정강조윤장임한오서신권황안송류전홍고문양손배백허유남심노하곽성차주우구민준지현영수진희은호미경혜길동원병흉부복두검사";
static const char COMMON_JAPANESE[] = "佐藤鈴木高橋田中伊渡辺山本村小林加吉斎松井上崎野原川口石岡清水池子郎太一美恵胸部腹頭検査科病院の";

static bool high(char c) {
    return (unsigned char)c >= 0x80;
}

// ---- candidates of several bytes a character ----

static unsigned code_of(const char *p, size_t n) {
    return n == 2 ? (unsigned)((unsigned char)p[0] << 8 | (unsigned char)p[1]) : 0;
}

static int weigh_gbk(unsigned code) {
    unsigned lead = code >> 8, trail = code & 0xFF;
    if (code == 0) return 30; // four bytes: rare characters
    if (code == 0xA1A4 || code == 0xA1A1) return 60;
    if (lead >= 0xA1 && lead <= 0xA9) return trail >= 0xA1 ? 20 : 0;
    if (lead >= 0xB0 && lead <= 0xD7 && trail >= 0xA1) return 100; // GB 2312 level 1
    if (lead >= 0xD8 && lead <= 0xF7 && trail >= 0xA1) return 60;  // level 2
    if (lead >= 0xAA && trail >= 0xA1) return -1;                  // user-defined areas
    return 30;
}

static int weigh_big5(unsigned code) {
    if (code >= 0xA440 && code <= 0xC67E) return 100; // frequently used
    if (code >= 0xC940 && code <= 0xF9D5) return 30;
    return code >= 0xA140 && code < 0xA440 ? 10 : -1;
}

static int weigh_shift_jis(unsigned code) {
    if ((code >= 0x829F && code <= 0x82F1) || (code >= 0x8340 && code <= 0x8396)) return 100; // kana
    if (code >= 0x889F && code <= 0x9872) return 80;                                          // level 1
    return code >= 0x989F ? 30 : 20;
}

static int weigh_euc_kr(unsigned code) {
    unsigned lead = code >> 8, trail = code & 0xFF;
    if (lead >= 0xB0 && lead <= 0xC8 && trail >= 0xA1) return 100; // syllables of KS X 1001
    if (lead >= 0xCA && lead <= 0xFD && trail >= 0xA1) return 30;
    return 10;
}

struct candidate {
    enum text_set set;
    int prior;
    int (*weigh)(unsigned code);
    const char *common;
};

static const struct candidate CANDIDATES[] = {
    {TEXT_GB18030, CHINESE_PRIOR, weigh_gbk, COMMON_CHINESE},
    {TEXT_BIG5, 0, weigh_big5, COMMON_TRADITIONAL},
    {TEXT_SHIFT_JIS, 0, weigh_shift_jis, COMMON_JAPANESE},
    {TEXT_EUC_KR, 0, weigh_euc_kr, COMMON_KOREAN},
};
enum { CANDIDATE_COUNT = sizeof CANDIDATES / sizeof CANDIDATES[0] };

static bool is_private_use(uint32_t c) {
    return (c >= 0xE000 && c <= 0xF8FF) || c >= 0xF0000;
}

// The characters that the bytes mean, or false when some mean nothing.
static bool decodes(enum text_set set, struct str bytes, struct buf *utf8) {
    unsigned bad = 0;
    uint32_t c;
    utf8->n = 0; // and its failure stays
    text_decode(set, bytes, utf8, &bad);
    if (bad || utf8->failed) return false;
    for (struct str rest = buf_str(utf8); utf8_take(&rest, &c);)
        if (is_private_use(c)) return false;
    return true;
}

static bool is_common(const char *common, struct str character) {
    char z[5] = {0};
    if (character.n > 4) return false;
    memcpy(z, character.p, character.n);
    return strstr(common, z) != NULL;
}

// Mean points of the characters beyond ASCII, or -1 when the bytes cannot be the candidate.
static int score(const struct candidate *c, struct str bytes, struct buf *utf8) {
    if (!decodes(c->set, bytes, utf8)) return -1;
    struct str decoded = buf_str(utf8);
    long sum = 0, count = 0;
    for (size_t i = 0; i < bytes.n;) {
        size_t n = text_char_length(c->set, bytes.p + i, bytes.n - i);
        struct str before = decoded;
        uint32_t unused;
        utf8_take(&decoded, &unused);
        if (high(bytes.p[i])) {
            int w = n == 1 ? 20 : c->weigh(code_of(bytes.p + i, n)); // one byte: half-width katakana
            if (w < 0) return -1;
            sum += w + (is_common(c->common, str_sub(before, 0, before.n - decoded.n)) ? COMMON_BONUS : 0);
            count++;
        }
        i += n;
    }
    return count ? (int)(sum / count) + c->prior : -1;
}

static enum text_set best_candidate(struct str bytes, struct buf *utf8) {
    enum text_set best = TEXT_NONE;
    int most = GOOD_ENOUGH - 1;
    for (unsigned i = 0; i < CANDIDATE_COUNT; i++) {
        int s = score(&CANDIDATES[i], bytes, utf8);
        if (s > most) {
            most = s;
            best = CANDIDATES[i].set;
        }
    }
    return best;
}

// ---- Latin ----

static bool is_ascii_letter(unsigned char b) {
    return (b | 0x20) >= 'a' && (b | 0x20) <= 'z';
}

static bool is_c1(unsigned char b) {
    return b >= 0x80 && b <= 0x9F;
}

// Letters of ISO 8859-1 and those that Windows puts between 0x80 and 0x9F.
static bool is_latin_letter(unsigned char b) {
    return (b >= 0xC0 && b != 0xD7 && b != 0xF7) || (b >= 0x80 && b < 0xA0 && strchr("\x8A\x8C\x8E\x9A\x9C\x9E\x9F", b));
}

static bool is_latin_upper(unsigned char b) {
    return (b >= 0xC0 && b <= 0xDE) || b == 0x8A || b == 0x8C || b == 0x8E || b == 0x9F;
}

static bool is_word_byte(unsigned char b) {
    return is_ascii_letter(b) || (b >= 0x80 && b != 0xA0);
}

// Signs that stand in names beside letters: ordinals (M\xAA), acute accent and quote as apostrophe, the Catalan dot.
static bool is_name_sign(unsigned char b) {
    return b == 0xAA || b == 0xBA || b == 0xB4 || b == 0x91 || b == 0x92 || b == 0xB7;
}

struct latin_word {
    unsigned ascii, letters, signs, run, longest;
    bool odd_sign, odd_case;
};

static struct latin_word look_at_word(struct str w) {
    struct latin_word l = {0};
    for (size_t i = 0; i < w.n; i++) {
        unsigned char b = (unsigned char)w.p[i], before = i ? (unsigned char)w.p[i - 1] : 0;
        bool upper = is_latin_upper(b) || (b >= 'A' && b <= 'Z');
        l.run = b >= 0x80 ? l.run + 1 : 0;
        if (l.run > l.longest) l.longest = l.run;
        if (b < 0x80) {
            l.ascii++;
        } else if (is_latin_letter(b)) {
            l.letters++;
        } else {
            l.signs++;
            if (!is_name_sign(b)) l.odd_sign = true;
        }
        if (upper && is_latin_letter(before) && !is_latin_upper(before)) l.odd_case = true;
    }
    return l;
}

// Genuine Latin words mix ASCII letters with single accented ones; characters of two bytes stand together, with signs between them.
static bool plausible_word(struct latin_word l, bool name) {
    if (l.letters + l.signs == 0) return true;
    if (l.longest > 3 || l.odd_case) return false;
    if (l.ascii == 0) return l.longest == 1 && (!name || l.letters);
    return name ? !l.odd_sign : l.signs <= 1;
}

static bool plausible_latin(struct str bytes, bool name) {
    for (size_t i = 0; i < bytes.n;) {
        size_t n = 0;
        while (i + n < bytes.n && is_word_byte((unsigned char)bytes.p[i + n])) n++;
        if (n && !plausible_word(look_at_word(str_sub(bytes, i, n)), name)) return false;
        i += n ? n : 1;
    }
    return true;
}

static bool has_c1(struct str bytes) {
    for (size_t i = 0; i < bytes.n; i++)
        if (is_c1((unsigned char)bytes.p[i])) return true;
    return false;
}

static enum text_set latin_kind(struct str bytes, struct buf *utf8) {
    return has_c1(bytes) && decodes(TEXT_CP1252, bytes, utf8) ? TEXT_CP1252 : TEXT_LATIN1;
}

// ---- UTF-8 ----

// Valid UTF-8 with a character of three bytes: never by accident in a single-byte set.
static bool has_wide(struct str utf8) {
    uint32_t c;
    while (utf8_take(&utf8, &c))
        if (c >= 0x800) return true;
    return false;
}

// Accented letters inside words: "M\xC3\xBCller". Read as GBK it would be an ideograph between small letters.
static bool has_latin_words(struct str utf8) {
    bool found = false;
    unsigned char before = 0;
    while (utf8.n) {
        uint32_t c;
        utf8_take(&utf8, &c);
        unsigned char after = utf8.n ? (unsigned char)utf8.p[0] : 0;
        if (c >= 0x80) {
            if (c < 0xC0 || c > 0x17F || !(is_ascii_letter(before) || is_ascii_letter(after))) return false;
            found = true;
        }
        before = c < 0x80 ? (unsigned char)c : 0;
    }
    return found;
}

// Points of the characters of UTF-8 text as if they had been written in GB18030; kana and syllables count as common.
static int score_utf8(struct str bytes, struct buf *code) {
    long sum = 0, count = 0;
    while (bytes.n) {
        struct str before = bytes;
        uint32_t c;
        utf8_take(&bytes, &c);
        if (c < 0x80) continue;
        code->n = 0;
        int w = 30;
        if ((c >= 0x3040 && c <= 0x30FF) || (c >= 0xAC00 && c <= 0xD7A3))
            w = 100;
        else if (text_encode(TEXT_GB18030, str_sub(before, 0, before.n - bytes.n), code) && code->n)
            w = weigh_gbk(code_of(code->p, code->n));
        sum += w < 0 ? 0 : w;
        count++;
    }
    return count ? (int)(sum / count) : -1;
}

// ---- decision by what was declared ----

static enum text_set detect_in_gbk(struct str bytes, enum text_set declared, bool valid_utf8, struct buf *utf8) {
    if (valid_utf8 && has_latin_words(bytes)) return TEXT_UTF8;
    int as_declared = score(&CANDIDATES[0], bytes, utf8);
    if (valid_utf8 && has_wide(bytes) && score_utf8(bytes, utf8) > as_declared - CHINESE_PRIOR) return TEXT_UTF8;
    unsigned bad = 0;
    utf8->n = 0;
    text_decode(declared, bytes, utf8, &bad);
    if (bad == 0) return declared;
    enum text_set best = best_candidate(bytes, utf8);
    return best == TEXT_NONE ? declared : best;
}

static enum text_set detect_in_latin(struct str bytes, enum text_set declared, bool valid_utf8, bool name, struct buf *utf8) {
    if (valid_utf8) return TEXT_UTF8;
    enum text_set best = plausible_latin(bytes, name) ? TEXT_NONE : best_candidate(bytes, utf8);
    if (best != TEXT_NONE) return best;
    enum text_set kind = latin_kind(bytes, utf8);
    return declared == TEXT_ASCII || declared == TEXT_UTF8 || kind == TEXT_CP1252 ? kind : declared;
}

// Other sets of one byte a character: their texts are runs of high bytes, so only what cannot be in them speaks against them.
static enum text_set detect_in_other(struct str bytes, enum text_set declared, bool valid_utf8, struct buf *utf8) {
    if (valid_utf8 && (has_c1(bytes) || has_wide(bytes))) return TEXT_UTF8;
    if (!has_c1(bytes) && decodes(declared, bytes, utf8)) return declared;
    if (declared == TEXT_JISX0201 && score(&CANDIDATES[2], bytes, utf8) >= 0) return TEXT_SHIFT_JIS;
    enum text_set best = best_candidate(bytes, utf8);
    return best == TEXT_NONE ? declared : best;
}

static enum text_set detect_in(struct str bytes, enum text_set declared, bool name, struct buf *utf8) {
    bool valid_utf8 = utf8_valid(bytes);
    switch (declared) {
    case TEXT_UTF8:
        return detect_in_latin(bytes, declared, valid_utf8, name, utf8);
    case TEXT_GBK:
    case TEXT_GB18030:
        return detect_in_gbk(bytes, declared, valid_utf8, utf8);
    case TEXT_ASCII:
    case TEXT_LATIN1:
        return detect_in_latin(bytes, declared, valid_utf8, name, utf8);
    default:
        return detect_in_other(bytes, declared, valid_utf8, utf8);
    }
}

// A sample must not end inside a character: cut at an ASCII byte where one is.
static struct str sample_of(struct str bytes) {
    if (bytes.n <= SAMPLE_BYTES_MAX) return bytes;
    size_t n = SAMPLE_BYTES_MAX;
    while (n > SAMPLE_BYTES_MAX / 2 && ((unsigned char)bytes.p[n - 1] >= 0x40)) n--;
    return str_sub(bytes, 0, n);
}

static enum text_set detect_sample(struct str sample, enum text_set declared, bool name) {
    struct buf utf8;
    buf_init(&utf8, SAMPLE_BYTES_MAX * 8 + 64);
    enum text_set found = detect_in(sample, declared, name, &utf8);
    if (utf8.failed == ERR_NOMEM) found = TEXT_SET_COUNT;
    buf_deinit(&utf8);
    return found;
}

// Long texts are judged by a sample from their first byte beyond ASCII, and the verdict is checked against the rest.
enum text_set text_detect(struct str bytes, enum text_set declared, bool name) {
    size_t start = 0;
    while (start < bytes.n && !high(bytes.p[start])) start++;
    if (start == bytes.n) return declared;
    if (bytes.n <= SAMPLE_BYTES_MAX) return detect_sample(bytes, declared, name);
    enum text_set found = detect_sample(sample_of(str_sub(bytes, start, bytes.n)), declared, name);
    return found == TEXT_UTF8 && declared != TEXT_UTF8 && !utf8_valid(bytes) ? declared : found;
}
