// Conditions and codings.
#include "http/condition.h"

#include <stdio.h>
#include <time.h>

void http_date_format(int64_t unix_s, char out[HTTP_DATE_BYTES]) {
    static const char DAYS[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char MONTHS[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t t = (time_t)unix_s;
    struct tm tm;
    gmtime_r(&t, &tm);
    snprintf(out, HTTP_DATE_BYTES, "%s, %02u %s %04u %02u:%02u:%02u GMT", DAYS[tm.tm_wday], (unsigned)tm.tm_mday % 100, MONTHS[tm.tm_mon],
             (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}

bool http_date_parse(struct str text, int64_t *unix_s) {
    static const char *const FORMS[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"};
    char z[48];
    if (text.n == 0 || text.n >= sizeof z) return false;
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    for (size_t i = 0; i < sizeof FORMS / sizeof FORMS[0]; i++) {
        struct tm tm = {0};
        const char *end = strptime(z, FORMS[i], &tm);
        if (!end || *end) continue;
        *unix_s = timegm(&tm);
        return true;
    }
    return false;
}

bool http_etag_listed(struct str list, struct str etag, bool weak) {
    struct str rest = list;
    while (rest.p) {
        struct str one = str_trim(str_split(&rest, ','));
        if (str_eqz(one, "*")) return true;
        if (weak && str_starts(one, STR_LIT("W/"))) one = str_sub(one, 2, one.n);
        if (one.n && str_eq(one, etag)) return true;
    }
    return false;
}

// "gzip;q=0.5": the weight that the part gives.
static double weight_of(struct str params) {
    double q = 1;
    while (params.p) {
        struct str one = str_trim(str_split(&params, ';'));
        if (one.n > 2 && (one.p[0] == 'q' || one.p[0] == 'Q') && one.p[1] == '=' && !str_to_f64(str_sub(one, 2, one.n), &q)) q = 0;
    }
    return q < 0 || q > 1 ? 0 : q;
}

static bool names(struct str part, const char *coding) {
    if (str_eq_nocase(part, STR_LIT("x-gzip"))) part = STR_LIT("gzip");
    return str_eq_nocase(part, str_of(coding));
}

double http_coding_weight(struct str accept_encoding, const char *coding) {
    static const double UNSAID_IDENTITY = 0.001;
    bool identity = str_eqz(STR_LIT("identity"), coding);
    double any = identity ? UNSAID_IDENTITY : 0;
    struct str rest = accept_encoding;
    while (rest.p) {
        struct str params = str_split(&rest, ',');
        struct str name = str_trim(str_split(&params, ';'));
        double weight = weight_of(params);
        if (names(name, coding)) return weight;
        if (str_eqz(name, "*") && (!identity || weight <= 0)) any = weight;
    }
    return any;
}

const char *http_coding_choose(struct str accept_encoding, const char *const *offers) {
    const char *chosen = NULL;
    double best = http_coding_weight(accept_encoding, "identity");
    for (; *offers; offers++) {
        double weight = http_coding_weight(accept_encoding, *offers);
        // A coding that is liked as much as identity is the better answer.
        if (weight <= 0 || weight < best || (chosen && weight <= best)) continue;
        best = weight;
        chosen = *offers;
    }
    return chosen;
}
