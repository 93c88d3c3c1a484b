// The subcommands of `gantry cert`, and the folder of certificates that they share.
#ifndef GANTRY_APP_CERT_H
#define GANTRY_APP_CERT_H

#include <stdbool.h>

#include "app/cli.h"
#include "net/cert.h"

extern const struct cli_command CERT_CA, CERT_SERVER, CERT_CLIENT, CERT_SIGN, CERT_RENEW, CERT_SHOW;

#define CERT_PLACE_OPTIONS                                                               \
    {"dir", "DIR", "folder of the certificates (default: tls in the data directory)"}, { \
        "data", "DIR", "data directory (default: gantry under XDG data)"                 \
    }
#define CERT_KEY_OPTION \
    { "key", "KIND", "ec (P-256, the default), rsa (3072 bits) or sm2" }

enum {
    CERT_CA_DAYS = 3650,
    CERT_DAYS = 825, // what some clients take at most of a server's
    CERT_DAYS_MAX = 36500,
};

// The folder of --dir, else tls in the data directory. make: it is made when it is not there.
bool cert_place(struct cli_args *args, bool make, const char **dir, struct err *e);
// --days, --key; the rest of the order is the caller's.
bool cert_order(struct cli_args *args, int64_t days, struct cert_order *o, struct err *e);

// The authority of a folder (ca.crt, ca.key). ERR_NOT_FOUND when it has none.
bool cert_authority(struct arena *a, const char *dir, struct cert_pair *out, struct err *e);
// Makes one. name and organisation may be NULL.
bool cert_authority_make(struct cli_args *args, const char *dir, const struct cert_order *o, struct cert_pair *out, struct err *e);

// Whether a text may name a file in the folder; ERR_USAGE else.
bool cert_stem_valid(const char *stem, struct err *e);
// DIR/stem.suffix
const char *cert_path(struct arena *a, const char *dir, const char *stem, const char *suffix, struct err *e);
// Writes a certificate (0644), and a key (0600; key.n 0: none), which neither replaces anything. A key of the service is its user's, the authority's is not.
bool cert_save(struct arena *a, const char *dir, const char *stem, const struct cert_pair *pair, struct err *e);
// ERR_CONFLICT when either file is there.
bool cert_absent(struct arena *a, const char *dir, const char *stem, struct err *e);
// One line of what was made.
bool cert_tell(struct arena *a, const char *what, const char *path, struct str pem, struct err *e);

// "2029-02-24"
void cert_day(int64_t ms, char out[16]);

#endif
