// Access: the one place where it is decided who may do what to which study.
//
// A principal (a person, a token, a peer, the system itself) has grants: a role, which is a set of permissions, within a scope. It may do what one of its
// grants permits where the object lies in that grant's scope. What it may not see does not exist for it: services answer "not found", never "forbidden",
// about objects outside every scope, with the same words and by the same way as about what is not there.
//
// Every HTTP route, DIMSE service, event stream, administrative operation and command declares its permission in the table that registers it.
#ifndef GANTRY_CORE_ACCESS_H
#define GANTRY_CORE_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct actor;

// Names as administrators write them are in access_permission_name. ACCESS_UNDECLARED is what a table says that says nothing: refused at start.
enum permission {
    ACCESS_UNDECLARED,
    ACCESS_OPEN,  // anybody, signed in or not: nothing of a patient or of the set-up is told
    ACCESS_SELF,  // whoever is signed in, about itself: password, own sessions
    ACCESS_LOCAL, // a command that works on files or on other servers and touches no archive of ours

    // studies, within a scope
    ACCESS_STUDY_FIND,
    ACCESS_STUDY_READ,   // objects, frames, metadata, pictures
    ACCESS_STUDY_STORE,  // send objects in
    ACCESS_STUDY_SEND,   // have them sent to another application entity (C-MOVE)
    ACCESS_STUDY_EXPORT, // whole studies as files
    ACCESS_STUDY_DELETE,
    ACCESS_STUDY_HOLD,
    ACCESS_STUDY_LABEL,
    ACCESS_STUDY_ASSIGN,
    ACCESS_STUDY_COMMIT, // ask whether objects are kept (storage commitment)
    ACCESS_FAULTS_READ,  // conflicting copies, quarantine

    // the server
    ACCESS_FIGURES_READ, // counts of the whole archive
    ACCESS_EVENTS_READ,  // the event stream, as far as its studies are in scope
    ACCESS_METRICS_READ,
    ACCESS_CLUSTER_READ,
    ACCESS_KEEP, // fsck, compaction, reindex, migration, restoring, index attributes
    ACCESS_SERVE,

    // people, programs, places
    ACCESS_USER_READ,
    ACCESS_USER_WRITE,
    ACCESS_ROLE_WRITE,
    ACCESS_TOKEN_WRITE, // of others; one's own need ACCESS_SELF and never exceed one's own grants
    ACCESS_PEER_READ,
    ACCESS_PEER_WRITE,
    ACCESS_SITE_WRITE,
    ACCESS_KEY_WRITE, // keys of encryption at rest

    // breaking the glass, and watching over all of it
    ACCESS_BREAK_GLASS,
    ACCESS_REVIEW,
    ACCESS_AUDIT_READ,
    ACCESS_AUDIT_EXPORT,
    ACCESS_AUDIT_WRITE, // retention, checkpoints

    ACCESS_PERMISSIONS
};
_Static_assert(ACCESS_PERMISSIONS <= 64, "a set of permissions is a word of 64 bits");

#define ACCESS_BIT(permission) (UINT64_C(1) << (permission))
#define ACCESS_ALL_BITS (ACCESS_BIT(ACCESS_PERMISSIONS) - 1 - ACCESS_BIT(ACCESS_UNDECLARED))

// "study.read"; NULL for ACCESS_UNDECLARED. And back; ACCESS_UNDECLARED when there is none of that name.
const char *access_permission_name(enum permission p);
enum permission access_permission_of(struct str name);

// A role that ships with the program; others are rows of the table `roles`.
struct access_role {
    const char *name; // "radiologist"
    uint64_t permissions;
    const char *summary, *summary_zh;
};
extern const struct access_role ACCESS_ROLES[];
extern const unsigned ACCESS_ROLE_COUNT;
const struct access_role *access_role_find(struct str name); // NULL: not one of these

// Where a study belongs. Empty tenant: the hospital's own, of an archive that has no others. A site lies within a tenant, a department within a site.
struct realm {
    struct str tenant, site, department;
};
// "tenant/site/department", parts from the end on left out when empty; "" is the own realm. Parts: letters of any script, digits, '-', '_', '.', ' ', up to 64 bytes.
enum { REALM_PART_BYTES = 64, REALM_BYTES = 3 * REALM_PART_BYTES + 3 };
bool realm_parse(struct str text, struct realm *out, struct err *e); // borrows text
bool realm_format(const struct realm *r, char out[REALM_BYTES], struct err *e);

