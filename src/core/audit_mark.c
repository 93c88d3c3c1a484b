// Marks as lines of text, and the files that they are in.
#include "core/audit_mark.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys/file.h"
#include "sys/lockfile.h"

#define WORD "gantry-audit 1 "

enum { PATH_BYTES = 4096, SLOT_BYTES = AUDIT_MARK_BYTES, SLOTS = 3, SLOT_SOFT = 2, SECRET_HEX = 2 * SIGN_ED25519_SEED };

static const char *const KINDS[MARK_KINDS] = {"checkpoint", "head", "soft", "closed", "cut", "broken"};

const char *audit_mark_kind_name(enum audit_mark_kind kind) {
    return KINDS[kind];
}

// ---- a line ----

bool audit_mark_write(const struct audit_key *key, struct audit_mark *m, struct buf *to, struct err *e) {
    char hash[DIGEST_HEX], public_key[2 * SIGN_ED25519_PUBLIC], hex[2 * SIGN_ED25519_BYTES];
    uint8_t signature[SIGN_ED25519_BYTES];
    size_t from = to->n;
    memcpy(m->key, key->public_key, sizeof m->key);
    hex_encode(m->hash, sizeof m->hash, hash);
    hex_encode(m->key, sizeof m->key, public_key);
    buf_addf(to, WORD "%s %lld %lld %lld %.*s %s %.*s", KINDS[m->kind], (long long)m->seq, (long long)m->time_ms, (long long)m->at_ms, (int)sizeof hash, hash,
             m->boot[0] ? m->boot : "-", (int)sizeof public_key, public_key);
    if (!buf_ok(to, e) || !sign_ed25519(key->secret, to->p + from, to->n - from, signature, e)) return false;
    hex_encode(signature, sizeof signature, hex);
    buf_addf(to, " %.*s\n", (int)sizeof hex, hex);
    m->holds = true;
    return buf_ok(to, e);
}

static bool read_kind(struct str word, enum audit_mark_kind *out) {
    for (int i = 0; i < MARK_KINDS; i++)
        if (str_eqz(word, KINDS[i])) return *out = (enum audit_mark_kind)i, true;
    return false;
}

static bool read_hex(struct str word, uint8_t *out, size_t n) {
    return word.n == 2 * n && hex_decode(word.p, n, out);
}

bool audit_mark_read(struct str line, struct audit_mark *out) {
    struct str rest = str_trim(line), word[8];
    uint8_t signature[SIGN_ED25519_BYTES];
    *out = (struct audit_mark){0};
    if (!str_starts(rest, STR_LIT(WORD))) return false;
    struct str whole = rest;
    rest = str_sub(rest, sizeof WORD - 1, rest.n);
    for (int i = 0; i < 8; i++) word[i] = str_split(&rest, ' ');
    if (rest.p || !word[7].p || word[5].n == 0 || word[5].n >= sizeof out->boot) return false;
    memcpy(out->boot, word[5].p, word[5].n);
    bool ok = read_kind(word[0], &out->kind) && str_to_i64(word[1], &out->seq) && str_to_i64(word[2], &out->time_ms) && str_to_i64(word[3], &out->at_ms) &&
              read_hex(word[4], out->hash, sizeof out->hash) && read_hex(word[6], out->key, sizeof out->key) && read_hex(word[7], signature, sizeof signature);
    out->holds = ok && sign_ed25519_is_of(out->key, whole.p, whole.n - 2 * SIGN_ED25519_BYTES - 1, signature);
    return ok;
}

void audit_boot(char out[AUDIT_BOOT_BYTES]) {
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, out, AUDIT_BOOT_BYTES - 1) : 0;
    if (fd >= 0) close(fd);
    out[n > 0 ? n : 0] = '\0';
    out[strcspn(out, " \n")] = '\0';
}

// ---- files of lines ----

static bool ends_whole(int fd, uint64_t size, bool *whole, struct err *e) {
    char last = '\n';
    bool ok = size == 0 || sys_read_at(NULL, fd, &last, 1, size - 1, e);
    *whole = last == '\n';
    return ok;
}

