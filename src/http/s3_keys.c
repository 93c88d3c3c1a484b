// Keys from the configuration, the environment, a file, a machine's metadata service and a token service.
#include "http/s3_keys.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "http/condition.h"
#include "http/s3_retry.h"
#include "http/s3_xml.h"
#include "http/sigv4.h"
#include "sys/file.h"
#include "text/json.h"
#include "text/xml.h"

enum { FILE_MAX = 1024 * 1024, ANSWER_MAX = 256 * 1024, METADATA_MS = 5000, STS_MS = 20 * 1000, ROLE_MAX = 256 };

#define METADATA "http://169.254.169.254"
#define ROLES "/latest/meta-data/iam/security-credentials/"

void s3_keys_wipe(struct s3_keys *k) {
    explicit_bzero(k, sizeof *k);
}

static bool take(char *to, size_t n, struct str from, const char *what, struct err *e) {
    if (!from.n) return err_set(e, ERR_USAGE, "s3", "there is no %s", what);
    if (from.n >= n || memchr(from.p, 0, from.n)) return err_set(e, ERR_USAGE, "s3", "the %s is not one: it is too long or not text", what);
    for (size_t i = 0; i < from.n; i++)
        if ((unsigned char)from.p[i] <= ' ' || from.p[i] == 0x7f) return err_set(e, ERR_USAGE, "s3", "the %s has a blank or a control character in it", what);
    memcpy(to, from.p, from.n);
    to[from.n] = 0;
    return true;
}

static bool take_all(struct s3_keys *out, struct str access, struct str secret, struct str token, const char *where, struct err *e) {
    *out = (struct s3_keys){0};
    bool ok = take(out->access, sizeof out->access, access, "access key", e) && take(out->secret, sizeof out->secret, secret, "secret key", e) &&
              (!token.n || take(out->token, sizeof out->token, token, "session token", e));
    return ok || err_wrap(e, "%s", where);
}

bool s3_keys_static(const struct s3_options *o, struct s3_keys *out, int64_t *lasts_ms, struct err *e) {
    *lasts_ms = S3_KEYS_FOREVER;
    return take_all(out, str_of(o->access_key), str_of(o->secret_key), str_of(o->session_token), "configuration", e);
}

bool s3_keys_environment(const struct s3_options *o, struct s3_keys *out, int64_t *lasts_ms, struct err *e) {
    (void)o;
    *lasts_ms = S3_KEYS_FOREVER;
    return take_all(out, str_of(getenv("AWS_ACCESS_KEY_ID")), str_of(getenv("AWS_SECRET_ACCESS_KEY")), str_of(getenv("AWS_SESSION_TOKEN")),
                    "environment AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY", e);
}

// ---- a file ----

static const char *or_environment(const char *given, const char *name) {
    const char *value = given && given[0] ? given : getenv(name);
    return value && value[0] ? value : NULL;
}

bool s3_keys_file_path(const struct s3_options *o, char *to, size_t n) {
    const char *path = or_environment(o->credentials_file, "AWS_SHARED_CREDENTIALS_FILE"), *home = getenv("HOME");
    int got = path ? snprintf(to, n, "%s", path) : home ? snprintf(to, n, "%s/.aws/credentials", home) : -1;
    return got > 0 && (size_t)got < n;
}

uint64_t s3_keys_file_stamp(const struct s3_options *o) {
    char path[4096];
    struct sys_stat st;
    int fd;
    if (!s3_keys_file_path(o, path, sizeof path) || !sys_open(&sys_files, path, O_RDONLY, 0, &fd, NULL)) return 0;
    bool ok = sys_stat_fd(fd, &st, NULL);
    sys_close(&sys_files, fd);
    return ok ? (uint64_t)st.mtime_ns * 31 + st.size + 1 : 0;
}

static bool read_text(const char *path, struct buf *to, struct err *e) {
    struct sys_stat st;
    int fd;
    if (!sys_open(&sys_files, path, O_RDONLY, 0, &fd, e)) return false;
    bool ok = sys_stat_fd(fd, &st, e);
    if (ok && st.size > FILE_MAX) ok = err_set(e, ERR_TOO_LARGE, "s3", "%s: larger than %d bytes", path, FILE_MAX);
    char *room = ok ? buf_reserve(to, (size_t)st.size) : NULL;
    if (ok && room) ok = sys_read_at(&sys_files, fd, room, (size_t)st.size, 0, e);
    if (ok && room) to->n += (size_t)st.size;
    sys_close(&sys_files, fd);
    return ok && buf_ok(to, e);
}

