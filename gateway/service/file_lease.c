/* Quota on the write path (design.md section 6): bytes are reserved before they are accepted, ahead
 * of the writer, so that most writes cost no commit; nothing is refused before everybody has given
 * back what he does not use. */
#include "service/file_image.h"

#include "quota/quota.h"
#include "service/payment.h"
#include "service/tenant.h"
#include "service/upkeep_walk.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SWEEP_MAX 256      /* overdue assets applied before a refusal */
#define GIVE_BACK_MAX 4096 /* leases in one commit */

/* ---- write operations ------------------------------------------------------------------------ */

struct reserve_in {
    struct ms_tenant_id tenant;
    struct ms_instance_id instance;
    uint64_t ino, missing, at_least;
    bool sweep, unasked;
};
struct reserve_out {
    uint64_t granted;
};

/* Time may have freed bytes that nobody has swept yet. */
static enum ms_code apply_overdue(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                                  struct ms_error *reterr) {
    struct ms_tenant_id id = {tenant->id};
    struct ms_instant now = ms_txn_instant(txn);
    struct ms_key from = ms_key_dues_of(id),
                  to = ms_key_due(id, ms_instant_add_ms(now, 1), 0, (struct ms_id){{0}});
    struct ms_scan scan;
    struct ms_view key;
    struct ms_due_record due;
    enum ms_code code = MS_OK;

    ms_scan_begin(&scan, txn, ms_key_view(&from), ms_key_view(&to));
    for (unsigned n = 0; code == MS_OK && n < SWEEP_MAX; n++) {
        struct ms_asset_id asset_id;
        struct ms_asset_record asset;
        struct ms_tenant_id of;
        struct ms_instant at;
        uint8_t kind;

        code = ms_row_next_due(&scan, &key, &due, reterr);
        if (code == MS_OK)
            code = ms_key_split_due(key, &of, &at, &kind, &asset_id.id, reterr);
        /* of packages and arrears: ms_usage_now knows; a folder on its way into the bin frees nothing */
        if (code == MS_OK &&
            (kind == MS_DUE_PACKAGE || kind == MS_DUE_ARREARS || kind == MS_DUE_TREE))
            continue;
        if (code == MS_OK)
            code = ms_row_get_asset(txn, ms_key_asset(id, asset_id), &asset, reterr);
        if (code == MS_OK)
            code = ms_change_overdue(txn, tenant, &asset, now, reterr);
    }
    ms_scan_end(&scan);
    return ms_no_error(code, reterr);
}

/* ... and what declared files that nobody confirmed have reserved. */
static enum ms_code apply_overdue_files(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                                        struct ms_error *reterr) {
    struct ms_tenant_id id = {tenant->id};
    struct ms_instant now = ms_txn_instant(txn);
    struct ms_key from = ms_key_filedues_of(id),
                  to = ms_key_filedue(id, ms_instant_add_ms(now, 1), (struct ms_file_id){{{0}}});
    struct ms_view key, value;
    struct ms_scan scan;
    enum ms_code code = MS_OK;

    ms_scan_begin(&scan, txn, ms_key_view(&from), ms_key_view(&to));
    for (unsigned n = 0; code == MS_OK && n < SWEEP_MAX; n++) {
        struct ms_asset_record asset;

        code = ms_scan_next(&scan, &key, &value, reterr);
        if (code == MS_OK) {
            struct ms_asset_id of = {ms_key_id_at(value, 0)};
            code = ms_row_get_asset(txn, ms_key_asset(id, of), &asset, reterr);
        }
        if (code == MS_OK)
            code = ms_change_overdue(txn, tenant, &asset, now, reterr);
    }
    ms_scan_end(&scan);
    return ms_no_error(code, reterr);
}

