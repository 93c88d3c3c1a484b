// Dates, times and date-times as intervals of microseconds, with the precision that was written (PS3.5 6.2 DA, TM, DT; PS3.4 C.2.2.2.5).
#ifndef GANTRY_CORE_QUERY_TIME_H
#define GANTRY_CORE_QUERY_TIME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define QTIME_DAY (24 * 3600 * INT64_C(1000000))

// From lo to hi, both inclusive: "2026" is a whole year. DA and DT count from a fixed day of the proleptic calendar, TM from midnight.
struct qspan {
    int64_t lo, hi;
    bool zoned;     // an offset from UTC was written (DT)
    int offset_min; // that offset
};

bool qtime_date(struct str text, struct qspan *out);     // YYYYMMDD, YYYY.MM.DD of ACR-NEMA
bool qtime_time(struct str text, struct qspan *out);     // HH[MM[SS[.F]]], with colons too
bool qtime_datetime(struct str text, struct qspan *out); // YYYY[MM[DD[HH[MM[SS[.F]]]]]][&ZZXX]
// &ZZXX
bool qtime_offset(struct str text, int *minutes);

// A key's range "a-b", "a-", "-b" or one value, by vr (DA, TM, DT): lo of a to hi of b, INT64_MIN and INT64_MAX where open.
// false when it is none. inverted: it ends before it begins.
struct qrange {
    struct qspan from, to; // the ends as written; an open one has lo INT64_MIN, hi INT64_MAX
    bool open_from, open_to, inverted;
};
bool qtime_range(uint16_t vr, struct str text, struct qrange *out);

// The day (from qtime_date) as YYYYMMDD, as a number.
int64_t qtime_day_number(int64_t micros);
// Date and time texts moved by minutes: what a wall clock in another zone showed. date is 8 digits; time may be empty (midnight is then not known: unmoved).
bool qtime_shift(struct str date, struct str time, int minutes, char out_date[9], char out_time[16]);

#endif
