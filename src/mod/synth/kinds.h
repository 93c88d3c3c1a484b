// The kinds of phantom, one maker each; every one writes its studies and its truth.
#ifndef GANTRY_MOD_SYNTH_KINDS_H
#define GANTRY_MOD_SYNTH_KINDS_H

#include "mod/synth/synth.h"

bool synth_chest_ct(struct arena *a, const struct synth_options *o, struct err *e);
bool synth_head_ct(struct arena *a, const struct synth_options *o, struct err *e);
bool synth_cr_chest(struct arena *a, const struct synth_options *o, struct err *e);
bool synth_dx_chest(struct arena *a, const struct synth_options *o, struct err *e);
bool synth_mr_head(struct arena *a, const struct synth_options *o, struct err *e);
bool synth_us_cine(struct arena *a, const struct synth_options *o, struct err *e);
bool synth_pet(struct arena *a, const struct synth_options *o, struct err *e);

#endif
