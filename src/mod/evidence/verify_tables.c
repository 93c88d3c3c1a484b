// The list of what each part can answer.
#include "mod/evidence/verify_tables.h"

#include <stddef.h>

const struct ev_statistic *const EV_STATISTICS[] = {
    // Proportions and 2 x 2 tables.
    EV_STATISTICS_PROPORTION,
    // ROC curves.
    EV_STATISTICS_ROC,
    // Readers and cases.
    EV_STATISTICS_MRMC,
    // Free response.
    EV_STATISTICS_FROC,
    // Agreement.
    EV_STATISTICS_AGREEMENT,
    // Calibration.
    EV_STATISTICS_CALIBRATION,
    // Monitoring.
    EV_STATISTICS_MONITORING,
    // Segmentation.
    EV_STATISTICS_SEGMENTATION,
    // Queues.
    EV_STATISTICS_QUEUE,
    NULL,
};
