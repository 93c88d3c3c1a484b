// Columns of characters as Unicode's East Asian Width (UAX 11) has them.
#include "text/width.h"

#include <uniwidth.h>

#include "text/utf8.h"

static unsigned columns_of(uint32_t cp) {
    int n = uc_width(cp, "UTF-8");
    return n < 0 ? 1 : (unsigned)n;
}

unsigned text_columns(struct str s) {
    unsigned n = 0;
    for (uint32_t cp; utf8_take(&s, &cp);) n += columns_of(cp);
    return n;
}

void text_add_cell(struct buf *to, struct str s, unsigned columns) {
    unsigned used = 0, all = text_columns(s);
    unsigned room = all > columns && columns ? columns - 1 : columns; // one for the ellipsis
    for (uint32_t cp; utf8_take(&s, &cp);) {
        unsigned n = columns_of(cp);
        if (used + n > room) break;
        utf8_add(to, cp < 32 || cp == 127 ? ' ' : cp);
        used += n;
    }
    if (all > columns && columns) {
        buf_addz(to, "…");
        used++;
    }
    for (; used < columns; used++) buf_addc(to, ' ');
}
