// TLS of the commands that call others: its options, and the one context that they make.
#ifndef GANTRY_APP_TLS_CLI_H
#define GANTRY_APP_TLS_CLI_H

#include "app/cli.h"
#include "net/tls.h"

// For a command's option table. Each but the first means --tls too.
#define TLS_CLI_OPTIONS                                                                                                                                       \
    {"tls", NULL, "call over TLS; the system's authorities are trusted unless --tls-ca is given"},                                                            \
        {"tls-ca", "FILE", "PEM: the authorities whose certificates are taken"}, {"tls-cert", "FILE", "PEM: our certificate, for peers that ask for one"},    \
        {"tls-key", "FILE", "PEM: its key"}, {"tls-name", "NAME", "what the peer's certificate must be for (default: the host that is called; * for any)"}, { \
        "tls-profile", "NAME", "bcp195 (default), bcp195-modified or gm"                                                                                      \
    }

// NULL in *out: the options ask for no TLS. The context lives as long as the process.
bool tls_cli_open(const struct cli_args *args, struct net_tls **out, struct err *e);

#endif
