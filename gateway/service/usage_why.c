/* Why an asset counts or does not. */
#include "service/usage.h"

#include "service/change.h"
#include "service/show.h"
#include "service/tree_rows.h"
#include "service/upkeep_walk.h"

#include <stdio.h>

/* ---- since when ------------------------------------------------------------------------------ */

struct tracing {
    struct ms_id asset;
    struct ms_instant since;
    uint8_t class;
};

/* The last row that brought its first bytes, or brought it into another class. */
static enum ms_code each_row(void *priv, struct ms_txn *txn, struct ms_view key,
                             struct ms_view value, struct ms_error *reterr) {
    struct tracing *t = priv;
    struct ms_ledger_record row;
    (void)txn, (void)key;
    MS_TRY(ms_ledger_decode(value, &row, reterr));
    if (memcmp(row.asset.b, t->asset.b, MS_ID_BYTES) != 0)
        return MS_OK;
    if (row.bytes_after == 0)
        t->since = (struct ms_instant){0};
    else if (row.bytes_before == 0 || row.class_before != row.class_after)
        t->since = row.at;
    t->class = row.class_after;
    return MS_OK;
}

/* Time may have moved it to another class, and nobody has swept: then that instant. */
static enum ms_code trace(struct ms_svc *svc, const struct ms_ctx *ctx, struct ms_usage_why *w,
                          struct ms_error *reterr) {
    const struct ms_asset_record *a = &w->info.asset;
    struct tracing t = {.asset = a->id};
    struct ms_walk walk = {.prefix = ms_key_ledgers_of(ctx->tenant), .each = each_row, .priv = &t};
    if (w->bytes == 0)
        return MS_OK;
    struct ms_error err = {0}; /* a walk ends with one */
    enum ms_code code = ms_walk_all(svc, &walk, &err);
    if (code != MS_OK)
        return ms_pass_up(code, &err, reterr);
    w->since = t.class == w->class ? t.since
                                   : ms_class_changes_at(a->origin, a->type, a->created);
    return MS_OK;
}

/* ---- reserved -------------------------------------------------------------------------------- */

