#include "quota/meter.h"

#include "base/assert.h"

static void open_day(struct ms_meter *meter, struct ms_instant midnight) {
    meter->day = (struct ms_day){.midnight = midnight};
}

void ms_meter_begin(struct ms_meter *meter, struct ms_instant at) {
    *meter = (struct ms_meter){.at = at};
    open_day(meter, ms_instant_day_start(at));
}

struct ms_instant ms_meter_day_end(const struct ms_meter *meter) {
    return ms_instant_add_ms(meter->day.midnight, MS_DAY_MS);
}

void ms_meter_advance(struct ms_meter *meter, struct ms_instant at) {
    const struct ms_usage_record *u = &meter->usage;
    const uint64_t bytes[MS_CLASS_COUNT] = {
        [MS_CLASS_STANDARD] = u->standard,
        [MS_CLASS_PRODUCED_FREE] = u->produced_free,
        [MS_CLASS_PRODUCED] = u->produced,
        [MS_CLASS_EXCLUDED] = u->excluded,
    };
    struct ms_day *day = &meter->day;

    MS_ASSERT(at.ms >= meter->at.ms);
    MS_ASSERT(at.ms <= ms_meter_day_end(meter).ms);
    ms_u128 ms = (ms_u128)(at.ms - meter->at.ms);
    for (size_t c = 0; c < MS_CLASS_COUNT; c++)
        day->bytes[c] += bytes[c] * ms;
    day->allowance += meter->allowance * ms;
    day->excess += ms * ms_quota_excess((struct ms_quota_state){.allowance = meter->allowance,
                                                                .metered = ms_usage_metered(u)});
    meter->at = at;
}

enum ms_usage_fault ms_meter_apply(struct ms_meter *meter, const struct ms_ledger_record *event) {
    ms_meter_advance(meter, event->at);
    return ms_usage_apply(&meter->usage, event);
}

void ms_meter_allow(struct ms_meter *meter, struct ms_instant at, uint64_t allowance) {
    MS_ASSERT(allowance <= MS_USAGE_BYTES_MAX);
    ms_meter_advance(meter, at);
    meter->allowance = allowance;
}

void ms_meter_add_video(struct ms_meter *meter, ms_u128 hundredths, ms_u128 paid_hundredths) {
    MS_ASSERT(paid_hundredths <= hundredths);
    meter->day.video_hundredths += hundredths;
    meter->day.video_paid_hundredths += paid_hundredths;
}

void ms_meter_add_fee(struct ms_meter *meter, ms_u128 micros) {
    meter->day.package_micros += micros;
}

/* Excess instant by instant, seen over the whole day: between what the day as a whole was above its
 * allowance and all that was metered. */
static void check_day(const struct ms_day *day) {
    ms_u128 metered = day->bytes[MS_CLASS_STANDARD] + day->bytes[MS_CLASS_PRODUCED];
    MS_ASSERT(day->excess <= metered);
    MS_ASSERT(metered <= day->excess + day->allowance);
}

void ms_meter_close_day(struct ms_meter *meter, struct ms_day *ret_day) {
    ms_meter_advance(meter, ms_meter_day_end(meter));
    check_day(&meter->day);
    *ret_day = meter->day;
    open_day(meter, meter->at);
}
