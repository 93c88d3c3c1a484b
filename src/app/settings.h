// Everything that can be set of a server: defaults, then the configuration file, then the command line.
#ifndef GANTRY_APP_SETTINGS_H
#define GANTRY_APP_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "app/cli.h"
#include "base/arena.h"
#include "base/err.h"
#include "core/archive.h"
#include "core/merge.h"
#include "core/oidc.h"
#include "http/s3.h"
#include "net/tls.h"
#include "store/volume.h"

enum { SETTINGS_CHECKPOINTS_MAX = 8, SETTINGS_COLLECTORS_MAX = 8 };
enum { SETTINGS_PEERS_MAX = 256, SETTINGS_LIST_MAX = 64, SETTINGS_NETWORKS_MAX = 32, SETTINGS_NODE_MAX = 60, SETTINGS_MASTERS_MAX = 16 };
enum { SETTINGS_OIDC_ROLES_MAX = 256, SETTINGS_SKEW_MAX_S = 600 };

struct setting_peer {
    const char *aet, *host;
    uint16_t port;
    const char *called, *certificate, *subject, *role, *scope, *realm;
    const char *networks[SETTINGS_NETWORKS_MAX], *services[SETTINGS_NETWORKS_MAX];
    unsigned network_count, service_count, associations;
    bool tls;
    const char *tls_name; // in its certificate; NULL: host
};

// What is told of DICOM and of HTTP alike.
struct setting_door {
    bool plaintext;               // may be spoken off loopback without TLS
    bool plain_too;               // a port without TLS beside the one with it
    uint16_t plain_port;          // that one
    bool clients_told;            // the next was told
    enum net_tls_clients clients; // whether certificates are asked for
    unsigned per_second;          // new connections of one address; 0: default
};

struct setting_collector {
    const char *host, *ca, *cert, *key, *name;
    uint16_t port; // 0: default
    bool plain;
};

// The audit trail.
struct setting_audit {
    const char *site;
    unsigned checkpoint_s, keep_days; // 0: default, for ever
    const char *checkpoints[SETTINGS_CHECKPOINTS_MAX];
    unsigned checkpoint_count;
    struct setting_collector collectors[SETTINGS_COLLECTORS_MAX];
    unsigned collector_count;
};

struct setting_list {
    const char *all[SETTINGS_LIST_MAX];
    unsigned count;
};

struct settings {
    const char *data_dir;
    const char *bind;
    uint16_t dicom_port, http_port;
    const char *aet;
    bool auth; // a token is asked for
    bool any_called, accept_unknown_storage;
    unsigned session_idle_s, session_absolute_s, password_least; // 0: defaults of core/accounts.h
    const char *password_list;                                   // passwords that nobody may take, one a line; NULL: none
    struct setting_list unknown_peers;                           // core/peers.h
    const char *unknown_role;                                    // NULL: default
    struct net_tls_options tls; // the own certificate (NULL: no TLS), whom to trust and what to negotiate: of both ports and of calls to peers
    struct setting_door dicom, http;
    unsigned http_connections_max, http_per_peer_max; // 0: the ceilings
    unsigned associations_max, per_peer_max;          // 0: the ceilings
    uint64_t volume_bytes;                            // of a new volume; 0: default
    struct setting_peer peers[SETTINGS_PEERS_MAX];
    unsigned peer_count;
    struct setting_audit audit;
    const char *base_url;                // where HTTP is seen from outside; NULL: by each request
    struct setting_list trusted_proxies; // addresses and networks whose X-Forwarded-* count
    struct setting_list outgoing;        // networks that may be connected to where somebody else names the address; none: by net/guard.h
    struct oidc_options oidc;            // issuer NULL: no single sign-on
    struct setting_list cors_origins;    // pages of other sites that may use the server; "*" is any

    // One of several nodes.
    const char *node;                                     // its name
    unsigned drain_ms;                                    // between "not ready" and refusing, so that a balancer notices
    unsigned deadline_ms;                                 // how long what is under way may take after that
    const char *database_url;                             // NULL: the index lies in data_dir; may hold a password
    const char *database_schema;                          // NULL: default
    unsigned database_connections, database_statement_ms; // 0: defaults
    bool has_store;                                       // the volumes lie in a bucket
    struct s3_options s3;
    struct vol_remote remote; // but for its s3
    const char *masters[SETTINGS_MASTERS_MAX];
    struct vol_encryption encryption; // but for its masters; without any it is none
    struct merge_options merge;
};

// The options of `gantry serve`.
extern const struct cli_option SETTINGS_OPTIONS[];

// Reads options and the file named by --config. Everything is in a, *out stays where it is.
bool settings_read(struct cli_args *args, struct arena *a, struct settings *out, struct err *e);
// What the file (NULL: none) and a data directory (NULL: the file's, else the default) alone say: for commands.
bool settings_read_file(const char *config, const char *data, struct arena *a, struct settings *out, struct err *e);
// Whether a server would start with it: addresses, names, what excludes each other, what must not be in plain text.
bool settings_check(const struct settings *s, struct err *e);
// What an archive is opened with; borrows s.
struct archive_options settings_archive(const struct settings *s);
// Where connections may lead whose address somebody else names: to the networks of the configuration, else to any place but those that nobody means.
struct net_guard settings_guard(const struct settings *s);
// $XDG_DATA_HOME/gantry, else ~/.local/share/gantry.
const char *settings_default_data(struct arena *a, struct err *e);
// 1 to 16 printable characters of ASCII, not all spaces, no backslash (PS3.5 6.2).
bool settings_aet_valid(struct str aet);
// 127.0.0.0/8 and ::1.
bool settings_is_loopback(const char *address);

// "dicom" or "http"; false for anything else.
bool settings_allow_plaintext(struct settings *s, const char *name);
// What a port makes its TLS with; server.cert is NULL when it has none.
struct net_tls_options settings_tls_server(const struct settings *s, const struct setting_door *door);
// What calls to peers are made with.
struct net_tls_options settings_tls_client(const struct settings *s);
// Whether what is set keeps to TLS off loopback, unless the configuration says otherwise.
bool settings_check_tls(const struct settings *s, struct err *e);

#endif
