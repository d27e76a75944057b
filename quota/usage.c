/* Classes of bytes, and counters as the fold of ledger events. */
#include "base/assert.h"
#include "base/checked.h"
#include "quota/quota.h"

const char *ms_class_name(enum ms_class c) {
    static const char *const names[] = {
        [MS_CLASS_STANDARD] = "standard",
        [MS_CLASS_PRODUCED_FREE] = "produced_free",
        [MS_CLASS_PRODUCED] = "produced",
        [MS_CLASS_EXCLUDED] = "excluded",
    };
    MS_ASSERT(c < MS_CLASS_COUNT);
    return names[c];
}

bool ms_class_is_metered(enum ms_class c) {
    MS_ASSERT(c < MS_CLASS_COUNT);
    return c == MS_CLASS_STANDARD || c == MS_CLASS_PRODUCED;
}

/* The models that the platform trains; a timbre model of an image model is a VOICE_MODEL. */
static bool is_trained_model(uint8_t type) {
    return type == MS_TYPE_HUMAN_MODEL_2D || type == MS_TYPE_HUMAN_MODEL ||
           type == MS_TYPE_VOICE_MODEL;
}

struct ms_instant ms_class_changes_at(uint8_t origin, uint8_t type, struct ms_instant created) {
    MS_ASSERT(origin < MS_ORIGIN_COUNT && type < MS_TYPE_COUNT);
    if (origin != MS_ORIGIN_CUSTOMIZED || type != MS_TYPE_VIDEO)
        return (struct ms_instant){0};
    return ms_instant_add_months(created, MS_PRODUCED_FREE_MONTHS);
}

enum ms_class ms_class_of(uint8_t origin, uint8_t type, struct ms_instant created,
                          struct ms_instant at) {
    struct ms_instant counts_from = ms_class_changes_at(origin, type, created);
    if (origin == MS_ORIGIN_SYSTEM)
        return MS_CLASS_EXCLUDED;
    if (origin == MS_ORIGIN_CUSTOMIZED && is_trained_model(type))
        return MS_CLASS_EXCLUDED;
    if (ms_instant_is_none(counts_from))
        return MS_CLASS_STANDARD;
    return at.ms < counts_from.ms ? MS_CLASS_PRODUCED_FREE : MS_CLASS_PRODUCED;
}

static uint64_t *counter_of(struct ms_usage_record *usage, uint8_t class) {
    switch (class) {
    case MS_CLASS_STANDARD:
        return &usage->standard;
    case MS_CLASS_PRODUCED_FREE:
        return &usage->produced_free;
    case MS_CLASS_PRODUCED:
        return &usage->produced;
    case MS_CLASS_EXCLUDED:
        return &usage->excluded;
    default:
        return NULL;
    }
}

static uint64_t add(uint64_t a, uint64_t b) {
    uint64_t sum;
    return ms_add_u64(a, b, &sum) ? UINT64_MAX : sum;
}

uint64_t ms_usage_metered(const struct ms_usage_record *usage) {
    return add(usage->standard, usage->produced);
}

uint64_t ms_usage_bytes(const struct ms_usage_record *usage) {
    return add(ms_usage_metered(usage), add(usage->produced_free, usage->excluded));
}

enum ms_usage_fault ms_usage_apply(struct ms_usage_record *usage,
                                   const struct ms_ledger_record *event) {
    struct ms_usage_record next = *usage;
    uint64_t *before = counter_of(&next, event->class_before);
    uint64_t *after = counter_of(&next, event->class_after);
    if (!before || !after)
        return MS_USAGE_UNKNOWN_CLASS;
    if (ms_sub_u64(*before, event->bytes_before, before))
        return MS_USAGE_NEGATIVE;
    if (ms_add_u64(*after, event->bytes_after, after))
        return MS_USAGE_OVERFLOW;
    if (ms_usage_bytes(&next) > MS_USAGE_BYTES_MAX)
        return MS_USAGE_OVERFLOW;
    *usage = next;
    return MS_USAGE_FINE;
}

const char *ms_usage_fault_text(enum ms_usage_fault fault) {
    switch (fault) {
    case MS_USAGE_FINE:
        return "fine";
    case MS_USAGE_UNKNOWN_CLASS:
        return "the event names a class that does not exist";
    case MS_USAGE_NEGATIVE:
        return "a class would fall below zero bytes";
    case MS_USAGE_OVERFLOW:
        return "the tenant would pass 2^63 - 1 bytes";
    }
    ms_assert_failed("a usage fault", __FILE__, __LINE__, __func__);
}
