/* Composited videos: minutes in the commit of the bytes. */
#include "service/produce.h"

#include "quota/terms.h"
#include "service/package.h"
#include "service/tree_rows.h"

#include <inttypes.h>
#include <stdio.h>

#define DURATION_MS_MAX (UINT64_C(1000000) * (uint64_t)MS_HOUR_MS) /* of one video: a wrong unit, not a film */

static enum ms_code check_may(const struct ms_tree *t, uint64_t seconds, uint64_t paid_hundredths,
                              struct ms_error *reterr) {
    if (paid_hundredths == 0 || t->tenant.pay_per_use)
        return MS_OK;
    return ms_fail(reterr, MS_QUOTA,
                   "a video of %" PRIu64 " s is refused: %" PRIu64 ".%02" PRIu64
                   " of its minutes are in no package of tenant %s, and its pay-per-use is off: "
                   "switch that on, or buy minutes",
                   seconds, paid_hundredths / 100, paid_hundredths % 100, t->tenant.name);
}

/* What packages do not hold is paid by use. */
static enum ms_code minutes_of(const struct ms_tree *t, uint64_t seconds, bool take,
                               struct ms_minutes_used *ret_minutes, struct ms_error *reterr) {
    uint64_t hundredths = (uint64_t)ms_minutes_of_seconds(seconds), rest;
    const struct ms_package_drawing drawing = {
        .now = t->now, .hundredths = hundredths, .take = take, .unasked = t->unasked};
    MS_TRY(ms_package_draw(t->txn, &t->tenant, &drawing, &rest, reterr));
    *ret_minutes = (struct ms_minutes_used){seconds, hundredths, rest};
    return MS_OK;
}

enum ms_code ms_produce_settle(const struct ms_tree *t, struct ms_asset_record *asset,
                               uint64_t bytes, struct ms_error *reterr) {
    struct ms_minutes_used minutes;
    if (bytes == 0)
        return ms_fail(reterr, MS_INVALID, "a produced video has bytes: this one is empty");
    MS_TRY(ms_packages_settled(t->txn, &t->tenant, t->now, t->unasked, reterr));
    MS_TRY(minutes_of(t, asset->seconds, true, &minutes, reterr));
    MS_TRY(check_may(t, minutes.seconds, minutes.paid_hundredths, reterr));
    return ms_change_produced(t->txn, t->id, asset, bytes, &minutes, t->now, reterr);
}

/* Before anything is uploaded; the seal asks again. */
static enum ms_code may_produce(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t seconds,
                                struct ms_error *reterr) {
    struct ms_minutes_used minutes;
    struct ms_tree t;
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    enum ms_code code = minutes_of(&t, seconds, false, &minutes, reterr);
    if (code == MS_OK)
        code = check_may(&t, seconds, minutes.paid_hundredths, reterr);
    ms_tree_read_end(&t);
    return code;
}

static enum ms_code check(const struct ms_ctx *ctx, const struct ms_produce *p,
                          struct ms_error *reterr) {
    const char *slash = strrchr(p->path, '/'), *name = slash ? slash + 1 : p->path;
    if (!ctx->admin)
        return ms_fail(reterr, MS_DENIED,
                       "producing a video is refused to %s: only the platform and administrators "
                       "may do this",
                       ctx->who);
    if (p->duration_ms > DURATION_MS_MAX)
        return ms_fail(reterr, MS_RANGE,
                       "a video of %" PRIu64 " ms is longer than any may be, 1 000 000 h",
                       p->duration_ms);
    if (ms_asset_type_of_name(name, MS_SPECIAL_ROOT, false) != MS_TYPE_VIDEO)
        return ms_fail(reterr, MS_WRONG_KIND,
                       "\"%.255s\" has no suffix of a video: choose a name with one", name);
    return MS_OK;
}

enum ms_code ms_produce(struct ms_svc *svc, const struct ms_ctx *ctx,
                        const struct ms_produce *produce, struct ms_asset_info *ret_info,
                        struct ms_error *reterr) {
    struct ms_put put = {.fd = produce->fd,
                         .path = produce->path,
                         .mode = produce->mode,
                         .mtime = produce->mtime,
                         .produced = true,
                         .seconds = (produce->duration_ms + 500) / 1000,
                         .progress = produce->progress,
                         .priv = produce->priv};
    MS_TRY(check(ctx, produce, reterr));
    MS_TRY(may_produce(svc, ctx, put.seconds, reterr));
    return ms_asset_put(svc, ctx, &put, ret_info, reterr);
}
