// Presentation contexts, roles, extended items and limits of an association.
#include "dimse/negotiate.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"

static void copy_text(char *to, size_t n, struct str from) {
    snprintf(to, n, "%.*s", STR_FMT(from));
}

bool ul_request_acceptable(const struct pdu_associate *rq, struct pdu_reject *why, struct err *e) {
    if (!(rq->version & 1)) {
        *why = PDU_REJECT_VERSION;
        return err_set(e, ERR_PEER, "dimse", "the peer speaks upper layer protocol version field 0x%04X, not version 1", rq->version);
    }
    if (!str_eqz(rq->application_context, PDU_APPLICATION_CONTEXT)) {
        *why = PDU_REJECT_CONTEXT_NAME;
        return err_set(e, ERR_PEER, "dimse", "the application context name '%.*s' is not DICOM's", STR_FMT(str_sub(rq->application_context, 0, DCM_UID_MAX)));
    }
    *why = PDU_REJECT_CALLED;
    if (!pdu_ae_valid(rq->called)) return err_set(e, ERR_PEER, "dimse", "the called AE title is not an AE title");
    *why = PDU_REJECT_CALLING;
    if (!pdu_ae_valid(rq->calling)) return err_set(e, ERR_PEER, "dimse", "the calling AE title is not an AE title");
    *why = PDU_REJECT_NO_REASON;
    if (rq->max_length && rq->max_length < UL_LEAST_PDU_BYTES)
        return err_set(e, ERR_PEER, "dimse", "the peer takes PDUs of %u bytes at most: not one PDV fits", rq->max_length);
    return true;
}

static void take_peer(struct ul_assoc *a, const struct pdu_associate *from) {
    copy_text(a->implementation_uid, sizeof a->implementation_uid, from->implementation_uid);
    copy_text(a->implementation_version, sizeof a->implementation_version, from->implementation_version);
    uint32_t max = from->max_length;
    if (max == 0 || max > UL_SENT_PDU_BYTES) max = UL_SENT_PDU_BYTES;
    a->fragment_max = (max - PDV_HEADER_BYTES) & ~1u; // PS3.8 E.1: fragments of even length
}

static const struct pdu_role *role_of(const struct pdu_associate *from, struct str uid) {
    for (unsigned i = 0; i < from->role_count; i++)
        if (str_eq(from->roles[i].uid, uid)) return &from->roles[i];
    return NULL;
}

static struct str extended_of(const struct pdu_associate *from, struct str uid) {
    for (unsigned i = 0; i < from->extended_count; i++)
        if (str_eq(from->extended[i].uid, uid)) return from->extended[i].info;
    return (struct str){NULL, 0};
}

// A context of the association; a UID longer than 64 is not kept whole: such a context is never accepted.
static bool keep_context(struct ul_assoc *a, struct ul_context *c, const struct pdu_context *proposed, struct str ts, struct err *e) {
    c->id = proposed->id;
    c->abstract_syntax = arena_strz(&a->arena, str_sub(proposed->abstract_syntax, 0, DCM_UID_MAX), e);
    c->transfer_syntax = c->abstract_syntax ? arena_strz(&a->arena, ts, e) : NULL;
    return c->transfer_syntax != NULL;
}

static bool choose_one(struct ul_assoc *a, const struct pdu_associate *rq, const struct ul_acceptor *how, const struct pdu_context *proposed,
                       struct ul_context *c, struct pdu_context *answer, struct err *e) {
    const struct pdu_role *role = role_of(rq, proposed->abstract_syntax);
    struct ul_choice choice = {.result = PDU_CONTEXT_ABSTRACT_SYNTAX, .scu = role ? role->scu : true, .scp = false};
    if (proposed->abstract_syntax.n <= DCM_UID_MAX) how->choose(how->ctx, rq, proposed, role, extended_of(rq, proposed->abstract_syntax), &choice);
    bool accepted = choice.result == PDU_CONTEXT_ACCEPTED && choice.ts < proposed->ts_count && proposed->ts[choice.ts].n <= DCM_UID_MAX;
    if (!accepted && choice.result == PDU_CONTEXT_ACCEPTED) choice.result = PDU_CONTEXT_TRANSFER_SYNTAXES;
    c->result = choice.result;
    c->scu = choice.scu && (!role || role->scu);
    c->scp = choice.scp && role && role->scp;
    c->service = choice.service;
    if (!keep_context(a, c, proposed, accepted ? proposed->ts[choice.ts] : (struct str){"", 0}, e)) return false;
    if (choice.extended.n && !arena_dup(&a->arena, choice.extended, &c->extended, e)) return false;
    // PS3.8 9.3.3.2: a context that is not accepted still carries a transfer syntax, which means nothing
    *answer = (struct pdu_context){.id = c->id, .result = c->result, .ts = accepted ? &proposed->ts[choice.ts] : &proposed->ts[0], .ts_count = 1};
    return true;
}

