// The DICOM side of a server: from settings to the module's configuration, start and stop.
#ifndef GANTRY_APP_SERVE_DICOM_H
#define GANTRY_APP_SERVE_DICOM_H

#include "app/modules.h"
#include "base/buf.h"

bool serve_dicom_start(struct server *s, void **state, struct err *e);
void serve_dicom_stop(struct server *s, void *state);
// Open associations.
unsigned serve_dicom_active(const struct server *s);
// Association counts as Prometheus text; context is the struct server.
void serve_dicom_metrics(void *context, struct buf *to);

#endif
