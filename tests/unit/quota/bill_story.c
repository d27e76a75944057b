#include "bill_story.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void same_number(ms_u128 got, ms_u128 want, const char *what, int line) {
    if (got != want)
        fail_msg("line %d: %s is %s instead of %s", line, what, ms_u128_text(got).s,
                 ms_u128_text(want).s);
}

static bool take_tenant(void *to, struct ms_view name) {
    struct story *story = to;
    (void)name;
    story->tenants++;
    story->bill = realloc(story->bill, story->tenants * sizeof *story->bill);
    assert_non_null(story->bill);
    memset(&story->bill[story->tenants - 1], 0, sizeof *story->bill);
    return true;
}

static bool take_day(void *to, const struct ms_day *day, const struct ms_line *line) {
    struct story *story = to;
    struct bill *b = &story->bill[story->tenants - 1];
    assert_in_range(b->days, 0, STORY_DAYS_MAX - 1);
    b->day[b->days] = *day;
    b->line[b->days++] = *line;
    return true;
}

static bool take_month(void *to, const struct ms_statement *s) {
    struct story *story = to;
    struct bill *b = &story->bill[story->tenants - 1];
    assert_in_range(b->months, 0, STORY_MONTHS_MAX - 1);
    b->month[b->months++] = *s;
    return true;
}

static void quoted(const char *line, char *ret_text, size_t max) {
    int n = snprintf(ret_text, max, "%s%s", isdigit((unsigned char)line[0]) ? "{'at':'" : "", line);
    assert_in_range(n, 0, max - 1);
    for (char *c = ret_text; *c; c++)
        if (*c == '\'')
            *c = '"';
}

enum ms_code story_tell(struct story *story, const char *rates, const char *const *lines) {
    char text[4096];
    struct ms_bill_sink sink = {take_tenant, take_day, take_month, story};
    *story = (struct story){0};
    quoted(rates ? rates : "{'currency':'CNY','cards':[]}", text, sizeof text);
    assert_ok(ms_rates_parse(text, strlen(text), &story->rates, &test_err));
    assert_ok(ms_simulation_new(&story->rates, &story->simulation, &test_err));
    enum ms_code code = MS_OK;
    for (; *lines && code == MS_OK; lines++) {
        quoted(*lines, text, sizeof text);
        code = ms_simulation_line(story->simulation, text, strlen(text), &story->err);
    }
    if (code == MS_OK)
        code = ms_simulation_finish(story->simulation, &story->err);
    if (code == MS_OK)
        code = ms_simulation_report(story->simulation, &sink, &story->err);
    return code;
}

void story_end(struct story *story) {
    ms_simulation_free(story->simulation);
    ms_rates_fini(&story->rates);
    free(story->bill);
    *story = (struct story){0};
}
