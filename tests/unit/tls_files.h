// Certificates in files, for tests: an authority, a server, a client, and those of a stranger.
#ifndef GANTRY_TESTS_TLS_FILES_H
#define GANTRY_TESTS_TLS_FILES_H

#include "net/cert.h"
#include "net/tls.h"

enum { TLS_FILES_PATH_MAX = 160 };

struct tls_files {
    char dir[64];
    char ca[TLS_FILES_PATH_MAX];
    char server_cert[TLS_FILES_PATH_MAX], server_key[TLS_FILES_PATH_MAX]; // for localhost and 127.0.0.1
    char client_cert[TLS_FILES_PATH_MAX], client_key[TLS_FILES_PATH_MAX]; // CN=CT1
    char stranger_ca[TLS_FILES_PATH_MAX];
    char stranger_cert[TLS_FILES_PATH_MAX], stranger_key[TLS_FILES_PATH_MAX];
};

// Makes a directory of its own. Asserts that it succeeds.
void tls_files_make(struct tls_files *f);
// Puts another certificate of the same authority and its key in the server's place.
void tls_files_renew_server(struct tls_files *f);
void tls_files_write(const char *path, struct str text);
void tls_files_remove(struct tls_files *f);

// Asserts that it succeeds.
struct net_tls *tls_open(const struct net_tls_options *o);
int64_t tls_late(void); // a deadline that only a hang reaches, monotonic ms

#endif
