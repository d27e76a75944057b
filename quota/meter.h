/* meter.h — a tenant's day as exact integrals: the fold of what changed, closed at midnight
 * (bill.md sections 1 to 3).
 *
 * Bytes of each class, the allowance and the excess are integrated over time in byte-milliseconds.
 * The excess is taken instant by instant: an idle hour does not pay for a full one. A meter knows
 * no calendar of its own beyond midnights: whoever feeds it tells every change at its instant,
 * those too that time brings about (six months over, a term begins or ends), in order. The nightly
 * run and bill simulate feed the same meter.
 *
 * Lifecycle: ms_meter_begin() -> changes, with ms_meter_close_day() at each midnight -> thrown
 * away. Invariants: 1 at lies in the open day, its end included. 2 bytes and allowance hold at
 * "at". 3 excess <= the integral of standard + produced <= excess + allowance. Threads: pure; a
 * meter belongs to its caller.
 */
#ifndef MS_QUOTA_METER_H
#define MS_QUOTA_METER_H

#include "quota/quota.h"
#include "quota/wide.h"

/* What one day of one tenant counts. Integrals are byte-milliseconds, below 2^90. */
struct ms_day {
    struct ms_instant midnight; /* it begins; a tenant's first day counts from its first instant */
    ms_u128 bytes[MS_CLASS_COUNT];
    ms_u128 allowance;
    ms_u128 excess;
    ms_u128 video_hundredths;      /* of a minute, all that the day's videos took */
    ms_u128 video_paid_hundredths; /* the part that packages did not hold */
    ms_u128 package_micros;        /* fees of the terms that began, late ones that were paid */
};

struct ms_meter {
    struct ms_instant at;         /* integrated up to here */
    struct ms_usage_record usage; /* only the four classes are used */
    uint64_t allowance;           /* <= MS_USAGE_BYTES_MAX */
    struct ms_day day;            /* the open one, up to "at" */
};

/* at: the tenant's first instant. No bytes, no allowance. */
void ms_meter_begin(struct ms_meter *meter, struct ms_instant at);

/* The end of the open day. Days are closed before anything of the next one is told. */
struct ms_instant ms_meter_day_end(const struct ms_meter *meter);

/* Integrate up to at: not before meter->at, not after the day's end. What happens at the day's end
 * itself belongs to the next day: close first. */
void ms_meter_advance(struct ms_meter *meter, struct ms_instant at);

/* Bytes move between classes, come or go, at event->at (also in the open day). Untouched, except
 * that it is advanced, unless MS_USAGE_FINE. */
MS_NODISCARD enum ms_usage_fault ms_meter_apply(struct ms_meter *meter,
                                                const struct ms_ledger_record *event);
/* From at on the allowance is this. */
void ms_meter_allow(struct ms_meter *meter, struct ms_instant at, uint64_t allowance);
/* Sums of the open day, at an instant in it; they do not move "at". */
void ms_meter_add_video(struct ms_meter *meter, ms_u128 hundredths, ms_u128 paid_hundredths);
void ms_meter_add_fee(struct ms_meter *meter, ms_u128 micros);

/* Integrate to the day's end, hand the day out and open the next one. */
void ms_meter_close_day(struct ms_meter *meter, struct ms_day *ret_day);

#endif
