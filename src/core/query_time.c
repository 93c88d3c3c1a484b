// Dates, times and date-times as intervals, so that every precision is matched the same way.
#include "core/query_time.h"

#include <stdio.h>

#include "dicom/vr.h"

#define SECOND INT64_C(1000000)
enum { OFFSET_MAX_MIN = 14 * 60, OFFSET_MIN_MIN = 12 * 60 }; // PS3.5 6.2: -1200 to +1400

// Days of the proleptic Gregorian calendar from 0000-03-01 (a year that begins in March ends with its leap day).
static int64_t days_of(int y, int m, int d) {
    int64_t year = m <= 2 ? y - 1 : y;
    int64_t month = m <= 2 ? m + 9 : m - 3;
    int64_t era_years = year >= 0 ? year : 0;
    return era_years * 365 + era_years / 4 - era_years / 100 + era_years / 400 + (month * 153 + 2) / 5 + d - 1;
}

static int month_days(int y, int m) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return m == 2 && leap ? 29 : days[m - 1];
}

// Reads n digits at *at; false when they are not there.
static bool digits(struct str s, size_t *at, unsigned n, int *out) {
    if (s.n < *at || s.n - *at < n) return false;
    int v = 0;
    for (unsigned i = 0; i < n; i++) {
        char c = s.p[*at + i];
        if (c < '0' || c > '9') return false;
        v = v * 10 + (c - '0');
    }
    *at += n;
    *out = v;
    return true;
}

static bool is_digit_at(struct str s, size_t at) {
    return at < s.n && s.p[at] >= '0' && s.p[at] <= '9';
}

bool qtime_date(struct str text, struct qspan *out) {
    struct str s = str_trim(text);
    size_t at = 0;
    int y, m, d;
    bool dots = s.n == 10 && s.p[4] == '.' && s.p[7] == '.';
    if (s.n != 8 && !dots) return false;
    if (!digits(s, &at, 4, &y)) return false;
    if (dots) at++;
    if (!digits(s, &at, 2, &m)) return false;
    if (dots) at++;
    if (!digits(s, &at, 2, &d)) return false;
    if (m < 1 || m > 12 || d < 1 || d > month_days(y, m)) return false;
    *out = (struct qspan){.lo = days_of(y, m, d) * QTIME_DAY};
    out->hi = out->lo + QTIME_DAY - 1;
    return true;
}

// .F{1,6} at *at, when there: narrows the span of the second that starts at lo.
static bool fraction(struct str s, size_t *at, struct qspan *span) {
    if (*at >= s.n || s.p[*at] != '.') return true;
    (*at)++;
    int64_t unit = SECOND, lo = 0;
    unsigned n = 0;
    for (; is_digit_at(s, *at); (*at)++, n++) {
        if (n >= 6) continue; // finer than a microsecond: cut
        unit /= 10;
        lo += (s.p[*at] - '0') * unit;
    }
    if (n == 0) return false;
    span->lo += lo;
    span->hi = span->lo + unit - 1;
    return true;
}

// HH[MM[SS[.F]]] from *at on, added to base. Leaves *at behind what was read.
static bool time_of_day(struct str s, size_t *at, int64_t base, struct qspan *out) {
    static const int max[] = {23, 59, 60}; // PS3.5 6.2: 60 for a leap second
    static const int64_t unit[] = {3600 * SECOND, 60 * SECOND, SECOND};
    out->lo = base;
    unsigned i = 0;
    for (; i < 3; i++) {
        if (i > 0 && *at < s.n && s.p[*at] == ':') (*at)++;
        if (i > 0 && !is_digit_at(s, *at)) break;
        int v;
        if (!digits(s, at, 2, &v) || v > max[i]) return false;
        out->lo += v * unit[i];
    }
    out->hi = out->lo + unit[i - 1] - 1;
    return i < 3 || fraction(s, at, out);
}

bool qtime_time(struct str text, struct qspan *out) {
    struct str s = str_trim(text);
    size_t at = 0;
    *out = (struct qspan){0};
    return time_of_day(s, &at, 0, out) && at == s.n;
}

