// The modules of a server, started in order and stopped together.
#ifndef GANTRY_APP_MODULES_H
#define GANTRY_APP_MODULES_H

#include "app/serve_tls.h"
#include "app/settings.h"
#include "base/err.h"

struct accounts;
struct archive;
struct node;
struct peers;
struct serve_dicom;
struct serve_peers;

enum { MODULES_MAX = 16 };

struct oidc;

// What the modules of one server share.
struct server {
    const struct settings *settings;
    struct serve_tls tls;
    struct archive *archive;
    struct peers *peers; // who is known of the application entities
    struct serve_peers *peer_settings;
    struct node *node;                          // this one among those that serve the archive
    uint16_t dicom_port, http_port;             // the real ones, once started
    uint16_t dicom_plain_port, http_plain_port; // those without TLS beside them; 0: none
    struct serve_dicom *dicom;                  // while it runs: its counts are shown over HTTP
    struct oidc *oidc;                          // single sign-on; NULL: there is none
    struct accounts *accounts;                  // opened before the doors, closed after them
    bool has_token;                             // one of an earlier version was taken over
    char token[65], one_time[65];               // made by this start, to be shown once; else empty
    void *state[MODULES_MAX];                   // of each module, by its place in the table
};

struct module {
    const char *name;
    bool (*start)(struct server *s, void **state, struct err *e);
    void (*stop)(struct server *s, void *state); // finishes what is under way, refuses new work
};

extern const struct module MODULES[];
extern const unsigned MODULE_COUNT;

// Stops what was started when one fails.
bool modules_start(struct server *s, struct err *e);
void modules_stop(struct server *s);

#endif
