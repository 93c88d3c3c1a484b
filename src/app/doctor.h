// What `gantry doctor` finds, and the examinations that find it: each finding is a row of a table of texts in two languages, with values put in.
#ifndef GANTRY_APP_DOCTOR_H
#define GANTRY_APP_DOCTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "app/cli.h"
#include "net/cert.h"
#include "net/socket.h"

enum doctor_level { DOCTOR_OK, DOCTOR_NOTE, DOCTOR_WARNING, DOCTOR_FAULT };

enum doctor_code {
    // the way there
    DOC_CONNECTED,
    DOC_NAME_UNKNOWN,
    DOC_NOBODY_LISTENS,
    DOC_NO_ANSWER,
    DOC_UNREACHABLE,

    // TLS or not
    DOC_TLS_SPOKEN,
    DOC_PLAIN_DICOM,
    DOC_PLAIN_DICOM_MEANT,
    DOC_PLAIN_DICOM_HERE,
    DOC_PLAIN_HTTP,
    DOC_WANTS_TLS,
    DOC_NOT_DICOM_HTTP,
    DOC_NOT_DICOM_SSH,
    DOC_NOT_DICOM,
    DOC_TLS_CLOSED,
    DOC_TLS_SILENT,
    DOC_TLS_OLD_ALONE,
    DOC_TLS_OLD_TOO,
    DOC_TLS_NO_COMMON,
    DOC_TLS_ALERT,
    DOC_TLS_UNNAMED,
    DOC_TLS_OTHER,

    // the peer's certificate
    DOC_CERT_GOOD,
    DOC_CERT_FINGERPRINT,
    DOC_CERT_OTHER_NAME,
    DOC_CERT_NO_NAME,
    DOC_CERT_EXPIRED,
    DOC_CERT_NOT_YET,
    DOC_CERT_SOON,
    DOC_CERT_UNKNOWN_ISSUER,
    DOC_CERT_SELF_SIGNED,
    DOC_CERT_BAD_SIGNATURE,
    DOC_CERT_OTHER_USE,
    DOC_CERT_WEAK,
    DOC_CERT_ISSUER_TIME,
    DOC_CERT_NOT_AUTHORITY,
    DOC_CERT_REFUSED,
    DOC_CERT_UNREADABLE,

    // ours, as the peer sees it
    DOC_OURS_WANTED,
    DOC_OURS_ASKED,
    DOC_OURS_TAKEN,
    DOC_OURS_NOT_ASKED,
    DOC_OURS_UNKNOWN_ISSUER,
    DOC_OURS_EXPIRED,
    DOC_OURS_REFUSED,
    DOC_OURS_UNUSABLE,

    // DICOM
    DOC_ASSOCIATED,
    DOC_REJECTED_CALLED,
    DOC_REJECTED_CALLING,
    DOC_REJECTED_NO_REASON,
    DOC_REJECTED_BUSY,
    DOC_REJECTED_PROTOCOL,
    DOC_REJECTED_OTHER,
    DOC_ABORTED,
    DOC_ASSOCIATION_CLOSED,
    DOC_ASSOCIATION_SILENT,
    DOC_ASSOCIATION_STRANGE,
    DOC_ECHOED,
    DOC_ECHO_FAILED,
    DOC_ECHO_NOT_TAKEN,
    DOC_SERVICES,
    DOC_SERVICES_NOT,
    DOC_SYNTAXES,
    DOC_SYNTAXES_PLAIN,

    // HTTP
    DOC_HTTP_ANSWERS,
    DOC_HTTP_READY,
    DOC_HTTP_NOT_READY,
    DOC_HTTP_STATUS,
    DOC_HTTP_NONE,
    DOC_HTTP_PLAIN,
    DOC_HTTP_PLAIN_HERE,
    DOC_HTTP_ASKS_WHO,
    DOC_HTTP_OPEN,
    DOC_HTTP_OPEN_HERE,
    DOC_HTTP_CLOCK,
    DOC_HTTP_CLOCK_FINE,
    DOC_HTTP_REDIRECT,

