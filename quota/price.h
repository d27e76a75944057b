/* price.h — rate cards and what a quantity costs, in micros of the currency (bill.md section 4).
 *
 * Prices and bounds are decimal strings of at most 9 digits before and behind the point, kept as
 * nanos (10^-9), below 2^60. Nothing here fails or overflows within the ranges stated. Rounding is
 * ms_round_half_up() (wide.h), once per price.
 *
 * Threads: pure; rates are shared read-only once parsed (rates.h).
 */
#ifndef MS_QUOTA_PRICE_H
#define MS_QUOTA_PRICE_H

#include "base/buf.h"
#include "base/time.h"
#include "quota/wide.h"

#define MS_NANO UINT64_C(1000000000)
#define MS_MICRO UINT64_C(1000000)

/* name, digits of the minor unit */
#define MS_CURRENCIES(X) X(CNY, 2) X(USD, 2) X(EUR, 2) X(JPY, 0)
enum ms_currency {
#define MS_CURRENCY_ENUM(name, digits) MS_CURRENCY_##name,
    MS_CURRENCIES(MS_CURRENCY_ENUM)
#undef MS_CURRENCY_ENUM
        MS_CURRENCY_COUNT
};
const char *ms_currency_name(enum ms_currency c);
bool ms_currency_parse(const char *name, enum ms_currency *ret_c);
/* Micros rounded to the minor unit: "1.23", "123" for a currency without one. */
struct ms_money_text {
    char s[44];
};
struct ms_money_text ms_currency_text(enum ms_currency c, ms_u128 micros);

/* 1 to 9 digits, optionally a point and 1 to 9 digits; false for anything else. */
bool ms_decimal_parse(const char *text, size_t n, uint64_t *ret_nano);

#define MS_TIER_OPEN UINT64_MAX
struct ms_tier {
    uint64_t up_to_nano; /* GB-months; strictly ascending, the last one MS_TIER_OPEN */
    uint64_t price_nano; /* per GB-month of the part inside the tier */
};
struct ms_package_price {
    char *name;
    size_t name_len;
    uint64_t price_nano;
};
struct ms_card {
    struct ms_instant from; /* first instant of a month; in force until the next card */
    struct ms_tier *tiers;  /* none: storage costs nothing */
    size_t tiers_n;
    uint64_t minute_nano; /* per minute of produced video */
    struct ms_package_price *packages;
    size_t packages_n;
};
struct ms_rates {
    enum ms_currency currency;
    struct ms_card *cards; /* ascending, no two of a month */
    size_t cards_n;
};

/* The card in force; NULL before the first one: then everything costs nothing. */
const struct ms_card *ms_rates_card(const struct ms_rates *rates, struct ms_instant at);

/* Each is 0 for a card of NULL and for what the card does not name.
 *   excess      byte-milliseconds of excess of one month so far, below 2^63 x month_ms
 *   month_ms    milliseconds of that whole month, whatever part of it is billed
 *   hundredths  of a minute, below MS_HUNDREDTHS_MAX */
ms_u128 ms_price_storage(const struct ms_card *card, ms_u128 excess, int64_t month_ms);
ms_u128 ms_price_video(const struct ms_card *card, ms_u128 hundredths);
ms_u128 ms_price_package(const struct ms_card *card, struct ms_view name);

int64_t ms_month_ms(struct ms_instant in_month);

/* More minutes than that in one month could cost more than 2^126 micros: 9 x 10^16 years of video.
 */
#define MS_HUNDREDTHS_MAX ((ms_u128)1 << 82)

#endif
