#include "quota/invoice.h"

#include "base/assert.h"
#include "model/limits.h"

#include <inttypes.h>
#include <stdio.h>

void ms_rating_begin(struct ms_rating *rating, const struct ms_rates *rates) {
    *rating = (struct ms_rating){.rates = rates};
}

static void begin_month(struct ms_statement *month, struct ms_instant midnight) {
    struct ms_instant start = ms_instant_month_start(midnight);
    if (month->days > 0 && month->month.ms == start.ms)
        return;
    *month = (struct ms_statement){.month = start};
}

void ms_rating_day(struct ms_rating *rating, const struct ms_day *day, struct ms_line *ret_line) {
    struct ms_statement *m = &rating->month;
    MS_ASSERT(m->days == 0 || day->midnight.ms >= m->month.ms + m->days * MS_DAY_MS);
    begin_month(m, day->midnight);
    const struct ms_card *card = ms_rates_card(rating->rates, m->month);
    m->days++;
    m->excess += day->excess;
    m->video_hundredths += day->video_hundredths;
    m->video_paid_hundredths += day->video_paid_hundredths;

    ms_u128 storage = ms_price_storage(card, m->excess, ms_month_ms(m->month));
    ms_u128 video = ms_price_video(card, m->video_paid_hundredths);
    MS_ASSERT(storage >= m->storage && video >= m->video);
    struct ms_line line = {
        .storage = storage - m->storage,
        .video = video - m->video,
        .package = day->package_micros,
    };
    line.total = line.storage + line.video + line.package;
    m->storage = storage;
    m->video = video;
    m->package += line.package;
    m->total += line.total;
    *ret_line = line;
}

struct ms_statement ms_rating_statement(const struct ms_rating *rating) {
    const struct ms_statement *m = &rating->month;
    const struct ms_card *card = ms_rates_card(rating->rates, m->month);
    ms_u128 storage = ms_price_storage(card, m->excess, ms_month_ms(m->month));
    ms_u128 video = ms_price_video(card, m->video_paid_hundredths);
    MS_ASSERT(m->days > 0);
    MS_ASSERT(storage + video + m->package == m->total);
    return *m;
}

struct ms_u128_text ms_gb_months_text(ms_u128 byte_ms, struct ms_instant month) {
    struct ms_u128_text t;
    ms_u128 unit = (ms_u128)MS_GB * (ms_u128)ms_month_ms(month);
    uint64_t nano = (uint64_t)(byte_ms % unit * MS_NANO / unit);
    (void)snprintf(t.s, sizeof t.s, "%.25s.%09" PRIu64, ms_u128_text(byte_ms / unit).s, nano);
    return t;
}
