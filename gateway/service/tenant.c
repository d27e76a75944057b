/* Tenants: a root, eleven type folders, a usage row; settings. */
#include "service/arrears.h"
#include "service/asset_in.h"

#include "model/names.h"
#include "service/tenant.h"
#include "service/upkeep_walk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* ---- add ------------------------------------------------------------------------------------- */

struct add_args {
    const struct ms_tenant_options *options;
    const char *who;
    struct timespec ts;
};

static enum ms_code name_is_free(struct ms_txn *txn, const char *name, struct ms_error *reterr) {
    struct ms_key key = ms_key_tname(name);
    if (!ms_txn_has(txn, ms_key_view(&key)))
        return MS_OK;
    return ms_fail(reterr, MS_EXISTS, "tenant %s exists already", name);
}

static enum ms_code fill_tenant(struct ms_txn *txn, const struct ms_tenant_options *o,
                                struct ms_tenant_record *ret_tenant, struct ms_error *reterr) {
    struct ms_meta_record meta;
    MS_TRY(ms_row_get_meta(txn, ms_key_meta(), &meta, reterr));
    if (o->again) {
        *ret_tenant = *o->again;
        return ms_txn_number(txn, "ino", &ret_tenant->root_ino, reterr);
    }
    memset(ret_tenant, 0, sizeof *ret_tenant);
    ms_txn_random(txn, ret_tenant->id.b, MS_ID_BYTES);
    (void)snprintf(ret_tenant->name, sizeof ret_tenant->name, "%s", o->name);
    ret_tenant->created = ms_txn_instant(txn);
    ret_tenant->free_bytes = o->free_bytes == UINT64_MAX ? meta.free_bytes : o->free_bytes;
    ret_tenant->retention_ms = o->retention_ms < 0 ? meta.retention_ms : o->retention_ms;
    ret_tenant->uid = o->uid;
    ret_tenant->gid = o->gid;
    ret_tenant->umask = o->umask;
    return ms_txn_number(txn, "ino", &ret_tenant->root_ino, reterr);
}

static struct ms_inode_record folder(const struct ms_tree *t, uint64_t ino, uint64_t parent,
                                     enum ms_special special) {
    struct ms_inode_record inode = {
        .ino = ino,
        .mode = S_IFDIR | (0777 & ~t->tenant.umask),
        .uid = t->tenant.uid,
        .gid = t->tenant.gid,
        .nlink = 2,
        .special = (uint8_t)special,
        .parent = parent,
        .next_seq = 3,
    };
    ms_tree_touch(t, &inode, MS_TOUCH_ATIME | MS_TOUCH_CHANGE);
    inode.btime_s = inode.ctime_s;
    inode.btime_ns = inode.ctime_ns;
    return inode;
}

static enum ms_code add_type_folder(const struct ms_tree *t, struct ms_inode_record *root,
                                    enum ms_special special, struct ms_error *reterr) {
    uint64_t ino;
    const char *name = ms_special_name(special);
    MS_TRY(ms_txn_number(t->txn, "ino", &ino, reterr));
    struct ms_inode_record inode = folder(t, ino, root->ino, special);
    ms_tree_subdirs(root, 1);
    MS_TRY(ms_tree_name_add(t, root, name, name, &inode, reterr));
    return ms_change_inode_new(t->txn, t->id, &inode, reterr);
}

static enum ms_code add_folders(const struct ms_tree *t, struct ms_error *reterr) {
    struct ms_inode_record root = folder(t, t->tenant.root_ino, 0, MS_SPECIAL_ROOT);
    for (unsigned s = MS_SPECIAL_ROOT + 1; s < MS_SPECIAL_COUNT; s++)
        MS_TRY(add_type_folder(t, &root, (enum ms_special)s, reterr));
    root.height = 1;
    return ms_change_inode_new(t->txn, t->id, &root, reterr);
}

