// PKCS #11 by its function list, of which we use what finding a key and AES-GCM need.
#include "sys/pkcs11.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "sys/file.h"

// ---- PKCS #11 2.40, as far as it is used here ----

typedef unsigned long ck_ulong;
typedef ck_ulong ck_rv(void);

struct ck_attribute {
    ck_ulong type;
    void *value;
    ck_ulong n;
};
struct ck_mechanism {
    ck_ulong type;
    void *parameter;
    ck_ulong n;
};
struct ck_gcm {
    uint8_t *iv;
    ck_ulong iv_n, iv_bits;
    uint8_t *aad;
    ck_ulong aad_n, tag_bits;
};
struct ck_token_info {
    uint8_t label[32], manufacturer[32], model[16], serial[16];
    ck_ulong numbers[11]; // flags, sessions, PIN lengths, memory
    uint8_t versions[4], time[16];
};
struct ck_initialize {
    void *mutexes[4];
    ck_ulong flags;
    void *reserved;
};

// Places in the function list, which begins with its version (2.40, CK_FUNCTION_LIST).
enum {
    C_INITIALIZE = 0,
    C_FINALIZE = 1,
    C_GET_SLOT_LIST = 4,
    C_GET_TOKEN_INFO = 6,
    C_OPEN_SESSION = 12,
    C_CLOSE_SESSION = 13,
    C_LOGIN = 18,
    C_FIND_OBJECTS_INIT = 26,
    C_FIND_OBJECTS = 27,
    C_FIND_OBJECTS_FINAL = 28,
    C_ENCRYPT_INIT = 29,
    C_ENCRYPT = 30,
    C_DECRYPT_INIT = 33,
    C_DECRYPT = 34,
    FUNCTIONS = 68,
};
struct ck_functions {
    uint8_t version[2];
    ck_rv *f[FUNCTIONS];
};

enum {
    CKR_OK = 0,
    CKR_ENCRYPTED_DATA_INVALID = 0x40,
    CKR_GENERAL_ERROR = 0x05,
    CKR_KEY_TYPE_INCONSISTENT = 0x63,
    CKR_MECHANISM_INVALID = 0x70,
    CKR_PIN_INCORRECT = 0xA0,
    CKR_PIN_LOCKED = 0xA4,
    CKR_USER_ALREADY_LOGGED_IN = 0x100,
    CKR_ALREADY_INITIALIZED = 0x191,
    CKA_CLASS = 0,
    CKA_LABEL = 3,
    CKO_SECRET_KEY = 4,
    CKM_AES_GCM = 0x1087,
    CKF_SERIAL_SESSION = 4,
    CKF_OS_LOCKING_OK = 2,
    CKU_USER = 1,
    SLOTS_MAX = 256,
};

struct pkcs11 {
    void *library;
    const struct ck_functions *functions;
    ck_ulong session, key;
    bool initialized, in_session;
    pthread_mutex_t lock;
    char name[300]; // for messages
};

// ---- URI ----

static bool unescape(struct str in, char *out, size_t max, struct err *e) {
    size_t n = 0;
    for (size_t i = 0; i < in.n; i++) {
        unsigned v = (unsigned char)in.p[i];
        if (v == '%') {
            char hex[3] = {0}, *end;
            if (in.n - i < 3) return err_set(e, ERR_USAGE, "pkcs11", "a PKCS #11 URI breaks off within an escape");
            memcpy(hex, in.p + i + 1, 2);
            v = (unsigned)strtoul(hex, &end, 16);
            if (end != hex + 2 || v == 0) return err_set(e, ERR_USAGE, "pkcs11", "a PKCS #11 URI has a broken escape");
            i += 2;
        }
        if (n + 1 >= max) return err_set(e, ERR_USAGE, "pkcs11", "an attribute of a PKCS #11 URI is too long");
        out[n++] = (char)v;
    }
    out[n] = '\0';
    return true;
}