static enum ms_code reserve_op(struct ms_txn *txn, const void *in, void *out,
                               struct ms_error *reterr) {
    const struct reserve_in *i = in;
    struct reserve_out *o = out;
    struct ms_tenant_record tenant;
    struct ms_usage_record usage;
    uint64_t ahead;
    enum ms_code code = ms_change_begin(txn, i->tenant, &tenant, reterr);

    if (code == MS_OK && i->sweep)
        code = apply_overdue(txn, &tenant, reterr);
    if (code == MS_OK && i->sweep)
        code = apply_overdue_files(txn, &tenant, reterr);
    if (code == MS_OK)
        code = ms_row_get_usage(txn, ms_key_usage(i->tenant), &usage, reterr);
    if (code != MS_OK)
        return code;
    ahead = ms_quota_lease_ahead(ms_usage_left(&tenant, &usage));
    return ms_change_reserve(txn, i->tenant, i->instance, i->ino,
                             i->missing > ahead ? i->missing : ahead, i->at_least, i->unasked,
                             &o->granted, reterr);
}

struct give_back_in {
    struct ms_tenant_id tenant;
    struct ms_instance_id instance;
    bool recall; /* ask other processes too */
    size_t n;
    struct {
        uint64_t ino, keep;
    } * lease;
};
struct give_back_out {
    bool others; /* other processes hold leases of this tenant */
};

static enum ms_code others_hold(struct ms_txn *txn, const struct give_back_in *i, bool *ret_others,
                                struct ms_error *reterr) {
    struct ms_key prefix = ms_key_leases_of(i->tenant);
    struct ms_scan scan;
    struct ms_view key;
    struct ms_lease_record lease;
    enum ms_code code;

    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while ((code = ms_row_next_lease(&scan, &key, &lease, reterr)) == MS_OK) {
        if (memcmp(lease.instance.b, i->instance.id.b, MS_ID_BYTES) != 0) {
            *ret_others = true;
            break;
        }
    }
    ms_scan_end(&scan);
    return ms_no_error(code, reterr);
}

static enum ms_code give_back_op(struct ms_txn *txn, const void *in, void *out,
                                 struct ms_error *reterr) {
    const struct give_back_in *i = in;
    struct give_back_out *o = out;
    enum ms_code code = MS_OK;

    for (size_t k = 0; code == MS_OK && k < i->n; k++)
        code = ms_change_unreserve(txn, i->tenant, i->instance, i->lease[k].ino, i->lease[k].keep,
                                   reterr);
    if (code == MS_OK && i->recall)
        code = others_hold(txn, i, &o->others, reterr);
    if (code == MS_OK && o->others) {
        const struct ms_feed_row row = {.kind = MS_FEED_RECALL, .tenant = i->tenant};

        code = ms_change_feed(txn, &row, reterr);
    }
    return code;
}

static enum ms_code write_op(struct ms_svc *svc, ms_write_fn *fn, const void *in, void *out,
                             size_t out_size, struct ms_error *reterr) {
    const struct ms_write write = {
        .fn = fn, .in = in, .out = out, .out_size = out_size, .fence = ms_store_fence(svc->store)};

    return ms_store_write(svc->store, &write, reterr);
}

/* ---- giving back ----------------------------------------------------------------------------- */

struct taken {
    struct ms_file *file;
    uint64_t unused;
};

/* Take away what an image does not use; it may not touch its lease until the commit is through. One whose lease
 * is at work (*ret_busy) is waited for by who holds no other's only: its commit may need the thread that waits for
 * one of those. */
static bool take_unused(struct ms_file *file, bool may_wait, struct taken *taken, uint64_t *ret_keep,
                        bool *ret_busy) {
    pthread_mutex_lock(&file->mutex);
    *ret_busy = file->locked.lease_busy && !may_wait;
    if (*ret_busy) {
        pthread_mutex_unlock(&file->mutex);
        return false;
    }
    while (file->locked.lease_busy)
        pthread_cond_wait(&file->changed, &file->mutex);
    MS_ASSERT(file->locked.leased >= file->locked.needed);
    *taken = (struct taken){file, file->locked.leased - file->locked.needed};
    if (taken->unused > 0) {
        file->locked.leased = *ret_keep = file->locked.needed;
        file->locked.lease_busy = true;
    }
    pthread_mutex_unlock(&file->mutex);
    return taken->unused > 0;
}

static void end_taken(const struct taken *taken, bool given) {
    struct ms_file *file = taken->file;

    pthread_mutex_lock(&file->mutex);
    if (!given)
        file->locked.leased += taken->unused;
    file->locked.lease_busy = false;
    pthread_cond_broadcast(&file->changed);
    pthread_mutex_unlock(&file->mutex);
}

