// The configuration file as it was read, before it is taken into the settings: what is missing is NULL.
#ifndef GANTRY_APP_CONFIG_FILE_H
#define GANTRY_APP_CONFIG_FILE_H

#include <stdint.h>

#include "app/settings.h"
#include "base/buf.h"

// Every word of YAML 1.1 for it; anything else is a slip, not a yes.
enum truth { TRUTH_NO, TRUTH_YES };
enum auth { AUTH_NONE, AUTH_TOKEN };
enum new_volumes { NEW_ENCRYPTED, NEW_PLAIN };
enum small_volumes { SMALL_INDEX, SMALL_BUCKET };
enum s3_lock { S3_LOCK_GOVERNANCE, S3_LOCK_COMPLIANCE };

struct file_peer {
    char *aet, *host;
    uint16_t *port;
    char *called, *certificate, *subject, *role, *scope, *realm;
    char **networks, **services;
    unsigned networks_count, services_count;
    unsigned *associations;
    char *tls_name;
    enum truth *tls;
};

struct file_tls {
    char *cert, *key, *key_password, *key_password_file, *ca, *crl, *profile, *ciphers, *suites, *groups;
};

// What DICOM and HTTP have alike.
struct file_door {
    uint16_t *plain_port;
    unsigned *per_second;
    enum net_tls_clients *clients;
};

// Ports have their own width, so that one that is none is told with its line.
struct file_dicom {
    uint16_t *port;
    struct file_door door;
    unsigned *associations_max, *per_peer_max;
    enum truth *known_callers_only, *any_called, *accept_unknown_storage;
    char **unknown_peers, *unknown_role;
    unsigned unknown_peers_count;
};

struct file_http {
    uint16_t *port;
    struct file_door door;
    unsigned *connections_max, *per_peer_max;
    char *base_url;
    char **trusted_proxies;
    unsigned trusted_proxies_count;
};

struct file_accounts {
    uint16_t *session_idle_minutes, *session_hours, *password_least;
    char *password_list;
};

struct file_oidc_role {
    char *group, *role, *scope;
};

struct file_oidc {
    char *issuer, *client_id, *client_secret, *client_secret_file, *title, *scopes;
    char *groups_claim, *name_claim, *audience, *ca_file, *proxy;
    char **algorithms;
    struct file_oidc_role *roles;
    unsigned algorithms_count, roles_count;
    unsigned *skew_seconds;
};

struct file_outgoing {
    char **networks;
    unsigned networks_count;
};

struct file_cors {
    char **origins;
    unsigned origins_count;
};

struct file_database {
    char *url, *password, *password_file, *schema;
    uint16_t *connections, *statement_seconds;
};

struct file_lock {
    enum s3_lock mode;
    uint16_t days;
};

struct file_s3 {
    char *endpoint, *bucket, *prefix, *region;
    enum s3_style *style;
    enum s3_credentials *credentials;
    char *access_key, *secret_key, *secret_key_file, *session_token, *session_token_file;
    char *credentials_file, *profile, *metadata_endpoint, *sts_endpoint, *role_arn, *token_file;
    char *ca_file, *proxy, *storage_class;
    struct file_lock *object_lock;
    unsigned *connect_ms, *stall_ms, *request_ms, *retry_ms;
    uint16_t *attempts;
};

struct file_merge {
    unsigned *target_mib, *small_mib, *quiet_seconds, *age_seconds, *keep_removed_seconds, *keep_removed_days, *orphan_minutes;
    uint16_t *dead_percent;
};

struct file_tier {
    unsigned after_days;
    char *storage_class, *modality;
};

struct file_store {
    struct file_s3 *s3;
    struct file_merge *merge;
    struct file_tier *tiers;
    unsigned tiers_count;
    unsigned *cache_gib, *cache_mib;
    enum small_volumes *small_volumes;
    unsigned *small_mib, *index_gib, *index_mib;
    uint16_t *writers;
};

struct file_encryption {
    char *master_key, **older_keys, *cipher;
    unsigned older_keys_count;
    enum new_volumes *new_volumes;
};

struct file_collector {
    char *host, *ca, *cert, *key, *name;
    uint16_t *port;
    enum truth *plain;
};

struct file_audit {
    char *site;
    unsigned *checkpoint_seconds, *keep_days;
    char **checkpoints;
    unsigned checkpoints_count;
    struct file_collector *collectors;
    unsigned collectors_count;
};

struct file {
    char *node, *data, *bind, *aet;
    enum auth *auth;
    uint16_t *drain_seconds, *deadline_seconds;
    struct file_tls *tls;
    char **plaintext;
    unsigned plaintext_count;
    struct file_dicom *dicom;
    struct file_http *http;
    struct file_accounts *accounts;
    struct file_cors *cors;
    struct file_oidc *oidc;
    struct file_outgoing *outgoing;
    struct file_peer *peers;
    unsigned peers_count;
    unsigned *volume_mib;
    struct file_database *database;
    struct file_store *store;
    struct file_encryption *encryption;
    struct file_audit *audit;
};

// Each puts its part over *s; text is copied into a. Messages name the key.
bool config_take(const struct file *f, struct arena *a, struct settings *s, struct err *e);
bool config_take_database(const struct file_database *d, struct arena *a, struct settings *s, struct err *e);
bool config_take_store(const struct file_store *st, struct arena *a, struct settings *s, struct err *e);
bool config_take_encryption(const struct file_encryption *f, struct arena *a, struct settings *s, struct err *e);
bool config_take_audit(const struct file_audit *f, struct arena *a, struct settings *s, struct err *e);
bool config_take_merge(const struct file_store *st, struct arena *a, struct settings *s, struct err *e);
bool config_take_tls(const struct file_tls *f, struct arena *a, struct settings *s, struct err *e);
bool config_take_plaintext(char *const *names, unsigned count, struct settings *s, struct err *e);
bool config_take_door(const struct file_door *f, const char *name, struct setting_door *to, struct err *e);
bool config_take_oidc(const struct file_oidc *f, struct arena *a, struct settings *s, struct err *e);
bool config_take_outgoing(const struct file_outgoing *f, struct arena *a, struct settings *s, struct err *e);
bool config_take_text(struct arena *a, const char *from, const char **to, struct err *e);

#endif
