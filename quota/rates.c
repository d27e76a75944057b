#include "quota/rates.h"

#include "base/assert.h"
#include "quota/json.h"

#include <stdio.h>
#include <stdlib.h>

#define DECIMAL_RULE "1 to 9 digits, optionally a point and 1 to 9 digits, in quotes"

/* Where we are, for messages. */
struct place {
    char s[96];
};

static enum ms_code wrong(struct ms_error *reterr, const char *place, const char *member,
                          const json_t *value, const char *rule) {
    return ms_fail(reterr, MS_BILL_INPUT, "rate card: %s%s%s is %s: it must be %s", place,
                   place[0] && member[0] ? "." : "", member,
                   value ? ms_json_value(value).s : "missing", rule);
}

static enum ms_code no_memory(struct ms_error *reterr) {
    return ms_fail(reterr, MS_NO_MEMORY, "no memory for the rate card");
}

static enum ms_code take_decimal(const json_t *value, const char *place, const char *member,
                                 uint64_t *ret_nano, struct ms_error *reterr) {
    struct ms_view v = ms_json_view(value);
    if (!json_is_string(value) || !ms_decimal_parse(v.p, v.n, ret_nano))
        return wrong(reterr, place, member, value, DECIMAL_RULE);
    return MS_OK;
}

static enum ms_code take_tier(const json_t *value, const char *place, bool last,
                              struct ms_tier *ret_tier, struct ms_error *reterr) {
    const json_t *bound = json_object_get(value, "up_to_gb_months");
    if (!json_is_object(value))
        return wrong(reterr, place, "", value, "an object");
    if (last && bound)
        return wrong(reterr, place, "up_to_gb_months", bound, "absent: the last tier is open");
    ret_tier->up_to_nano = MS_TIER_OPEN;
    enum ms_code code = MS_OK;
    if (!last)
        code = take_decimal(bound, place, "up_to_gb_months", &ret_tier->up_to_nano, reterr);
    if (code != MS_OK)
        return code;
    return take_decimal(json_object_get(value, "price"), place, "price", &ret_tier->price_nano,
                        reterr);
}

static enum ms_code take_storage(const json_t *value, const char *place, struct ms_card *card,
                                 struct ms_error *reterr) {
    size_t n = json_array_size(value);
    if (!value)
        return MS_OK;
    if (n == 0)
        return wrong(reterr, place, "storage", value, "a list of tiers, the last one open");
    card->tiers = calloc(n, sizeof *card->tiers);
    if (!card->tiers)
        return no_memory(reterr);
    card->tiers_n = n;
    for (size_t i = 0; i < n; i++) {
        struct place here;
        const json_t *tier = json_array_get(value, i);
        (void)snprintf(here.s, sizeof here.s, "%.40s.storage[%zu]", place, i);
        enum ms_code code = take_tier(tier, here.s, i == n - 1, &card->tiers[i], reterr);
        if (code != MS_OK)
            return code;
        if (i > 0 && card->tiers[i].up_to_nano <= card->tiers[i - 1].up_to_nano)
            return wrong(reterr, here.s, "up_to_gb_months",
                         json_object_get(tier, "up_to_gb_months"),
                         "above the bound of the tier before it");
    }
    return MS_OK;
}

static enum ms_code take_packages(json_t *value, const char *place, struct ms_card *card,
                                  struct ms_error *reterr) {
    size_t n = json_object_size(value);
    if (!value)
        return MS_OK;
    if (!json_is_object(value))
        return wrong(reterr, place, "packages", value, "an object of prices by package name");
    card->packages = calloc(n + 1, sizeof *card->packages);
    if (!card->packages)
        return no_memory(reterr);
    for (void *it = json_object_iter(value); it; it = json_object_iter_next(value, it)) {
        struct ms_package_price *p = &card->packages[card->packages_n];
        struct place here;
        (void)snprintf(here.s, sizeof here.s, "%.30s.packages", place);
        p->name = strdup(json_object_iter_key(it));
        if (!p->name)
            return no_memory(reterr);
        card->packages_n++;
        p->name_len = strlen(p->name);
        enum ms_code code =
            take_decimal(json_object_iter_value(it), here.s,
                         ms_json_excerpt(ms_view_str(p->name)).s, &p->price_nano, reterr);
        if (code != MS_OK)
            return code;
    }
    return MS_OK;
}