// Behind what is there, durably: on a line of its own also where a write was torn, and all of it or nothing.
static bool add_at_end(int fd, struct str line, struct err *e) {
    struct sys_stat st;
    bool whole;
    if (!sys_stat_fd(fd, &st, e) || !ends_whole(fd, st.size, &whole, e)) return false;
    struct iovec parts[] = {{.iov_base = (char[]){'\n'}, .iov_len = whole ? 0 : 1}, {.iov_base = (void *)line.p, .iov_len = line.n}};
    if (sys_writev_at(NULL, fd, parts, 2, st.size, e) && sys_flush(NULL, fd, e)) return true;
    sys_resize(NULL, fd, st.size, NULL);
    return false;
}

static bool add_line(const char *dir, const char *name, mode_t mode, struct str line, struct err *e) {
    char path[PATH_BYTES];
    int fd;
    snprintf(path, sizeof path, "%.4000s/%s", dir, name);
    if (!sys_open(NULL, path, O_RDWR | O_CREAT, mode, &fd, e)) return false;
    lockfile_wait(fd); // a cut is marked while the thread of the trail makes a checkpoint, and several nodes may have one directory for theirs
    bool ok = add_at_end(fd, line, e);
    sys_close(NULL, fd);
    return ok && sys_flush_dir(NULL, dir, e);
}

// ---- the key ----

static bool write_new(const char *path, mode_t mode, const char *text, size_t n, struct err *e) {
    int fd;
    if (!sys_open(NULL, path, O_WRONLY | O_CREAT | O_EXCL, mode, &fd, e)) return false;
    bool ok = sys_write_at(NULL, fd, text, n, 0, e) && sys_flush(NULL, fd, e);
    sys_close(NULL, fd);
    return ok;
}

// Public keys of before stay: what they signed is proven by them.
static bool add_public(const char *dir, const struct audit_key *k, struct err *e) {
    char hex[2 * SIGN_ED25519_PUBLIC + 1];
    hex_encode(k->public_key, sizeof k->public_key, hex);
    hex[sizeof hex - 1] = '\n';
    return add_line(dir, "key.pub", 0644, (struct str){hex, sizeof hex}, e);
}

static bool make_key(const char *dir, const char *path, struct audit_key *k, struct err *e) {
    char hex[SECRET_HEX + 1];
    if (!sign_ed25519_make(k->secret, e) || !sign_ed25519_public(k->secret, k->public_key, e) || !add_public(dir, k, e)) return false;
    hex_encode(k->secret, sizeof k->secret, hex);
    hex[SECRET_HEX] = '\n';
    bool ok = write_new(path, 0600, hex, sizeof hex, e);
    explicit_bzero(hex, sizeof hex);
    return ok && sys_flush_dir(NULL, dir, e);
}

bool audit_key_load(const char *dir, bool make, struct audit_key *out, bool *there, struct err *e) {
    char path[PATH_BYTES], hex[SECRET_HEX];
    int fd;
    size_t got;
    *there = false;
    snprintf(path, sizeof path, "%.4000s/key", dir);
    if (access(path, F_OK) != 0) return !make || ((*there = make_key(dir, path, out, e)) || err_wrap(e, "the key of the audit trail"));
    if (!sys_open(NULL, path, O_RDONLY, 0, &fd, e)) return false;
    bool ok = sys_read_upto(NULL, fd, hex, sizeof hex, 0, &got, e);
    sys_close(NULL, fd);
    if (ok && !read_hex((struct str){hex, got}, out->secret, sizeof out->secret))
        ok = err_set(e, ERR_CORRUPT, "audit", "%s is no key: bring it back from a copy, or move it aside and the next start makes a new one", path);
    explicit_bzero(hex, sizeof hex);
    *there = ok && sign_ed25519_public(out->secret, out->public_key, e);
    return *there;
}

// ---- heads ----

bool audit_head_put(const char *dir, const struct audit_key *key, struct audit_mark *m, unsigned *turn, struct err *e) {
    char path[PATH_BYTES];
    struct buf b;
    int fd;
    bool soft = m->kind == MARK_SOFT;
    unsigned slot = soft ? SLOT_SOFT : (*turn)++ % 2;
    buf_init(&b, SLOT_BYTES);
    snprintf(path, sizeof path, "%.4000s/head", dir);
    bool ok = audit_mark_write(key, m, &b, e) && sys_open(NULL, path, O_WRONLY | O_CREAT, 0640, &fd, e);
    if (ok) {
        char *rest = buf_reserve(&b, SLOT_BYTES - b.n); // over what a longer one left there
        if (rest) memset(rest, '\n', SLOT_BYTES - b.n);
        ok = rest ? sys_write_at(NULL, fd, b.p, SLOT_BYTES, (uint64_t)slot * SLOT_BYTES, e) : err_nomem(e, "audit");
        if (ok && !soft) ok = sys_flush(NULL, fd, e);
        sys_close(NULL, fd);
    }
    buf_deinit(&b);
    return ok;
}