bool qtime_offset(struct str text, int *minutes) {
    struct str s = str_trim(text);
    size_t at = 1;
    int h, m;
    if (s.n != 5 || (s.p[0] != '+' && s.p[0] != '-')) return false;
    if (!digits(s, &at, 2, &h) || !digits(s, &at, 2, &m) || m > 59) return false;
    int total = h * 60 + m;
    if (total > (s.p[0] == '+' ? OFFSET_MAX_MIN : OFFSET_MIN_MIN)) return false;
    *minutes = s.p[0] == '+' ? total : -total;
    return true;
}

bool qtime_datetime(struct str text, struct qspan *out) {
    struct str s = str_trim(text);
    size_t at = 0;
    int y, m = 1, d = 1;
    *out = (struct qspan){0};
    if (s.n > 5 && qtime_offset(str_sub(s, s.n - 5, 5), &out->offset_min)) {
        out->zoned = true;
        s.n -= 5;
    }
    if (!digits(s, &at, 4, &y)) return false;
    bool has_month = is_digit_at(s, at);
    if (has_month && (!digits(s, &at, 2, &m) || m < 1 || m > 12)) return false;
    bool has_day = is_digit_at(s, at);
    if (has_day && (!digits(s, &at, 2, &d) || d < 1 || d > month_days(y, m))) return false;
    out->lo = days_of(y, m, d) * QTIME_DAY;
    if (is_digit_at(s, at)) return time_of_day(s, &at, out->lo, out) && at == s.n;
    int64_t days = has_day ? 1 : has_month ? month_days(y, m) : days_of(y + 1, 1, 1) - days_of(y, 1, 1);
    out->hi = out->lo + days * QTIME_DAY - 1;
    return at == s.n;
}

static bool one(uint16_t vr, struct str text, struct qspan *out) {
    if (vr == DCM_VR_DA) return qtime_date(text, out);
    return vr == DCM_VR_TM ? qtime_time(text, out) : qtime_datetime(text, out);
}

static bool one_or_open(uint16_t vr, struct str text, struct qspan *out, bool *open) {
    *open = str_trim(text).n == 0;
    *out = (struct qspan){.lo = INT64_MIN, .hi = INT64_MAX};
    return *open || one(vr, text, out);
}

bool qtime_range(uint16_t vr, struct str text, struct qrange *out) {
    *out = (struct qrange){0};
    // A DT may end in a negative offset from UTC: what reads as one value is one value.
    if (one(vr, text, &out->from)) {
        out->to = out->from;
        return true;
    }
    for (size_t i = str_find(text, '-', 0); i < text.n; i = str_find(text, '-', i + 1)) {
        if (!one_or_open(vr, str_sub(text, 0, i), &out->from, &out->open_from)) continue;
        if (!one_or_open(vr, str_sub(text, i + 1, text.n), &out->to, &out->open_to)) continue;
        if (out->open_from && out->open_to) return false;
        bool comparable = !out->open_from && !out->open_to && out->from.zoned == out->to.zoned;
        out->inverted = comparable && out->from.lo - out->from.offset_min * 60 * SECOND > out->to.hi - out->to.offset_min * 60 * SECOND;
        return true;
    }
    return false;
}

static void civil_of(int64_t days, int *y, int *m, int *d) {
    int64_t era = days / 146097, day_of_era = days % 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    *d = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    *m = (int)(month < 10 ? month + 3 : month - 9);
    *y = (int)(year_of_era + era * 400 + (*m <= 2));
}

int64_t qtime_day_number(int64_t micros) {
    int y, m, d;
    if (micros < 0) return 0;
    civil_of(micros / QTIME_DAY, &y, &m, &d);
    return y > 9999 ? 99991231 : ((int64_t)y * 100 + m) * 100 + d;
}

bool qtime_shift(struct str date, struct str time, int minutes, char out_date[9], char out_time[16]) {
    struct qspan day, clock;
    if (!qtime_date(date, &day) || !qtime_time(time, &clock)) return false;
    int64_t moved = day.lo + clock.lo + minutes * 60 * SECOND;
    if (moved < 0) return false;
    int64_t of_day = moved % QTIME_DAY, seconds = of_day / SECOND;
    snprintf(out_date, 9, "%08d", (int)qtime_day_number(moved));
    int n = snprintf(out_time, 16, "%02d%02d%02d", (int)(seconds / 3600), (int)(seconds / 60 % 60), (int)(seconds % 60));
    if (of_day % SECOND) snprintf(out_time + n, 16 - (size_t)n, ".%06d", (int)(of_day % SECOND));
    return true;
}
