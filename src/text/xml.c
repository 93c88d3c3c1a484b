// XML in: expat's events become a tree in an arena. A document type declaration stops the parser before it can declare anything.
#include "text/xml.h"

#include <expat.h>

struct reader {
    struct arena *a;
    struct xml *root;
    struct xml *open; // innermost open element
    struct buf text;  // the run that is being gathered
    unsigned depth, depth_max;
    XML_Parser parser;
    struct err *e;
    bool failed;
};

static void stop(struct reader *r) {
    r->failed = true;
    XML_StopParser(r->parser, XML_FALSE);
}

static void refuse(struct reader *r, enum err_kind kind, const char *why) {
    err_set(r->e, kind, "xml", "line %lu, column %lu: %s", XML_GetCurrentLineNumber(r->parser), XML_GetCurrentColumnNumber(r->parser) + 1, why);
    stop(r);
}

// expat gives "uri|local"; a URI cannot hold the bar.
static bool split_name(struct reader *r, const char *name, struct str *space, struct str *local) {
    struct str all;
    if (!arena_dup(r->a, str_of(name), &all, r->e)) return false;
    size_t bar = str_find(all, '|', 0);
    *space = bar < all.n ? str_sub(all, 0, bar) : (struct str){NULL, 0};
    *local = bar < all.n ? str_sub(all, bar + 1, all.n) : all;
    return true;
}

static struct xml *add_node(struct reader *r) {
    struct xml *x = arena_zero(r->a, 1, sizeof *x, r->e);
    if (!x) return NULL;
    x->parent = r->open;
    if (!r->open)
        r->root = x;
    else if (r->open->last)
        r->open->last->next = x;
    else
        r->open->first = x;
    if (r->open) r->open->last = x;
    return x;
}

static bool add_attributes(struct reader *r, struct xml *x, const char **pairs) {
    unsigned n = 0;
    while (pairs[2 * n]) n++;
    struct xml_attribute *list = arena_zero(r->a, n, sizeof *list, r->e);
    if (!list) return false;
    for (unsigned i = 0; i < n; i++)
        if (!split_name(r, pairs[2 * i], &list[i].space, &list[i].name) || !arena_dup(r->a, str_of(pairs[2 * i + 1]), &list[i].value, r->e)) return false;
    x->attributes = list;
    x->attribute_count = n;
    return true;
}

// expat cuts a run of text at line ends and references: it is gathered until the next tag.
static bool flush_text(struct reader *r) {
    if (!buf_ok(&r->text, r->e)) return false;
    if (r->text.n == 0) return true;
    struct xml *x = add_node(r);
    if (!x || !arena_dup(r->a, buf_str(&r->text), &x->text, r->e)) return false;
    buf_clear(&r->text);
    return true;
}

static void XMLCALL on_start(void *ctx, const char *name, const char **pairs) {
    struct reader *r = ctx;
    if (r->failed) return;
    if (r->depth == r->depth_max) {
        refuse(r, ERR_TOO_LARGE, "nested deeper than is allowed here");
        return;
    }
    struct xml *x = flush_text(r) ? add_node(r) : NULL;
    if (!x || !split_name(r, name, &x->space, &x->name) || !add_attributes(r, x, pairs)) {
        stop(r);
        return;
    }
    r->open = x;
    r->depth++;
}

static void XMLCALL on_end(void *ctx, const char *name) {
    struct reader *r = ctx;
    (void)name;
    if (r->failed) return;
    if (!flush_text(r)) {
        stop(r);
        return;
    }
    r->open = r->open->parent;
    r->depth--;
}

static void XMLCALL on_text(void *ctx, const char *p, int n) {
    struct reader *r = ctx;
    if (!r->failed && r->open) buf_add(&r->text, p, (size_t)n);
}

static void XMLCALL on_doctype(void *ctx, const char *name, const char *system_id, const char *public_id, int internal) {
    (void)name, (void)system_id, (void)public_id, (void)internal;
    refuse(ctx, ERR_BAD_INPUT, "document type declarations are not taken");
}

static bool parse(struct reader *r, struct str document) {
    enum { PIECE = 1 << 20 };
    enum XML_Status status = XML_STATUS_OK;
    size_t at = 0;
    do {
        struct str piece = str_sub(document, at, PIECE);
        at += piece.n;
        status = XML_Parse(r->parser, piece.p ? piece.p : "", (int)piece.n, at == document.n);
    } while (status == XML_STATUS_OK && at < document.n);
    if (status == XML_STATUS_OK || r->failed) return !r->failed;
    enum XML_Error code = XML_GetErrorCode(r->parser);
    if (code == XML_ERROR_NO_MEMORY) return err_nomem(r->e, "xml");
    refuse(r, ERR_BAD_INPUT, XML_ErrorString(code));
    return false;
}

const struct xml *xml_read(struct arena *a, struct str document, unsigned depth_max, struct err *e) {
    struct reader r = {.a = a, .depth_max = depth_max ? depth_max : XML_DEPTH_MAX, .e = e};
    r.parser = XML_ParserCreateNS(NULL, '|');
    if (!r.parser) return err_nomem(e, "xml"), NULL;
    buf_init(&r.text, document.n);
    XML_SetUserData(r.parser, &r);
    XML_SetElementHandler(r.parser, on_start, on_end);
    XML_SetCharacterDataHandler(r.parser, on_text);
    XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
    bool ok = parse(&r, document);
    XML_ParserFree(r.parser);
    buf_deinit(&r.text);
    return ok ? r.root : NULL;
}

static const struct xml *find(const struct xml *from, struct str name) {
    for (; from; from = from->next)
        if (from->name.p && str_eq(from->name, name)) return from;
    return NULL;
}

const struct xml *xml_child(const struct xml *element, const char *name) {
    return element ? find(element->first, str_of(name)) : NULL;
}

const struct xml *xml_again(const struct xml *element) {
    return element ? find(element->next, element->name) : NULL;
}

struct str xml_attribute(const struct xml *element, const char *name) {
    for (unsigned i = 0; element && i < element->attribute_count; i++)
        if (str_eqz(element->attributes[i].name, name)) return element->attributes[i].value;
    return (struct str){NULL, 0};
}

// The next node of the tree under top in document order.
static const struct xml *step(const struct xml *x, const struct xml *top) {
    if (x->first) return x->first;
    while (x != top && !x->next) x = x->parent;
    return x == top ? NULL : x->next;
}

bool xml_content(struct arena *a, const struct xml *element, struct str *out, struct err *e) {
    size_t total = 0;
    unsigned runs = 0;
    *out = (struct str){"", 0};
    for (const struct xml *x = element; x; x = step(x, element)) {
        if (x->name.p) continue;
        *out = x->text;
        total += x->text.n;
        runs++;
    }
    if (runs > 1) {
        char *to = arena_alloc(a, total, e);
        if (!to) return false;
        *out = (struct str){to, total};
        for (const struct xml *x = element; x; x = step(x, element)) {
            if (x->name.p) continue;
            memcpy(to, x->text.p, x->text.n);
            to += x->text.n;
        }
    }
    *out = str_trim(*out);
    return true;
}
