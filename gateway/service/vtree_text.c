/* The texts of .msasset/. */
#include "service/vtree_part.h"

#include "object/wrap_disk.h"
#include "service/review.h"
#include "service/show.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- usage.json, asset.json ------------------------------------------------------------------ */

static enum ms_code usage_text(struct ms_vtree *vt, const struct ms_ctx *ctx, struct ms_buf *buf,
                               struct ms_error *reterr) {
    struct ms_quota_info info;
    MS_TRY(ms_tenant_quota(vt->svc, ctx, &info, reterr));
    return ms_show_text(ms_show_quota(&info), buf, reterr);
}

static json_t *show_file(const struct ms_file_record *row) {
    struct ms_show s = ms_show_begin();
    ms_show_set(&s, "file_id", json_string(ms_id_text(row->id).s));
    ms_show_set(&s, "asset_file_category", json_string(ms_category_name(row->category)));
    ms_show_set(&s, "file_name", json_string(row->name));
    ms_show_set(&s, "state", json_string(ms_file_state_name(row->state)));
    ms_show_set(&s, "size_bytes", ms_show_u64(row->size));
    ms_show_set(&s, "create_time", ms_show_time(row->declared));
    return ms_show_end(&s);
}

static enum ms_code show_files(struct ms_vtree *vt, const struct ms_ctx *ctx,
                               struct ms_asset_id asset, json_t *array, struct ms_error *reterr) {
    struct ms_tree t;
    struct ms_scan scan;
    struct ms_view key;
    struct ms_file_record row;
    enum ms_code code;
    MS_TRY(ms_tree_read(&t, vt->svc, ctx, reterr));
    struct ms_key prefix = ms_key_files_of(t.id, asset);
    ms_scan_prefix(&scan, t.txn, ms_key_view(&prefix));
    while ((code = ms_row_next_file(&scan, &key, &row, reterr)) == MS_OK)
        if (json_array_append_new(array, show_file(&row)) != 0) {
            code = ms_fail(reterr, MS_NO_MEMORY, "no memory for the files of an asset");
            break;
        }
    ms_scan_end(&scan);
    ms_tree_read_end(&t);
    return ms_absent_is_fine(code, reterr);
}

static enum ms_code asset_text(struct ms_vtree *vt, const struct ms_ctx *ctx,
                               struct ms_asset_id asset, struct ms_buf *buf,
                               struct ms_error *reterr) {
    struct ms_asset_info info;
    MS_TRY(ms_asset_get(vt->svc, ctx, asset, &info, reterr));
    struct ms_show s = {.o = ms_show_asset(&info)};
    json_t *files = json_array();
    enum ms_code code = show_files(vt, ctx, asset, files, reterr);
    ms_show_set(&s, "files", files);
    if (code == MS_OK)
        return ms_show_text(ms_show_end(&s), buf, reterr);
    json_decref(s.o);
    return code;
}

/* ---- stats ----------------------------------------------------------------------------------- */

static enum ms_code stats_text(struct ms_vtree *vt, struct ms_buf *buf, struct ms_error *reterr) {
    struct ms_store_stats s;
    struct ms_cache_stats c = {0};
    struct ms_budget_stats m = {0};
    ms_store_stats(vt->svc->store, &s);
    struct ms_obj *disk = ms_obj_disk_of(vt->svc->obj);
    struct ms_disk_stats d = {0};
    if (vt->svc->cache)
        ms_cache_stats(vt->svc->cache, &c);
    if (vt->svc->memory)
        ms_budget_stats(vt->svc->memory, &m);
    if (disk)
        ms_disk_stats(disk, &d);
    const struct {
        const char *name;
        uint64_t n;
    } lines[] = {
        {"store_commits", s.commits},
        {"store_operations", s.operations},
        {"store_batches_taken_apart", s.batches_taken_apart},
        {"store_map_grown", s.map_grown},
        {"store_map_bytes", s.map_bytes},
        {"store_used_bytes", s.used_bytes},
        {"store_entries", s.entries},
        {"store_readers", s.readers},
        {"store_readers_max", s.readers_max},
        {"memory_bytes", m.cache + m.staged},
        {"memory_bytes_max", m.bytes_max},
        {"staged_bytes", m.staged},
        {"staged_bytes_max", m.staged_max},
        {"cache_bytes", c.bytes},
        {"cache_bytes_max", c.bytes_max},
        {"cache_bytes_limit", c.limit},
        {"cache_bytes_peak", c.bytes_peak},
        {"cache_hits", c.hits},
        {"cache_misses", c.misses},
        {"cache_fetches", c.fetches},
        {"cache_fetched_bytes", c.fetched_bytes},
        {"cache_corrupt", c.corrupt},
        {"disk_cache_on", d.on},
        {"disk_cache_bytes", d.bytes},
        {"disk_cache_bytes_max", d.bytes_max},
        {"disk_cache_hits", d.hits},
        {"disk_cache_hit_bytes", d.hit_bytes},
        {"disk_cache_misses", d.misses},
        {"disk_cache_stored", d.stored},
        {"disk_cache_skipped", d.skipped},
        {"disk_cache_corrupt", d.corrupt},
        {"disk_cache_errors", d.errors},
        {"disk_cache_bypassed", d.bypassed},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(lines); i++)
        MS_TRY(ms_buf_addf(buf, reterr, "%s %" PRIu64 "\n", lines[i].name, lines[i].n));
    return MS_OK;
}

