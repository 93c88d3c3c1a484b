// The upper layer protocol machine (PS3.8 9.2): Table 9-10 as data, in the standard's names. What the actions do is in assoc.c.
#ifndef GANTRY_DIMSE_FSM_H
#define GANTRY_DIMSE_FSM_H

enum ul_state {
    UL_STA_NONE,
    UL_STA1,  // idle
    UL_STA2,  // transport open, awaiting A-ASSOCIATE-RQ
    UL_STA3,  // awaiting the local A-ASSOCIATE response
    UL_STA4,  // awaiting the transport connection
    UL_STA5,  // awaiting A-ASSOCIATE-AC or -RJ
    UL_STA6,  // association established: data transfer
    UL_STA7,  // awaiting A-RELEASE-RP
    UL_STA8,  // awaiting the local A-RELEASE response
    UL_STA9,  // release collision, requestor: awaiting the local A-RELEASE response
    UL_STA10, // release collision, acceptor: awaiting A-RELEASE-RP
    UL_STA11, // release collision, requestor: awaiting A-RELEASE-RP
    UL_STA12, // release collision, acceptor: awaiting the local A-RELEASE response
    UL_STA13, // awaiting that the transport connection closes
    UL_STA_COUNT
};

enum ul_event {
    UL_EVT_NONE,
    UL_EVT1,  // A-ASSOCIATE request (local user)
    UL_EVT2,  // transport connect confirmation
    UL_EVT3,  // A-ASSOCIATE-AC PDU
    UL_EVT4,  // A-ASSOCIATE-RJ PDU
    UL_EVT5,  // transport connection indication
    UL_EVT6,  // A-ASSOCIATE-RQ PDU
    UL_EVT7,  // A-ASSOCIATE response (accept)
    UL_EVT8,  // A-ASSOCIATE response (reject)
    UL_EVT9,  // P-DATA request
    UL_EVT10, // P-DATA-TF PDU
    UL_EVT11, // A-RELEASE request
    UL_EVT12, // A-RELEASE-RQ PDU
    UL_EVT13, // A-RELEASE-RP PDU
    UL_EVT14, // A-RELEASE response
    UL_EVT15, // A-ABORT request
    UL_EVT16, // A-ABORT PDU
    UL_EVT17, // transport connection closed
    UL_EVT18, // ARTIM timer expired
    UL_EVT19, // unrecognised or invalid PDU
    UL_EVT_COUNT
};

enum ul_action {
    UL_NO_ACTION, // the event cannot happen in the state
    UL_AE1,
    UL_AE2,
    UL_AE3,
    UL_AE4,
    UL_AE5,
    UL_AE6,
    UL_AE7,
    UL_AE8,
    UL_DT1,
    UL_DT2,
    UL_AR1,
    UL_AR2,
    UL_AR3,
    UL_AR4,
    UL_AR5,
    UL_AR6,
    UL_AR7,
    UL_AR8,
    UL_AR9,
    UL_AR10,
    UL_AA1,
    UL_AA2,
    UL_AA3,
    UL_AA4,
    UL_AA5,
    UL_AA6,
    UL_AA7,
    UL_AA8,
    UL_ACTION_COUNT
};

enum ul_action ul_fsm_action(enum ul_state state, enum ul_event event);

// The state after an action. AE-6 gives Sta3 (its rejection, Sta13, is reached through Evt8); AR-8 depends on who requested the association.
enum ul_state ul_fsm_next(enum ul_action action, int requestor);

// "Sta6", "Evt10", "AA-8".
const char *ul_state_name(enum ul_state state);
const char *ul_action_name(enum ul_action action);

#endif