static bool read_pin(const char *source, struct pkcs11_place *out, struct err *e) {
    int fd;
    size_t n = 0;
    if (strncmp(source, "env:", 4) == 0) {
        const char *value = getenv(source + 4);
        if (!value || !value[0]) return err_set(e, ERR_USAGE, "pkcs11", "pin-source: the environment has no %s", source + 4);
        snprintf(out->pin, sizeof out->pin, "%s", value);
        return true;
    }
    const char *path = strncmp(source, "file:", 5) == 0 ? source + 5 : source;
    if (!sys_open(NULL, path, O_RDONLY, 0, &fd, e)) return err_wrap(e, "pin-source");
    bool ok = sys_read_upto(NULL, fd, out->pin, sizeof out->pin - 1, 0, &n, e);
    sys_close(NULL, fd);
    if (!ok) return err_wrap(e, "pin-source");
    while (n && (out->pin[n - 1] == '\n' || out->pin[n - 1] == '\r')) n--;
    out->pin[n] = '\0';
    return n > 0 || err_set(e, ERR_USAGE, "pkcs11", "pin-source: %s holds no PIN", path);
}

static bool take_attribute(struct pkcs11_place *out, struct str key, struct str value, struct err *e) {
    char source[1024];
    if (str_eqz(key, "token")) return unescape(value, out->token, sizeof out->token, e);
    if (str_eqz(key, "object")) return unescape(value, out->object, sizeof out->object, e);
    if (str_eqz(key, "module-path")) return unescape(value, out->module, sizeof out->module, e);
    if (str_eqz(key, "type")) return str_eqz(value, "secret-key") || err_set(e, ERR_USAGE, "pkcs11", "only a secret-key can be a master key");
    if (str_eqz(key, "pin-source")) return unescape(value, source, sizeof source, e) && read_pin(source, out, e);
    if (str_eqz(key, "pin-value")) return err_set(e, ERR_USAGE, "pkcs11", "a PIN does not belong into a URI: name its file with pin-source=file:/...");
    return err_set(e, ERR_USAGE, "pkcs11", "'%.*s' is not known in a PKCS #11 URI here: token, object, module-path and pin-source are", STR_FMT(key));
}

bool pkcs11_parse(const char *uri, struct pkcs11_place *out, struct err *e) {
    struct str rest = str_of(uri), path;
    *out = (struct pkcs11_place){0};
    if (!str_starts(rest, STR_LIT("pkcs11:"))) return err_set(e, ERR_USAGE, "pkcs11", "'%s' is no PKCS #11 URI", uri);
    rest = str_sub(rest, 7, rest.n);
    path = str_split(&rest, '?');
    for (int part = 0; part < 2; part++) {
        struct str list = part ? rest : path;
        while (list.p && list.n) {
            struct str one = str_split(&list, part ? '&' : ';'), key = str_split(&one, '=');
            if (!take_attribute(out, key, one, e)) return false;
        }
    }
    if (out->module[0] && out->token[0] && out->object[0]) return true;
    return err_set(e, ERR_USAGE, "pkcs11", "a PKCS #11 URI names token, object and module-path: pkcs11:token=T;object=K?module-path=/usr/lib/module.so");
}

// ---- calls ----

#define CALL(p, place, type) ((type)(void *)(p)->functions->f[place])

static bool failed(const struct pkcs11 *p, const char *what, ck_ulong rv, struct err *e) {
    bool pin = rv == CKR_PIN_INCORRECT || rv == CKR_PIN_LOCKED, unfit = rv == CKR_MECHANISM_INVALID || rv == CKR_KEY_TYPE_INCONSISTENT;
    return err_set(e, pin ? ERR_UNAUTHORIZED : ERR_BUSY, "pkcs11", "%s: the module answers 0x%lx to %s%s", p->name, rv, what,
                   pin     ? " (the PIN is wrong or locked)"
                   : unfit ? " (no AES key of 128, 192 or 256 bits, or the token has no AES-GCM)"
                           : "");
}