static enum ms_code add_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const struct add_args *args = in;
    struct ms_tenant_record *tenant = out;
    static const struct ms_usage_record usage = {0};
    MS_TRY(name_is_free(txn, args->options->name, reterr));
    MS_TRY(fill_tenant(txn, args->options, tenant, reterr));
    struct ms_tree t = {.txn = txn,
                        .writes = true,
                        .id = {tenant->id},
                        .tenant = *tenant,
                        .who = args->who,
                        .ts = args->ts};
    t.now = ms_txn_instant(txn);
    tenant->type_dirs = t.tenant.type_dirs = MS_SPECIAL_COUNT - MS_SPECIAL_ROOT - 1;
    MS_TRY(ms_row_put_tenant(txn, ms_key_tenant(t.id), tenant, reterr));
    MS_TRY(ms_row_put_id(txn, ms_key_tname(tenant->name), tenant->id, reterr));
    MS_TRY(ms_row_put_usage(txn, ms_key_usage(t.id), &usage, reterr));
    MS_TRY(ms_change_settings(txn, tenant, &usage, reterr));
    MS_TRY(ms_arrears_due_row(txn, tenant, reterr)); /* of a rebuild */
    return add_folders(&t, reterr);
}

static enum ms_code check_options(const struct ms_tenant_options *o, struct ms_error *reterr) {
    MS_TRY(ms_tenant_name_check(o->name, reterr));
    if (o->umask > 0777)
        return ms_fail(reterr, MS_INVALID, "umask 0%o has more than nine bits", o->umask);
    if (o->retention_ms > MS_RETENTION_MS_MAX)
        return ms_fail(reterr, MS_RANGE, "the bin keeps at most 100 years, not %lld ms",
                       (long long)o->retention_ms);
    if (o->free_bytes != UINT64_MAX && o->free_bytes > INT64_MAX)
        return ms_fail(reterr, MS_RANGE, "a free quota is at most 2^63 - 1 bytes");
    return MS_OK;
}

/* Writes that are not of one tenant's tree. */
static enum ms_code write_in(struct ms_svc *svc, ms_write_fn *fn, const void *in, void *out,
                             size_t out_size, struct ms_error *reterr) {
    if (svc->read_only)
        return ms_fail(reterr, MS_READ_ONLY,
                       "the store %s is open read-only: nothing can be changed", svc->dir);
    struct ms_write write = {
        .fn = fn, .in = in, .out = out, .out_size = out_size, .fence = ms_store_fence(svc->store)};
    return ms_store_write(svc->store, &write, reterr);
}

enum ms_code ms_tenant_add(struct ms_svc *svc, const char *who,
                           const struct ms_tenant_options *options,
                           struct ms_tenant_record *ret_tenant, struct ms_error *reterr) {
    struct ms_tenant_record tenant;
    struct add_args args = {options, who, ms_clock_timespec(svc->clock)};
    MS_TRY(check_options(options, reterr));
    MS_TRY(write_in(svc, add_op, &args, &tenant, sizeof tenant, reterr));
    *ret_tenant = tenant;
    return MS_OK;
}

/* ---- find ------------------------------------------------------------------------------------ */

static enum ms_code get_in(struct ms_txn *txn, struct ms_tenant_id id,
                           struct ms_tenant_record *ret_tenant, struct ms_error *reterr) {
    enum ms_code code = ms_row_get_tenant(txn, ms_key_tenant(id), ret_tenant, reterr);
    if (code == MS_NOT_FOUND)
        return ms_fail(reterr, MS_NO_TENANT, "there is no tenant %s", ms_id_text(id.id).s);
    return code;
}

static enum ms_code find_in(struct ms_txn *txn, const char *name_or_id,
                            struct ms_tenant_record *ret_tenant, struct ms_error *reterr) {
    struct ms_tenant_id id;
    if (ms_tenant_name_check(name_or_id, NULL) == MS_OK) {
        enum ms_code code = ms_row_get_id(txn, ms_key_tname(name_or_id), &id.id, reterr);
        if (code != MS_NOT_FOUND)
            return code == MS_OK ? get_in(txn, id, ret_tenant, reterr) : code;
        (void)ms_absent_is_fine(code, reterr);
    }
    if (ms_id_parse(name_or_id, &id.id, NULL) == MS_OK)
        return get_in(txn, id, ret_tenant, reterr);
    return ms_fail(reterr, MS_NO_TENANT, "there is no tenant \"%.64s\": see msasset tenant ls",
                   name_or_id);
}

