#include "cli/day_chart.h"

#include "cli/out.h"

#include <stdio.h>

#define CHART_WIDTH 48

uint64_t ms_day_mean(ms_u128 byte_ms) { return (uint64_t)(byte_ms / MS_DAY_MS); }

uint64_t ms_day_stored(const struct ms_bill_day *day) {
    ms_u128 sum = 0;
    for (size_t c = 0; c < MS_CLASS_COUNT; c++)
        sum += day->day.bytes[c];
    return ms_day_mean(sum);
}

static void bar(uint64_t bytes, uint64_t most, uint64_t allowed) {
    unsigned full = (unsigned)((ms_u128)bytes * CHART_WIDTH / most);
    unsigned mark = (unsigned)((ms_u128)allowed * CHART_WIDTH / most);
    for (unsigned i = 0; i < CHART_WIDTH; i++)
        fputs(i < full ? "\u2588" : i == mark ? "\u2506" : " ", stdout);
}

void ms_day_chart(const struct ms_bill_day *days, size_t n) {
    uint64_t most = 1;
    char day[MS_RFC3339_S_LEN + 1];
    for (size_t i = 0; i < n; i++)
        if (ms_day_stored(&days[i]) > most)
            most = ms_day_stored(&days[i]);
    printf("\nstored, mean of each day (\u2506 allowed)\n");
    for (size_t i = 0; i < n; i++) {
        uint64_t bytes = ms_day_stored(&days[i]);
        ms_instant_format_s(days[i].day.midnight, day);
        printf("%.10s  ", day);
        bar(bytes, most, ms_day_mean(days[i].day.allowance));
        printf(" %s\n", ms_out_size(bytes).s);
    }
}
