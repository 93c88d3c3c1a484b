// The names of permissions, and the roles that ship with the program.
#include "core/access.h"

static const char *const NAMES[ACCESS_PERMISSIONS] = {
    [ACCESS_OPEN] = "open",
    [ACCESS_SELF] = "self",
    [ACCESS_LOCAL] = "local",
    [ACCESS_STUDY_FIND] = "study.find",
    [ACCESS_STUDY_READ] = "study.read",
    [ACCESS_STUDY_STORE] = "study.store",
    [ACCESS_STUDY_SEND] = "study.send",
    [ACCESS_STUDY_EXPORT] = "study.export",
    [ACCESS_STUDY_DELETE] = "study.delete",
    [ACCESS_STUDY_HOLD] = "study.hold",
    [ACCESS_STUDY_LABEL] = "study.label",
    [ACCESS_STUDY_ASSIGN] = "study.assign",
    [ACCESS_STUDY_COMMIT] = "study.commit",
    [ACCESS_FAULTS_READ] = "faults.read",
    [ACCESS_FIGURES_READ] = "figures.read",
    [ACCESS_EVENTS_READ] = "events.read",
    [ACCESS_METRICS_READ] = "metrics.read",
    [ACCESS_CLUSTER_READ] = "cluster.read",
    [ACCESS_KEEP] = "keep",
    [ACCESS_SERVE] = "serve",
    [ACCESS_USER_READ] = "user.read",
    [ACCESS_USER_WRITE] = "user.write",
    [ACCESS_ROLE_WRITE] = "role.write",
    [ACCESS_TOKEN_WRITE] = "token.write",
    [ACCESS_PEER_READ] = "peer.read",
    [ACCESS_PEER_WRITE] = "peer.write",
    [ACCESS_SITE_WRITE] = "site.write",
    [ACCESS_KEY_WRITE] = "key.write",
    [ACCESS_BREAK_GLASS] = "glass.break",
    [ACCESS_REVIEW] = "glass.review",
    [ACCESS_AUDIT_READ] = "audit.read",
    [ACCESS_AUDIT_EXPORT] = "audit.export",
    [ACCESS_AUDIT_WRITE] = "audit.write",
};

const char *access_permission_name(enum permission p) {
    return p < ACCESS_PERMISSIONS ? NAMES[p] : NULL;
}

enum permission access_permission_of(struct str name) {
    for (unsigned i = 1; i < ACCESS_PERMISSIONS; i++)
        if (str_eqz(name, NAMES[i])) return (enum permission)i;
    return ACCESS_UNDECLARED;
}

#define B(p) ACCESS_BIT(ACCESS_##p)
#define BASE (B(OPEN) | B(SELF) | B(LOCAL))
#define LOOK (BASE | B(STUDY_FIND) | B(STUDY_READ) | B(EVENTS_READ))
#define SEND_IN (B(STUDY_STORE) | B(STUDY_COMMIT))
#define WATCH (B(AUDIT_READ) | B(AUDIT_EXPORT) | B(REVIEW) | B(METRICS_READ) | B(USER_READ) | B(PEER_READ))

const struct access_role ACCESS_ROLES[] = {
    {"viewer", LOOK, "Finds and looks at studies", "查找并浏览检查"},
    {"technologist", LOOK | SEND_IN | B(FAULTS_READ) | B(STUDY_SEND), "Sends studies in, checks and forwards them", "上传、核对并转发检查"},
    {"radiologist", LOOK | SEND_IN | B(STUDY_SEND) | B(STUDY_EXPORT) | B(STUDY_LABEL) | B(STUDY_ASSIGN) | B(BREAK_GLASS), "Reads studies and assigns them",
     "阅片并分派检查"},
    {"tele-radiologist", LOOK | B(STUDY_STORE), "Reads the studies that are assigned from elsewhere", "阅读外院分派的检查"},
    {"trial-reader", BASE | B(STUDY_FIND) | B(STUDY_READ) | B(STUDY_STORE), "Reads the studies of a trial, blinded to others", "阅读临床试验的检查，互不可见"},
    {"trial-monitor", LOOK | B(STUDY_EXPORT) | B(FAULTS_READ), "Follows a trial's studies and changes nothing", "监查临床试验的检查，不作更改"},
    {"ai-operator", LOOK | SEND_IN | B(STUDY_SEND) | B(METRICS_READ), "Runs imaging AI and stores its results", "运行影像人工智能并存储其结果"},
    {"administrator", ACCESS_ALL_BITS, "Sets up and keeps the server, grants roles, and may do all else; each of its steps is in the log",
     "配置与维护服务器、授予角色，亦可执行其他一切操作；每一步均有记录"},
    {"auditor", BASE | WATCH, "Reads the audit trail and reviews broken glasses", "查阅审计记录并复核紧急访问"},
    {"service", LOOK | SEND_IN | B(STUDY_SEND), "A peer: sends, finds and retrieves", "对端设备：发送、查询与获取"},
};
const unsigned ACCESS_ROLE_COUNT = sizeof ACCESS_ROLES / sizeof ACCESS_ROLES[0];

const struct access_role *access_role_find(struct str name) {
    for (unsigned i = 0; i < ACCESS_ROLE_COUNT; i++)
        if (str_eqz(name, ACCESS_ROLES[i].name)) return &ACCESS_ROLES[i];
    return NULL;
}
