#include "content/parts.h"

#include <stddef.h>

/* Version 1. Each zone: how many parts, how long each. */
static const struct zone {
    uint32_t parts;
    uint64_t step;
} zones[] = {{4000, 8 * MS_MB}, {3000, 32 * MS_MB}, {3000, 128 * MS_MB}};
#define ZONES (sizeof zones / sizeof zones[0])

MS_STATIC_ASSERT(4000 + 3000 + 3000 == MS_PARTS_MAX, "the zones use every part number");
MS_STATIC_ASSERT((4000 * 8 + 3000 * 32 + UINT64_C(3000) * 128) * MS_MB >= MS_FILE_BYTES_MAX,
                 "the largest file fits into the parts");

struct ms_part_range ms_part_at(uint64_t offset) {
    uint64_t start = 0;
    uint32_t before = 0;

    MS_ASSERT(offset < MS_FILE_BYTES_MAX);
    for (size_t i = 0; i < ZONES; i++) {
        uint64_t bytes = zones[i].parts * zones[i].step;

        if (offset - start < bytes) {
            uint64_t n = (offset - start) / zones[i].step;

            return (struct ms_part_range){before + (uint32_t)n + 1, start + n * zones[i].step,
                                          zones[i].step};
        }
        start += bytes;
        before += zones[i].parts;
    }
    ms_assert_failed("offset lies in a zone", __FILE__, __LINE__, __func__);
}

struct ms_part_range ms_part_no(uint32_t part_no) {
    uint64_t start = 0;
    uint32_t before = 0;

    MS_ASSERT(part_no >= 1 && part_no <= MS_PARTS_MAX);
    for (size_t i = 0; i < ZONES; i++) {
        uint32_t n = part_no - 1 - before;

        if (n < zones[i].parts)
            return (struct ms_part_range){part_no, start + n * zones[i].step, zones[i].step};
        start += zones[i].parts * zones[i].step;
        before += zones[i].parts;
    }
    ms_assert_failed("part number lies in a zone", __FILE__, __LINE__, __func__);
}

uint32_t ms_part_count(uint64_t size) { return size == 0 ? 0 : ms_part_at(size - 1).part_no; }
