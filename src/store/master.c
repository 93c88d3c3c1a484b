// Master keys: one of a file is used by OpenSSL, one of a token by its PKCS #11 module.
#include "store/master.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "store/volume.h"
#include "sys/digest.h"
#include "sys/file.h"
#include "sys/pkcs11.h"

enum { KEY_BYTES = 32, FILE_BYTES_MAX = 4096 };

struct master {
    char *place;
    char id[MASTER_ID + 1];
    struct pkcs11 *token; // NULL: key
    uint8_t key[KEY_BYTES];
};

static bool name_it(struct master *m, const char *what, const void *p, size_t n, struct err *e) {
    struct digest d;
    uint8_t digest[DIGEST_BYTES];
    if (!digest_init(&d, e)) return false;
    digest_add(&d, what, strlen(what) + 1);
    digest_add(&d, p, n);
    bool ok = digest_final(&d, digest, e);
    digest_deinit(&d);
    hex_encode(digest, MASTER_ID / 2, m->id);
    return ok;
}

static bool is_private(int fd, const char *path, struct err *e) {
    struct stat st;
    if (fstat(fd, &st) != 0) return err_errno(e, ERR_IO, "keys", "%s", path);
    if (!S_ISREG(st.st_mode)) return err_set(e, ERR_USAGE, "keys", "%s is not a file", path);
    if ((st.st_mode & 077) == 0) return true;
    return err_set(e, ERR_FORBIDDEN, "keys", "others than its owner may reach the master key %s: chmod 600 it, or make a new one if they have read it", path);
}

// The digits, wherever white space is around them; a word before them may say what they are.
static bool parse_key(struct master *m, struct str text, struct err *e) {
    text = str_trim(text);
    size_t space = text.n;
    while (space > 0 && text.p[space - 1] != ' ' && text.p[space - 1] != '\n') space--;
    struct str digits = str_sub(text, space, text.n);
    if (digits.n == 2 * (size_t)KEY_BYTES && hex_decode(digits.p, KEY_BYTES, m->key)) return true;
    return err_set(e, ERR_USAGE, "keys", "%s holds no master key: 64 hexadecimal digits, as 'gantry key new' writes them", m->place);
}

static bool read_key(struct master *m, struct err *e) {
    char text[FILE_BYTES_MAX];
    size_t n = 0;
    int fd;
    if (!sys_open(NULL, m->place, O_RDONLY, 0, &fd, e)) return err_wrap(e, "master key");
    bool ok = is_private(fd, m->place, e) && sys_read_upto(NULL, fd, text, sizeof text, 0, &n, e) && parse_key(m, (struct str){text, n}, e);
    sys_close(NULL, fd);
    cipher_wipe(text, sizeof text);
    return ok && name_it(m, "gantry master key", m->key, KEY_BYTES, e);
}

static bool open_token(struct master *m, struct err *e) {
    struct pkcs11_place place;
    char name[sizeof place.token + sizeof place.object + 1] = {0};
    bool ok = pkcs11_parse(m->place, &place, e);
    if (ok) memcpy(name, place.token, strlen(place.token));
    if (ok) memcpy(name + sizeof place.token, place.object, strlen(place.object));
    ok = ok && name_it(m, "gantry token key", name, sizeof name, e) && pkcs11_open(&place, &m->token, e);
    cipher_wipe(&place, sizeof place);
    return ok;
}

bool master_open(const char *place, struct master **out, struct err *e) {
    struct master *m = calloc(1, sizeof *m);
    *out = NULL;
    if (m) m->place = strdup(place);
    if (!m || !m->place) {
        free(m);
        return err_nomem(e, "keys");
    }
    if (strncmp(place, "pkcs11:", 7) == 0 ? open_token(m, e) : read_key(m, e)) {
        *out = m;
        return true;
    }
    master_close(m);
    return false;
}

void master_close(struct master *m) {
    if (!m) return;
    pkcs11_close(m->token);
    cipher_wipe(m->key, sizeof m->key);
    free(m->place);
    free(m);
}

const char *master_id(const struct master *m) {
    return m->id;
}

const char *master_place(const struct master *m) {
    return m->place;
}

bool master_wrap(struct master *m, const void *aad, size_t aad_n, const uint8_t *in, size_t n, uint8_t nonce[CIPHER_NONCE_BYTES], uint8_t *out, struct err *e) {
    if (!cipher_random(nonce, CIPHER_NONCE_BYTES, e)) return false;
    if (m->token) return pkcs11_encrypt(m->token, nonce, aad, aad_n, in, n, out, e);
    struct cipher *c = cipher_new(CIPHER_AES_256_GCM, m->key, true, e);
    bool ok = c && cipher_begin(c, nonce, aad, aad_n, e) && cipher_add(c, in, n, out, e) && cipher_end(c, out + n, e);
    cipher_free(c);
    return ok;
}

bool master_unwrap(struct master *m, const void *aad, size_t aad_n, const uint8_t nonce[CIPHER_NONCE_BYTES], const uint8_t *in, size_t n, uint8_t *out,
                   struct err *e) {
    uint8_t tag[CIPHER_TAG_BYTES];
    if (m->token) return pkcs11_decrypt(m->token, nonce, aad, aad_n, in, n, out, e);
    memcpy(tag, in + n, sizeof tag);
    struct cipher *c = cipher_new(CIPHER_AES_256_GCM, m->key, false, e);
    bool ok = c && cipher_begin(c, nonce, aad, aad_n, e) && cipher_add(c, in, n, out, e) && cipher_end(c, tag, e);
    cipher_free(c);
    return ok;
}

bool vol_master_new(const char *path, struct err *e) {
    uint8_t key[KEY_BYTES];
    char line[2 * KEY_BYTES + 1];
    int fd;
    if (!cipher_random(key, sizeof key, e)) return false;
    hex_encode(key, sizeof key, line);
    line[2 * KEY_BYTES] = '\n';
    bool ok = sys_open(NULL, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, &fd, e);
    if (ok) {
        ok = sys_write_at(NULL, fd, line, sizeof line, 0, e) && sys_flush(NULL, fd, e);
        sys_close(NULL, fd);
        if (!ok) sys_unlink(NULL, path, NULL);
    }
    cipher_wipe(key, sizeof key);
    cipher_wipe(line, sizeof line);
    return ok || err_wrap(e, "a new master key");
}
