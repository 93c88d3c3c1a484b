// The configuration file by libcyaml: a schema of what may stand in it.
#include "app/config.h"

#include <cyaml/cyaml.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"

// As the file has it; what is missing is NULL.
struct file_peer {
    char *aet, *host;
    uint16_t port;
};

// Every word of YAML 1.1 for it; anything else is a slip, not a yes.
enum truth { TRUTH_NO, TRUTH_YES };
static const cyaml_strval_t TRUTHS[] = {{"no", TRUTH_NO}, {"false", TRUTH_NO}, {"off", TRUTH_NO}, {"yes", TRUTH_YES}, {"true", TRUTH_YES}, {"on", TRUTH_YES}};
enum auth { AUTH_NONE, AUTH_TOKEN };
static const cyaml_strval_t AUTHS[] = {{"none", AUTH_NONE}, {"token", AUTH_TOKEN}};

// Ports have their own width, so that one that is none is told with its line.
struct file_dicom {
    uint16_t *port;
    unsigned *associations_max, *per_peer_max;
    enum truth *known_callers_only, *any_called, *accept_unknown_storage;
};

struct file_http {
    uint16_t *port;
    char *base_url;
    char **trusted_proxies;
    unsigned trusted_proxies_count;
};

struct file_cors {
    char **origins;
    unsigned origins_count;
};

struct file {
    char *data, *bind, *aet;
    enum auth *auth;
    struct file_dicom *dicom;
    struct file_http *http;
    struct file_cors *cors;
    struct file_peer *peers;
    unsigned peers_count;
    unsigned *volume_mib;
};

enum { OPTIONAL_PTR = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, OPTIONAL_WORD = OPTIONAL_PTR | CYAML_FLAG_STRICT };

static const cyaml_schema_field_t PEER_FIELDS[] = {
    CYAML_FIELD_STRING_PTR("aet", CYAML_FLAG_POINTER, struct file_peer, aet, 1, 16),
    CYAML_FIELD_STRING_PTR("host", CYAML_FLAG_POINTER, struct file_peer, host, 1, 253),
    CYAML_FIELD_UINT("port", CYAML_FLAG_DEFAULT, struct file_peer, port),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t PEER = {CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct file_peer, PEER_FIELDS)};

static const cyaml_schema_field_t DICOM_FIELDS[] = {
    CYAML_FIELD_UINT_PTR("port", OPTIONAL_PTR, struct file_dicom, port),
    CYAML_FIELD_UINT_PTR("associations-max", OPTIONAL_PTR, struct file_dicom, associations_max),
    CYAML_FIELD_UINT_PTR("per-peer-max", OPTIONAL_PTR, struct file_dicom, per_peer_max),
    CYAML_FIELD_ENUM_PTR("known-callers-only", OPTIONAL_WORD, struct file_dicom, known_callers_only, TRUTHS, CYAML_ARRAY_LEN(TRUTHS)),
    CYAML_FIELD_ENUM_PTR("any-called-aet", OPTIONAL_WORD, struct file_dicom, any_called, TRUTHS, CYAML_ARRAY_LEN(TRUTHS)),
    CYAML_FIELD_ENUM_PTR("accept-unknown-storage", OPTIONAL_WORD, struct file_dicom, accept_unknown_storage, TRUTHS, CYAML_ARRAY_LEN(TRUTHS)),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t WORD = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 512)};

