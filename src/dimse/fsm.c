// PS3.8 Table 9-10.
#include "dimse/fsm.h"

// Rows are events, columns Sta1 to Sta13.
#define __ UL_NO_ACTION
static const unsigned char TABLE[UL_EVT_COUNT][UL_STA_COUNT - 1] = {
    //            Sta1    Sta2    Sta3    Sta4    Sta5    Sta6    Sta7    Sta8    Sta9    Sta10    Sta11   Sta12   Sta13
    [UL_EVT1] = {UL_AE1, __, __, __, __, __, __, __, __, __, __, __, __},
    [UL_EVT2] = {__, __, __, UL_AE2, __, __, __, __, __, __, __, __, __},
    [UL_EVT3] = {__, UL_AA1, UL_AA8, __, UL_AE3, UL_AA8, UL_AA8, UL_AA8, UL_AA8, UL_AA8, UL_AA8, UL_AA8, UL_AA6},
    [UL_EVT4] = {__, UL_AA1, UL_AA8, __, UL_AE4, UL_AA8, UL_AA8, UL_AA8, UL_AA8, UL_AA8, UL_AA8, UL_AA8, UL_AA6},
    [UL_EVT5] = {UL_AE5, __, __, __, __, __, __, __, __, __, __, __, __},
    [UL_EVT6] = {__, UL_AE6, UL_AA8, __, UL_AA8, UL_AA8, UL_AA8, UL_AA8, UL_AA8, UL_AA8, UL_AA8, UL_AA8, UL_AA7},
    [UL_EVT7] = {__, __, UL_AE7, __, __, __, __, __, __, __, __, __, __},
    [UL_EVT8] = {__, __, UL_AE8, __, __, __, __, __, __, __, __, __, __},
    [UL_EVT9] = {__, __, __, __, __, UL_DT1, __, UL_AR7, __, __, __, __, __},
    [UL_EVT10] = {__, UL_AA1, UL_AA8, __, UL_AA8, UL_DT2, UL_AR6, UL_AA8, UL_AA8, UL_AA8, UL_AA8, UL_AA8, UL_AA6},
    [UL_EVT11] = {__, __, __, __, __, UL_AR1, __, __, __, __, __, __, __},
    [UL_EVT12] = {__, UL_AA1, UL_AA8, __, UL_AA8, UL_AR2, UL_AR8, UL_AA8, UL_AA8, UL_AA8, UL_AA8, UL_AA8, UL_AA6},
    [UL_EVT13] = {__, UL_AA1, UL_AA8, __, UL_AA8, UL_AA8, UL_AR3, UL_AA8, UL_AA8, UL_AR10, UL_AR3, UL_AA8, UL_AA6},
    [UL_EVT14] = {__, __, __, __, __, __, __, UL_AR4, UL_AR9, __, __, UL_AR4, __},
    [UL_EVT15] = {__, __, UL_AA1, UL_AA2, UL_AA1, UL_AA1, UL_AA1, UL_AA1, UL_AA1, UL_AA1, UL_AA1, UL_AA1, __},
    [UL_EVT16] = {__, UL_AA2, UL_AA3, __, UL_AA3, UL_AA3, UL_AA3, UL_AA3, UL_AA3, UL_AA3, UL_AA3, UL_AA3, UL_AA2},
    [UL_EVT17] = {__, UL_AA5, UL_AA4, UL_AA4, UL_AA4, UL_AA4, UL_AA4, UL_AA4, UL_AA4, UL_AA4, UL_AA4, UL_AA4, UL_AR5},
    [UL_EVT18] = {__, UL_AA2, __, __, __, __, __, __, __, __, __, __, UL_AA2},
    [UL_EVT19] = {__, UL_AA1, UL_AA8, __, UL_AA8, UL_AA8, UL_AA8, UL_AA8, UL_AA8, UL_AA8, UL_AA8, UL_AA8, UL_AA7},
};

struct action {
    const char *name;
    unsigned char next;
};

static const struct action ACTIONS[UL_ACTION_COUNT] = {
    [UL_NO_ACTION] = {"none", UL_STA_NONE}, [UL_AE1] = {"AE-1", UL_STA4},  [UL_AE2] = {"AE-2", UL_STA5},  [UL_AE3] = {"AE-3", UL_STA6},
    [UL_AE4] = {"AE-4", UL_STA1},           [UL_AE5] = {"AE-5", UL_STA2},  [UL_AE6] = {"AE-6", UL_STA3},  [UL_AE7] = {"AE-7", UL_STA6},
    [UL_AE8] = {"AE-8", UL_STA13},          [UL_DT1] = {"DT-1", UL_STA6},  [UL_DT2] = {"DT-2", UL_STA6},  [UL_AR1] = {"AR-1", UL_STA7},
    [UL_AR2] = {"AR-2", UL_STA8},           [UL_AR3] = {"AR-3", UL_STA1},  [UL_AR4] = {"AR-4", UL_STA13}, [UL_AR5] = {"AR-5", UL_STA1},
    [UL_AR6] = {"AR-6", UL_STA7},           [UL_AR7] = {"AR-7", UL_STA8},  [UL_AR8] = {"AR-8", UL_STA10}, [UL_AR9] = {"AR-9", UL_STA11},
    [UL_AR10] = {"AR-10", UL_STA12},        [UL_AA1] = {"AA-1", UL_STA13}, [UL_AA2] = {"AA-2", UL_STA1},  [UL_AA3] = {"AA-3", UL_STA1},
    [UL_AA4] = {"AA-4", UL_STA1},           [UL_AA5] = {"AA-5", UL_STA1},  [UL_AA6] = {"AA-6", UL_STA13}, [UL_AA7] = {"AA-7", UL_STA13},
    [UL_AA8] = {"AA-8", UL_STA13},
};

static const char *const STATES[UL_STA_COUNT] = {"none", "Sta1", "Sta2", "Sta3",  "Sta4",  "Sta5",  "Sta6",
                                                 "Sta7", "Sta8", "Sta9", "Sta10", "Sta11", "Sta12", "Sta13"};

enum ul_action ul_fsm_action(enum ul_state state, enum ul_event event) {
    if (state < UL_STA1 || state >= UL_STA_COUNT || event >= UL_EVT_COUNT) return UL_NO_ACTION;
    return (enum ul_action)TABLE[event][state - 1];
}

enum ul_state ul_fsm_next(enum ul_action action, int requestor) {
    if (action == UL_AR8 && requestor) return UL_STA9;
    return (enum ul_state)ACTIONS[action].next;
}

const char *ul_state_name(enum ul_state state) {
    return STATES[state < UL_STA_COUNT ? state : 0];
}

const char *ul_action_name(enum ul_action action) {
    return ACTIONS[action].name;
}
