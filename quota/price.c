#include "quota/price.h"

#include "base/assert.h"
#include "model/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    unsigned digits;
} currencies[MS_CURRENCY_COUNT] = {
#define MS_CURRENCY_ROW(name, digits) {#name, digits},
    MS_CURRENCIES(MS_CURRENCY_ROW)
#undef MS_CURRENCY_ROW
};

const char *ms_currency_name(enum ms_currency c) {
    MS_ASSERT(c < MS_CURRENCY_COUNT);
    return currencies[c].name;
}

bool ms_currency_parse(const char *name, enum ms_currency *ret_c) {
    for (enum ms_currency c = 0; c < MS_CURRENCY_COUNT; c++)
        if (strcmp(name, currencies[c].name) == 0) {
            *ret_c = c;
            return true;
        }
    return false;
}

struct ms_money_text ms_currency_text(enum ms_currency c, ms_u128 micros) {
    struct ms_money_text t;
    MS_ASSERT(c < MS_CURRENCY_COUNT);
    unsigned one = 1; /* unit of the currency, in minor units */
    for (unsigned i = 0; i < currencies[c].digits; i++)
        one *= 10;
    ms_u128 minor = ms_round_half_up(micros, MS_MICRO / one);
    if (one == 1)
        (void)snprintf(t.s, sizeof t.s, "%s", ms_u128_text(minor).s);
    else
        (void)snprintf(t.s, sizeof t.s, "%s.%0*u", ms_u128_text(minor / one).s,
                       (int)currencies[c].digits, (unsigned)(minor % one));
    return t;
}

static size_t count_digits(const char *text, size_t n) {
    size_t i = 0;
    while (i < n && text[i] >= '0' && text[i] <= '9')
        i++;
    return i;
}

bool ms_decimal_parse(const char *text, size_t n, uint64_t *ret_nano) {
    size_t whole = count_digits(text, n), behind = 0;
    bool point = whole < n && text[whole] == '.';
    if (point)
        behind = count_digits(text + whole + 1, n - whole - 1);
    if (whole < 1 || whole > 9 || whole + point + behind != n)
        return false;
    if (point && (behind < 1 || behind > 9))
        return false;
    uint64_t nano = 0;
    for (size_t i = 0; i < whole; i++)
        nano = nano * 10 + (uint64_t)(text[i] - '0');
    for (size_t i = 0; i < 9; i++)
        nano = nano * 10 + (i < behind ? (uint64_t)(text[whole + 1 + i] - '0') : 0);
    *ret_nano = nano;
    return true;
}

const struct ms_card *ms_rates_card(const struct ms_rates *rates, struct ms_instant at) {
    for (size_t i = rates->cards_n; i > 0; i--)
        if (rates->cards[i - 1].from.ms <= at.ms)
            return &rates->cards[i - 1];
    return NULL;
}

int64_t ms_month_ms(struct ms_instant in_month) {
    struct ms_civil c = ms_instant_civil(in_month);
    return ms_days_in_month(c.year, c.month) * MS_DAY_MS;
}

/* A sum of amount x price / unit, exact: whole units, and a rest below one unit. An amount is in
 * 10^-9 byte-milliseconds (below 2^125), a unit one GB-month of them per 10^9 (2^61 to 2^62), a
 * price in nanos (below 2^60), so that neither product passes 2^124. */
struct cost {
    ms_u128 unit, whole, rest;
};

static void add_part(struct cost *cost, ms_u128 amount, uint64_t price_nano) {
    cost->whole += amount / cost->unit * price_nano;
    cost->rest += amount % cost->unit * price_nano;
    cost->whole += cost->rest / cost->unit;
    cost->rest %= cost->unit;
}

ms_u128 ms_price_storage(const struct ms_card *card, ms_u128 excess, int64_t month_ms) {
    struct cost cost = {.unit = (ms_u128)MS_GB * (ms_u128)month_ms};
    MS_ASSERT(month_ms >= 28 * MS_DAY_MS && month_ms <= 31 * MS_DAY_MS);
    MS_ASSERT(excess <= (ms_u128)INT64_MAX * (ms_u128)month_ms);
    if (!card)
        return 0;
    ms_u128 amount = excess * MS_NANO, below = 0;
    for (size_t i = 0; i < card->tiers_n && below < amount; i++) {
        const struct ms_tier *tier = &card->tiers[i];
        ms_u128 top = amount;
        if (tier->up_to_nano != MS_TIER_OPEN && tier->up_to_nano * cost.unit < amount)
            top = tier->up_to_nano * cost.unit;
        add_part(&cost, top - below, tier->price_nano);
        below = top;
    }
    MS_ASSERT(below == amount || card->tiers_n == 0);
    /* whole is in nanos of nanos: 10^18 to one of the currency, 10^12 to a micro. The rest, less
     * than one of these, cannot decide whether half of an even number is reached. */
    return ms_round_half_up(cost.whole, (ms_u128)MS_NANO * 1000);
}

ms_u128 ms_price_video(const struct ms_card *card, ms_u128 hundredths) {
    const uint64_t per = UINT64_C(100) * MS_NANO / MS_MICRO; /* hundredth-nanos in a micro */
    MS_ASSERT(hundredths < MS_HUNDREDTHS_MAX);
    if (!card)
        return 0;
    return hundredths / per * card->minute_nano +
           ms_round_half_up(hundredths % per * card->minute_nano, per);
}

ms_u128 ms_price_package(const struct ms_card *card, struct ms_view name) {
    for (size_t i = 0; card && i < card->packages_n; i++) {
        const struct ms_package_price *p = &card->packages[i];
        if (ms_view_equal(ms_view_of(p->name, p->name_len), name))
            return ms_round_half_up(p->price_nano, MS_NANO / MS_MICRO);
    }
    return 0;
}