static const cyaml_schema_field_t HTTP_FIELDS[] = {
    CYAML_FIELD_UINT_PTR("port", OPTIONAL_PTR, struct file_http, port),
    CYAML_FIELD_STRING_PTR("base-url", OPTIONAL_PTR, struct file_http, base_url, 1, 512),
    CYAML_FIELD_SEQUENCE("trusted-proxies", OPTIONAL_PTR, struct file_http, trusted_proxies, &WORD, 0, SETTINGS_LIST_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t CORS_FIELDS[] = {
    CYAML_FIELD_SEQUENCE("origins", OPTIONAL_PTR, struct file_cors, origins, &WORD, 0, SETTINGS_LIST_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t FIELDS[] = {
    CYAML_FIELD_STRING_PTR("data", OPTIONAL_PTR, struct file, data, 1, 4096),
    CYAML_FIELD_STRING_PTR("bind", OPTIONAL_PTR, struct file, bind, 1, 64),
    CYAML_FIELD_STRING_PTR("aet", OPTIONAL_PTR, struct file, aet, 1, 16),
    CYAML_FIELD_ENUM_PTR("auth", OPTIONAL_WORD, struct file, auth, AUTHS, CYAML_ARRAY_LEN(AUTHS)),
    CYAML_FIELD_MAPPING_PTR("dicom", OPTIONAL_PTR, struct file, dicom, DICOM_FIELDS),
    CYAML_FIELD_MAPPING_PTR("http", OPTIONAL_PTR, struct file, http, HTTP_FIELDS),
    CYAML_FIELD_MAPPING_PTR("cors", OPTIONAL_PTR, struct file, cors, CORS_FIELDS),
    CYAML_FIELD_SEQUENCE("peers", OPTIONAL_PTR, struct file, peers, &PEER, 0, SETTINGS_PEERS_MAX),
    CYAML_FIELD_UINT_PTR("volume-mib", OPTIONAL_PTR, struct file, volume_mib),
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

static bool take_text(struct arena *a, const char *from, const char **to, struct err *e) {
    if (from) *to = arena_strz(a, str_of(from), e);
    return !from || *to;
}

static bool take_dicom(const struct file_dicom *d, struct settings *s, struct err *e) {
    if (!d) return true;
    if (d->associations_max) s->associations_max = *d->associations_max;
    if (d->per_peer_max) s->per_peer_max = *d->per_peer_max;
    if (d->known_callers_only) s->known_callers_only = *d->known_callers_only == TRUTH_YES;
    if (d->any_called) s->any_called = *d->any_called == TRUTH_YES;
    if (d->accept_unknown_storage) s->accept_unknown_storage = *d->accept_unknown_storage == TRUTH_YES;
    if (s->associations_max > UL_ASSOCIATIONS_MAX) return err_set(e, ERR_USAGE, "settings", "dicom: associations-max is at most %d", UL_ASSOCIATIONS_MAX);
    if (d->port) s->dicom_port = *d->port;
    return true;
}

static bool take_list(struct arena *a, char *const *from, unsigned count, struct setting_list *to, struct err *e) {
    for (unsigned i = 0; i < count && to->count < SETTINGS_LIST_MAX; i++)
        if (!take_text(a, from[i], &to->all[to->count++], e)) return false;
    return true;
}

static bool take_http(const struct file *f, struct arena *a, struct settings *s, struct err *e) {
    const struct file_http *h = f->http;
    if (h && h->port) s->http_port = *h->port;
    if (h && !take_text(a, h->base_url, &s->base_url, e)) return false;
    if (h && !take_list(a, h->trusted_proxies, h->trusted_proxies_count, &s->trusted_proxies, e)) return false;
    return !f->cors || take_list(a, f->cors->origins, f->cors->origins_count, &s->cors_origins, e);
}

static bool take_peers(const struct file *f, struct arena *a, struct settings *s, struct err *e) {
    for (unsigned i = 0; i < f->peers_count && s->peer_count < SETTINGS_PEERS_MAX; i++) {
        struct setting_peer *to = &s->peers[s->peer_count++];
        if (!take_text(a, f->peers[i].aet, &to->aet, e) || !take_text(a, f->peers[i].host, &to->host, e)) return false;
        to->port = f->peers[i].port;
        if (!settings_aet_valid(str_of(to->aet)) || to->port == 0)
            return err_set(e, ERR_USAGE, "settings", "peers: entry %u: aet '%s' (1 to 16 characters, no backslash), port %u (1 to 65535)", i + 1, to->aet,
                           to->port);
    }
    return true;
}

static bool take(const struct file *f, struct arena *a, struct settings *s, struct err *e) {
    if (!take_text(a, f->data, &s->data_dir, e) || !take_text(a, f->bind, &s->bind, e) || !take_text(a, f->aet, &s->aet, e)) return false;
    if (f->auth) s->auth = *f->auth == AUTH_TOKEN;
    if (f->volume_mib) s->volume_bytes = (uint64_t)*f->volume_mib << 20;
    return take_http(f, a, s, e) && take_dicom(f->dicom, s, e) && take_peers(f, a, s, e);
}

bool config_read(const char *path, struct arena *a, struct settings *s, struct err *e) {
    struct lines lines = {""};
    cyaml_config_t how = {
        .log_fn = on_log, .log_ctx = &lines, .mem_fn = cyaml_mem, .log_level = CYAML_LOG_ERROR, .flags = CYAML_CFG_NO_ALIAS | CYAML_CFG_DEFAULT};
    struct file *f = NULL;
    cyaml_err_t code = cyaml_load_file(path, &how, &SCHEMA, (cyaml_data_t **)&f, NULL);
    if (code == CYAML_ERR_FILE_OPEN) return err_errno(e, ERR_NOT_FOUND, "settings", "open %s", path);
    if (code != CYAML_OK) return err_set(e, ERR_USAGE, "settings", "%s: %s", path, lines.text[0] ? lines.text : cyaml_strerror(code));
    bool ok = !f || take(f, a, s, e) || err_wrap(e, "%s", path);
    cyaml_free(&how, &SCHEMA, f, 0);
    return ok;
}