// Role and extended items are answered once per abstract syntax, by its first accepted context.
static bool answer_items(const struct ul_assoc *a, const struct pdu_associate *rq, struct arena *scratch, struct pdu_associate *ac, struct err *e) {
    ac->roles = arena_zero(scratch, rq->role_count, sizeof *ac->roles, e);
    ac->extended = arena_zero(scratch, rq->extended_count, sizeof *ac->extended, e);
    if (!ac->roles || !ac->extended) return false;
    for (unsigned i = 0; i < a->context_count; i++) {
        const struct ul_context *c = &a->contexts[i];
        struct str uid = str_of(c->abstract_syntax);
        if (c->result != PDU_CONTEXT_ACCEPTED) continue;
        if (role_of(rq, uid) && !role_of(ac, uid)) ac->roles[ac->role_count++] = (struct pdu_role){uid, c->scu, c->scp};
        if (c->extended.n && extended_of(rq, uid).p && !extended_of(ac, uid).p) ac->extended[ac->extended_count++] = (struct pdu_extended){uid, c->extended};
    }
    return true;
}

static uint16_t agreed_window(uint16_t asked, uint16_t max) {
    if (max == 0) max = 1;
    return asked == 0 || asked > max ? max : asked;
}

bool ul_negotiate(struct ul_assoc *a, const struct pdu_associate *rq, const struct ul_acceptor *how, struct arena *scratch, struct pdu_associate *ac,
                  struct err *e) {
    *ac = (struct pdu_associate){.version = 1, .called = rq->called, .calling = rq->calling, .application_context = STR_LIT(PDU_APPLICATION_CONTEXT)};
    ac->max_length = UL_OFFERED_PDU_BYTES;
    ac->implementation_uid = STR_LIT(GANTRY_IMPLEMENTATION_CLASS_UID);
    ac->implementation_version = STR_LIT(GANTRY_IMPLEMENTATION_VERSION);
    copy_text(a->calling, sizeof a->calling, rq->calling);
    copy_text(a->called, sizeof a->called, rq->called);
    take_peer(a, rq);
    a->contexts = arena_zero(&a->arena, rq->context_count, sizeof *a->contexts, e);
    ac->contexts = arena_zero(scratch, rq->context_count, sizeof *ac->contexts, e);
    if (!a->contexts || !ac->contexts) return false;
    for (unsigned i = 0; i < rq->context_count; i++) {
        if (!choose_one(a, rq, how, &rq->contexts[i], &a->contexts[i], &ac->contexts[i], e)) return false;
        ac->context_count = ++a->context_count;
    }
    a->async_invoked = 1;
    if (rq->async) {
        ac->async = true;
        ac->async_invoked = a->async_invoked = agreed_window(rq->async_invoked, how->async_max);
        ac->async_performed = 1; // sub-operations are sent one at a time
    }
    ac->identity_response = rq->identity_type != PDU_IDENTITY_NONE && rq->identity_wants_response;
    return answer_items(a, rq, scratch, ac, e);
}

static const struct pdu_context *answer_for(const struct pdu_associate *ac, uint8_t id) {
    for (unsigned i = 0; i < ac->context_count; i++)
        if (ac->contexts[i].id == id) return &ac->contexts[i];
    return NULL;
}

static bool was_proposed(const struct pdu_context *c, struct str ts) {
    for (unsigned i = 0; i < c->ts_count; i++)
        if (str_eq(c->ts[i], ts)) return true;
    return false;
}

static bool take_context(struct ul_assoc *a, const struct pdu_associate *rq, const struct pdu_associate *ac, const struct pdu_context *proposed,
                         struct ul_context *c, struct err *e) {
    const struct pdu_context *answer = answer_for(ac, proposed->id);
    c->result = answer ? answer->result : PDU_CONTEXT_NO_REASON;
    bool accepted = c->result == PDU_CONTEXT_ACCEPTED;
    if (accepted && !was_proposed(proposed, answer->ts[0]))
        return err_set(e, ERR_PEER, "dimse", "%s accepted presentation context %u with a transfer syntax that was not proposed", a->called, proposed->id);
    const struct pdu_role *asked = role_of(rq, proposed->abstract_syntax), *given = role_of(ac, proposed->abstract_syntax);
    c->scu = asked && given ? asked->scu && given->scu : true; // PS3.7 D.3.3.4: no answer means the default roles
    c->scp = asked && given ? asked->scp && given->scp : false;
    struct str info = extended_of(ac, proposed->abstract_syntax);
    if (info.n && !arena_dup(&a->arena, info, &c->extended, e)) return false;
    return keep_context(a, c, proposed, accepted ? answer->ts[0] : (struct str){"", 0}, e);
}

bool ul_take_answer(struct ul_assoc *a, const struct pdu_associate *rq, const struct pdu_associate *ac, struct err *e) {
    if (ac->max_length && ac->max_length < UL_LEAST_PDU_BYTES)
        return err_set(e, ERR_PEER, "dimse", "%s takes PDUs of %u bytes at most: not one PDV fits", a->called, ac->max_length);
    take_peer(a, ac);
    a->async_invoked = ac->async ? ac->async_invoked : 1;
    a->contexts = arena_zero(&a->arena, rq->context_count, sizeof *a->contexts, e);
    if (!a->contexts) return false;
    for (unsigned i = 0; i < rq->context_count; i++) {
        if (!take_context(a, rq, ac, &rq->contexts[i], &a->contexts[i], e)) return false;
        a->context_count++;
    }
    return true;
}
