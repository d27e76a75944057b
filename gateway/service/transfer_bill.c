/* Units of the receiver's packages that a billed transfer takes. */
#include "service/package.h"
#include "service/transfer_part.h"
#include "service/upkeep_walk.h"

#include <inttypes.h>

static const struct {
    uint8_t kind, type;
} kinds[MS_TRANSFER_NEEDS_MAX] = {{MS_PACKAGE_MODELING_2D, MS_TYPE_HUMAN_MODEL_2D},
                                  {MS_PACKAGE_VOICE_CLONE, MS_TYPE_VOICE_MODEL}};

/* What is gone meanwhile needs nothing: acceptance will say so. */
static enum ms_code count_asset(const struct ms_tree *from, struct ms_asset_id id,
                                uint64_t units[MS_TRANSFER_NEEDS_MAX], struct ms_error *reterr) {
    struct ms_tree_asset asset;
    bool there;
    MS_TRY(ms_allow_absent(ms_asset_find_in(from, id, &asset, reterr), &there));
    if (!there || !ms_package_is_registered(asset.rec.origin, asset.rec.type))
        return MS_OK;
    for (size_t i = 0; i < MS_TRANSFER_NEEDS_MAX; i++)
        units[i] += asset.rec.type == kinds[i].type;
    return MS_OK;
}

static enum ms_code needs_of(const struct ms_tree *from, const struct ms_tree *to,
                             const struct ms_transfer_record *job, struct ms_transfer_needs *ret,
                             struct ms_error *reterr) {
    struct ms_asset_id assets[MS_TRANSFER_ASSETS_MAX];
    uint64_t units[MS_TRANSFER_NEEDS_MAX] = {0};
    size_t n;
    *ret = (struct ms_transfer_needs){.n = 0};
    if (!job->billing || job->state != MS_TRANSFER_PROCESSING)
        return MS_OK;
    MS_TRY(ms_transfer_assets(to, (struct ms_transfer_id){job->id}, assets, &n, reterr));
    for (size_t i = 0; i < n; i++)
        MS_TRY(count_asset(from, assets[i], units, reterr));
    for (size_t i = 0; i < MS_TRANSFER_NEEDS_MAX; i++) {
        struct ms_transfer_need *need = &ret->need[ret->n];
        if (units[i] == 0)
            continue;
        *need = (struct ms_transfer_need){.kind = kinds[i].kind, .units = units[i]};
        MS_TRY(ms_package_units_left(to, kinds[i].type, &need->left, reterr));
        ret->n++;
    }
    return MS_OK;
}

enum ms_code ms_transfer_units_check(const struct ms_tree *from, const struct ms_tree *to,
                                     const struct ms_transfer_record *job,
                                     struct ms_error *reterr) {
    struct ms_transfer_record waiting = *job;
    struct ms_transfer_needs needs;
    MS_TRY(ms_packages_settled(to->txn, &to->tenant, to->now, to->unasked, reterr));
    waiting.state = MS_TRANSFER_PROCESSING; /* it is being accepted */
    MS_TRY(needs_of(from, to, &waiting, &needs, reterr));
    for (size_t i = 0; i < needs.n; i++)
        if (needs.need[i].left < needs.need[i].units)
            return ms_fail(reterr, MS_QUOTA,
                           "transfer %s is billed and needs %" PRIu64 " %s of %s: valid packages "
                           "of tenant %s have %" PRIu64 " left: buy or renew one, and accept again",
                           ms_id_text(job->id).s, needs.need[i].units,
                           needs.need[i].units == 1 ? "unit" : "units",
                           ms_package_kind_name(needs.need[i].kind), to->tenant.name,
                           needs.need[i].left);
    return MS_OK;
}

enum ms_code ms_transfer_take_unit(const struct ms_tree *to, struct ms_asset_id id,
                                   struct ms_error *reterr) {
    struct ms_asset_record asset;
    MS_TRY(ms_row_get_asset(to->txn, ms_key_asset(to->id, id), &asset, reterr));
    return ms_package_register(to, &asset, reterr);
}

/* ---- to look at ------------------------------------------------------------------------------ */

static enum ms_code as_tenant(const struct ms_tree *t, struct ms_id id, struct ms_tree *ret,
                              struct ms_error *reterr) {
    *ret = *t;
    ret->id.id = id;
    return ms_row_get_tenant(t->txn, ms_key_tenant(ret->id), &ret->tenant, reterr);
}

static enum ms_code required_in(const struct ms_tree *t, struct ms_transfer_id id,
                                struct ms_transfer_needs *ret_needs, struct ms_error *reterr) {
    struct ms_transfer_record job;
    struct ms_tree from, to;
    MS_TRY(ms_transfer_own(t, id, &job, reterr));
    MS_TRY(as_tenant(t, job.src, &from, reterr));
    MS_TRY(as_tenant(t, job.dest, &to, reterr));
    return needs_of(&from, &to, &job, ret_needs, reterr);
}

enum ms_code ms_transfer_required(struct ms_svc *svc, const struct ms_ctx *ctx,
                                  struct ms_transfer_id id, struct ms_transfer_needs *ret_needs,
                                  struct ms_error *reterr) {
    struct ms_tree t;
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    enum ms_code code = required_in(&t, id, ret_needs, reterr);
    ms_tree_read_end(&t);
    return code;
}
