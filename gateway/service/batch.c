#include "service/batch.h"

#include <string.h>

enum ms_code ms_batch_action_parse(const char *name, enum ms_batch_action *ret_action,
                                   struct ms_error *reterr) {
    static const char *const names[] = {
#define MS_BATCH_NAME(name, event) #name,
        MS_BATCH_ACTIONS(MS_BATCH_NAME)
#undef MS_BATCH_NAME
    };
    for (unsigned i = 0; i < MS_ARRAY_LEN(names); i++)
        if (strcmp(names[i], name) == 0) {
            *ret_action = (enum ms_batch_action)i;
            return MS_OK;
        }
    return ms_fail(reterr, MS_INVALID,
                   "there is no action \"%.32s\": DELETE, DELETE_FORCE, RESTORE, UNACTIVE, ACTIVE, SHARE, "
                   "UNSHARE",
                   name);
}

static enum ms_event event_of(enum ms_batch_action action) {
    static const enum ms_event events[] = {
#define MS_BATCH_EVENT(name, event) MS_EVENT_##event,
        MS_BATCH_ACTIONS(MS_BATCH_EVENT)
#undef MS_BATCH_EVENT
    };
    MS_ASSERT((unsigned)action < MS_ARRAY_LEN(events));
    return events[action];
}

static void put_in_group(struct ms_batch_result *result, struct ms_asset_id id, enum ms_code code,
                         const struct ms_error *err) {
    size_t i = 0;
    while (i < result->n && result->group[i].code != code)
        i++;
    struct ms_batch_group *g = &result->group[i];
    if (i == result->n) {
        result->n++;
        g->code = code;
        g->n = 0;
        g->error = code == MS_OK ? (struct ms_error){.code = MS_OK} : *err;
    }
    g->ids[g->n++] = id;
}

/* Successes stand first, whenever they came. */
static void put_successes_first(struct ms_batch_result *result) {
    for (size_t i = 1; i < result->n; i++)
        if (result->group[i].code == MS_OK) {
            struct ms_batch_group ok = result->group[i];
            memmove(&result->group[1], &result->group[0], i * sizeof result->group[0]);
            result->group[0] = ok;
        }
}

static enum ms_code apply(struct ms_svc *svc, const struct ms_ctx *ctx, enum ms_batch_action action,
                          struct ms_asset_id id, const struct ms_share *share, struct ms_error *reterr) {
    struct ms_share one = share ? *share : (struct ms_share){.n = 0};
    struct ms_asset_event event = {.id = id, .event = event_of(action), .why = "batch"};
    one.asset = id;
    if (action == MS_BATCH_SHARE)
        return ms_share_add(svc, ctx, &one, NULL, reterr);
    if (action == MS_BATCH_UNSHARE)
        return ms_share_remove(svc, ctx, &one, NULL, reterr);
    return ms_asset_apply(svc, ctx, &event, NULL, reterr);
}

enum ms_code ms_batch(struct ms_svc *svc, const struct ms_ctx *ctx, enum ms_batch_action action,
                      const struct ms_asset_id *ids, size_t n, const struct ms_share *share,
                      struct ms_batch_result *ret_result, struct ms_error *reterr) {
    if (n < 1 || n > MS_BATCH_MAX)
        return ms_fail(reterr, MS_INVALID, "a batch has 1 to %d assets, not %zu", MS_BATCH_MAX, n);
    ret_result->n = 0;
    for (size_t i = 0; i < n; i++) {
        struct ms_error err = {0};
        put_in_group(ret_result, ids[i], apply(svc, ctx, action, ids[i], share, &err), &err);
    }
    put_successes_first(ret_result);
    return MS_OK;
}
