// Files made by net/cert.h.
#include "tls_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { LATE_MS = 60 * 1000 };

static struct cert_pair make(struct arena *a, enum cert_use use, const char *name, const struct cert_pair *by) {
    static const char *const NAMES[] = {"localhost", "127.0.0.1", "::1"};
    const struct cert_order o = {
        .use = use, .common_name = name, .organisation = "St. Mary", .names = NAMES, .name_count = use == CERT_FOR_SERVER ? 3 : 0, .days = 30};
    struct cert_pair out;
    struct err e = {0};
    if (!cert_make(a, &o, by, &out, &e)) fail_msg("%s", e.message);
    return out;
}

// By another file's rename, as tools that renew do it.
void tls_files_write(const char *path, struct str text) {
    char next[TLS_FILES_PATH_MAX + 8];
    snprintf(next, sizeof next, "%s.new", path);
    int fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text.p, text.n), (ssize_t)text.n);
    close(fd);
    assert_int_equal(rename(next, path), 0);
}

static void name_file(const struct tls_files *f, char *path, const char *name) {
    snprintf(path, TLS_FILES_PATH_MAX, "%s/%s", f->dir, name);
}

static void keep(const struct cert_pair *p, const char *cert, const char *key) {
    tls_files_write(cert, p->cert);
    tls_files_write(key, p->key);
}

void tls_files_make(struct tls_files *f) {
    struct arena a;
    char path[TLS_FILES_PATH_MAX];
    arena_init(&a, 1 << 20);
    snprintf(f->dir, sizeof f->dir, "/tmp/gantry-tls-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    name_file(f, f->ca, "ca.crt");
    name_file(f, f->server_cert, "server.crt");
    name_file(f, f->server_key, "server.key");
    name_file(f, f->client_cert, "client.crt");
    name_file(f, f->client_key, "client.key");
    name_file(f, f->stranger_ca, "stranger-ca.crt");
    name_file(f, f->stranger_cert, "stranger.crt");
    name_file(f, f->stranger_key, "stranger.key");
    name_file(f, path, "ca.key");
    struct cert_pair ca = make(&a, CERT_FOR_AUTHORITY, "Hospital CA", NULL), other = make(&a, CERT_FOR_AUTHORITY, "Stranger CA", NULL);
    struct cert_pair server = make(&a, CERT_FOR_SERVER, "pacs", &ca), client = make(&a, CERT_FOR_CLIENT, "CT1", &ca);
    struct cert_pair stranger = make(&a, CERT_FOR_CLIENT, "CT1", &other);
    keep(&ca, f->ca, path);
    keep(&server, f->server_cert, f->server_key);
    keep(&client, f->client_cert, f->client_key);
    tls_files_write(f->stranger_ca, other.cert);
    keep(&stranger, f->stranger_cert, f->stranger_key);
    arena_deinit(&a);
}

static struct str read_all(struct arena *a, const char *path) {
    char *text = arena_alloc(a, 65536, NULL);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && text);
    ssize_t n = read(fd, text, 65536);
    close(fd);
    assert_true(n > 0);
    return (struct str){text, (size_t)n};
}

void tls_files_renew_server(struct tls_files *f) {
    struct arena a;
    char path[TLS_FILES_PATH_MAX];
    arena_init(&a, 1 << 20);
    name_file(f, path, "ca.key");
    struct cert_pair ca = {.cert = read_all(&a, f->ca), .key = read_all(&a, path)};
    struct cert_pair server = make(&a, CERT_FOR_SERVER, "pacs", &ca);
    keep(&server, f->server_cert, f->server_key);
    arena_deinit(&a);
}

void tls_files_remove(struct tls_files *f) {
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", f->dir);
    assert_int_equal(system(command), 0);
}

struct net_tls *tls_open(const struct net_tls_options *o) {
    struct net_tls *t;
    struct err e = {0};
    if (!net_tls_open(o, &t, &e)) fail_msg("%s", e.message);
    return t;
}

int64_t tls_late(void) {
    return clock_mono_ms() + LATE_MS;
}
