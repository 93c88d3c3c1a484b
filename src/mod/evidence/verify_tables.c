// The list of what each part can answer.
#include "mod/evidence/verify_tables.h"

#include <stddef.h>

const struct ev_statistic *const EV_STATISTICS[] = {
    // Proportions and 2 x 2 tables.
    //
    // ROC curves.
    //
    // Readers and cases.
    //
    // Free response.
    //
    // Agreement.
    //
    // Calibration.
    //
    // Monitoring.
    //
    // Segmentation.
    //
    // Queues.
    //
    NULL,
};
