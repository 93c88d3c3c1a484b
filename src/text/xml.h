// XML 1.0: a streaming writer into a buffer, and a reader (expat) that takes no document type declaration and so no entities.
#ifndef GANTRY_TEXT_XML_H
#define GANTRY_TEXT_XML_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/str.h"

// ---- out ----

// Element names must outlive their end tag (they are constants). Failure stays in the buffer (buf_ok).
struct xml_writer {
    struct buf *to;
    bool pretty;    // two spaces per level where elements hold only elements
    bool open_tag;  // "<name" stands without its ">"
    bool has_text;  // the current element has text: its end tag follows on the same line
    unsigned depth; // at most XML_DEPTH_MAX; deeper fails the buffer with ERR_TOO_LARGE
    const char *names[XML_DEPTH_MAX];
};

// Writes the declaration (UTF-8).
void xml_init(struct xml_writer *w, struct buf *to, bool pretty);
void xml_begin(struct xml_writer *w, const char *name);
// Attributes follow the begin that they belong to.
void xml_attr(struct xml_writer *w, const char *name, struct str utf8);
void xml_attrz(struct xml_writer *w, const char *name, const char *utf8);
// Text, escaped. Malformed UTF-8 and characters that XML cannot hold become U+FFFD.
void xml_text(struct xml_writer *w, struct str utf8);
// Text that needs no escaping, as it is (base64, numbers).
void xml_plain(struct xml_writer *w, struct str text);
void xml_end(struct xml_writer *w);
// <name>text</name>
void xml_put(struct xml_writer *w, const char *name, struct str utf8);

// ---- in ----

struct xml_attribute {
    struct str name; // "{namespace}local" is split as in struct xml
    struct str space;
    struct str value;
};

struct xml {
    struct str name;  // local name; {NULL, 0} for a run of text
    struct str space; // namespace URI, {NULL, 0} when none
    struct str text;  // of a run of text
    const struct xml_attribute *attributes;
    unsigned attribute_count;
    struct xml *first; // child: elements and runs of text in document order
    struct xml *last;
    struct xml *next;
    struct xml *parent;
};

// The root element of a whole document, everything copied into a. A document type declaration, nesting beyond depth_max (XML_DEPTH_MAX when
// 0) and trees beyond the arena's ceiling are refused; every message says line and column. NULL on failure.
const struct xml *xml_read(struct arena *a, struct str document, unsigned depth_max, struct err *e);

// The first child element of that local name at or behind from's children, whatever its namespace; NULL when none or element is NULL.
const struct xml *xml_child(const struct xml *element, const char *name);
// The next sibling element of the same local name, or NULL.
const struct xml *xml_again(const struct xml *element);
// The value of an attribute, {NULL, 0} when absent.
struct str xml_attribute(const struct xml *element, const char *name);
// All text inside, in document order, trimmed; borrowed when it is one run, else joined in a.
bool xml_content(struct arena *a, const struct xml *element, struct str *out, struct err *e);

#endif
