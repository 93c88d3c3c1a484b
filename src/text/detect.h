// What bytes most probably are, when their label is missing or may be wrong.
#ifndef GANTRY_TEXT_DETECT_H
#define GANTRY_TEXT_DETECT_H

#include "text/charset.h"

// declared: what the bytes are said to be; TEXT_ASCII when nothing is said. name: a person name, of which more is known.
// Returns declared when that is right as far as can be told: a genuine text in its declared set is worth more than a clever guess.
// TEXT_SET_COUNT: out of memory.
enum text_set text_detect(struct str bytes, enum text_set declared, bool name);

#endif
