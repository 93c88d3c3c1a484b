// The database and the bucket of the configuration.
#include <string.h>

#include "app/config_file.h"
#include "app/secret.h"

enum { SMALL_MIB = 8, CONNECTIONS_MAX = 1000, STATEMENT_SECONDS_MAX = 3600, MIB_MAX = 1 << 30 };

// ---- database ----

// As a value of a URL's query (RFC 3986 2.1), or between the quotes of key=value.
static void add_password(struct buf *b, const char *password, bool url) {
    for (const char *p = password; *p; p++) {
        bool plain = strchr("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_.~", *p);
        if (url && !plain)
            buf_addf(b, "%%%02X", (unsigned char)*p);
        else if (!url && (*p == '\'' || *p == '\\'))
            buf_addf(b, "\\%c", *p);
        else
            buf_addc(b, *p);
    }
}

// libpq takes the password within the one text that says how to connect.
static bool join_password(struct arena *a, const char *url, const char *password, const char **out, struct err *e) {
    struct buf b;
    bool is_url = str_starts(str_of(url), STR_LIT("postgresql://")) || str_starts(str_of(url), STR_LIT("postgres://"));
    buf_init(&b, 2 * SECRET_BYTES_MAX);
    buf_addz(&b, url);
    buf_addz(&b, is_url ? strchr(url, '?') ? "&password=" : "?password=" : " password='");
    add_password(&b, password, is_url);
    if (!is_url) buf_addc(&b, '\'');
    bool ok = buf_ok(&b, e) && (*out = arena_strz(a, buf_str(&b), e));
    buf_deinit(&b);
    return ok;
}

bool config_take_database(const struct file_database *d, struct arena *a, struct settings *s, struct err *e) {
    const char *password = NULL;
    if (!d) return true;
    if (!secret_read(a, "database: url", d->url, NULL, &s->database_url, e)) return false;
    if (!secret_read(a, "database: password", d->password, d->password_file, &password, e)) return false;
    if (password && !join_password(a, s->database_url, password, &s->database_url, e)) return false;
    if (!config_take_text(a, d->schema, &s->database_schema, e)) return false;
    if (d->connections) s->database_connections = *d->connections;
    if (d->statement_seconds) s->database_statement_ms = *d->statement_seconds * 1000U;
    if (d->connections && (*d->connections == 0 || *d->connections > CONNECTIONS_MAX))
        return err_set(e, ERR_USAGE, "settings", "database: connections is a number from 1 to %d", CONNECTIONS_MAX);
    if (d->statement_seconds && (*d->statement_seconds == 0 || *d->statement_seconds > STATEMENT_SECONDS_MAX))
        return err_set(e, ERR_USAGE, "settings", "database: statement-seconds is a number from 1 to %d", STATEMENT_SECONDS_MAX);
    return true;
}

// ---- encryption ----

// A place is a path or a PKCS #11 URI, neither of them a secret.
bool config_take_encryption(const struct file_encryption *f, struct arena *a, struct settings *s, struct err *e) {
    struct vol_encryption *to = &s->encryption;
    if (!f) return true;
    if (!f->master_key)
        return err_set(e, ERR_USAGE, "settings", "encryption: master-key is the file or the PKCS #11 URI of a key ('gantry key new' makes one)");
    if (!config_take_text(a, f->master_key, &s->masters[0], e) || !config_take_text(a, f->cipher, &to->cipher, e)) return false;
    for (unsigned i = 0; i < f->older_keys_count; i++)
        if (!config_take_text(a, f->older_keys[i], &s->masters[i + 1], e)) return false;
    to->master_count = f->older_keys_count + 1;
    to->plain = f->new_volumes && *f->new_volumes == NEW_PLAIN;
    return true;
}

// ---- bucket ----

static bool take_texts(const struct file_s3 *f, struct arena *a, struct s3_options *o, struct err *e) {
    const struct {
        const char *from;
        const char **to;
    } texts[] = {{f->endpoint, &o->endpoint},
                 {f->bucket, &o->bucket},
                 {f->region, &o->region},
                 {f->credentials_file, &o->credentials_file},
                 {f->profile, &o->profile},
                 {f->metadata_endpoint, &o->metadata_endpoint},
                 {f->sts_endpoint, &o->sts_endpoint},
                 {f->role_arn, &o->role_arn},
                 {f->token_file, &o->token_file},
                 {f->ca_file, &o->ca_file},
                 {f->proxy, &o->proxy},
                 {f->storage_class, &o->storage_class}};
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!config_take_text(a, texts[i].from, texts[i].to, e)) return false;
    return true;
}

static bool take_secrets(const struct file_s3 *f, struct arena *a, struct s3_options *o, struct err *e) {
    return secret_read(a, "store: s3: access-key", f->access_key, NULL, &o->access_key, e) &&
           secret_read(a, "store: s3: secret-key", f->secret_key, f->secret_key_file, &o->secret_key, e) &&
           secret_read(a, "store: s3: session-token", f->session_token, f->session_token_file, &o->session_token, e);
}