    // our own set-up
    DOC_CONFIG_GOOD,
    DOC_CONFIG_BAD,
    DOC_CONFIG_SECRET,
    DOC_DATA_GOOD,
    DOC_DATA_ABSENT,
    DOC_DATA_OPEN,
    DOC_DATA_FOREIGN,
    DOC_DISK_LOW,
    DOC_LOOPBACK,
    DOC_OWN_PLAIN,
    DOC_OWN_REFUSED,
    DOC_OWN_TLS,
    DOC_OWN_FILE,
    DOC_OWN_KEY_OPEN,
    DOC_OWN_KEY_OTHER,
    DOC_OWN_EXPIRED,
    DOC_OWN_NOT_YET,
    DOC_OWN_SOON,
    DOC_OWN_NAMES,
    DOC_OWN_NO_NAME,
    DOC_OWN_NOT_SERVER,
    DOC_OWN_WEAK,
    DOC_OWN_NOT_OF_CA,
    DOC_OWN_CA_SOON,
    DOC_OWN_CA_EXPIRED,
    DOC_CA_KEY_HERE,
    DOC_CLIENTS_NOT_ASKED,
    DOC_AUTH_NONE,
    DOC_CORS_ANY,
    DOC_PROXY_ANY,
    DOC_BASE_URL_PLAIN,
    DOC_DATABASE_PLAIN,
    DOC_BUCKET_PLAIN,
    DOC_SERVER_RUNS,
    DOC_SERVER_RESTS,
    DOC_OTHER_PORTS,
    DOC_CLOCK_GOOD,
    DOC_CLOCK_ALONE,
    DOC_KEY_FILE,
    DOC_KEY_OPEN,
    DOC_KEY_BESIDE_DATA,
    DOC_KEY_COPY,
    DOC_REST_NONE,

    DOC_CODE_COUNT
};

enum { DOCTOR_VALUES = 4, DOCTOR_FINDINGS_MAX = 256 };

// Texts name values as {0} to {3}. fix: what to do, for who has to do it; NULL when there is nothing to do.
struct doctor_text {
    const char *name; // for programs
    enum doctor_level level;
    const char *en, *en_fix, *zh, *zh_fix;
};
extern const struct doctor_text DOCTOR_TEXTS[DOC_CODE_COUNT];

struct doctor_finding {
    enum doctor_code code;
    const char *values[DOCTOR_VALUES];
};

struct doctor {
    struct arena *arena;
    bool chinese;
    struct doctor_finding findings[DOCTOR_FINDINGS_MAX];
    unsigned count;
};

// Values are copied; NULL reads as "-".
void doctor_say(struct doctor *d, enum doctor_code code, const char *const values[DOCTOR_VALUES]);
#define SAY(d, code, ...) doctor_say(d, code, (const char *const[DOCTOR_VALUES]){__VA_ARGS__})
// printf for a value; "?" when memory is short.
const char *doctor_value(struct doctor *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *doctor_day(struct doctor *d, int64_t ms);
// The text of a finding or of its fix ("" when there is none), values put in; in the arena.
const char *doctor_words(struct doctor *d, const struct doctor_finding *f, bool fix);
// Prints all; the exit code: 1 when there is a fault.
int doctor_print(struct doctor *d, const char *subject, bool json);

// ---- a peer ----

struct doctor_peer {
    const char *called, *calling; // AE titles; called NULL: HTTP
    const char *host;
    uint16_t port;
    const char *path; // HTTP
    bool tls, plain;  // asked for: it must be; neither: what the peer speaks
    const char *ca, *cert, *key, *name;
    int timeout_ms;
};

// How the peer can be spoken with, found by doctor_tls.
enum doctor_way { DOCTOR_BY_TLS, DOCTOR_BY_PLAIN, DOCTOR_BY_NONE };

// Each opens connections of its own.
bool doctor_connect(struct doctor *d, const struct doctor_peer *p, bool tell, struct net_conn *c);
// What of TLS the peer has. On DOCTOR_BY_TLS *c is a TLS connection, its certificate judged and told; on DOCTOR_BY_PLAIN *c is a fresh plain connection.
enum doctor_way doctor_tls(struct doctor *d, const struct doctor_peer *p, struct net_conn *c);
// A further connection like that, nothing told; by TLS or plain.
bool doctor_reopen(struct doctor *d, const struct doctor_peer *p, struct net_conn *c);
// Whether TLS is spoken there, whatever becomes of the handshake.
bool doctor_speaks_tls(struct doctor *d, const struct doctor_peer *p);
// An association on an open connection, which it uses up. quiet: only looks whether DICOM is spoken there.
enum doctor_spoken { DOCTOR_SPOKE_DICOM, DOCTOR_SPOKE_TLS, DOCTOR_SPOKE_HTTP, DOCTOR_SPOKE_OTHER, DOCTOR_SPOKE_NOTHING };
enum doctor_spoken doctor_associate(struct doctor *d, const struct doctor_peer *p, struct net_conn *c, bool quiet);
void doctor_dicom(struct doctor *d, const struct doctor_peer *p);
// Whether plain HTTP is answered there: some servers cut what is none without a word.
bool doctor_speaks_http(struct doctor *d, const struct doctor_peer *p);
void doctor_http(struct doctor *d, const struct doctor_peer *p);

// ---- ourselves ----

struct settings;
void doctor_own(struct doctor *d, struct cli_args *args);
// Its certificates, and what goes without.
void doctor_own_tls(struct doctor *d, const struct settings *s);

#endif