/* "2026-01": the first instant of that month. */
static bool take_month(const json_t *value, struct ms_instant *ret_month) {
    char text[MS_RFC3339_S_LEN + 1];
    const char *month = json_string_value(value);
    if (!month || json_string_length(value) != 7)
        return false;
    (void)snprintf(text, sizeof text, "%s-01T00:00:00Z", month);
    return ms_instant_parse(text, ret_month, NULL) == MS_OK;
}

static enum ms_code take_card(json_t *value, const char *place, struct ms_card *card,
                              struct ms_error *reterr) {
    const json_t *from = json_object_get(value, "valid_from");
    const json_t *minute = json_object_get(value, "video_minute");
    if (!json_is_object(value))
        return wrong(reterr, place, "", value, "an object");
    if (!take_month(from, &card->from))
        return wrong(reterr, place, "valid_from", from, "a month between 1970-01 and 9999-12");
    enum ms_code code = MS_OK;
    if (minute)
        code = take_decimal(minute, place, "video_minute", &card->minute_nano, reterr);
    if (code == MS_OK)
        code = take_storage(json_object_get(value, "storage"), place, card, reterr);
    if (code == MS_OK)
        code = take_packages(json_object_get(value, "packages"), place, card, reterr);
    return code;
}

static int by_month(const void *left, const void *right) {
    const struct ms_card *a = left, *b = right;
    return (a->from.ms > b->from.ms) - (a->from.ms < b->from.ms);
}

static enum ms_code take_cards(const json_t *value, struct ms_rates *rates,
                               struct ms_error *reterr) {
    size_t n = json_array_size(value);
    if (!json_is_array(value))
        return wrong(reterr, "", "cards", value, "a list of cards");
    rates->cards = calloc(n + 1, sizeof *rates->cards);
    if (!rates->cards)
        return no_memory(reterr);
    for (size_t i = 0; i < n; i++) {
        struct place here;
        json_t *card = json_array_get(value, i);
        (void)snprintf(here.s, sizeof here.s, "cards[%zu]", i);
        enum ms_code code = take_card(card, here.s, &rates->cards[rates->cards_n++], reterr);
        if (code != MS_OK)
            return code;
        for (size_t k = 0; k < i; k++)
            if (rates->cards[k].from.ms == rates->cards[i].from.ms)
                return wrong(reterr, here.s, "valid_from", json_object_get(card, "valid_from"),
                             "a month that no other card has");
    }
    if (n > 1)
        qsort(rates->cards, n, sizeof *rates->cards, by_month);
    return MS_OK;
}

static enum ms_code take_rates(const json_t *root, struct ms_rates *rates,
                               struct ms_error *reterr) {
    const json_t *currency = json_object_get(root, "currency");
    const char *name = json_string_value(currency);
    if (!name || strlen(name) != json_string_length(currency) ||
        !ms_currency_parse(name, &rates->currency))
        return wrong(reterr, "", "currency", currency, "one of CNY, USD, EUR, JPY");
    return take_cards(json_object_get(root, "cards"), rates, reterr);
}

enum ms_code ms_rates_parse(const char *text, size_t n, struct ms_rates *ret_rates,
                            struct ms_error *reterr) {
    MS_AUTO(ms_json_fini) struct ms_json json = {0};
    struct ms_error why = {0};
    struct ms_rates rates = {0};
    enum ms_code code = ms_json_read(&json, text, n, &why);
    if (code == MS_INVALID)
        return ms_fail(reterr, MS_BILL_INPUT, "rate card: %s", why.message);
    if (code != MS_OK)
        return ms_fail(reterr, code, "%s", why.message);
    code = take_rates(json.root, &rates, reterr);
    if (code == MS_OK)
        *ret_rates = rates;
    else
        ms_rates_fini(&rates);
    return code;
}

void ms_rates_fini(struct ms_rates *rates) {
    for (size_t i = 0; i < rates->cards_n; i++) {
        struct ms_card *card = &rates->cards[i];
        for (size_t k = 0; k < card->packages_n; k++)
            free(card->packages[k].name);
        free(card->packages);
        free(card->tiers);
    }
    free(rates->cards);
    *rates = (struct ms_rates){0};
}
