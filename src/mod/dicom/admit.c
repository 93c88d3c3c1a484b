// Who associates, and what each of its requests may do.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/trace.h"
#include "core/access.h"
#include "core/peers.h"
#include "mod/dicom/internal.h"
#include "net/tls.h"

enum { PRINCIPAL_BYTES_MAX = 1 << 20 };

struct dicom_session {
    struct arena arena;           // of peer
    const struct principal *peer; // who it is
    struct dicom_user user;       // who uses it, when it says so
    struct principal as_user;     // the user at this peer
    int64_t counted;              // whose ceiling it counts for; 0: nobody's
    uint64_t generation;          // of the peers when it was recognised
    struct dicom_session *next, *prev;
};

// ---- recognition ----

static struct peer_seen seen_of(const struct scp_session *s, struct str calling, struct str called) {
    const struct net_tls_info *tls = net_tls_info(&s->d.ul.conn);
    bool certified = tls && tls->certified;
    return (struct peer_seen){.calling = calling,
                              .called = called,
                              .address = str_of(s->d.ul.conn.address),
                              .tls = tls,
                              .fingerprint = str_of(certified ? tls->fingerprint : ""),
                              .subject = str_of(certified ? tls->subject : "")};
}

static bool recognise(const struct dicom_module *m, struct dicom_session *own, const struct peer_seen *seen, struct err *e) {
    struct str why;
    uint64_t generation = peers_generation(m->config->peers);
    arena_reset(&own->arena);
    own->peer = NULL;
    own->as_user.home = (struct realm){{"", 0}, {"", 0}, {"", 0}}; // it was the peer's
    if (!peer_recognise(m->config->peers, &own->arena, seen, &own->peer, &why, e)) return own->peer = NULL, false;
    if (!own->peer) return err_set(e, ERR_FORBIDDEN, "dicom", "%.*s", STR_FMT(why));
    own->generation = generation;
    return true;
}

// ---- ceilings ----

static unsigned count_of(const struct dicom_module *m, int64_t peer) {
    unsigned n = 0;
    for (const struct dicom_session *s = m->sessions; s; s = s->next) n += s->counted == peer;
    return n;
}

static bool enter(struct dicom_module *m, struct dicom_session *own, struct err *e) {
    unsigned most = peer_associations(m->config->peers, own->peer);
    own->counted = own->peer->kind == PRINCIPAL_PEER ? own->peer->id : 0;
    pthread_mutex_lock(&m->lock);
    bool ok = most == 0 || count_of(m, own->counted) < most;
    if (ok) {
        own->next = m->sessions;
        if (own->next) own->next->prev = own;
        m->sessions = own;
    }
    pthread_mutex_unlock(&m->lock);
    return ok || err_set(e, ERR_BUSY, "dicom", "%.*s has %u associations already, as many as it may", STR_FMT(own->peer->name), most);
}

static void leave(struct dicom_module *m, struct dicom_session *own) {
    pthread_mutex_lock(&m->lock);
    if (own->prev) own->prev->next = own->next;
    if (own->next) own->next->prev = own->prev;
    if (m->sessions == own) m->sessions = own->next;
    pthread_mutex_unlock(&m->lock);
}

static void free_session(const struct dicom_module *m, struct dicom_session *own) {
    dicom_user_end(m, &own->user);
    arena_deinit(&own->user.arena);
    arena_deinit(&own->arena);
    free(own);
}

// ---- association ----

// Where a study belongs that it sends in is for the peer to say, not for whoever uses it.
static void take_user(struct dicom_session *own) {
    if (!own->user.principal) return;
    own->as_user = *own->user.principal;
    if (own->peer->kind == PRINCIPAL_PEER) own->as_user.home = own->peer->home;
}

static bool called_right(const struct dicom_config *config, const struct pdu_associate *rq, struct err *e) {
    return config->any_called || str_eqz(rq->called, config->aet) || err_set(e, ERR_FORBIDDEN, "dicom", "the called AE title is not %s", config->aet);
}

bool dicom_admit(void *ctx, struct scp_session *s, const struct pdu_associate *rq, struct pdu_reject *why, struct err *e) {
    struct dicom_module *m = ctx;
    trace_begin((struct str){0}); // of the association, whose thread this is
    *why = PDU_REJECT_CALLED;
    if (!called_right(m->config, rq, e)) return dicom_note_stranger(m->archive, s, rq, e), false;
    *why = PDU_REJECT_LIMIT;
    struct dicom_session *own = calloc(1, sizeof *own);
    if (!own) return err_nomem(e, "dicom");
    arena_init(&own->arena, PRINCIPAL_BYTES_MAX);
    arena_init(&own->user.arena, PRINCIPAL_BYTES_MAX);
    const struct peer_seen seen = seen_of(s, rq->calling, rq->called);
    bool known = recognise(m, own, &seen, e), identified = known && dicom_identify(m, s, &own->user, e);
    if (!known && e->kind == ERR_FORBIDDEN) *why = PDU_REJECT_CALLING;
    if (known && !identified && e->kind == ERR_UNAUTHORIZED) *why = PDU_REJECT_NO_REASON;
    if (identified && enter(m, own, e)) {
        s->own = own;
        s->identity_known = own->user.principal;
        take_user(own);
        return true;
    }
    free_session(m, own);
    if (!identified) dicom_note_stranger(m->archive, s, rq, e);
    return false;
}

void dicom_ended(void *ctx, struct scp_session *s) {
    struct dicom_session *own = s->own;
    leave(ctx, own);
    free_session(ctx, own);
    s->own = NULL;
}

// ---- requests ----

const struct principal *dicom_principal(const struct scp_session *s) {
    const struct dicom_session *own = s->own;
    return own && own->user.principal ? &own->as_user : own ? own->peer : NULL;
}

const struct principal *dicom_peer(const struct scp_session *s) {
    const struct dicom_session *own = s->own;
    return own ? own->peer : NULL;
}

// What an administrator changes counts for associations that are there already, too.
static bool still_known(const struct dicom_module *m, const struct scp_session *s, struct err *e) {
    struct dicom_session *own = s->own;
    const struct peer_seen seen = seen_of(s, str_of(s->d.ul.calling), str_of(s->d.ul.called));
    bool anew = !own->peer || own->generation != peers_generation(m->config->peers); // one that was refused is asked about each time
    if (anew && !recognise(m, own, &seen, e)) return false;
    if (!dicom_user_now(m, &own->user, e)) return false;
    take_user(own);
    return true;
}

uint16_t dicom_permit(void *ctx, struct scp_request *rq, struct err *e) {
    enum permission what = rq->command.field == DIMSE_C_ECHO ? ACCESS_OPEN : dicom_permission_of(str_of(rq->context->abstract_syntax));
    if (still_known(ctx, rq->session, e)) {
        const struct actor who = dicom_actor(rq);
        if (access_require(&who, what, e)) return DIMSE_SUCCESS;
    }
    uint16_t status = err_class_of(e->kind)->dimse;
    dicom_note_refusal(((const struct dicom_module *)ctx)->archive, rq, e);
    return status ? status : DIMSE_NOT_AUTHORIZED;
}
