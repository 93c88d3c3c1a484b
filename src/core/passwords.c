// Common passwords by rule: what is left of a password when all that everybody takes is taken away is what there is to guess.
//
// A list of the most common passwords has few of twelve characters and more; what people make of them to reach a length are repetitions, numbers, years
// and walks over the keyboard. So the words are few and the rule takes each of them off wherever it stands, with digits and signs for letters undone first.
#include "core/passwords.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/accounts.h"
#include "text/utf8.h"

enum { LEFT_LEAST = 5, WORD_MAX = 64 };

// English and pinyin words of the published lists of most common passwords, of this trade, and runs of the keyboard; lower case.
static const char *const WORDS[] = {
    "administrator", "password", "passwort",  "passw",   "qwertyuiop", "qwertz",    "qwerty",   "azerty",  "asdfghjkl", "asdf",     "zxcvbnm",  "zxcv",
    "qazwsxedc",     "qazwsx",   "qaz",       "wsx",     "edc",        "rfv",       "zaq",      "xsw",     "cde",       "vfr",      "wsxedc",   "edcrfv",
    "admin",         "root",     "toor",      "letmein", "welcome",    "iloveyou",  "woaini",   "aini",    "monkey",    "dragon",   "sunshine", "princess",
    "football",      "baseball", "master",    "shadow",  "superman",   "batman",    "michael",  "login",   "secret",    "default",  "changeme", "change",
    "temporary",     "temp",     "test",      "guest",   "user",       "hello",     "whatever", "trustno", "freedom",   "computer", "internet", "starwars",
    "summer",        "winter",   "spring",    "autumn",  "january",    "february",  "march",    "april",   "june",      "july",     "august",   "september",
    "october",       "november", "december",  "monday",  "tuesday",    "wednesday", "thursday", "friday",  "saturday",  "sunday",   "hospital", "yiyuan",
    "radiology",     "fangshe",  "yingxiang", "dicom",   "gantry",     "pacs",      "scanner",  "doctor",  "yisheng",   "nurse",    "hushi",    "medical",
    "medicine",      "health",   "patient",   "clinic",  "woshi",      "nihao",     "zhongguo", "china",   "beijing",   "shanghai", "wangyi",   "taobao",
    "service",       "support",  "server",    "system",  "access",     "private",   "public",   "my",      "the",       "new",      "pass",     "word",
    "love",          "abc",      "xyz",       "qwe",     "asd",        "zxc",       "one",      "is",
};

// Digits and signs that stand for letters.
static char plain(char c) {
    static const char FROM[] = "013457@$!|", TO[] = "oleastasil";
    const char *at = c ? strchr(FROM, c) : NULL;
    return at ? TO[at - FROM] : c;
}

// Takes each place of a word out of text.
static size_t take_out(char *text, size_t n, struct str word) {
    size_t kept = 0;
    for (size_t i = 0; i < n;) {
        if (word.n && n - i >= word.n && memcmp(text + i, word.p, word.n) == 0) {
            i += word.n;
        } else {
            text[kept++] = text[i++];
        }
    }
    return kept;
}

static bool follows(unsigned char before, unsigned char c) {
    return c == before || c == before + 1 || before == c + 1 || (before == '9' && c == '0') || (before == '0' && c == '9');
}

// What differs from the run that stands before it: "aaaa", "1234", "9876" count one each.
static unsigned without_runs(const char *text, size_t n) {
    unsigned left = 0;
    for (size_t i = 0; i < n; i++) left += i == 0 || !follows((unsigned char)text[i - 1], (unsigned char)text[i]);
    return left;
}

// The shortest piece that the whole is a repetition of.
static size_t period_of(const char *text, size_t n) {
    for (size_t p = 1; p <= n / 2; p++)
        if (memcmp(text, text + p, n - p) == 0) return p;
    return n;
}

// What is looked at: the signs between and behind are decoration; digits stand for themselves, for letters, or are decoration, too.
enum reading { AS_WRITTEN, UNDONE, WITHOUT_DIGITS, READINGS };

static size_t letters_of(struct str s, char *out, enum reading how) {
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] - 'A' + 'a') : s.p[i];
        if (how == UNDONE) c = plain(c);
        bool letter = (c >= 'a' && c <= 'z') || (unsigned char)c >= 0x80, digit = c >= '0' && c <= '9';
        if (letter || (digit && how == AS_WRITTEN)) out[n++] = c;
    }
    return n;
}

static bool little_left(struct str password, struct str user, enum reading how) {
    char text[ACCOUNT_PASSWORD_MAX], name[WORD_MAX];
    size_t n = letters_of(password, text, how), name_n = letters_of(str_sub(user, 0, WORD_MAX), name, how);
    n = period_of(text, n);
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) n = take_out(text, n, str_of(WORDS[i]));
    if (name_n >= 3) n = take_out(text, n, (struct str){name, name_n});
    return without_runs(text, n) < LEFT_LEAST;
}

bool password_is_common(struct str password, struct str user) {
    if (password.n > ACCOUNT_PASSWORD_MAX) return false;
    for (int how = 0; how < READINGS; how++)
        if (little_left(password, user, (enum reading)how)) return true;
    return false;
}

// ---- the file ----

static bool in_file(const char *path, struct str password, bool *found, struct err *e) {
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    FILE *f = fopen(path, "re");
    if (!f) return err_errno(e, ERR_IO, "password", "open %s", path);
    while (!*found && (n = getline(&line, &room, f)) >= 0) {
        while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r')) n--;
        *found = str_eq(password, (struct str){line, (size_t)n});
    }
    bool ok = !ferror(f) || err_errno(e, ERR_IO, "password", "read %s", path);
    free(line);
    fclose(f);
    return ok;
}

static unsigned characters(struct str s) {
    unsigned n = 0;
    for (size_t i = 0; i < s.n; i++) n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

bool password_fits(const struct password_rules *r, struct str password, struct str user, struct err *e) {
    unsigned least = r->least ? r->least : PASSWORD_LEAST;
    bool found = false;
    if (!utf8_valid(password) || memchr(password.n ? password.p : "x", 0, password.n)) return err_set(e, ERR_USAGE, "password", "a password is text in UTF-8");
    if (characters(password) < least) return err_set(e, ERR_USAGE, "password", "a password has at least %u characters: take several words", least);
    if (password.n > ACCOUNT_PASSWORD_MAX) return err_set(e, ERR_USAGE, "password", "a password has at most %d bytes", ACCOUNT_PASSWORD_MAX);
    if (password_is_common(password, user))
        return err_set(e, ERR_USAGE, "password",
                       "this password is among those that are tried first (common words, names, runs, repetitions): take several unrelated words");
    if (r->breached_file && !in_file(r->breached_file, password, &found, e)) return false;
    return !found || err_set(e, ERR_USAGE, "password", "this password is on the list of known ones: take another");
}
