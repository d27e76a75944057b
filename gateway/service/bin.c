#include "service/bin.h"

#include "service/asset_in.h"
#include "service/tenant.h"
#include "service/upkeep.h"
#include "service/upkeep_walk.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASSETS_A_COMMIT 64u /* an operation holds the writer until it ends: about 10 ms */

/* ---- list ------------------------------------------------------------------------------------ */

static enum ms_code path_of(const struct ms_tree *t, const struct ms_bin_record *bin,
                            struct ms_bin_entry *e, struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf path = MS_BUF_MAX(sizeof e->path - 1);
    bool there = false;
    if (bin->name[0])
        MS_TRY(ms_allow_absent(ms_tree_path_in(t, bin->parent, bin->name, &path, reterr), &there));
    if (there)
        memcpy(e->path, path.data, path.len);
    return MS_OK;
}

/* *ret_there false: its time has come, or it was taken out meanwhile. */
static enum ms_code fill(const struct ms_tree *t, const struct ms_bin_record *bin,
                         struct ms_bin_entry *e, bool *ret_there, struct ms_error *reterr) {
    struct ms_tree_asset a;
    MS_TRY(ms_allow_absent(ms_asset_find_in(t, (struct ms_asset_id){bin->asset}, &a, reterr),
                           ret_there));
    *ret_there = *ret_there && a.life.binned;
    if (!*ret_there)
        return MS_OK;
    struct ms_instant until = ms_lc_purge_due(&a.life, ms_tenant_mask(&t->tenant, t->now));
    *e = (struct ms_bin_entry){.id = {bin->id},
                               .asset = {bin->asset},
                               .state = a.state,
                               .at = a.life.binned_at,
                               .bytes = a.rec.bytes};
    if (until.ms != INT64_MAX)
        e->until = until;
    (void)snprintf(e->who, sizeof e->who, "%s", bin->who);
    return path_of(t, bin, e, reterr);
}

struct page {
    struct ms_bin_id after;
    struct ms_bin_entry *entries;
    size_t max, n;
};

/* Rows behind `after`. */
static void scan_behind(struct ms_scan *scan, const struct ms_tree *t, struct ms_bin_id after) {
    struct ms_key from = ms_key_bin(t->id, after), to;
    struct ms_bin_id top;
    memset(&top, 0xff, sizeof top);
    to = ms_key_bin(t->id, top);
    from.bytes[from.len++] = 0;
    ms_scan_begin(scan, t->txn, ms_key_view(&from), ms_key_view(&to));
}