/* ---- pending.json ---------------------------------------------------------------------------- */

/* A file that is being written: its intent, its lease, or both. */
struct pending {
    struct ms_intent_record intent; /* id none: a lease alone */
    uint64_t leased;
    bool has_lease;
};
struct collected {
    struct ms_tenant_id tenant;
    struct pending *all;
    size_t n, cap;
};
static void collected_fini(struct collected *c) { free(c->all); }

static enum ms_code more(struct collected *c, struct pending **ret_p, struct ms_error *reterr) {
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 16;
        struct pending *all = realloc(c->all, cap * sizeof *all);
        if (!all)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for the list of unfinished files");
        c->all = all;
        c->cap = cap;
    }
    *ret_p = &c->all[c->n++];
    **ret_p = (struct pending){.leased = 0};
    return MS_OK;
}

/* Intents belong to processes: whose tenant's file it is says the asset. */
static enum ms_code each_intent(void *priv, struct ms_txn *txn, struct ms_view key,
                                struct ms_view value, struct ms_error *reterr) {
    struct collected *c = priv;
    struct ms_intent_record row;
    struct ms_tenant_id owner;
    struct pending *p;
    (void)key;
    MS_TRY(ms_intent_decode(value, &row, reterr));
    enum ms_code code =
        ms_row_get_id(txn, ms_key_aowner((struct ms_asset_id){row.asset}), &owner.id, reterr);
    if (code != MS_OK)
        return ms_absent_is_fine(code, reterr);
    if (!ms_tenant_id_equal(owner, c->tenant))
        return MS_OK;
    MS_TRY(more(c, &p, reterr));
    p->intent = row;
    return MS_OK;
}

static enum ms_code each_lease(void *priv, struct ms_txn *txn, struct ms_view key,
                               struct ms_view value, struct ms_error *reterr) {
    struct collected *c = priv;
    struct ms_lease_record row;
    struct pending *p = NULL;
    (void)txn, (void)key;
    MS_TRY(ms_lease_decode(value, &row, reterr));
    for (size_t i = 0; i < c->n && !p; i++)
        if (c->all[i].intent.ino == row.ino && !c->all[i].has_lease &&
            memcmp(&c->all[i].intent.instance, &row.instance, sizeof row.instance) == 0)
            p = &c->all[i];
    if (!p) {
        MS_TRY(more(c, &p, reterr));
        p->intent.ino = row.ino;
        p->intent.instance = row.instance;
    }
    p->leased = row.bytes;
    p->has_lease = true;
    return MS_OK;
}

static int by_time(const void *a, const void *b) {
    const struct pending *x = a, *y = b;
    if (x->intent.at.ms != y->intent.at.ms)
        return x->intent.at.ms < y->intent.at.ms ? -1 : 1;
    return (x->intent.ino > y->intent.ino) - (x->intent.ino < y->intent.ino);
}

static json_t *show_pending(struct ms_vtree *vt, const struct ms_ctx *ctx,
                            const struct pending *p) {
    const struct ms_intent_record *i = &p->intent;
    bool has_intent = !ms_intent_id_is_none((struct ms_intent_id){i->id});
    MS_AUTO(ms_buf_fini) struct ms_buf path = {0};
    bool named = ms_tree_path(vt->svc, ctx, i->ino, &path, NULL) == MS_OK;
    bool alive = ms_store_instance_alive(vt->svc->store, (struct ms_instance_id){i->instance});
    struct ms_show s = ms_show_begin();
    ms_show_set(&s, "path", named ? json_string((const char *)path.data) : json_null());
    ms_show_set(&s, "inode", ms_show_u64(i->ino));
    ms_show_set(&s, "asset_id", has_intent ? json_string(ms_id_text(i->asset).s) : json_null());
    ms_show_set(&s, "kind",
                json_string(!has_intent                      ? "LEASE"
                            : i->kind == MS_INTENT_OVERWRITE ? "OVERWRITE"
                                                             : "NEW_FILE"));
    ms_show_set(&s, "since", has_intent ? ms_show_time(i->at) : json_null());
    ms_show_set(&s, "fsynced", json_boolean(i->fsynced));
    ms_show_set(&s, "durable_bytes", ms_show_u64(i->fsynced ? i->size : 0));
    ms_show_set(&s, "leased_bytes", ms_show_u64(p->leased));
    ms_show_set(&s, "process", json_string(ms_id_text(i->instance).s));
    ms_show_set(&s, "process_is_alive", json_boolean(alive));
    return ms_show_end(&s);
}