static enum ms_code commit_give_back(struct ms_svc *svc, struct give_back_in *in,
                                     struct taken *taken, bool *ret_others,
                                     struct ms_error *reterr) {
    struct give_back_out out = {0};
    enum ms_code code = MS_OK;

    if (in->n > 0 || in->recall)
        code = write_op(svc, give_back_op, in, &out, sizeof out, reterr);
    for (size_t k = 0; k < in->n; k++)
        end_taken(&taken[k], code == MS_OK);
    *ret_others = out.others;
    return code;
}

/* Every image of the tenant but `but` gives back what it does not use. */
static enum ms_code give_back(struct ms_svc *svc, struct ms_tenant_id tenant,
                              const struct ms_file *but, bool recall, bool *ret_others,
                              struct ms_error *reterr) {
    size_t n = 0;
    struct ms_file **all = ms_image_all(svc->files, tenant, 0, &n);
    struct taken *taken = calloc(n + 1, sizeof *taken);
    struct give_back_in in = {
        .tenant = tenant, .instance = ms_store_instance(svc->store), .recall = recall};
    enum ms_code code = MS_OK;

    in.lease = calloc(n + 1, sizeof *in.lease);
    if (!taken || !in.lease)
        code = ms_fail(reterr, MS_NO_MEMORY, "no memory to give back quota leases");
    size_t later = 0; /* all[0..later): at work */
    for (size_t k = 0; code == MS_OK && k < n && in.n < GIVE_BACK_MAX; k++) {
        bool busy = false;
        if (all[k] != but && take_unused(all[k], false, &taken[in.n], &in.lease[in.n].keep, &busy)) {
            in.lease[in.n].ino = all[k]->ino;
            in.n++;
        }
        if (busy) {
            struct ms_file *free_one = all[later];
            all[later++] = all[k];
            all[k] = free_one;
        }
    }
    if (code == MS_OK)
        code = commit_give_back(svc, &in, taken, ret_others, reterr);
    in.recall = false;
    for (size_t k = 0; code == MS_OK && k < later; k++) {
        bool busy, others;
        in.n = 0;
        if (!take_unused(all[k], true, &taken[0], &in.lease[0].keep, &busy))
            continue;
        in.lease[0].ino = all[k]->ino;
        in.n = 1;
        code = commit_give_back(svc, &in, taken, &others, reterr);
    }
    for (size_t k = 0; k < n; k++)
        ms_image_unref(all[k]);
    free(all);
    free(taken);
    free(in.lease);
    return code;
}

void ms_file_recall(struct ms_svc *svc, struct ms_tenant_id tenant) {
    struct ms_error err;
    bool others;

    pthread_mutex_lock(&svc->files->recalling);
    if (give_back(svc, tenant, NULL, false, &others, &err) != MS_OK)
        ms_log_failure(svc->log, MS_LOG_WARN, "quota leases were not given back", &err, NULL);
    pthread_mutex_unlock(&svc->files->recalling);
}

struct pause {
    struct ms_timer timer;
    struct ms_latch latch;
};
static void end_pause(struct ms_timer *timer) {
    struct pause *pause = MS_CONTAINER_OF(timer, struct pause, timer);

    ms_latch_open(&pause->latch);
}

static enum ms_code recall(struct ms_file *file, struct ms_error *reterr) {
    struct ms_svc *svc = file->svc;
    struct pause pause = {.timer.fire = end_pause};
    bool others = false;
    enum ms_code code;

    pthread_mutex_lock(&svc->files->recalling);
    code = give_back(svc, file->tenant, file, true, &others, reterr);
    pthread_mutex_unlock(&svc->files->recalling);
    if (code == MS_OK && others) {
        ms_latch_init(&pause.latch);
        ms_engine_after(svc->engine, &pause.timer, INT64_C(1000000) * MS_RECALL_WAIT_MS);
        ms_latch_wait(&pause.latch);
    }
    return code;
}

/* ---- growing --------------------------------------------------------------------------------- */

static uint64_t growth(const struct ms_file *file, uint64_t size) {
    return size > file->locked.metered ? size - file->locked.metered : 0;
}

