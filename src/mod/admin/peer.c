// gantry peer: application entities that are known.
#include "core/peers_manage.h"
#include "mod/admin/tables.h"

static int64_t flag_or_left(const struct admin_call *c, const char *name) {
    return json_get(c->in, name) ? admin_flag(c, name) : -1;
}

// A list that is not there leaves what is there.
static bool list_or_left(const struct admin_call *c, const char *name, const struct str **out, unsigned *count, struct err *e) {
    *out = NULL;
    return !json_get(c->in, name) || admin_list(c, name, out, count, e);
}

static bool change_of(const struct admin_call *c, struct peer_change *out, struct err *e) {
    *out = (struct peer_change){.name = admin_text(c, "name"),
                                .aet = admin_text(c, "aet"),
                                .called = admin_text(c, "called"),
                                .host = admin_text(c, "host"),
                                .tls_name = admin_text(c, "tls-name"),
                                .certificate = admin_text(c, "certificate"),
                                .subject = admin_text(c, "subject"),
                                .realm = admin_text(c, "realm"),
                                .state = admin_text(c, "state"),
                                .role = admin_text(c, "role"),
                                .scope = admin_text(c, "scope"),
                                .port = admin_number(c, "port", -1),
                                .associations = admin_number(c, "associations", -1),
                                .tls = flag_or_left(c, "tls")};
    return list_or_left(c, "network", &out->networks, &out->network_count, e) && list_or_left(c, "service", &out->services, &out->service_count, e);
}

static bool list(struct admin_call *c, struct err *e) {
    return peers_json(c->archive, c->peers, c->who, c->out, e);
}

// Without an AE title it has its name's, as most have.
static bool add(struct admin_call *c, struct err *e) {
    struct peer_change p;
    if (!change_of(c, &p, e)) return false;
    if (!p.aet.p) p.aet = p.name;
    return admin_done(c, peer_add(c->archive, c->peers, c->who, &p, e));
}

static bool set(struct admin_call *c, struct err *e) {
    struct peer_change p;
    return change_of(c, &p, e) && admin_done(c, peer_set(c->archive, c->peers, c->who, &p, e));
}

static bool remove_peer(struct admin_call *c, struct err *e) {
    return admin_done(c, peer_remove(c->archive, c->who, admin_text(c, "name"), e));
}

#define NAME                                                                                                                   \
    {                                                                                                                          \
        .name = "name", .type = ADMIN_TEXT, .required = true, .positional = true, .help = "its name, most often its AE title", \
        .help_zh = "名称，通常即其 AE 标题"                                                                           \
    }
#define FIELDS                                                                                                                                                            \
    {.name = "aet", .type = ADMIN_TEXT, .help = "its AE title; empty: any", .help_zh = "其 AE 标题；空为任意"},                                                           \
        {.name = "network", .type = ADMIN_LIST, .help = "address or network that it calls from", .help_zh = "其来源地址或网段"},                                          \
        {.name = "certificate",                                                                                                                                           \
         .type = ADMIN_TEXT,                                                                                                                                              \
         .help = "its client certificate: SHA-256 fingerprint, or the PEM text itself",                                                                                   \
         .help_zh = "其客户端证书：SHA-256 指纹或 PEM 文本"},                                                                                                             \
        {.name = "subject", .type = ADMIN_TEXT, .help = "subject of its client certificate, as CN=CT1,O=...", .help_zh = "其客户端证书主题"},                             \
        {.name = "called", .type = ADMIN_TEXT, .help = "AE title that it must call", .help_zh = "其必须呼叫的 AE 标题"},                                                  \
        {.name = "host", .type = ADMIN_TEXT, .help = "where it listens, when images are sent to it", .help_zh = "其接收图像的主机"},                                      \
        {.name = "port", .type = ADMIN_NUMBER, .help = "and on which port", .help_zh = "其接收端口"},                                                                     \
        {.name = "tls", .type = ADMIN_FLAG, .help = "send to it by TLS", .help_zh = "以 TLS 向其发送"},                                                                   \
        {.name = "tls-name", .type = ADMIN_TEXT, .help = "name in its certificate (default: host)", .help_zh = "其证书中的名称（默认：主机）"},                           \
        {.name = "service",                                                                                                                                               \
         .type = ADMIN_LIST,                                                                                                                                              \
         .help = "the only permissions that it has of its role, such as study.store",                                                                                     \
         .help_zh = "仅允许角色中的这些权限，例如 study.store"},                                                                                                          \
        {.name = "role", .type = ADMIN_TEXT, .help = "what it may do (default: service)", .help_zh = "角色（默认：service）"},                                            \
        {.name = "scope", .type = ADMIN_TEXT, .help = "within what (default: the tenant of its realm)", .help_zh = "范围（默认：其归属租户）"},                           \
        {.name = "realm", .type = ADMIN_TEXT, .help = "TENANT/SITE/DEPARTMENT that its studies belong to", .help_zh = "其检查所属：租户/院区/科室"}, {                    \
        .name = "associations", .type = ADMIN_NUMBER, .help = "associations at once (0: as many as the server takes)", .help_zh = "并发连接上限（0：不另限）" \
    }

static const struct admin_field ADD[] = {NAME, FIELDS, {.name = NULL}};
static const struct admin_field SET[] = {
    NAME,
    FIELDS,
    {.name = "state", .type = ADMIN_TEXT, .help = "on or off: switched off, it is refused", .help_zh = "on 或 off：停用后拒绝其连接"},
    {.name = NULL}};
static const struct admin_field ONE[] = {NAME, {.name = NULL}};

const struct admin_operation ADMIN_PEER[] = {
    {"peer", "list", ACCESS_PEER_READ, true, "List known application entities", "列出已知对端设备", NULL, list, .scoped = true},
    {"peer", "add", ACCESS_PEER_WRITE, false, "Make an application entity known", "登记对端设备", ADD, add, .scoped = true},
    {"peer", "set", ACCESS_PEER_WRITE, false, "Change what is known of it, switch it off or on", "修改、停用或启用对端设备", SET, set, .scoped = true},
    {"peer", "remove", ACCESS_PEER_WRITE, false, "Forget it", "删除对端设备", ONE, remove_peer, .scoped = true},
    {.noun = NULL},
};