bool audit_head_get(const char *dir, const uint8_t public_key[SIGN_ED25519_PUBLIC], struct audit_mark *out, bool *found, struct err *e) {
    char path[PATH_BYTES], text[SLOTS * SLOT_BYTES], boot[AUDIT_BOOT_BYTES];
    int fd;
    size_t got;
    *found = false;
    snprintf(path, sizeof path, "%.4000s/head", dir);
    if (access(path, F_OK) != 0) return true;
    if (!sys_open(NULL, path, O_RDONLY, 0, &fd, e)) return false;
    bool ok = sys_read_upto(NULL, fd, text, sizeof text, 0, &got, e);
    sys_close(NULL, fd);
    audit_boot(boot);
    for (size_t at = 0; ok && at < got; at += SLOT_BYTES) {
        struct audit_mark m;
        size_t n = got - at < SLOT_BYTES ? got - at : SLOT_BYTES;
        if (!audit_mark_read((struct str){text + at, n}, &m) || !m.holds || memcmp(m.key, public_key, sizeof m.key) != 0) continue;
        if (m.kind == MARK_SOFT && (!boot[0] || strcmp(m.boot, boot) != 0)) continue;
        // of two for the same event the one that was written later
        if (!*found || m.seq > out->seq || (m.seq == out->seq && m.at_ms >= out->at_ms)) *out = m;
        *found = true;
    }
    return ok;
}

// ---- checkpoints ----

bool audit_checkpoint_put(const char *dir, struct str line, struct err *e) {
    return sys_mkdirs(dir, e) && add_line(dir, "checkpoints", 0640, line, e);
}

static bool each_of(const char *dir, const char *name, bool (*visit)(void *ctx, const struct audit_mark *m, struct err *e), void *ctx, struct err *e) {
    char path[PATH_BYTES], line[2 * AUDIT_MARK_BYTES];
    bool ok = true;
    snprintf(path, sizeof path, "%.4000s/%s", dir, name);
    FILE *f = fopen(path, "re");
    if (!f) return true;
    while (ok && fgets(line, sizeof line, f)) {
        struct audit_mark m;
        if (audit_mark_read(str_of(line), &m)) ok = visit(ctx, &m, e);
    }
    fclose(f);
    return ok;
}

bool audit_marks_each(const char *dir, bool (*visit)(void *ctx, const struct audit_mark *m, struct err *e), void *ctx, struct err *e) {
    return each_of(dir, "checkpoints", visit, ctx, e) && each_of(dir, "head", visit, ctx, e);
}

// ---- trust ----

bool audit_trust_add(struct audit_trust *t, struct str hex, struct err *e) {
    struct str text = str_trim(hex);
    if (text.n == 0) return true;
    if (t->count == AUDIT_KEYS_MAX) return err_set(e, ERR_TOO_LARGE, "audit", "more than %d keys", AUDIT_KEYS_MAX);
    if (!read_hex(text, t->keys[t->count], SIGN_ED25519_PUBLIC))
        return err_set(e, ERR_BAD_INPUT, "audit", "'%.*s' is no public key: 64 hexadecimal digits", STR_FMT(str_sub(text, 0, 80)));
    t->count++;
    return true;
}

bool audit_trust_read(struct audit_trust *t, const char *dir, struct err *e) {
    char path[PATH_BYTES], line[256];
    bool ok = true;
    snprintf(path, sizeof path, "%.4000s/key.pub", dir);
    FILE *f = fopen(path, "re");
    while (f && ok && fgets(line, sizeof line, f)) ok = audit_trust_add(t, str_of(line), e);
    if (f) fclose(f);
    return ok;
}

bool audit_trusts(const struct audit_trust *t, const uint8_t key[SIGN_ED25519_PUBLIC]) {
    for (unsigned i = 0; i < t->count; i++)
        if (memcmp(t->keys[i], key, SIGN_ED25519_PUBLIC) == 0) return true;
    return false;
}
