// The configuration file by libcyaml: a schema of what may stand in it.
#include "app/config.h"

#include <cyaml/cyaml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/config_file.h"

static const cyaml_strval_t TRUTHS[] = {{"no", TRUTH_NO}, {"false", TRUTH_NO}, {"off", TRUTH_NO}, {"yes", TRUTH_YES}, {"true", TRUTH_YES}, {"on", TRUTH_YES}};
static const cyaml_strval_t AUTHS[] = {{"none", AUTH_NONE}, {"token", AUTH_TOKEN}};
static const cyaml_strval_t STYLES[] = {{"path", S3_PATH}, {"virtual-host", S3_VIRTUAL_HOST}};
static const cyaml_strval_t CREDENTIALS[] = {
    {"static", S3_STATIC}, {"environment", S3_ENVIRONMENT}, {"file", S3_FILE}, {"instance", S3_INSTANCE}, {"web-identity", S3_WEB_IDENTITY}};
static const cyaml_strval_t SMALL_VOLUMES[] = {{"index", SMALL_INDEX}, {"bucket", SMALL_BUCKET}};
static const cyaml_strval_t CLIENTS[] = {{"none", NET_TLS_CLIENTS_NONE}, {"asked", NET_TLS_CLIENTS_ASKED}, {"required", NET_TLS_CLIENTS_REQUIRED}};
static const cyaml_strval_t NEW_VOLUMES[] = {{"encrypted", NEW_ENCRYPTED}, {"plain", NEW_PLAIN}};
static const cyaml_strval_t LOCK_MODES[] = {{"governance", S3_LOCK_GOVERNANCE}, {"compliance", S3_LOCK_COMPLIANCE}};

enum { OPTIONAL_PTR = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, OPTIONAL_WORD = OPTIONAL_PTR | CYAML_FLAG_STRICT };

static const cyaml_schema_value_t PLACE = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 4096)};
static const cyaml_schema_value_t WORD = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 512)};

static const cyaml_schema_field_t PEER_FIELDS[] = {
    CYAML_FIELD_STRING_PTR("aet", CYAML_FLAG_POINTER, struct file_peer, aet, 1, 16),
    CYAML_FIELD_STRING_PTR("host", OPTIONAL_PTR, struct file_peer, host, 1, 253),
    CYAML_FIELD_UINT_PTR("port", OPTIONAL_PTR, struct file_peer, port),
    CYAML_FIELD_STRING_PTR("called", OPTIONAL_PTR, struct file_peer, called, 1, 16),
    CYAML_FIELD_SEQUENCE("networks", OPTIONAL_PTR, struct file_peer, networks, &WORD, 0, SETTINGS_NETWORKS_MAX),
    CYAML_FIELD_STRING_PTR("certificate", OPTIONAL_PTR, struct file_peer, certificate, 1, 256),
    CYAML_FIELD_STRING_PTR("subject", OPTIONAL_PTR, struct file_peer, subject, 1, 256),
    CYAML_FIELD_STRING_PTR("role", OPTIONAL_PTR, struct file_peer, role, 1, 64),
    CYAML_FIELD_STRING_PTR("scope", OPTIONAL_PTR, struct file_peer, scope, 1, 256),
    CYAML_FIELD_STRING_PTR("realm", OPTIONAL_PTR, struct file_peer, realm, 0, 256),
    CYAML_FIELD_SEQUENCE("services", OPTIONAL_PTR, struct file_peer, services, &WORD, 0, SETTINGS_NETWORKS_MAX),
    CYAML_FIELD_UINT_PTR("associations-max", OPTIONAL_PTR, struct file_peer, associations),
    CYAML_FIELD_ENUM_PTR("tls", OPTIONAL_WORD, struct file_peer, tls, TRUTHS, CYAML_ARRAY_LEN(TRUTHS)),
    CYAML_FIELD_STRING_PTR("tls-name", OPTIONAL_PTR, struct file_peer, tls_name, 1, 253),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t PEER = {CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct file_peer, PEER_FIELDS)};

