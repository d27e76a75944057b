/* What a tenant's bytes are made of. */
#include "service/usage.h"

#include "service/show.h"
#include "service/tree_rows.h"
#include "service/upkeep_walk.h"

#include <stdlib.h>

struct looking {
    struct ms_tree t; /* of the read that walks just now */
    struct ms_usage_report *report;
    const struct ms_usage_options *options;
    bool stopped;
};

/* ---- one asset ------------------------------------------------------------------------------- */

static enum ms_code count_files(const struct ms_tree *t, struct ms_asset_id asset, uint64_t *ret_n,
                                struct ms_error *reterr) {
    struct ms_key prefix = ms_key_files_of(t->id, asset);
    struct ms_file_record file;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code;
    *ret_n = 0;
    ms_scan_prefix(&scan, t->txn, ms_key_view(&prefix));
    while ((code = ms_row_next_file(&scan, &key, &file, reterr)) == MS_OK)
        *ret_n += !ms_version_id_is_none((struct ms_version_id){file.version});
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

static void add(struct ms_usage_sum *sum, const struct ms_tree_asset *a, uint64_t files) {
    sum->assets++;
    sum->files += files;
    sum->bytes += a->rec.bytes;
    if (a->life.holds) {
        sum->frozen_assets++;
        sum->frozen_bytes += a->rec.bytes;
    }
    if (a->life.binned) {
        sum->binned_assets++;
        sum->binned_bytes += a->rec.bytes;
    }
}

/* Of two of one size the one with the smaller id is larger, so that lists do not depend on the walk. */
static bool is_larger(uint64_t bytes, struct ms_id id, const struct ms_usage_asset *than) {
    return bytes != than->bytes ? bytes > than->bytes
                                : memcmp(id.b, than->id.id.b, MS_ID_BYTES) < 0;
}

/* The list is in order; most assets are smaller than its last one, and cost one comparison. */
static void enter(struct looking *l, const struct ms_tree_asset *a, enum ms_class class) {
    struct ms_usage_report *r = l->report;
    size_t max = l->options->top_max, at = r->top_n;
    if (max == 0 || (at == max && !is_larger(a->rec.bytes, a->rec.id, &r->top[max - 1])))
        return;
    if (at == max)
        at--;
    else
        r->top_n++;
    for (; at > 0 && is_larger(a->rec.bytes, a->rec.id, &r->top[at - 1]); at--)
        r->top[at] = r->top[at - 1];
    r->top[at] = (struct ms_usage_asset){.id = {a->rec.id},
                                         .bytes = a->rec.bytes,
                                         .type = a->rec.type,
                                         .class = (uint8_t)class,
                                         .state = a->state};
    memcpy(r->top[at].name, a->rec.name, sizeof r->top[at].name);
}

static enum ms_code each_asset(void *priv, struct ms_txn *txn, struct ms_view key,
                               struct ms_view value, struct ms_error *reterr) {
    struct looking *l = priv;
    struct ms_usage_report *r = l->report;
    struct ms_tree_asset a;
    uint64_t files;
    (void)key;
    l->t.txn = txn;
    MS_TRY(ms_asset_decode(value, &a.rec, reterr));
    MS_TRY(ms_tree_asset_look(&l->t, &a, reterr));
    if (a.life.rest == MS_STATE_DELETED)
        return MS_OK;
    MS_TRY(count_files(&l->t, (struct ms_asset_id){a.rec.id}, &files, reterr));
    enum ms_class class = ms_class_of(a.rec.origin, a.rec.type, a.rec.created, l->t.now);
    add(&r->all, &a, files);
    add(&r->type[a.rec.type], &a, files);
    add(&r->class[class], &a, files);
    enter(l, &a, class);
    return MS_OK;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static enum ms_code begin(struct looking *l, struct ms_svc *svc, const struct ms_ctx *ctx,
                          struct ms_error *reterr) {
    struct ms_ctx at = *ctx;
    at.now = ms_instant_is_none(ctx->now) ? ms_clock_now(svc->clock) : ctx->now;
    MS_TRY(ms_tenant_quota(svc, &at, &l->report->quota, reterr));
    MS_TRY(ms_tree_read(&l->t, svc, &at, reterr));
    ms_tree_read_end(&l->t);
    if (l->options->top_max > MS_USAGE_TOP_MAX)
        return ms_fail(reterr, MS_RANGE, "the list has at most %u assets, not %zu",
                       MS_USAGE_TOP_MAX, l->options->top_max);
    l->report->top = calloc(l->options->top_max + 1, sizeof *l->report->top);
    return l->report->top ? MS_OK
                          : ms_fail(reterr, MS_NO_MEMORY, "no memory for a list of %zu assets",
                                    l->options->top_max);
}

enum ms_code ms_usage_report(struct ms_svc *svc, const struct ms_ctx *ctx,
                             const struct ms_usage_options *options,
                             struct ms_usage_report *ret_report, struct ms_error *reterr) {
    struct looking l = {.report = ret_report, .options = options};
    struct ms_walk walk = {
        .prefix = ms_key_assets_of(ctx->tenant), .each = each_asset, .priv = &l};
    struct ms_error err = {0}; /* a walk ends with one */
    memset(ret_report, 0, sizeof *ret_report);
    MS_TRY(begin(&l, svc, ctx, reterr));
    while (!walk.ended) {
        enum ms_code code = ms_walk_some(svc, &walk, &err);
        if (code != MS_OK)
            return ms_pass_up(code, &err, reterr);
        if (options->looked_at && !options->looked_at(options->priv, ret_report->all.assets))
            return ms_fail(reterr, MS_CANCELLED, "stopped");
    }
    return MS_OK;
}

void ms_usage_report_fini(struct ms_usage_report *report) {
    free(report->top);
    report->top = NULL;
    report->top_n = 0;
}

/* ---- as JSON --------------------------------------------------------------------------------- */

static json_t *sum_json(const struct ms_usage_sum *sum) {
    struct ms_show s = ms_show_begin();
    ms_show_set(&s, "assets", ms_show_u64(sum->assets));
    ms_show_set(&s, "files", ms_show_u64(sum->files));
    ms_show_set(&s, "bytes", ms_show_u64(sum->bytes));
    ms_show_set(&s, "frozen_assets", ms_show_u64(sum->frozen_assets));
    ms_show_set(&s, "frozen_bytes", ms_show_u64(sum->frozen_bytes));
    ms_show_set(&s, "bin_assets", ms_show_u64(sum->binned_assets));
    ms_show_set(&s, "bin_bytes", ms_show_u64(sum->binned_bytes));
    return ms_show_end(&s);
}

static json_t *top_json(const struct ms_usage_asset *a) {
    struct ms_show s = ms_show_begin();
    ms_show_set(&s, "asset_id", json_string(ms_id_text(a->id.id).s));
    ms_show_set(&s, "asset_name", json_string(a->name));
    ms_show_set(&s, "asset_type", json_string(ms_asset_type_name((enum ms_asset_type)a->type)));
    ms_show_set(&s, "asset_state", json_string(ms_state_name(a->state)));
    ms_show_set(&s, "class", json_string(ms_class_name((enum ms_class)a->class)));
    ms_show_set(&s, "bytes", ms_show_u64(a->bytes));
    return ms_show_end(&s);
}

json_t *ms_usage_report_json(const struct ms_usage_report *r) {
    struct ms_show s = {.o = ms_show_quota(&r->quota)}, types = ms_show_begin(),
                   classes = ms_show_begin();
    json_t *top = json_array();
    for (size_t i = 0; i < MS_TYPE_COUNT; i++)
        if (r->type[i].assets > 0)
            ms_show_set(&types, ms_asset_type_name((enum ms_asset_type)i), sum_json(&r->type[i]));
    for (size_t i = 0; i < MS_CLASS_COUNT; i++)
        ms_show_set(&classes, ms_class_name((enum ms_class)i), sum_json(&r->class[i]));
    for (size_t i = 0; i < r->top_n; i++)
        s.failed |= json_array_append_new(top, top_json(&r->top[i])) != 0;
    ms_show_set(&s, "counted", sum_json(&r->all));
    ms_show_set(&s, "classes", ms_show_end(&classes));
    ms_show_set(&s, "types", ms_show_end(&types));
    ms_show_set(&s, "top", top);
    return ms_show_end(&s);
}
