#include "object/s3_turns.h"

#include "base/assert.h"

void ms_s3_turns_init(struct ms_s3_turns *turns, unsigned max) {
    MS_ASSERT(max >= 1);
    *turns = (struct ms_s3_turns){.max = max, .share = max < 2 ? 0 : max < 8 ? 1 : max / 4};
}

static bool may_begin(const struct ms_s3_turns *t, enum ms_s3_class which) {
    enum ms_s3_class other = which == MS_S3_SMALL ? MS_S3_BIG : MS_S3_SMALL;
    unsigned kept = t->running[other] < t->share ? t->share - t->running[other] : 0;

    return t->running[which] + t->running[other] + kept < t->max;
}

enum ms_s3_class ms_s3_turns_next(struct ms_s3_turns *turns, const bool waits[MS_S3_CLASSES]) {
    bool can[MS_S3_CLASSES];
    enum ms_s3_class which;

    for (unsigned i = 0; i < MS_S3_CLASSES; i++)
        can[i] = waits[i] && may_begin(turns, (enum ms_s3_class)i);
    if (!can[MS_S3_SMALL] && !can[MS_S3_BIG])
        return MS_S3_CLASSES;
    if (can[MS_S3_SMALL] && can[MS_S3_BIG])
        which = turns->last == MS_S3_SMALL ? MS_S3_BIG : MS_S3_SMALL;
    else
        which = can[MS_S3_SMALL] ? MS_S3_SMALL : MS_S3_BIG;
    turns->running[which]++;
    turns->last = which;
    return which;
}

void ms_s3_turns_end(struct ms_s3_turns *turns, enum ms_s3_class which) {
    MS_ASSERT(turns->running[which] > 0);
    turns->running[which]--;
}