static bool load(struct pkcs11 *p, const char *path, struct err *e) {
    struct ck_initialize arguments = {.flags = CKF_OS_LOCKING_OK};
    p->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!p->library) return err_set(e, ERR_NOT_FOUND, "pkcs11", "load %s: %s", path, dlerror());
    ck_ulong (*list)(const struct ck_functions **) = (ck_ulong(*)(const struct ck_functions **))(uintptr_t)dlsym(p->library, "C_GetFunctionList");
    if (!list || list(&p->functions) != CKR_OK || !p->functions) return err_set(e, ERR_USAGE, "pkcs11", "%s is no PKCS #11 module", path);
    ck_ulong rv = CALL(p, C_INITIALIZE, ck_ulong(*)(void *))(&arguments);
    p->initialized = rv == CKR_OK;
    return rv == CKR_OK || rv == CKR_ALREADY_INITIALIZED || failed(p, "C_Initialize", rv, e);
}

static bool same_label(const uint8_t label[32], const char *wanted) {
    size_t n = strlen(wanted);
    if (n > 32 || memcmp(label, wanted, n) != 0) return false;
    for (size_t i = n; i < 32; i++)
        if (label[i] != ' ') return false;
    return true;
}

static bool find_slot(struct pkcs11 *p, const char *token, ck_ulong *out, struct err *e) {
    ck_ulong slots[SLOTS_MAX], n = SLOTS_MAX;
    ck_ulong rv = CALL(p, C_GET_SLOT_LIST, ck_ulong(*)(uint8_t, ck_ulong *, ck_ulong *))(1, slots, &n);
    if (rv != CKR_OK) return failed(p, "C_GetSlotList", rv, e);
    for (ck_ulong i = 0; i < n; i++) {
        struct ck_token_info info;
        if (CALL(p, C_GET_TOKEN_INFO, ck_ulong(*)(ck_ulong, struct ck_token_info *))(slots[i], &info) != CKR_OK || !same_label(info.label, token)) continue;
        *out = slots[i];
        return true;
    }
    return err_set(e, ERR_NOT_FOUND, "pkcs11", "%s: there is no token of that label (%lu tokens are there)", p->name, n);
}

static bool log_in(struct pkcs11 *p, ck_ulong slot, const char *pin, struct err *e) {
    ck_ulong rv = CALL(p, C_OPEN_SESSION, ck_ulong(*)(ck_ulong, ck_ulong, void *, void *, ck_ulong *))(slot, CKF_SERIAL_SESSION, NULL, NULL, &p->session);
    if (rv != CKR_OK) return failed(p, "C_OpenSession", rv, e);
    p->in_session = true;
    if (!pin[0]) return true;
    rv = CALL(p, C_LOGIN, ck_ulong(*)(ck_ulong, ck_ulong, const char *, ck_ulong))(p->session, CKU_USER, pin, strlen(pin));
    return rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN || failed(p, "C_Login", rv, e);
}

static bool find_key(struct pkcs11 *p, const char *label, struct err *e) {
    ck_ulong class = CKO_SECRET_KEY, found[2] = {0}, n = 0;
    struct ck_attribute wanted[] = {{CKA_CLASS, &class, sizeof class}, {CKA_LABEL, (void *)(uintptr_t)label, strlen(label)}};
    ck_ulong rv = CALL(p, C_FIND_OBJECTS_INIT, ck_ulong(*)(ck_ulong, struct ck_attribute *, ck_ulong))(p->session, wanted, 2);
    if (rv != CKR_OK) return failed(p, "C_FindObjectsInit", rv, e);
    rv = CALL(p, C_FIND_OBJECTS, ck_ulong(*)(ck_ulong, ck_ulong *, ck_ulong, ck_ulong *))(p->session, found, 2, &n);
    CALL(p, C_FIND_OBJECTS_FINAL, ck_ulong(*)(ck_ulong))(p->session);
    if (rv != CKR_OK) return failed(p, "C_FindObjects", rv, e);
    p->key = found[0];
    if (n == 1) return true;
    return err_set(e, ERR_NOT_FOUND, "pkcs11", "%s: the token holds %s of that label%s", p->name, n ? "more than one secret key" : "no secret key",
                   n ? "" : " that this PIN opens");
}