static void forget(struct buf *b) {
    if (b->p) explicit_bzero(b->p, b->cap);
    buf_deinit(b);
}

// "[name]" or, as the config file has it, "[profile name]".
static bool is_profile(struct str line, const char *profile) {
    struct str name = str_trim(str_sub(line, 1, str_find(line, ']', 0) - 1));
    if (str_starts(name, STR_LIT("profile "))) name = str_trim(str_sub(name, 8, name.n));
    return str_eqz(name, profile);
}

bool s3_keys_parse_file(struct str text, const char *profile, struct s3_keys *out, struct err *e) {
    struct str access = {0}, secret = {0}, token = {0}, rest = text;
    bool inside = false, seen = false;
    while (rest.p) {
        struct str line = str_trim(str_split(&rest, '\n'));
        if (!line.n || line.p[0] == '#' || line.p[0] == ';') continue;
        if (line.p[0] == '[') {
            inside = is_profile(line, profile);
            seen = seen || inside;
            continue;
        }
        size_t eq = str_find(line, '=', 0);
        struct str name = str_trim(str_sub(line, 0, eq)), value = eq < line.n ? str_trim(str_sub(line, eq + 1, line.n)) : (struct str){0};
        if (inside && str_eqz(name, "aws_access_key_id")) access = value;
        if (inside && str_eqz(name, "aws_secret_access_key")) secret = value;
        if (inside && str_eqz(name, "aws_session_token")) token = value;
    }
    if (!seen) return err_set(e, ERR_USAGE, "s3", "there is no profile [%s]", profile);
    return take_all(out, access, secret, token, profile, e);
}

bool s3_keys_file(const struct s3_options *o, struct s3_keys *out, int64_t *lasts_ms, struct err *e) {
    char path[4096];
    struct buf text;
    const char *profile = or_environment(o->profile, "AWS_PROFILE");
    *lasts_ms = S3_KEYS_FOREVER;
    if (!s3_keys_file_path(o, path, sizeof path)) return err_set(e, ERR_USAGE, "s3", "there is no credentials file: name one");
    buf_init(&text, FILE_MAX);
    bool ok = read_text(path, &text, e) && (s3_keys_parse_file(buf_str(&text), profile ? profile : "default", out, e) || err_wrap(e, "%s", path));
    forget(&text);
    return ok;
}

// ---- asking others ----

struct talk {
    struct str body;
    size_t sent;
    struct buf answer;
};

static int64_t send_text(void *context, void *p, size_t n) {
    struct talk *t = context;
    if (n > t->body.n - t->sent) n = t->body.n - t->sent;
    if (n) memcpy(p, t->body.p + t->sent, n);
    t->sent += n;
    return (int64_t)n;
}

static bool rewind_text(void *context) {
    ((struct talk *)context)->sent = 0;
    return true;
}

static bool keep_text(void *context, const void *p, size_t n) {
    struct talk *t = context;
    buf_add(&t->answer, p, n);
    return buf_ok(&t->answer, NULL);
}

// An answer of 200, and when the other one thinks it is.
static bool talk(struct http_call *call, struct talk *t, unsigned *status, int64_t *now_ms, struct err *e) {
    struct http_field fields[] = {{.name = "Date"}, {0}};
    struct http_result result;
    int64_t date;
    buf_clear(&t->answer);
    t->sent = 0;
    call->read = t->body.p ? send_text : NULL;
    call->rewind = rewind_text;
    call->body_length = (int64_t)t->body.n;
    call->write = keep_text;
    call->context = t;
    call->fields = fields;
    if (!http_call(call, &result, e)) return false;
    *status = result.status;
    *now_ms = http_date_parse(str_of(fields[0].value), &date) ? date * 1000 : clock_wall_ms();
    return true;
}

// ---- a machine's metadata service, version 2 ("Use IMDSv2", Amazon EC2 User Guide) ----