static uint64_t above(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

struct wish {
    uint64_t at_least, new_size;
    bool last;      /* the last try: sweep first, and take what there is */
    uint64_t given; /* the file may be so long; 0: not even at_least */
    bool whole;
};

/* Claim as much of the lease as the new size wants: in one step with what made the lease grow, or a
 * recall could take it away in between. */
static void claim_locked(struct ms_file *file, struct wish *wish) {
    uint64_t size = wish->new_size, need;

    wish->whole = growth(file, size) <= file->locked.leased;
    if (!wish->whole)
        size = file->locked.metered + file->locked.leased;
    if ((!wish->whole && !wish->last) || size < wish->at_least)
        return;
    need = growth(file, size);
    if (need > file->locked.needed)
        file->locked.needed = need;
    wish->given = size;
}

/* True when the lease does not suffice and is ours to grow. */
static bool begin_reserve(struct ms_file *file, struct wish *wish, struct reserve_in *in) {
    pthread_mutex_lock(&file->mutex);
    while (file->locked.lease_busy)
        pthread_cond_wait(&file->changed, &file->mutex);
    in->missing = above(growth(file, wish->new_size), file->locked.leased);
    in->at_least = above(growth(file, wish->at_least), file->locked.leased);
    file->locked.lease_busy = in->missing > 0;
    if (in->missing == 0)
        claim_locked(file, wish);
    pthread_mutex_unlock(&file->mutex);
    return in->missing > 0;
}

/* At most one reservation, for what is missing. */
static enum ms_code reserve(struct ms_file *file, struct wish *wish, struct ms_error *reterr) {
    struct reserve_in in = {.tenant = file->tenant,
                            .instance = ms_store_instance(file->svc->store),
                            .ino = file->ino,
                            .sweep = wish->last,
                            .unasked = ms_payments_unasked(file->svc)};
    struct reserve_out out = {0};
    enum ms_code code;

    if (!begin_reserve(file, wish, &in))
        return MS_OK;
    code = write_op(file->svc, reserve_op, &in, &out, sizeof out, reterr);
    pthread_mutex_lock(&file->mutex);
    if (code == MS_OK) {
        file->locked.leased += out.granted;
        claim_locked(file, wish);
    }
    file->locked.lease_busy = false;
    pthread_cond_broadcast(&file->changed);
    pthread_mutex_unlock(&file->mutex);
    return code;
}

/* In the words of the whole: what there is, what is used, what is promised to others. */
static enum ms_code refuse(struct ms_file *file, uint64_t at_least, struct ms_error *reterr) {
    const struct ms_ctx ctx = {.tenant = file->tenant, .who = "msasset"};
    struct ms_quota_info info;
    enum ms_code code = ms_tenant_quota(file->svc, &ctx, &info, reterr);

    if (code != MS_OK)
        return code;
    return ms_fail(reterr, MS_QUOTA,
                   "the file would grow to %" PRIu64 " bytes, but the tenant's quota of %" PRIu64
                   " bytes has %" PRIu64 " left (%" PRIu64 " used, %" PRIu64
                   " reserved): delete assets for good or buy capacity",
                   at_least, info.allowance, info.left, info.metered, info.reserved);
}

static bool needs_no_lease(struct ms_file *file) {
    bool needs_none;

    pthread_mutex_lock(&file->mutex);
    needs_none = file->locked.fresh && file->locked.unmetered;
    pthread_mutex_unlock(&file->mutex);
    return needs_none;
}

enum ms_code ms_lease_grow(struct ms_file *file, uint64_t at_least, uint64_t new_size,
                           uint64_t *ret_size, struct ms_error *reterr) {
    struct wish wish = {.at_least = at_least, .new_size = new_size};

    MS_ASSERT(at_least > 0 && at_least <= new_size);
    if (needs_no_lease(file)) {
        *ret_size = new_size;
        return MS_OK;
    }
    MS_TRY(reserve(file, &wish, reterr));
    if (!wish.whole) {
        MS_TRY(recall(file, reterr));
        wish.last = true;
        MS_TRY(reserve(file, &wish, reterr));
    }
    if (wish.given < at_least)
        return refuse(file, at_least, reterr);
    *ret_size = wish.given;
    return MS_OK;
}