// What each way to get credentials cannot do without, and what belongs to another way.
static bool check_credentials(const struct s3_options *o, struct err *e) {
    bool keys = o->access_key && o->secret_key, any_key = o->access_key || o->secret_key || o->session_token;
    if (o->credentials == S3_STATIC && !keys)
        return err_set(e, ERR_USAGE, "settings", "store: s3: credentials static needs access-key and secret-key or secret-key-file");
    if (o->credentials != S3_STATIC && any_key)
        return err_set(e, ERR_USAGE, "settings", "store: s3: access-key, secret-key and session-token belong to credentials static");
    if (o->credentials == S3_WEB_IDENTITY && !(o->role_arn && o->token_file))
        return err_set(e, ERR_USAGE, "settings", "store: s3: credentials web-identity needs role-arn and token-file");
    return true;
}

static bool take_lock(const struct file_lock *l, struct s3_options *o, struct err *e) {
    if (!l) return true;
    o->lock_mode = l->mode == S3_LOCK_COMPLIANCE ? "COMPLIANCE" : "GOVERNANCE";
    o->lock_days = l->days;
    return l->days > 0 || err_set(e, ERR_USAGE, "settings", "store: s3: object-lock: days is at least 1");
}

static void take_times(const struct file_s3 *f, struct s3_options *o) {
    if (f->connect_ms) o->connect_ms = *f->connect_ms;
    if (f->stall_ms) o->stall_ms = *f->stall_ms;
    if (f->request_ms) o->request_ms = *f->request_ms;
    if (f->retry_ms) o->retry_ms = *f->retry_ms;
    if (f->attempts) o->attempts = *f->attempts;
}

static bool take_prefix(const struct file_s3 *f, struct arena *a, struct settings *s, struct err *e) {
    struct str prefix = str_of(f->prefix ? f->prefix : "");
    bool slash = prefix.n == 0 || prefix.p[prefix.n - 1] == '/';
    if (prefix.n && prefix.p[0] == '/') return err_set(e, ERR_USAGE, "settings", "store: s3: prefix begins with no slash, as keys do");
    s->remote.prefix = arena_printf(a, e, "%.*s%s", STR_FMT(prefix), slash ? "" : "/");
    return s->remote.prefix;
}

static bool take_s3(const struct file_s3 *f, struct arena *a, struct settings *s, struct err *e) {
    struct s3_options *o = &s->s3;
    *o = (struct s3_options){.style = f->style ? *f->style : S3_PATH, .credentials = f->credentials ? *f->credentials : S3_STATIC};
    if (!take_texts(f, a, o, e) || !take_secrets(f, a, o, e) || !take_prefix(f, a, s, e) || !take_lock(f->object_lock, o, e)) return false;
    if (!str_starts(str_of(o->endpoint), STR_LIT("http://")) && !str_starts(str_of(o->endpoint), STR_LIT("https://")))
        return err_set(e, ERR_USAGE, "settings", "store: s3: endpoint is a URL such as https://s3.example.org, not '%s'", o->endpoint);
    take_times(f, o);
    return check_credentials(o, e);
}

static bool take_size(const char *key, const unsigned *gib, const unsigned *mib, uint64_t *out, struct err *e) {
    if (gib && mib) return err_set(e, ERR_USAGE, "settings", "store: %s is given in GiB and in MiB: one of them is enough", key);
    if (gib) *out = (uint64_t)*gib << 30;
    if (mib) *out = (uint64_t)*mib << 20;
    bool given = gib || mib;
    if (given && (*out == 0 || *out >> 20 > MIB_MAX)) return err_set(e, ERR_USAGE, "settings", "store: %s is out of range", key);
    return true;
}

bool config_take_store(const struct file_store *st, struct arena *a, struct settings *s, struct err *e) {
    struct vol_remote *r = &s->remote;
    if (!st) return true;
    bool to_bucket = st->small_volumes && *st->small_volumes == SMALL_BUCKET;
    if (!take_s3(st->s3, a, s, e)) return false;
    r->small_bytes = to_bucket ? 0 : (uint64_t)SMALL_MIB << 20;
    if (to_bucket && st->small_mib) return err_set(e, ERR_USAGE, "settings", "store: small-mib has no meaning with small-volumes: bucket");
    if (!take_size("small", NULL, st->small_mib, &r->small_bytes, e) || !take_size("cache", st->cache_gib, st->cache_mib, &r->cache_bytes, e)) return false;
    if (!take_size("index", st->index_gib, st->index_mib, &r->index_bytes_max, e)) return false;
    if (st->writers) r->writers = *st->writers;
    s->has_store = true;
    return config_take_merge(st, a, s, e);
}
