// XML out.
#include "text/xml.h"

#include "text/utf8.h"

void xml_init(struct xml_writer *w, struct buf *to, bool pretty) {
    *w = (struct xml_writer){.to = to, .pretty = pretty};
    buf_addz(to, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
}

static void close_tag(struct xml_writer *w) {
    if (w->open_tag) buf_addc(w->to, '>');
    w->open_tag = false;
}

static void new_line(struct xml_writer *w) {
    if (!w->pretty) return;
    buf_addc(w->to, '\n');
    for (unsigned i = 0; i < w->depth; i++) buf_add(w->to, "  ", 2);
}

void xml_begin(struct xml_writer *w, const char *name) {
    close_tag(w);
    if (w->depth == XML_DEPTH_MAX) {
        w->to->failed = ERR_TOO_LARGE;
        return;
    }
    if (!w->has_text) new_line(w);
    buf_addc(w->to, '<');
    buf_addz(w->to, name);
    w->names[w->depth++] = name;
    w->open_tag = true;
    w->has_text = false;
}

// XML 1.0 2.2: what a document may hold.
static bool is_char(uint32_t cp) {
    return cp >= 0x20 ? cp != 0xFFFE && cp != 0xFFFF : cp == '\t' || cp == '\n' || cp == '\r';
}

static const char *escape_of(uint32_t cp, bool attribute) {
    switch (cp) {
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '&':
        return "&amp;";
    case '\r':
        return "&#13;";
    case '"':
        return attribute ? "&quot;" : NULL;
    case '\t':
        return attribute ? "&#9;" : NULL;
    case '\n':
        return attribute ? "&#10;" : NULL;
    default:
        return NULL;
    }
}

static void add_escaped(struct buf *to, struct str s, bool attribute) {
    size_t from = 0;
    for (size_t i = 0; i < s.n;) {
        uint32_t cp;
        unsigned n = utf8_next(s.p + i, s.n - i, &cp);
        const char *instead = n == 0 || !is_char(cp) ? "\xEF\xBF\xBD" : escape_of(cp, attribute);
        if (instead) {
            buf_add(to, s.p + from, i - from);
            buf_addz(to, instead);
        }
        i += n ? n : 1;
        if (instead) from = i;
    }
    if (from < s.n) buf_add(to, s.p + from, s.n - from);
}

void xml_attr(struct xml_writer *w, const char *name, struct str utf8) {
    buf_addc(w->to, ' ');
    buf_addz(w->to, name);
    buf_add(w->to, "=\"", 2);
    add_escaped(w->to, utf8, true);
    buf_addc(w->to, '"');
}

void xml_attrz(struct xml_writer *w, const char *name, const char *utf8) {
    xml_attr(w, name, str_of(utf8));
}

void xml_text(struct xml_writer *w, struct str utf8) {
    close_tag(w);
    w->has_text = true;
    add_escaped(w->to, utf8, false);
}

void xml_plain(struct xml_writer *w, struct str text) {
    close_tag(w);
    w->has_text = true;
    buf_add_str(w->to, text);
}

void xml_end(struct xml_writer *w) {
    if (w->depth == 0) return;
    const char *name = w->names[--w->depth];
    if (w->open_tag) {
        buf_add(w->to, "/>", 2);
    } else {
        if (!w->has_text) new_line(w);
        buf_add(w->to, "</", 2);
        buf_addz(w->to, name);
        buf_addc(w->to, '>');
    }
    w->open_tag = false;
    w->has_text = false;
}

void xml_put(struct xml_writer *w, const char *name, struct str utf8) {
    xml_begin(w, name);
    if (utf8.n) xml_text(w, utf8);
    xml_end(w);
}