// What is left of keys that end at a time.
static bool lasts(struct str until, int64_t now_ms, int64_t *lasts_ms, struct err *e) {
    int64_t end;
    if (!s3_time_parse(until, &end)) return err_set(e, ERR_PEER, "s3", "the keys come without the time of their end");
    *lasts_ms = end > now_ms ? end - now_ms : 0;
    return *lasts_ms > 0 || err_set(e, ERR_PEER, "s3", "the keys have ended already");
}

bool s3_keys_parse_instance(struct str json, int64_t now_ms, struct s3_keys *out, int64_t *lasts_ms, struct err *e) {
    struct arena a;
    arena_init(&a, ANSWER_MAX * 4);
    const struct json *root = json_read(&a, json, 8, NULL);
    struct str code = json_text(json_get(root, "Code"));
    bool ok = root && (!code.n || str_eqz(code, "Success"));
    if (!ok) err_set(e, ERR_PEER, "s3", "the metadata service gives no keys: %.60s", root ? "it says that it could not" : "not JSON");
    ok = ok &&
         take_all(out, json_text(json_get(root, "AccessKeyId")), json_text(json_get(root, "SecretAccessKey")), json_text(json_get(root, "Token")),
                  "metadata service", e) &&
         lasts(json_text(json_get(root, "Expiration")), now_ms, lasts_ms, e);
    arena_deinit(&a);
    return ok;
}

struct metadata {
    const char *base;
    struct http_pool *pool;
    char header[1200]; // of the session token
    struct talk talk;
    int64_t now_ms;
};

static bool ask(struct metadata *m, const char *method, const char *path, const char *header, struct err *e) {
    char url[1024];
    unsigned status = 0;
    int n = snprintf(url, sizeof url, "%s%s", m->base, path);
    if (n < 0 || (size_t)n >= sizeof url) return err_set(e, ERR_USAGE, "s3", "the metadata service's address is too long");
    struct http_call call = {.method = method, .url = url, .headers = {header}, .connect_ms = METADATA_MS / 2, .whole_ms = METADATA_MS, .pool = m->pool};
    m->talk.body = strcmp(method, "PUT") == 0 ? STR_LIT("") : (struct str){0};
    if (!talk(&call, &m->talk, &status, &m->now_ms, e)) return err_wrap(e, "metadata service");
    if (status == 404) return err_set(e, ERR_USAGE, "s3", "the metadata service knows no role of this machine: attach one");
    return status == 200 || err_set(e, status >= 500 ? ERR_BUSY : ERR_FORBIDDEN, "s3", "the metadata service answered %u to %s", status, path);
}

static bool ask_role(struct metadata *m, char path[ROLE_MAX + sizeof ROLES], struct err *e) {
    if (!ask(m, "GET", ROLES, m->header, e)) return false;
    struct str rest = buf_str(&m->talk.answer), role = str_trim(str_split(&rest, '\n'));
    size_t plain = 0;
    while (plain < role.n && (unsigned char)role.p[plain] > ' ' && !strchr("/?#%", role.p[plain])) plain++;
    if (!role.n || role.n > ROLE_MAX - 1 || plain != role.n) return err_set(e, ERR_PEER, "s3", "the metadata service names no role");
    snprintf(path, ROLE_MAX + sizeof ROLES, ROLES "%.*s", STR_FMT(role));
    return true;
}

bool s3_keys_instance(const struct s3_options *o, struct http_pool *direct, struct s3_keys *out, int64_t *lasts_ms, struct err *e) {
    struct metadata m = {.base = o->metadata_endpoint ? o->metadata_endpoint : METADATA, .pool = direct};
    char path[ROLE_MAX + sizeof ROLES];
    buf_init(&m.talk.answer, ANSWER_MAX);
    bool ok = ask(&m, "PUT", "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 21600", e);
    struct str token = str_trim(buf_str(&m.talk.answer));
    if (ok && (!token.n || token.n > 1000 || memchr(token.p, '\n', token.n))) ok = err_set(e, ERR_PEER, "s3", "the metadata service gives no session token");
    if (ok) snprintf(m.header, sizeof m.header, "X-aws-ec2-metadata-token: %.*s", STR_FMT(token));
    ok = ok && ask_role(&m, path, e) && ask(&m, "GET", path, m.header, e) && s3_keys_parse_instance(buf_str(&m.talk.answer), m.now_ms, out, lasts_ms, e);
    forget(&m.talk.answer);
    explicit_bzero(m.header, sizeof m.header);
    return ok;
}

