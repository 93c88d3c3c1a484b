// Secrets from the environment and from files.
#include "app/secret.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "sys/file.h"

// Adds the value of ${NAME} that begins at p; how far it reaches, 0 on failure.
static size_t expand_one(struct buf *b, struct str s, const char *key, struct err *e) {
    char name[128];
    size_t end = str_find(s, '}', 0);
    if (end == s.n || end < 3 || end - 2 >= sizeof name) return err_set(e, ERR_USAGE, "settings", "%s: after ${ a name and } must follow", key), 0;
    memcpy(name, s.p + 2, end - 2);
    name[end - 2] = '\0';
    const char *value = getenv(name);
    if (!value || !value[0]) return err_set(e, ERR_USAGE, "settings", "%s: the environment has no %s", key, name), 0;
    buf_addz(b, value);
    return end + 1;
}

static bool expand(struct arena *a, const char *key, const char *text, const char **out, struct err *e) {
    struct str s = str_of(text);
    struct buf b;
    bool ok = true;
    buf_init(&b, SECRET_BYTES_MAX);
    for (size_t at = 0, n; ok && at < s.n; at += n) {
        bool named = str_starts(str_sub(s, at, s.n), STR_LIT("${"));
        n = named ? expand_one(&b, str_sub(s, at, s.n), key, e) : 1;
        if (!named) buf_add(&b, s.p + at, 1);
        ok = n > 0;
    }
    ok = ok && buf_ok(&b, e);
    if (ok) ok = (*out = arena_strz(a, buf_str(&b), e)) != NULL;
    buf_deinit(&b);
    return ok;
}

static bool read_file(struct arena *a, const char *key, const char *path, const char **out, struct err *e) {
    int fd;
    size_t n = 0;
    char *text = arena_alloc(a, SECRET_BYTES_MAX, e);
    if (!text || !sys_open(NULL, path, O_RDONLY, 0, &fd, e)) return err_wrap(e, "%s", key);
    bool ok = sys_read_upto(NULL, fd, text, SECRET_BYTES_MAX, 0, &n, e);
    sys_close(NULL, fd);
    if (!ok) return err_wrap(e, "%s", key);
    if (n == SECRET_BYTES_MAX) return err_set(e, ERR_TOO_LARGE, "settings", "%s: %s is too large for a secret", key, path);
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r')) n--;
    text[n] = '\0';
    if (n == 0 || strlen(text) != n) return err_set(e, ERR_USAGE, "settings", "%s: %s holds no line of text", key, path);
    *out = text;
    return true;
}

bool secret_read(struct arena *a, const char *key, const char *text, const char *file, const char **out, struct err *e) {
    if (text && file) return err_set(e, ERR_USAGE, "settings", "%s and %s-file exclude each other", key, key);
    if (text) return expand(a, key, text, out, e);
    return !file || read_file(a, key, file, out, e);
}