enum ms_code ms_tenant_find(struct ms_svc *svc, const char *name_or_id,
                            struct ms_tenant_record *ret_tenant, struct ms_error *reterr) {
    struct ms_txn *txn;
    MS_TRY(ms_read_begin(svc->store, &txn, reterr));
    enum ms_code code = find_in(txn, name_or_id, ret_tenant, reterr);
    ms_read_end(txn);
    return code;
}

enum ms_code ms_tenant_get(struct ms_svc *svc, struct ms_tenant_id id,
                           struct ms_tenant_record *ret_tenant, struct ms_error *reterr) {
    struct ms_txn *txn;
    MS_TRY(ms_read_begin(svc->store, &txn, reterr));
    enum ms_code code = get_in(txn, id, ret_tenant, reterr);
    ms_read_end(txn);
    return code;
}

struct tenants {
    struct ms_tenant_record *list;
    size_t n, cap;
};

static enum ms_code add_to(struct tenants *to, const struct ms_tenant_record *tenant,
                           struct ms_error *reterr) {
    if (to->n == to->cap) {
        size_t cap = to->cap ? 2 * to->cap : 16;
        struct ms_tenant_record *list = realloc(to->list, cap * sizeof *list);
        if (!list)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for %zu tenants", cap);
        to->list = list;
        to->cap = cap;
    }
    to->list[to->n++] = *tenant;
    return MS_OK;
}