// ---- a token service ("AssumeRoleWithWebIdentity", AWS Security Token Service API Reference) ----

static struct str text_in(struct arena *a, const struct xml *parent, const char *name) {
    struct str s = {0};
    const struct xml *x = xml_child(parent, name);
    return x && xml_content(a, x, &s, NULL) ? s : (struct str){NULL, 0};
}

bool s3_keys_parse_identity(struct str xml, int64_t now_ms, struct s3_keys *out, int64_t *lasts_ms, struct err *e) {
    struct arena a;
    arena_init(&a, ANSWER_MAX * 8);
    const struct xml *root = xml_read(&a, str_trim(xml), S3_ANSWER_DEPTH_MAX, NULL);
    const struct xml *keys = root ? xml_child(xml_child(root, "AssumeRoleWithWebIdentityResult"), "Credentials") : NULL;
    bool ok = keys || err_set(e, ERR_PEER, "s3", "the token service's answer holds no keys");
    ok = ok && take_all(out, text_in(&a, keys, "AccessKeyId"), text_in(&a, keys, "SecretAccessKey"), text_in(&a, keys, "SessionToken"), "token service", e) &&
         lasts(text_in(&a, keys, "Expiration"), now_ms, lasts_ms, e);
    arena_deinit(&a);
    return ok;
}

static bool identity_form(const struct s3_options *o, struct buf *form, struct err *e) {
    const char *role = or_environment(o->role_arn, "AWS_ROLE_ARN"), *file = or_environment(o->token_file, "AWS_WEB_IDENTITY_TOKEN_FILE");
    struct buf token;
    if (!role) return err_set(e, ERR_USAGE, "s3", "no role to assume is named");
    if (!file) return err_set(e, ERR_USAGE, "s3", "no file with the identity token is named");
    buf_init(&token, FILE_MAX);
    bool ok = read_text(file, &token, e);
    buf_addz(form, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=gantry&RoleArn=");
    sigv4_encode(form, str_of(role), false);
    buf_addz(form, "&WebIdentityToken=");
    if (ok) sigv4_encode(form, str_trim(buf_str(&token)), false);
    forget(&token);
    return ok && buf_ok(form, e);
}

static bool identity_answer(unsigned status, struct str text, struct err *e) {
    struct s3_error error;
    if (status == 200) return true;
    s3_xml_error(text, &error);
    s3_meaning(status, &error, "AssumeRoleWithWebIdentity", e);
    return false;
}

bool s3_keys_web_identity(const struct s3_options *o, struct http_pool *pool, struct s3_keys *out, int64_t *lasts_ms, struct err *e) {
    char url[512];
    struct buf form;
    struct talk t = {0};
    unsigned status = 0;
    int64_t now_ms = 0;
    int n = o->sts_endpoint ? snprintf(url, sizeof url, "%s%s", o->sts_endpoint, strchr(o->sts_endpoint + 8, '/') ? "" : "/")
                            : snprintf(url, sizeof url, "https://sts.%s.amazonaws.com/", o->region);
    if (n < 0 || (size_t)n >= sizeof url) return err_set(e, ERR_USAGE, "s3", "the token service's address is too long");
    buf_init(&form, 4 * FILE_MAX);
    buf_init(&t.answer, ANSWER_MAX);
    struct http_call call = {.method = "POST",
                             .url = url,
                             .headers = {"Content-Type: application/x-www-form-urlencoded; charset=utf-8", "Accept: application/xml"},
                             .connect_ms = (int)o->connect_ms,
                             .whole_ms = STS_MS,
                             .pool = pool};
    bool ok = identity_form(o, &form, e);
    t.body = buf_str(&form);
    ok = ok && (talk(&call, &t, &status, &now_ms, e) || err_wrap(e, "token service")) && identity_answer(status, buf_str(&t.answer), e) &&
         s3_keys_parse_identity(buf_str(&t.answer), now_ms, out, lasts_ms, e);
    forget(&form);
    forget(&t.answer);
    return ok;
}