static enum ms_code collect(struct ms_vtree *vt, struct collected *c, struct ms_error *reterr) {
    struct ms_walk intents = {.prefix = ms_key_intents(), .each = each_intent, .priv = c};
    struct ms_walk leases = {.prefix = ms_key_leases_of(vt->tenant), .each = each_lease, .priv = c};
    struct ms_error err = {0};
    enum ms_code code = ms_walk_all(vt->svc, &intents, &err);
    if (code == MS_OK)
        code = ms_walk_all(vt->svc, &leases, &err);
    return ms_pass_up(code, &err, reterr);
}

/* What of a finished asset waits for review: its owner sees the new bytes, everyone else the live ones. */
static json_t *show_edit(struct ms_vtree *vt, const struct ms_ctx *ctx, const struct ms_review_case *c) {
    MS_AUTO(ms_buf_fini) struct ms_buf path = {0};
    bool named = ms_tree_path(vt->svc, ctx, c->asset.ino, &path, NULL) == MS_OK;
    bool held = !ms_version_id_is_none((struct ms_version_id){c->row.held});
    struct ms_show s = ms_show_begin();
    ms_show_set(&s, "path", named ? json_string((const char *)path.data) : json_null());
    ms_show_set(&s, "asset_id", json_string(ms_id_text(c->asset.id).s));
    ms_show_set(&s, "since", ms_show_time(c->row.since));
    ms_show_set(&s, "name", c->row.has_name ? json_string(c->row.name) : json_null());
    ms_show_set(&s, "description", c->row.has_description ? json_string(c->row.description) : json_null());
    ms_show_set(&s, "main_bytes", held ? ms_show_u64(c->row.held_bytes) : json_null());
    ms_show_set(&s, "needs_a_person", json_boolean(c->row.human));
    return ms_show_end(&s);
}

#define CASES_A_READ 16

static enum ms_code add_edits(struct ms_vtree *vt, const struct ms_ctx *ctx, json_t *edits, struct ms_error *reterr) {
    struct ms_review_case *cases = calloc(CASES_A_READ, sizeof *cases);
    struct ms_asset_id after = {{{0}}};
    size_t n = CASES_A_READ;
    enum ms_code code = cases ? MS_OK : ms_fail(reterr, MS_NO_MEMORY, "no memory for the list of edits");
    while (code == MS_OK && n == CASES_A_READ) {
        code = ms_review_list(vt->svc, ctx, after, cases, CASES_A_READ, &n, reterr);
        for (size_t i = 0; code == MS_OK && i < n; i++) {
            after.id = cases[i].asset.id;
            if (cases[i].edit && json_array_append_new(edits, show_edit(vt, ctx, &cases[i])) != 0)
                code = ms_fail(reterr, MS_NO_MEMORY, "no memory for the list of edits");
        }
    }
    free(cases);
    return code;
}

static enum ms_code pending_text(struct ms_vtree *vt, const struct ms_ctx *ctx, struct ms_buf *buf,
                                 struct ms_error *reterr) {
    MS_AUTO(collected_fini) struct collected c = {.tenant = vt->tenant};
    MS_TRY(collect(vt, &c, reterr));
    json_t *uploads = NULL;
    MS_TRY(ms_writeback_show(vt->svc, ctx, &uploads, reterr));
    json_t *edits = json_array();
    enum ms_code code = add_edits(vt, ctx, edits, reterr);
    if (code != MS_OK) {
        json_decref(uploads);
        json_decref(edits);
        return code;
    }
    if (c.n > 0)
        qsort(c.all, c.n, sizeof *c.all, by_time);
    struct ms_show s = ms_show_begin();
    json_t *files = json_array();
    for (size_t i = 0; i < c.n; i++)
        s.failed |= json_array_append_new(files, show_pending(vt, ctx, &c.all[i])) != 0;
    ms_show_set(&s, "tenant_id", json_string(ms_id_text(vt->tenant.id).s));
    ms_show_set(&s, "files", files);
    ms_show_set(&s, "uploads", uploads);
    ms_show_set(&s, "edits", edits);
    return ms_show_text(ms_show_end(&s), buf, reterr);
}

enum ms_code ms_vtext(struct ms_vtree *vt, const struct ms_ctx *ctx, const struct ms_vnode *what,
                      struct ms_buf *buf, struct ms_error *reterr) {
    switch (what->kind) {
    case MS_V_USAGE:
        return usage_text(vt, ctx, buf, reterr);
    case MS_V_PENDING:
        return pending_text(vt, ctx, buf, reterr);
    case MS_V_STATS:
        return stats_text(vt, buf, reterr);
    case MS_V_ASSET_JSON:
        return asset_text(vt, ctx, what->asset, buf, reterr);
    case MS_V_TRASH:
    case MS_V_OURS:
    case MS_V_ASSETS:
    case MS_V_FOLDER:
    case MS_V_ASSET:
    case MS_V_CATEGORY:
    case MS_V_FILE:
    default:
        return ms_fail(reterr, MS_INTERNAL, "a virtual node of kind %d has no text", what->kind);
    }
}