bool pkcs11_open(const struct pkcs11_place *place, struct pkcs11 **out, struct err *e) {
    ck_ulong slot;
    struct pkcs11 *p = calloc(1, sizeof *p);
    *out = NULL;
    if (!p) return err_nomem(e, "pkcs11");
    pthread_mutex_init(&p->lock, NULL);
    snprintf(p->name, sizeof p->name, "key %.200s of token %.32s", place->object, place->token);
    if (load(p, place->module, e) && find_slot(p, place->token, &slot, e) && log_in(p, slot, place->pin, e) && find_key(p, place->object, e)) {
        *out = p;
        return true;
    }
    pkcs11_close(p);
    return false;
}

// The module stays initialized when another of our sessions may use it.
void pkcs11_close(struct pkcs11 *p) {
    if (!p) return;
    if (p->in_session) CALL(p, C_CLOSE_SESSION, ck_ulong(*)(ck_ulong))(p->session);
    if (p->initialized) CALL(p, C_FINALIZE, ck_ulong(*)(void *))(NULL);
    if (p->library) dlclose(p->library);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static ck_ulong run(struct pkcs11 *p, int begin, int work, const uint8_t *nonce, const void *aad, size_t aad_n, const void *in, size_t n, void *out,
                    size_t *out_n) {
    uint8_t iv[CIPHER_NONCE_BYTES];
    struct ck_gcm gcm = {iv, sizeof iv, 8 * sizeof iv, (uint8_t *)(uintptr_t)aad, aad_n, 8 * CIPHER_TAG_BYTES};
    struct ck_mechanism mechanism = {CKM_AES_GCM, &gcm, sizeof gcm};
    ck_ulong got = *out_n;
    memcpy(iv, nonce, sizeof iv);
    pthread_mutex_lock(&p->lock);
    ck_ulong rv = CALL(p, begin, ck_ulong(*)(ck_ulong, struct ck_mechanism *, ck_ulong))(p->session, &mechanism, p->key);
    if (rv == CKR_OK) rv = CALL(p, work, ck_ulong(*)(ck_ulong, const void *, ck_ulong, void *, ck_ulong *))(p->session, in, n, out, &got);
    pthread_mutex_unlock(&p->lock);
    *out_n = got;
    return rv;
}

bool pkcs11_encrypt(struct pkcs11 *p, const uint8_t nonce[CIPHER_NONCE_BYTES], const void *aad, size_t aad_n, const void *in, size_t n, uint8_t *out,
                    struct err *e) {
    size_t got = n + CIPHER_TAG_BYTES;
    ck_ulong rv = run(p, C_ENCRYPT_INIT, C_ENCRYPT, nonce, aad, aad_n, in, n, out, &got);
    if (rv != CKR_OK) return failed(p, "C_Encrypt by AES-GCM", rv, e);
    return got == n + CIPHER_TAG_BYTES || err_set(e, ERR_INTERNAL, "pkcs11", "%s: the module gives %zu bytes for %zu", p->name, got, n);
}

bool pkcs11_decrypt(struct pkcs11 *p, const uint8_t nonce[CIPHER_NONCE_BYTES], const void *aad, size_t aad_n, const uint8_t *in, size_t n, void *out,
                    struct err *e) {
    size_t got = n + CIPHER_TAG_BYTES;
    uint8_t *plain = malloc(got); // some modules ask for as much room as they are given
    if (!plain) return err_nomem(e, "pkcs11");
    ck_ulong rv = run(p, C_DECRYPT_INIT, C_DECRYPT, nonce, aad, aad_n, in, n + CIPHER_TAG_BYTES, plain, &got);
    bool ok = rv == CKR_OK && got == n;
    if (ok) memcpy(out, plain, n);
    cipher_wipe(plain, n + CIPHER_TAG_BYTES);
    free(plain);
    if (ok) return true;
    // Modules differ in how they say that the tag is another.
    bool other = rv == CKR_OK || rv == CKR_ENCRYPTED_DATA_INVALID || rv == CKR_GENERAL_ERROR;
    if (other) return err_set(e, ERR_CORRUPT, "pkcs11", "%s does not open it (0x%lx)", p->name, rv);
    return failed(p, "C_Decrypt by AES-GCM", rv, e);
}
