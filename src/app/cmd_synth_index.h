// gantry synth --index-only: an index without objects, for benchmarks.
#ifndef GANTRY_APP_CMD_SYNTH_INDEX_H
#define GANTRY_APP_CMD_SYNTH_INDEX_H

#include "app/cli.h"

// Fills the index that --data or --config names (made when it is not there) with n studies of this seed. Exit code.
int cmd_synth_index(struct cli_args *args, uint64_t n, uint64_t seed);

#endif