// What a grant reaches. As text: "*", "tenant:T", "site:T/S", "department:T/S/D", "label:T/L", "assigned"; T may be empty.
enum access_scope_kind { SCOPE_ALL, SCOPE_TENANT, SCOPE_SITE, SCOPE_DEPARTMENT, SCOPE_LABEL, SCOPE_ASSIGNED };
struct access_scope {
    enum access_scope_kind kind;
    struct realm realm; // its parts as far as kind says
    struct str label;
};
bool access_scope_parse(struct str text, struct access_scope *out, struct err *e); // borrows text
bool access_scope_format(struct arena *a, const struct access_scope *s, struct str *out, struct err *e);

struct access_grant {
    struct str role; // its name, for people and for the log
    uint64_t permissions;
    struct access_scope scope;
    int64_t until_ms; // wall clock; 0: without end. A broken glass ends.
    bool lent;        // by a broken glass: not to be given on
};

enum principal_kind { PRINCIPAL_SYSTEM, PRINCIPAL_LOCAL, PRINCIPAL_USER, PRINCIPAL_TOKEN, PRINCIPAL_PEER };
enum { PRINCIPAL_GRANTS_MAX = 32 };

// Immutable once made. Lives as long as the arena that it was given in.
struct principal {
    enum principal_kind kind;
    int64_t id;      // row of users, tokens or peers; 0 for SYSTEM and LOCAL
    struct str name; // as the log has it: "li.wei", "token:pacs-mirror", "peer:CT1"
    struct str display;
    const struct access_grant *grants;
    unsigned grant_count;
    // What it reaches of objects that it sends in: where their studies will belong.
    struct realm home;
    struct str glass; // the reason while a glass is broken, else empty
};

// The system itself: jobs, replay, and commands of whoever may read the data directory anyway. Everything, everywhere.
extern const struct principal PRINCIPAL_OF_SYSTEM;
// Of a server that asks for no credentials (--auth none, loopback alone) and of plain DICOM on loopback.
extern const struct principal PRINCIPAL_OF_LOCAL;

// What is decided about: a study as its row has it.
struct access_object {
    struct realm realm;
    const struct str *labels;
    unsigned label_count;
    const struct str *assignees; // names of users
    unsigned assignee_count;
};

enum access_verdict {
    ACCESS_ALLOWED,
    ACCESS_UNKNOWN,   // nobody is signed in: 401
    ACCESS_FORBIDDEN, // no grant has this permission: 403
    ACCESS_HIDDEN,    // a grant has it, elsewhere: the object does not exist for this principal
};
// The decision, pure. object NULL: is there any grant with this permission (of a route, before its object is known)? p NULL: nobody.
// reason (may be NULL): a sentence for the log, static.
enum access_verdict access_decide(const struct principal *p, enum permission what, const struct access_object *object, int64_t now_ms, const char **reason);

// Whether everything of the inner scope lies within the outer.
bool access_scope_holds(const struct access_scope *outer, const struct access_scope *inner);
// Of accounts (users, tokens, peers) and places, which are no studies: whether a grant has this permission within the whole of this scope. within NULL:
// everywhere. An account is in the hands of who has it within every scope that the account's own grants have (core/charge.h); to anybody else it is hidden.
enum access_verdict access_decide_within(const struct principal *p, enum permission what, const struct access_scope *within, int64_t now_ms);

// The principal that an actor stands for: its own; of DOOR_COMMAND and DOOR_JOB without one, the system; else NULL.
const struct principal *access_principal(const struct actor *who);
// access_decide for services: ERR_UNAUTHORIZED, ERR_FORBIDDEN (naming the permission), or for a hidden object ERR_NOT_FOUND.
bool access_require(const struct actor *who, enum permission what, struct err *e);

// Which studies a permission reaches: everywhere, or those that have one of these keys (they are keys of studies, core/query_index.h).
enum { ACCESS_KEYS_MAX = PRINCIPAL_GRANTS_MAX };
struct access_reach {
    bool everywhere;
    struct str keys[ACCESS_KEYS_MAX]; // none and not everywhere: nothing
    unsigned count;
};
bool access_reach_of(const struct actor *who, enum permission what, struct arena *a, struct access_reach *out, struct err *e);
// The key of a scope, without its kind's first byte: "t:T", "s:T/S", "d:T/S/D", "l:T/L", "u:NAME". SCOPE_ALL has none.
bool access_scope_key(struct arena *a, const struct access_scope *s, struct str user, struct str *out, struct err *e);

#endif