static enum ms_code reserved_in(const struct ms_tree *t, struct ms_id asset, uint64_t *ret_bytes,
                                struct ms_error *reterr) {
    struct ms_key prefix = ms_key_files_of(t->id, (struct ms_asset_id){asset});
    struct ms_upload_record upload;
    struct ms_file_record file;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code;
    bool there;
    *ret_bytes = 0;
    ms_scan_prefix(&scan, t->txn, ms_key_view(&prefix));
    while ((code = ms_row_next_file(&scan, &key, &file, reterr)) == MS_OK) {
        struct ms_key row = ms_key_upload(t->id, (struct ms_file_id){file.id});
        code = ms_allow_absent(ms_row_get_upload(t->txn, row, &upload, reterr), &there);
        if (code != MS_OK)
            break;
        *ret_bytes += there ? upload.reserved : 0;
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

static enum ms_code reserved(struct ms_svc *svc, const struct ms_ctx *ctx, struct ms_usage_why *w,
                             struct ms_error *reterr) {
    struct ms_tree t;
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    enum ms_code code = reserved_in(&t, w->info.asset.id, &w->reserved, reterr);
    ms_tree_read_end(&t);
    return code;
}

/* ---- in words -------------------------------------------------------------------------------- */

static const char *because(const struct ms_usage_why *w) {
    const struct ms_asset_record *a = &w->info.asset;
    switch (w->class) {
    case MS_CLASS_EXCLUDED:
        return a->origin == MS_ORIGIN_SYSTEM
                   ? "preset assets are not counted"
                   : "models and voices that the platform produced are not counted";
    case MS_CLASS_PRODUCED_FREE:
        return "a video that the platform produced is not counted for its first six calendar months";
    case MS_CLASS_PRODUCED:
        return "a video that the platform produced counts from six calendar months after its creation on";
    case MS_CLASS_STANDARD:
    case MS_CLASS_COUNT:
        break;
    }
    return "every asset counts from the commit of its bytes until it is deleted for good";
}

static void say_why(struct ms_usage_why *w) {
    const struct ms_life life = ms_asset_life(&w->info.asset);
    const char *but = w->bytes == 0             ? "; it has no committed bytes"
                      : !w->metered             ? ""
                      : life.binned             ? "; being in the recycle bin changes nothing"
                      : life.holds              ? "; being frozen changes nothing"
                      : life.rest == MS_STATE_FAILED ? "; having failed by content or review changes nothing"
                                                : "";
    (void)snprintf(w->why, sizeof w->why, "%s%s", because(w), but);
}

/* The earlier one of what time does to its bytes. */
static void set_until(struct ms_usage_why *w) {
    const struct ms_asset_record *a = &w->info.asset;
    const struct ms_life life = ms_asset_life(a);
    struct ms_instant purge =
        ms_lc_purge_due(&life, ms_tenant_mask(&w->quota.tenant, w->quota.now));
    struct ms_instant change = ms_class_changes_at(a->origin, a->type, a->created);
    if (w->class == MS_CLASS_PRODUCED_FREE)
        w->until = change;
    if (purge.ms == INT64_MAX || (!ms_instant_is_none(w->until) && w->until.ms <= purge.ms))
        return;
    w->until = purge;
    w->until_deleted = true;
}

/* ---- the answer ------------------------------------------------------------------------------ */

enum ms_code ms_usage_explain(struct ms_svc *svc, const struct ms_ctx *ctx, const char *path_or_id,
                              struct ms_usage_why *ret_why, struct ms_error *reterr) {
    struct ms_usage_why *w = ret_why;
    struct ms_ctx at = *ctx;
    at.now = ms_instant_is_none(ctx->now) ? ms_clock_now(svc->clock) : ctx->now;
    memset(w, 0, sizeof *w);
    MS_TRY(ms_asset_find(svc, &at, path_or_id, &w->info, reterr));
    MS_TRY(ms_tenant_quota(svc, &at, &w->quota, reterr));
    const struct ms_asset_record *a = &w->info.asset;
    w->class = ms_class_of(a->origin, a->type, a->created, at.now);
    w->metered = ms_class_is_metered(w->class);
    w->bytes = a->bytes;
    w->main_bytes = w->info.version.size;
    MS_TRY(trace(svc, &at, w, reterr));
    MS_TRY(reserved(svc, &at, w, reterr));
    set_until(w);
    say_why(w);
    return MS_OK;
}

json_t *ms_usage_why_json(const struct ms_usage_why *w) {
    const struct ms_asset_record *a = &w->info.asset;
    bool has = !ms_version_id_is_none((struct ms_version_id){w->info.version.id});
    struct ms_show s = ms_show_begin();
    ms_show_set(&s, "asset_id", json_string(ms_id_text(a->id).s));
    ms_show_set(&s, "asset_name", json_string(a->name));
    ms_show_set(&s, "asset_type", json_string(ms_asset_type_name((enum ms_asset_type)a->type)));
    ms_show_set(&s, "origin", json_string(ms_origin_name(a->origin)));
    ms_show_set(&s, "asset_state", json_string(ms_state_name(w->info.state)));
    ms_show_set(&s, "create_time", ms_show_time(a->created));
    ms_show_set(&s, "class", json_string(ms_class_name(w->class)));
    ms_show_set(&s, "metered", json_boolean(w->metered));
    ms_show_set(&s, "since", ms_show_time(w->since));
    ms_show_set(&s, "until", ms_show_time(w->until));
    ms_show_set(&s, "until_deleted", json_boolean(w->until_deleted));
    ms_show_set(&s, "why", json_string(w->why));
    ms_show_set(&s, "bytes", ms_show_u64(w->bytes));
    ms_show_set(&s, "version", has ? json_string(ms_id_text(w->info.version.id).s) : json_null());
    ms_show_set(&s, "version_bytes", ms_show_u64(w->main_bytes));
    ms_show_set(&s, "version_time", ms_show_time(w->info.version.committed));
    ms_show_set(&s, "reserved_bytes", ms_show_u64(w->reserved));
    ms_show_set(&s, "tenant", ms_show_quota(&w->quota));
    return ms_show_end(&s);
}
