// What two application entities agree on (PS3.7 D.3, PS3.8 7.1): private to assoc.c.
#ifndef GANTRY_DIMSE_NEGOTIATE_H
#define GANTRY_DIMSE_NEGOTIATE_H

#include "dimse/assoc.h"

// Whether the request may be accepted at all; the reason otherwise.
bool ul_request_acceptable(const struct pdu_associate *rq, struct pdu_reject *why, struct err *e);
// Acceptor: fills a's contexts and the A-ASSOCIATE-AC, which lives in scratch.
bool ul_negotiate(struct ul_assoc *a, const struct pdu_associate *rq, const struct ul_acceptor *how, struct arena *scratch, struct pdu_associate *ac,
                  struct err *e);
// Requestor: fills a's contexts from what was proposed and answered.
bool ul_take_answer(struct ul_assoc *a, const struct pdu_associate *rq, const struct pdu_associate *ac, struct err *e);

#endif