static enum ms_code list_in(struct ms_txn *txn, struct tenants *to, struct ms_error *reterr) {
    struct ms_scan scan;
    struct ms_view key;
    struct ms_tenant_record tenant;
    struct ms_key prefix = ms_key_tenants();
    enum ms_code code;
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while ((code = ms_row_next_tenant(&scan, &key, &tenant, reterr)) == MS_OK)
        if ((code = add_to(to, &tenant, reterr)) != MS_OK)
            break;
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

enum ms_code ms_tenant_list(struct ms_svc *svc, struct ms_tenant_record **ret_list, size_t *ret_n,
                            struct ms_error *reterr) {
    struct tenants found = {NULL, 0, 0};
    struct ms_txn *txn;
    MS_TRY(ms_read_begin(svc->store, &txn, reterr));
    enum ms_code code = list_in(txn, &found, reterr);
    ms_read_end(txn);
    if (code != MS_OK) {
        free(found.list);
        return code;
    }
    *ret_list = found.list;
    *ret_n = found.n;
    return MS_OK;
}

/* ---- settings -------------------------------------------------------------------------------- */

enum ms_code ms_tenant_put(const struct ms_tree *t, struct ms_error *reterr) {
    struct ms_feed_row row = {.kind = MS_FEED_TENANT, .tenant = t->id};
    MS_TRY(ms_row_put_tenant(t->txn, ms_key_tenant(t->id), &t->tenant, reterr));
    return ms_change_feed(t->txn, &row, reterr);
}

struct settings {
    const uint64_t *free_bytes; /* NULL: stays */
    const bool *pay_per_use;
};

enum ms_code ms_tenant_note_setting(const struct ms_tree *t, const char *what, uint64_t from, uint64_t to,
                                    struct ms_error *reterr) {
    char why[128];
    if (from == to)
        return MS_OK;
    (void)snprintf(why, sizeof why, "%s %" PRIu64 " -> %" PRIu64, what, from, to);
    return ms_change_note(t->txn, t->id, t->who, (struct ms_asset_id){{{0}}}, MS_AUDIT_SETTINGS, MS_STATE_COUNT, why,
                          reterr);
}

static enum ms_code settings_op(struct ms_txn *txn, const void *in, void *out,
                                struct ms_error *reterr) {
    struct ms_tree t;
    const struct settings *set = ((const struct ms_tree_call *)in)->args;
    (void)out;
    struct ms_usage_record usage;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    const struct ms_tenant_record was = t.tenant;
    if (set->free_bytes)
        t.tenant.free_bytes = *set->free_bytes;
    if (set->pay_per_use)
        t.tenant.pay_per_use = *set->pay_per_use;
    MS_TRY(ms_tenant_note_setting(&t, "free quota in bytes:", was.free_bytes, t.tenant.free_bytes, reterr));
    MS_TRY(ms_tenant_note_setting(&t, "pay-per-use:", was.pay_per_use, t.tenant.pay_per_use, reterr));
    MS_TRY(ms_row_get_usage(txn, ms_key_usage(t.id), &usage, reterr));
    MS_TRY(ms_change_settings(txn, &t.tenant, &usage, reterr));
    return ms_tenant_put(&t, reterr);
}

enum ms_code ms_tenant_admin_only(const struct ms_ctx *ctx, const char *what,
                                  struct ms_error *reterr) {
    if (ctx->admin)
        return MS_OK;
    return ms_fail(reterr, MS_DENIED, "%s is refused to %s: only an administrator may do this",
                   what, ctx->who);
}

enum ms_code ms_tenant_set_quota(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t free_bytes,
                                 struct ms_error *reterr) {
    MS_TRY(ms_tenant_admin_only(ctx, "setting a quota", reterr));
    if (free_bytes > INT64_MAX)
        return ms_fail(reterr, MS_RANGE, "a free quota is at most 2^63 - 1 bytes");
    struct settings set = {.free_bytes = &free_bytes};
    return ms_tree_write(svc, ctx, settings_op, &set, NULL, 0, reterr);
}

enum ms_code ms_tenant_set_pay_per_use(struct ms_svc *svc, const struct ms_ctx *ctx, bool on,
                                       struct ms_error *reterr) {
    struct settings set = {.pay_per_use = &on};
    MS_TRY(ms_tenant_admin_only(ctx, "switching pay-per-use", reterr));
    return ms_tree_write(svc, ctx, settings_op, &set, NULL, 0, reterr);
}

static enum ms_code start_op(struct ms_txn *txn, const void *in, void *out,
                             struct ms_error *reterr) {
    struct ms_tree t;
    (void)out;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    bool unactived = *(const bool *)((const struct ms_tree_call *)in)->args;
    MS_TRY(ms_tenant_note_setting(&t, "finished assets begin UNACTIVED:", t.tenant.start_unactived, unactived, reterr));
    t.tenant.start_unactived = unactived;
    return ms_tenant_put(&t, reterr);
}

enum ms_code ms_tenant_set_start(struct ms_svc *svc, const struct ms_ctx *ctx, bool unactived,
                                 struct ms_error *reterr) {
    MS_TRY(ms_tenant_admin_only(ctx, "setting what finished assets become", reterr));
    return ms_tree_write(svc, ctx, start_op, &unactived, NULL, 0, reterr);
}

/* ---- usage ----------------------------------------------------------------------------------- */

static enum ms_code quota_in(const struct ms_tree *t, struct ms_quota_info *ret_info,
                             struct ms_error *reterr) {
    struct ms_usage_record usage;
    MS_TRY(ms_usage_now(t->txn, t->id, t->now, t->unasked, &usage, reterr));
    *ret_info = (struct ms_quota_info){
        .allowance = t->tenant.free_bytes + usage.extra_allowance,
        .metered = usage.standard + usage.produced,
        .reserved = usage.reserved,
        .left = ms_usage_left(&t->tenant, &usage),
        .usage = usage,
        .tenant = t->tenant,
        .now = t->now,
    };
    return MS_OK;
}

enum ms_code ms_tenant_quota(struct ms_svc *svc, const struct ms_ctx *ctx,
                             struct ms_quota_info *ret_info, struct ms_error *reterr) {
    struct ms_tree t;
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    enum ms_code code = quota_in(&t, ret_info, reterr);
    ms_tree_read_end(&t);
    return code;
}