static const cyaml_schema_field_t DICOM_FIELDS[] = {
    CYAML_FIELD_UINT_PTR("port", OPTIONAL_PTR, struct file_dicom, port),
    CYAML_FIELD_UINT_PTR("plain-port", OPTIONAL_PTR, struct file_dicom, door.plain_port),
    CYAML_FIELD_ENUM_PTR("client-certificates", OPTIONAL_WORD, struct file_dicom, door.clients, CLIENTS, CYAML_ARRAY_LEN(CLIENTS)),
    CYAML_FIELD_UINT_PTR("connections-per-second", OPTIONAL_PTR, struct file_dicom, door.per_second),
    CYAML_FIELD_UINT_PTR("associations-max", OPTIONAL_PTR, struct file_dicom, associations_max),
    CYAML_FIELD_UINT_PTR("per-peer-max", OPTIONAL_PTR, struct file_dicom, per_peer_max),
    CYAML_FIELD_ENUM_PTR("known-callers-only", OPTIONAL_WORD, struct file_dicom, known_callers_only, TRUTHS, CYAML_ARRAY_LEN(TRUTHS)),
    CYAML_FIELD_SEQUENCE("unknown-peers", OPTIONAL_PTR, struct file_dicom, unknown_peers, &WORD, 0, SETTINGS_LIST_MAX),
    CYAML_FIELD_STRING_PTR("unknown-role", OPTIONAL_PTR, struct file_dicom, unknown_role, 1, 64),
    CYAML_FIELD_ENUM_PTR("any-called-aet", OPTIONAL_WORD, struct file_dicom, any_called, TRUTHS, CYAML_ARRAY_LEN(TRUTHS)),
    CYAML_FIELD_ENUM_PTR("accept-unknown-storage", OPTIONAL_WORD, struct file_dicom, accept_unknown_storage, TRUTHS, CYAML_ARRAY_LEN(TRUTHS)),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t HTTP_FIELDS[] = {
    CYAML_FIELD_UINT_PTR("port", OPTIONAL_PTR, struct file_http, port),
    CYAML_FIELD_UINT_PTR("plain-port", OPTIONAL_PTR, struct file_http, door.plain_port),
    CYAML_FIELD_ENUM_PTR("client-certificates", OPTIONAL_WORD, struct file_http, door.clients, CLIENTS, CYAML_ARRAY_LEN(CLIENTS)),
    CYAML_FIELD_UINT_PTR("connections-max", OPTIONAL_PTR, struct file_http, connections_max),
    CYAML_FIELD_UINT_PTR("per-peer-max", OPTIONAL_PTR, struct file_http, per_peer_max),
    CYAML_FIELD_UINT_PTR("connections-per-second", OPTIONAL_PTR, struct file_http, door.per_second),
    CYAML_FIELD_STRING_PTR("base-url", OPTIONAL_PTR, struct file_http, base_url, 1, 512),
    CYAML_FIELD_SEQUENCE("trusted-proxies", OPTIONAL_PTR, struct file_http, trusted_proxies, &WORD, 0, SETTINGS_LIST_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t ACCOUNTS_FIELDS[] = {
    CYAML_FIELD_UINT_PTR("session-idle-minutes", OPTIONAL_PTR, struct file_accounts, session_idle_minutes),
    CYAML_FIELD_UINT_PTR("session-hours", OPTIONAL_PTR, struct file_accounts, session_hours),
    CYAML_FIELD_UINT_PTR("password-least", OPTIONAL_PTR, struct file_accounts, password_least),
    CYAML_FIELD_STRING_PTR("password-list", OPTIONAL_PTR, struct file_accounts, password_list, 1, 4096),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t TLS_FIELDS[] = {
    CYAML_FIELD_STRING_PTR("cert", CYAML_FLAG_POINTER, struct file_tls, cert, 1, 4096),
    CYAML_FIELD_STRING_PTR("key", CYAML_FLAG_POINTER, struct file_tls, key, 1, 4096),
    CYAML_FIELD_STRING_PTR("key-password", OPTIONAL_PTR, struct file_tls, key_password, 1, 1024),
    CYAML_FIELD_STRING_PTR("key-password-file", OPTIONAL_PTR, struct file_tls, key_password_file, 1, 4096),
    CYAML_FIELD_STRING_PTR("ca", OPTIONAL_PTR, struct file_tls, ca, 1, 4096),
    CYAML_FIELD_STRING_PTR("crl", OPTIONAL_PTR, struct file_tls, crl, 1, 4096),
    CYAML_FIELD_STRING_PTR("profile", OPTIONAL_PTR, struct file_tls, profile, 1, 64),
    CYAML_FIELD_STRING_PTR("ciphers", OPTIONAL_PTR, struct file_tls, ciphers, 0, 4096),
    CYAML_FIELD_STRING_PTR("suites", OPTIONAL_PTR, struct file_tls, suites, 0, 1024),
    CYAML_FIELD_STRING_PTR("groups", OPTIONAL_PTR, struct file_tls, groups, 1, 1024),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t OIDC_ROLE_FIELDS[] = {
    CYAML_FIELD_STRING_PTR("group", CYAML_FLAG_POINTER, struct file_oidc_role, group, 1, 256),
    CYAML_FIELD_STRING_PTR("role", CYAML_FLAG_POINTER, struct file_oidc_role, role, 1, 64),
    CYAML_FIELD_STRING_PTR("scope", OPTIONAL_PTR, struct file_oidc_role, scope, 1, 256),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t OIDC_ROLE = {CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct file_oidc_role, OIDC_ROLE_FIELDS)};

static const cyaml_schema_field_t OIDC_FIELDS[] = {
    CYAML_FIELD_STRING_PTR("issuer", CYAML_FLAG_POINTER, struct file_oidc, issuer, 1, 1024),
    CYAML_FIELD_STRING_PTR("client-id", CYAML_FLAG_POINTER, struct file_oidc, client_id, 1, 256),
    CYAML_FIELD_STRING_PTR("client-secret", OPTIONAL_PTR, struct file_oidc, client_secret, 1, 1024),
    CYAML_FIELD_STRING_PTR("client-secret-file", OPTIONAL_PTR, struct file_oidc, client_secret_file, 1, 4096),
    CYAML_FIELD_STRING_PTR("title", OPTIONAL_PTR, struct file_oidc, title, 1, 64),
    CYAML_FIELD_STRING_PTR("scopes", OPTIONAL_PTR, struct file_oidc, scopes, 1, 512),
    CYAML_FIELD_STRING_PTR("groups-claim", OPTIONAL_PTR, struct file_oidc, groups_claim, 1, 256),
    CYAML_FIELD_STRING_PTR("name-claim", OPTIONAL_PTR, struct file_oidc, name_claim, 1, 256),
    CYAML_FIELD_STRING_PTR("audience", OPTIONAL_PTR, struct file_oidc, audience, 1, 256),
    CYAML_FIELD_STRING_PTR("ca-file", OPTIONAL_PTR, struct file_oidc, ca_file, 1, 4096),
    CYAML_FIELD_STRING_PTR("proxy", OPTIONAL_PTR, struct file_oidc, proxy, 1, 512),
    CYAML_FIELD_SEQUENCE("algorithms", OPTIONAL_PTR, struct file_oidc, algorithms, &WORD, 1, 3),
    CYAML_FIELD_UINT_PTR("skew-seconds", OPTIONAL_PTR, struct file_oidc, skew_seconds),
    CYAML_FIELD_SEQUENCE("roles", OPTIONAL_PTR, struct file_oidc, roles, &OIDC_ROLE, 0, SETTINGS_OIDC_ROLES_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t OUTGOING_FIELDS[] = {
    CYAML_FIELD_SEQUENCE("networks", OPTIONAL_PTR, struct file_outgoing, networks, &WORD, 0, SETTINGS_LIST_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t CORS_FIELDS[] = {
    CYAML_FIELD_SEQUENCE("origins", OPTIONAL_PTR, struct file_cors, origins, &WORD, 0, SETTINGS_LIST_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t DATABASE_FIELDS[] = {
    CYAML_FIELD_STRING_PTR("url", CYAML_FLAG_POINTER, struct file_database, url, 1, 2048),
    CYAML_FIELD_STRING_PTR("password", OPTIONAL_PTR, struct file_database, password, 1, 1024),
    CYAML_FIELD_STRING_PTR("password-file", OPTIONAL_PTR, struct file_database, password_file, 1, 4096),
    CYAML_FIELD_STRING_PTR("schema", OPTIONAL_PTR, struct file_database, schema, 1, 63),
    CYAML_FIELD_UINT_PTR("connections", OPTIONAL_PTR, struct file_database, connections),
    CYAML_FIELD_UINT_PTR("statement-seconds", OPTIONAL_PTR, struct file_database, statement_seconds),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t LOCK_FIELDS[] = {
    CYAML_FIELD_ENUM("mode", CYAML_FLAG_STRICT, struct file_lock, mode, LOCK_MODES, CYAML_ARRAY_LEN(LOCK_MODES)),
    CYAML_FIELD_UINT("days", CYAML_FLAG_DEFAULT, struct file_lock, days),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t S3_FIELDS[] = {
    CYAML_FIELD_STRING_PTR("endpoint", CYAML_FLAG_POINTER, struct file_s3, endpoint, 1, 512),
    CYAML_FIELD_STRING_PTR("bucket", CYAML_FLAG_POINTER, struct file_s3, bucket, 1, 255),
    CYAML_FIELD_STRING_PTR("prefix", OPTIONAL_PTR, struct file_s3, prefix, 0, 512),
    CYAML_FIELD_STRING_PTR("region", OPTIONAL_PTR, struct file_s3, region, 1, 64),
    CYAML_FIELD_ENUM_PTR("style", OPTIONAL_WORD, struct file_s3, style, STYLES, CYAML_ARRAY_LEN(STYLES)),
    CYAML_FIELD_ENUM_PTR("credentials", OPTIONAL_WORD, struct file_s3, credentials, CREDENTIALS, CYAML_ARRAY_LEN(CREDENTIALS)),
    CYAML_FIELD_STRING_PTR("access-key", OPTIONAL_PTR, struct file_s3, access_key, 1, 1024),
    CYAML_FIELD_STRING_PTR("secret-key", OPTIONAL_PTR, struct file_s3, secret_key, 1, 1024),
    CYAML_FIELD_STRING_PTR("secret-key-file", OPTIONAL_PTR, struct file_s3, secret_key_file, 1, 4096),
    CYAML_FIELD_STRING_PTR("session-token", OPTIONAL_PTR, struct file_s3, session_token, 1, 8192),
    CYAML_FIELD_STRING_PTR("session-token-file", OPTIONAL_PTR, struct file_s3, session_token_file, 1, 4096),
    CYAML_FIELD_STRING_PTR("credentials-file", OPTIONAL_PTR, struct file_s3, credentials_file, 1, 4096),
    CYAML_FIELD_STRING_PTR("profile", OPTIONAL_PTR, struct file_s3, profile, 1, 128),
    CYAML_FIELD_STRING_PTR("metadata-endpoint", OPTIONAL_PTR, struct file_s3, metadata_endpoint, 1, 512),
    CYAML_FIELD_STRING_PTR("sts-endpoint", OPTIONAL_PTR, struct file_s3, sts_endpoint, 1, 512),
    CYAML_FIELD_STRING_PTR("role-arn", OPTIONAL_PTR, struct file_s3, role_arn, 1, 2048),
    CYAML_FIELD_STRING_PTR("token-file", OPTIONAL_PTR, struct file_s3, token_file, 1, 4096),
    CYAML_FIELD_STRING_PTR("ca-file", OPTIONAL_PTR, struct file_s3, ca_file, 1, 4096),
    CYAML_FIELD_STRING_PTR("proxy", OPTIONAL_PTR, struct file_s3, proxy, 1, 512),
    CYAML_FIELD_STRING_PTR("storage-class", OPTIONAL_PTR, struct file_s3, storage_class, 1, S3_CLASS_MAX - 1),
    CYAML_FIELD_MAPPING_PTR("object-lock", OPTIONAL_PTR, struct file_s3, object_lock, LOCK_FIELDS),
    CYAML_FIELD_UINT_PTR("connect-ms", OPTIONAL_PTR, struct file_s3, connect_ms),
    CYAML_FIELD_UINT_PTR("stall-ms", OPTIONAL_PTR, struct file_s3, stall_ms),
    CYAML_FIELD_UINT_PTR("request-ms", OPTIONAL_PTR, struct file_s3, request_ms),
    CYAML_FIELD_UINT_PTR("retry-ms", OPTIONAL_PTR, struct file_s3, retry_ms),
    CYAML_FIELD_UINT_PTR("attempts", OPTIONAL_PTR, struct file_s3, attempts),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t MERGE_FIELDS[] = {
    CYAML_FIELD_UINT_PTR("target-mib", OPTIONAL_PTR, struct file_merge, target_mib),
    CYAML_FIELD_UINT_PTR("small-mib", OPTIONAL_PTR, struct file_merge, small_mib),
    CYAML_FIELD_UINT_PTR("quiet-seconds", OPTIONAL_PTR, struct file_merge, quiet_seconds),
    CYAML_FIELD_UINT_PTR("age-seconds", OPTIONAL_PTR, struct file_merge, age_seconds),
    CYAML_FIELD_UINT_PTR("keep-removed-seconds", OPTIONAL_PTR, struct file_merge, keep_removed_seconds),
    CYAML_FIELD_UINT_PTR("keep-removed-days", OPTIONAL_PTR, struct file_merge, keep_removed_days),
    CYAML_FIELD_UINT_PTR("orphan-minutes", OPTIONAL_PTR, struct file_merge, orphan_minutes),
    CYAML_FIELD_UINT_PTR("dead-percent", OPTIONAL_PTR, struct file_merge, dead_percent),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t TIER_FIELDS[] = {
    CYAML_FIELD_UINT("after-days", CYAML_FLAG_DEFAULT, struct file_tier, after_days),
    CYAML_FIELD_STRING_PTR("class", CYAML_FLAG_POINTER, struct file_tier, storage_class, 1, 40),
    CYAML_FIELD_STRING_PTR("modality", OPTIONAL_PTR, struct file_tier, modality, 1, 16),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t TIER = {CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct file_tier, TIER_FIELDS)};

static const cyaml_schema_field_t STORE_FIELDS[] = {
    CYAML_FIELD_MAPPING_PTR("s3", CYAML_FLAG_POINTER, struct file_store, s3, S3_FIELDS),
    CYAML_FIELD_UINT_PTR("cache-gib", OPTIONAL_PTR, struct file_store, cache_gib),
    CYAML_FIELD_UINT_PTR("cache-mib", OPTIONAL_PTR, struct file_store, cache_mib),
    CYAML_FIELD_ENUM_PTR("small-volumes", OPTIONAL_WORD, struct file_store, small_volumes, SMALL_VOLUMES, CYAML_ARRAY_LEN(SMALL_VOLUMES)),
    CYAML_FIELD_UINT_PTR("small-mib", OPTIONAL_PTR, struct file_store, small_mib),
    CYAML_FIELD_UINT_PTR("index-gib", OPTIONAL_PTR, struct file_store, index_gib),
    CYAML_FIELD_UINT_PTR("index-mib", OPTIONAL_PTR, struct file_store, index_mib),
    CYAML_FIELD_UINT_PTR("writers", OPTIONAL_PTR, struct file_store, writers),
    CYAML_FIELD_MAPPING_PTR("merge", OPTIONAL_PTR, struct file_store, merge, MERGE_FIELDS),
    CYAML_FIELD_SEQUENCE("tiers", OPTIONAL_PTR, struct file_store, tiers, &TIER, 0, TIER_RULES_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t ENCRYPTION_FIELDS[] = {
    CYAML_FIELD_STRING_PTR("master-key", OPTIONAL_PTR, struct file_encryption, master_key, 1, 4096),
    CYAML_FIELD_SEQUENCE("older-keys", OPTIONAL_PTR, struct file_encryption, older_keys, &PLACE, 0, SETTINGS_MASTERS_MAX - 1),
    CYAML_FIELD_STRING_PTR("cipher", OPTIONAL_PTR, struct file_encryption, cipher, 1, 32),
    CYAML_FIELD_ENUM_PTR("new-volumes", OPTIONAL_WORD, struct file_encryption, new_volumes, NEW_VOLUMES, CYAML_ARRAY_LEN(NEW_VOLUMES)),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t COLLECTOR_FIELDS[] = {
    CYAML_FIELD_STRING_PTR("host", CYAML_FLAG_POINTER, struct file_collector, host, 1, 253),
    CYAML_FIELD_UINT_PTR("port", OPTIONAL_PTR, struct file_collector, port),
    CYAML_FIELD_ENUM_PTR("plain", OPTIONAL_WORD, struct file_collector, plain, TRUTHS, CYAML_ARRAY_LEN(TRUTHS)),
    CYAML_FIELD_STRING_PTR("ca", OPTIONAL_PTR, struct file_collector, ca, 1, 4096),
    CYAML_FIELD_STRING_PTR("cert", OPTIONAL_PTR, struct file_collector, cert, 1, 4096),
    CYAML_FIELD_STRING_PTR("key", OPTIONAL_PTR, struct file_collector, key, 1, 4096),
    CYAML_FIELD_STRING_PTR("name", OPTIONAL_PTR, struct file_collector, name, 1, 253),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t COLLECTOR = {CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct file_collector, COLLECTOR_FIELDS)};

static const cyaml_schema_field_t AUDIT_FIELDS[] = {
    CYAML_FIELD_STRING_PTR("site", OPTIONAL_PTR, struct file_audit, site, 1, 128),
    CYAML_FIELD_UINT_PTR("checkpoint-seconds", OPTIONAL_PTR, struct file_audit, checkpoint_seconds),
    CYAML_FIELD_UINT_PTR("keep-days", OPTIONAL_PTR, struct file_audit, keep_days),
    CYAML_FIELD_SEQUENCE("checkpoints", OPTIONAL_PTR, struct file_audit, checkpoints, &WORD, 0, SETTINGS_CHECKPOINTS_MAX),
    CYAML_FIELD_SEQUENCE("collectors", OPTIONAL_PTR, struct file_audit, collectors, &COLLECTOR, 0, SETTINGS_COLLECTORS_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t FIELDS[] = {
    CYAML_FIELD_STRING_PTR("node", OPTIONAL_PTR, struct file, node, 1, SETTINGS_NODE_MAX),
    CYAML_FIELD_STRING_PTR("data", OPTIONAL_PTR, struct file, data, 1, 4096),
    CYAML_FIELD_STRING_PTR("bind", OPTIONAL_PTR, struct file, bind, 1, 64),
    CYAML_FIELD_STRING_PTR("aet", OPTIONAL_PTR, struct file, aet, 1, 16),
    CYAML_FIELD_ENUM_PTR("auth", OPTIONAL_WORD, struct file, auth, AUTHS, CYAML_ARRAY_LEN(AUTHS)),
    CYAML_FIELD_MAPPING_PTR("tls", OPTIONAL_PTR, struct file, tls, TLS_FIELDS),
    CYAML_FIELD_SEQUENCE("plaintext", OPTIONAL_PTR, struct file, plaintext, &WORD, 0, SETTINGS_LIST_MAX),
    CYAML_FIELD_MAPPING_PTR("dicom", OPTIONAL_PTR, struct file, dicom, DICOM_FIELDS),
    CYAML_FIELD_MAPPING_PTR("http", OPTIONAL_PTR, struct file, http, HTTP_FIELDS),
    CYAML_FIELD_MAPPING_PTR("accounts", OPTIONAL_PTR, struct file, accounts, ACCOUNTS_FIELDS),
    CYAML_FIELD_MAPPING_PTR("cors", OPTIONAL_PTR, struct file, cors, CORS_FIELDS),
    CYAML_FIELD_MAPPING_PTR("oidc", OPTIONAL_PTR, struct file, oidc, OIDC_FIELDS),
    CYAML_FIELD_MAPPING_PTR("outgoing", OPTIONAL_PTR, struct file, outgoing, OUTGOING_FIELDS),
    CYAML_FIELD_SEQUENCE("peers", OPTIONAL_PTR, struct file, peers, &PEER, 0, SETTINGS_PEERS_MAX),
    CYAML_FIELD_UINT_PTR("volume-mib", OPTIONAL_PTR, struct file, volume_mib),
    CYAML_FIELD_UINT_PTR("drain-seconds", OPTIONAL_PTR, struct file, drain_seconds),
    CYAML_FIELD_UINT_PTR("deadline-seconds", OPTIONAL_PTR, struct file, deadline_seconds),
    CYAML_FIELD_MAPPING_PTR("database", OPTIONAL_PTR, struct file, database, DATABASE_FIELDS),
    CYAML_FIELD_MAPPING_PTR("store", OPTIONAL_PTR, struct file, store, STORE_FIELDS),
    CYAML_FIELD_MAPPING_PTR("encryption", OPTIONAL_PTR, struct file, encryption, ENCRYPTION_FIELDS),
    CYAML_FIELD_MAPPING_PTR("audit", OPTIONAL_PTR, struct file, audit, AUDIT_FIELDS),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t SCHEMA = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct file, FIELDS)};

// The library tells what is wrong and where in several lines of log: they become one message.
struct lines {
    char text[ERR_MESSAGE_MAX];
};

__attribute__((format(printf, 3, 0))) static void on_log(cyaml_log_t level, void *context, const char *format, va_list args) {
    struct lines *to = context;
    char line[256];
    (void)level;
    vsnprintf(line, sizeof line, format, args);
    struct str s = str_trim(str_of(line));
    if (str_starts(s, STR_LIT("Load: "))) s = str_sub(s, 6, s.n);
    if (s.n == 0 || str_eqz(s, "Backtrace:")) return;
    size_t n = strlen(to->text);
    snprintf(to->text + n, sizeof to->text - n, "%s%.*s", n ? ", " : "", STR_FMT(s));
}

// Where a key that is not known stands: the library gives the place of what came before it.
static unsigned line_of_key(const char *path, struct str key, unsigned from) {
    char *text = NULL;
    size_t room = 0;
    unsigned line = 0, found = 0;
    FILE *f = fopen(path, "re");
    while (f && !found && getline(&text, &room, f) > 0) {
        struct str s = str_trim(str_of(text));
        if (++line >= from && str_starts(s, key) && s.n > key.n && (s.p[key.n] == ':' || s.p[key.n] == ' ')) found = line;
    }
    free(text);
    if (f) fclose(f);
    return found;
}

static void tell_unknown_key(const char *path, struct lines *lines) {
    static const char what[] = "Unexpected key: ";
    static const char where[] = ", in mapping (line: ";
    const char *start = strstr(lines->text, what), *end = start ? strstr(start, where) : NULL;
    char key[64];
    if (!end) return;
    start += sizeof what - 1;
    snprintf(key, sizeof key, "%.*s", (int)(end - start), start);
    unsigned line = line_of_key(path, str_of(key), (unsigned)strtoul(end + sizeof where - 1, NULL, 10));
    if (line) snprintf(lines->text, sizeof lines->text, "%s%s (line: %u)", what, key, line);
}

bool config_read(const char *path, struct arena *a, struct settings *s, struct err *e) {
    struct lines lines = {""};
    cyaml_config_t how = {
        .log_fn = on_log, .log_ctx = &lines, .mem_fn = cyaml_mem, .log_level = CYAML_LOG_ERROR, .flags = CYAML_CFG_NO_ALIAS | CYAML_CFG_DEFAULT};
    struct file *f = NULL;
    cyaml_err_t code = cyaml_load_file(path, &how, &SCHEMA, (cyaml_data_t **)&f, NULL);
    if (code == CYAML_ERR_FILE_OPEN) return err_errno(e, ERR_NOT_FOUND, "settings", "open %s", path);
    if (code != CYAML_OK) tell_unknown_key(path, &lines);
    if (code != CYAML_OK) return err_set(e, ERR_USAGE, "settings", "%s: %s", path, lines.text[0] ? lines.text : cyaml_strerror(code));
    bool ok = !f || config_take(f, a, s, e) || err_wrap(e, "%s", path);
    cyaml_free(&how, &SCHEMA, f, 0);
    return ok;
}
