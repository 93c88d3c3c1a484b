// Media types and their ranges.
#include "http/media.h"

static bool is_token_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("!#$%&'*+-.^_`|~/", c));
}

static void skip_space(struct str *s) {
    while (s->n && (s->p[0] == ' ' || s->p[0] == '\t')) *s = str_sub(*s, 1, s->n);
}

static struct str take_token(struct str *s) {
    size_t n = 0;
    while (n < s->n && is_token_char(s->p[n])) n++;
    struct str token = str_sub(*s, 0, n);
    *s = str_sub(*s, n, s->n);
    return token;
}

// A quoted string, its backslashes taken off.
static bool take_quoted(struct arena *a, struct str *s, struct str *out, struct err *e) {
    char *to = arena_alloc(a, s->n, e);
    if (!to) return false;
    size_t n = 0, i = 1;
    for (; i < s->n && s->p[i] != '"'; i++) {
        if (s->p[i] == '\\' && i + 1 < s->n) i++;
        to[n++] = s->p[i];
    }
    if (i >= s->n) return err_set(e, ERR_BAD_INPUT, "http", "a quoted value of a media type does not end");
    *s = str_sub(*s, i + 1, s->n);
    *out = (struct str){to, n};
    return true;
}

static bool take_value(struct arena *a, struct str *s, struct str *out, struct err *e) {
    if (s->n && s->p[0] == '"') return take_quoted(a, s, out, e);
    // Unquoted values with characters beyond tokens are common in the field: type=application/dicom.
    size_t n = 0;
    while (n < s->n && s->p[n] != ';' && s->p[n] != ',' && s->p[n] != ' ' && s->p[n] != '\t') n++;
    *out = str_sub(*s, 0, n);
    *s = str_sub(*s, n, s->n);
    return true;
}

static bool take_param(struct arena *a, struct str *s, struct http_media *m, struct err *e) {
    *s = str_sub(*s, 1, s->n); // ';'
    skip_space(s);
    struct uri_param p = {.name = take_token(s)};
    if (p.name.n == 0) return true; // "; ;" harms nobody
    if (s->n == 0 || s->p[0] != '=') return err_set(e, ERR_BAD_INPUT, "http", "the parameter %.*s of a media type has no value", STR_FMT(p.name));
    *s = str_sub(*s, 1, s->n);
    if (!take_value(a, s, &p.value, e)) return false;
    if (str_eq_nocase(p.name, STR_LIT("q"))) {
        if (!str_to_f64(p.value, &m->q) || m->q < 0 || m->q > 1)
            return err_set(e, ERR_BAD_INPUT, "http", "q=%.*s is not a weight from 0 to 1", STR_FMT(p.value));
        return true;
    }
    if (m->param_count == HTTP_MEDIA_PARAMS_MAX) return err_set(e, ERR_BAD_INPUT, "http", "a media type with more than %d parameters", HTTP_MEDIA_PARAMS_MAX);
    m->params[m->param_count++] = p;
    return true;
}

static bool take_media(struct arena *a, struct str *s, struct http_media *m, struct err *e) {
    *m = (struct http_media){.q = 1};
    skip_space(s);
    m->type = take_token(s);
    size_t slash = str_find(m->type, '/', 0);
    if (slash == 0 || slash + 1 >= m->type.n) return err_set(e, ERR_BAD_INPUT, "http", "'%.*s' is not a media type", STR_FMT(str_sub(m->type, 0, 80)));
    for (skip_space(s); s->n && s->p[0] == ';'; skip_space(s))
        if (!take_param(a, s, m, e)) return false;
    return true;
}

bool http_media_parse(struct arena *a, struct str text, struct http_media *out, struct err *e) {
    struct str rest = text;
    if (!take_media(a, &rest, out, e)) return false;
    return rest.n == 0 || err_set(e, ERR_BAD_INPUT, "http", "'%.*s' is not one media type", STR_FMT(str_sub(text, 0, 200)));
}

static int specificity(const struct http_media *m) {
    if (str_eqz(m->type, "*/*")) return 0;
    return str_ends(m->type, STR_LIT("/*")) ? 1 : 2 + (int)m->param_count;
}

// Insertion keeps equal ones as they stood; the list is short.
static void insert(struct http_media *list, unsigned n, const struct http_media *m) {
    unsigned at = n;
    while (at > 0 && (list[at - 1].q < m->q || (list[at - 1].q == m->q && specificity(&list[at - 1]) < specificity(m)))) at--;
    memmove(list + at + 1, list + at, (n - at) * sizeof *list);
    list[at] = *m;
}

bool http_media_parse_list(struct arena *a, struct str text, struct http_media **out, unsigned *n, struct err *e) {
    struct str rest = text;
    *n = 0;
    *out = arena_alloc(a, (HTTP_MEDIA_RANGES_MAX + 1) * sizeof **out, e);
    if (!*out) return false;
    for (skip_space(&rest); rest.n; skip_space(&rest)) {
        struct http_media m;
        if (rest.p[0] == ',') {
            rest = str_sub(rest, 1, rest.n);
            continue;
        }
        if (!take_media(a, &rest, &m, e)) return false;
        if (rest.n && rest.p[0] != ',') return err_set(e, ERR_BAD_INPUT, "http", "'%.*s' is not a list of media types", STR_FMT(str_sub(text, 0, 200)));
        if (*n == HTTP_MEDIA_RANGES_MAX) return err_set(e, ERR_BAD_INPUT, "http", "more than %d media types", HTTP_MEDIA_RANGES_MAX);
        insert(*out, (*n)++, &m);
    }
    return true;
}

struct str http_media_param(const struct http_media *m, const char *name) {
    for (unsigned i = 0; i < m->param_count; i++)
        if (str_eq_nocase(m->params[i].name, str_of(name))) return m->params[i].value;
    return (struct str){0};
}

bool http_media_takes(const struct http_media *range, const char *type) {
    struct str t = str_of(type);
    if (str_eqz(range->type, "*/*")) return true;
    if (!str_ends(range->type, STR_LIT("/*"))) return str_eq_nocase(range->type, t);
    size_t slash = range->type.n - 1;
    return str_eq_nocase(str_sub(range->type, 0, slash), str_sub(t, 0, slash));
}

// The weight of the most specific range that takes the type; -1 when none does.
static double weight(const struct http_media *list, unsigned n, const char *type) {
    double best = -1;
    int most = -1;
    for (unsigned i = 0; i < n; i++) {
        if (!http_media_takes(&list[i], type) || specificity(&list[i]) <= most) continue;
        most = specificity(&list[i]);
        best = list[i].q;
    }
    return best;
}

int http_accept_choose(struct arena *a, struct str accept, const char *const *offers) {
    struct http_media *list;
    unsigned n;
    if (str_trim(accept).n == 0) return 0;
    if (!http_media_parse_list(a, accept, &list, &n, NULL)) return -1;
    int chosen = -1;
    double best = 0;
    for (int i = 0; offers[i]; i++) {
        double w = weight(list, n, offers[i]);
        if (w <= best) continue;
        best = w;
        chosen = i;
    }
    return chosen;
}
