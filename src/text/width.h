// How wide text stands on a terminal.
#ifndef GANTRY_TEXT_WIDTH_H
#define GANTRY_TEXT_WIDTH_H

#include "base/buf.h"
#include "base/str.h"

// Columns that UTF-8 takes: Han characters and full forms two, combining marks none. Control characters count as the space that text_add_cell writes for them.
unsigned text_columns(struct str utf8);
// Appends the text in exactly that many columns: followed by spaces, or cut with an ellipsis.
void text_add_cell(struct buf *to, struct str utf8, unsigned columns);

#endif