static enum ms_code list_in(const struct ms_tree *t, struct page *page, struct ms_error *reterr) {
    struct ms_bin_record bin;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code = MS_OK;
    bool there;
    scan_behind(&scan, t, page->after);
    while (code == MS_OK && page->n < page->max) {
        code = ms_row_next_bin(&scan, &key, &bin, reterr);
        if (code == MS_OK)
            code = fill(t, &bin, &page->entries[page->n], &there, reterr);
        if (code == MS_OK)
            page->n += there;
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

/* Rows of the bin come with a sweep where time has put something in; one that cannot be done now is no
 * reason to show nothing. */
static void apply_due(struct ms_svc *svc, const struct ms_ctx *ctx) {
    struct ms_sweep_result swept;
    if (!svc->read_only && ms_sweep_tenant(svc, ctx->tenant, &swept, NULL) != MS_OK)
        return;
}

enum ms_code ms_bin_list(struct ms_svc *svc, const struct ms_ctx *ctx, struct ms_bin_id after,
                         struct ms_bin_entry *ret_entries, size_t max, size_t *ret_n,
                         struct ms_error *reterr) {
    struct page page = {.after = after, .entries = ret_entries, .max = max};
    struct ms_error err = {0};
    struct ms_tree t;
    struct ms_sweep_result swept;
    if (ms_bin_id_is_none(after) && !svc->read_only &&
        ms_sweep_deadlines(svc, ctx->tenant, &swept, NULL) != MS_OK)
        swept = (struct ms_sweep_result){0};
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    enum ms_code code = list_in(&t, &page, &err);
    ms_tree_read_end(&t);
    if (code == MS_OK)
        *ret_n = page.n;
    return ms_pass_up(code, &err, reterr);
}

/* ---- folders on their way -------------------------------------------------------------------- */

static enum ms_code fill_folder(const struct ms_tree *t, const struct ms_treeop_record *op,
                                struct ms_bin_folder *f, struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf path = MS_BUF_MAX(sizeof f->path - 1);
    bool there;
    *f = (struct ms_bin_folder){.at = op->at, .assets = op->cursor};
    (void)snprintf(f->who, sizeof f->who, "%s", op->who);
    MS_TRY(ms_allow_absent(ms_tree_path_in(t, op->parent, op->name, &path, reterr), &there));
    if (there)
        memcpy(f->path, path.data, path.len);
    return MS_OK;
}

static enum ms_code folders_in(const struct ms_tree *t, struct ms_bin_folder *list, size_t *n,
                               struct ms_error *reterr) {
    struct ms_key prefix = ms_key_treeops_of(t->id);
    struct ms_treeop_record op;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code = MS_OK;
    ms_scan_prefix(&scan, t->txn, ms_key_view(&prefix));
    while (*n < t->tenant.treeops && code == MS_OK) {
        code = ms_row_next_treeop(&scan, &key, &op, reterr);
        if (code == MS_OK && op.kind == MS_TREEOP_BIN)
            code = fill_folder(t, &op, &list[(*n)++], reterr);
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

enum ms_code ms_bin_folders(struct ms_svc *svc, const struct ms_ctx *ctx,
                            struct ms_bin_folder **ret_folders, size_t *ret_n,
                            struct ms_error *reterr) {
    struct ms_tree t;
    struct ms_error err = {0};
    size_t n = 0;
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    struct ms_bin_folder *list = calloc(t.tenant.treeops + 1, sizeof *list);
    enum ms_code code = list ? folders_in(&t, list, &n, &err)
                             : ms_fail(&err, MS_NO_MEMORY, "no memory for a list of folders");
    ms_tree_read_end(&t);
    if (code != MS_OK) {
        free(list);
        return ms_pass_up(code, &err, reterr);
    }
    *ret_folders = list;
    *ret_n = n;
    return MS_OK;
}

/* ---- empty ----------------------------------------------------------------------------------- */

struct batch {
    struct ms_bin_id after;
    int64_t older_ms;
};

struct batch_done {
    struct ms_bin_id last;
    unsigned rows;
    struct ms_bin_emptied emptied;
};

static enum ms_code purge_one(const struct ms_tree *t, struct ms_asset_id id, int64_t older_ms,
                              struct ms_bin_emptied *done, struct ms_error *reterr) {
    struct ms_asset_event event = {.id = id, .event = MS_EVENT_FORCE_DELETE, .why = "bin emptied"};
    struct ms_asset_applied applied = {0};
    struct ms_tree_asset a;
    bool there;
    MS_TRY(ms_allow_absent(ms_asset_find_in(t, id, &a, reterr), &there));
    if (!there || !a.life.binned || t->now.ms - a.life.binned_at.ms < older_ms)
        return MS_OK;
    if (a.life.last != MS_LAST_BINNED || a.life.auto_renew) {
        done->kept++;
        return MS_OK;
    }
    MS_TRY(ms_asset_apply_in(t, &event, &applied, reterr));
    done->assets++;
    done->bytes += a.rec.bytes;
    return MS_OK;
}

static enum ms_code collect(const struct ms_tree *t, const struct batch *b,
                            struct ms_bin_record bins[ASSETS_A_COMMIT], unsigned *ret_n,
                            struct ms_error *reterr) {
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code = MS_OK;
    unsigned n = 0;
    scan_behind(&scan, t, b->after);
    while (n < ASSETS_A_COMMIT &&
           (code = ms_row_next_bin(&scan, &key, &bins[n], reterr)) == MS_OK)
        n++;
    ms_scan_end(&scan);
    *ret_n = n;
    return ms_absent_is_fine(code, reterr);
}

static enum ms_code empty_op(struct ms_txn *txn, const void *in, void *out,
                             struct ms_error *reterr) {
    const struct batch *b = ((const struct ms_tree_call *)in)->args;
    struct ms_bin_record bins[ASSETS_A_COMMIT];
    struct batch_done *done = out;
    struct ms_error err = {0};
    struct ms_tree t;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(collect(&t, b, bins, &done->rows, reterr));
    for (unsigned i = 0; i < done->rows; i++) {
        enum ms_code code = purge_one(&t, (struct ms_asset_id){bins[i].asset}, b->older_ms,
                                      &done->emptied, &err);
        if (code != MS_OK)
            return ms_pass_up(code, &err, reterr);
        done->last = (struct ms_bin_id){bins[i].id};
    }
    return MS_OK;
}

enum ms_code ms_bin_empty(struct ms_svc *svc, const struct ms_ctx *ctx,
                          const struct ms_bin_empty *options, struct ms_bin_emptied *ret_emptied,
                          struct ms_error *reterr) {
    struct batch batch = {.older_ms = options->older_ms};
    struct batch_done done = {.rows = ASSETS_A_COMMIT};
    *ret_emptied = (struct ms_bin_emptied){0};
    apply_due(svc, ctx);
    while (done.rows == ASSETS_A_COMMIT) {
        memset(&done, 0, sizeof done);
        MS_TRY(ms_tree_write_freeing(svc, ctx, empty_op, &batch, &done, sizeof done, reterr));
        batch.after = done.last;
        ret_emptied->assets += done.emptied.assets;
        ret_emptied->bytes += done.emptied.bytes;
        ret_emptied->kept += done.emptied.kept;
        ms_file_revalidate(svc, ctx->tenant, 0);
        if (options->progress && !options->progress(options->priv, ret_emptied->assets))
            return ms_fail(reterr, MS_CANCELLED, "stopped; what is gone stays gone");
    }
    return MS_OK;
}

/* ---- settings -------------------------------------------------------------------------------- */

bool ms_bin_bypassed(const struct ms_tenant_record *tenant, const char *name) {
    const char *p = tenant->bin_bypass;
    while (*p) {
        char pattern[MS_BYPASS_BYTES_MAX + 1];
        size_t n = strcspn(p, ",");
        memcpy(pattern, p, n);
        pattern[n] = '\0';
        if (n > 0 && fnmatch(pattern, name, 0) == 0)
            return true;
        p += n + (p[n] == ',');
    }
    return false;
}

struct settings {
    int64_t retention_ms;
    const char *bypass;
};

/* A deadline that has come goes by the setting that it came under. */
static enum ms_code nothing_due(const struct ms_tree *t, struct ms_error *reterr) {
    bool has;
    MS_TRY(ms_tenant_has_due(t, ms_instant_add_ms(t->now, 1), &has, reterr));
    return has ? ms_fail(reterr, MS_BUSY,
                         "deadlines of tenant %s have come and are not applied: run msasset sweep "
                         "and try again",
                         t->tenant.name)
               : MS_OK;
}

static enum ms_code note_bypass(const struct ms_tree *t, const char *bypass, struct ms_error *reterr) {
    char text[2 * MS_BYPASS_BYTES_MAX + 64], why[MS_REASON_MAX + 1];
    if (strcmp(t->tenant.bin_bypass, bypass) == 0)
        return MS_OK;
    (void)snprintf(text, sizeof text, "bypass of the bin: \"%s\" -> \"%s\"", t->tenant.bin_bypass, bypass);
    ms_reason_cut(text, why);
    return ms_change_note(t->txn, t->id, t->who, (struct ms_asset_id){{{0}}}, MS_AUDIT_SETTINGS, MS_STATE_COUNT, why,
                          reterr);
}

static enum ms_code set_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const struct settings *s = ((const struct ms_tree_call *)in)->args;
    struct ms_error err = {0};
    struct ms_tree t;
    (void)out;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    enum ms_code code = nothing_due(&t, &err);
    if (code != MS_OK)
        return ms_pass_up(code, &err, reterr);
    if (s->retention_ms >= 0) {
        MS_TRY(ms_tenant_note_setting(&t, "retention of the bin in ms:", (uint64_t)t.tenant.retention_ms,
                                      (uint64_t)s->retention_ms, reterr));
        t.tenant.retention_ms = s->retention_ms;
    }
    if (s->bypass)
        MS_TRY(note_bypass(&t, s->bypass, reterr));
    if (s->bypass)
        (void)snprintf(t.tenant.bin_bypass, sizeof t.tenant.bin_bypass, "%s", s->bypass);
    MS_TRY(ms_row_put_tenant(txn, ms_key_tenant(t.id), &t.tenant, reterr));
    return ms_change_feed(txn, &(struct ms_feed_row){.kind = MS_FEED_TENANT, .tenant = t.id},
                          reterr);
}

static enum ms_code check_settings(const struct ms_ctx *ctx, const struct settings *s,
                                   struct ms_error *reterr) {
    if (!ctx->admin)
        return ms_fail(reterr, MS_DENIED, "setting the recycle bin is refused to %s: %s", ctx->who,
                       ms_lc_rule_text(MS_LC_ADMIN_ONLY));
    if (s->retention_ms > MS_RETENTION_MS_MAX)
        return ms_fail(reterr, MS_RANGE, "the bin keeps at most 100 years, not %lld ms",
                       (long long)s->retention_ms);
    return s->bypass ? ms_line_check("patterns that bypass the bin", s->bypass, MS_BYPASS_BYTES_MAX, reterr)
                     : MS_OK;
}

#define TRIES 3 /* something may become due between the sweep and the change */

enum ms_code ms_bin_set(struct ms_svc *svc, const struct ms_ctx *ctx, int64_t retention_ms,
                        const char *bypass, struct ms_error *reterr) {
    struct settings args = {retention_ms, bypass};
    struct ms_error err = {0};
    enum ms_code code = MS_BUSY;
    MS_TRY(check_settings(ctx, &args, reterr));
    for (unsigned i = 0; i < TRIES && code == MS_BUSY; i++) {
        apply_due(svc, ctx);
        code = ms_tree_write(svc, ctx, set_op, &args, NULL, 0, &err);
    }
    return ms_pass_up(code, &err, reterr);
}
