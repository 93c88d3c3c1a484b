// The list of phantom kinds.
#include "mod/synth/kinds.h"

const struct synth_kind SYNTH_KINDS[] = {
    {"chest-ct", "chest CT with lung nodules of given diameters at two dates", synth_chest_ct},
    {"head-ct", "head CT with a hyperdense collection", synth_head_ct},
    {"cr", "computed radiography of the chest", synth_cr_chest},
    {"dx", "digital X-ray of the chest", synth_dx_chest},
    {"mr", "T1 and T2 weighted MR of the head", synth_mr_head},
    {"us", "multi-frame ultrasound of a beating circle of known areas", synth_us_cine},
    {"pet", "PET with hot spheres and the attributes of SUV", synth_pet},
    {NULL, NULL, NULL},
};

const struct synth_kind *synth_kind_find(struct str name) {
    for (const struct synth_kind *k = SYNTH_KINDS; k->name; k++)
        if (str_eqz(name, k->name)) return k;
    return NULL;
}
