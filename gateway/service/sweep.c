/* The sweep: deadlines that have come are applied, tenant by tenant, in bounded commits.
 *
 * A read plans a batch of due rows, a write applies it and takes nothing for granted: what another
 * sweeper or a use case has settled meanwhile is passed over. The cursor only moves on, so a row
 * that cannot be settled is met once per sweep.
 */
#include "service/upkeep.h"

#include "service/arrears.h"
#include "service/confirm_part.h"
#include "service/payment.h"
#include "service/share.h"
#include "service/tenant.h"
#include "service/tree_rows.h"
#include "service/upkeep_walk.h"

#include <inttypes.h>

#define ASSETS_A_COMMIT 64u /* an operation holds the writer until it ends: about 10 ms */
#define CLOCK_BEHIND_MS_MAX (5 * MS_MINUTE_MS)
#define WHO "msasset"

struct due_row {
    struct ms_instant at;
    struct ms_asset_id asset;
    uint8_t kind;
};

struct batch {
    struct ms_tenant_id tenant;
    struct ms_instant now;
    struct due_row row[ASSETS_A_COMMIT];
    unsigned n;
};

struct counts {
    uint64_t applied, failed_uploads, purged, put_off;
};

struct sweep {
    struct ms_svc *svc;
    struct ms_tenant_id tenant;
    struct ms_instant now;
    struct ms_asking *asking; /* the payment command, and only tenants with a renewal that needs it matter;
                                 NULL: nobody is asked */
    bool leaves_tree; /* operations on folders are left to others while they move no bytes */
    struct ms_sweep_result result;
    uint64_t damaged;
    struct ms_error first; /* of the damaged ones */
};

/* ---- the clock ------------------------------------------------------------------------------- */

static enum ms_code last_instant_op(struct ms_txn *txn, const void *in, void *out,
                                    struct ms_error *reterr) {
    (void)in, (void)reterr;
    *(struct ms_instant *)out = ms_txn_instant(txn);
    return MS_OK;
}

/* Everything would be dated with the last commit's instant until the clock has caught up, and what
 * is due by the wrong clock is not due. */
static enum ms_code check_clock(struct ms_svc *svc, struct ms_instant now,
                                struct ms_error *reterr) {
    struct ms_instant last;
    char text[2][MS_RFC3339_MS_LEN + 1];
    struct ms_error err;
    struct ms_write write = {
        .fn = last_instant_op, .out = &last, .out_size = sizeof last, .frees = true};
    MS_TRY(ms_store_write(svc->store, &write, reterr));
    if (last.ms - now.ms <= CLOCK_BEHIND_MS_MAX)
        return MS_OK;
    ms_instant_format_ms(now, text[0]);
    ms_instant_format_ms(last, text[1]);
    enum ms_code code = ms_fail(&err, MS_CONFLICT,
                                "the clock says %s, the store's last commit is of %s: more than 5 "
                                "minutes later, so nothing "
                                "is swept; set the clock right, or wait until it has caught up",
                                text[0], text[1]);
    ms_log_failure(svc->log, MS_LOG_ERROR, "clock-behind", &err, NULL);
    if (reterr)
        *reterr = err;
    return code;
}

/* ---- plan ------------------------------------------------------------------------------------ */

/* Rows that are due from `from` on; *ret_next: the first one that is not, none when there is none.
 */
static enum ms_code plan_in(struct ms_txn *txn, const struct sweep *s, struct ms_key *from,
                            struct batch *batch, struct ms_instant *ret_next,
                            struct ms_error *reterr) {
    struct ms_key to = ms_key_due(s->tenant, ms_instant_of(INT64_MAX), 0xff, (struct ms_id){{0}});
    struct ms_scan scan;
    struct ms_view key, value;
    enum ms_code code = MS_OK;
    batch->n = 0;
    *ret_next = (struct ms_instant){0};
    ms_scan_begin(&scan, txn, ms_key_view(from), ms_key_view(&to));
    while (code == MS_OK && batch->n < ASSETS_A_COMMIT) {
        struct due_row row;
        struct ms_tenant_id tenant;
        if ((code = ms_scan_next(&scan, &key, &value, reterr)) != MS_OK)
            break;
        code = ms_key_split_due(key, &tenant, &row.at, &row.kind, &row.asset.id, reterr);
        if (code != MS_OK)
            break;
        if (row.at.ms > s->now.ms) {
            *ret_next = row.at;
            break;
        }
        batch->row[batch->n++] = row;
        memcpy(from->bytes, key.p, key.n);
        from->bytes[key.n] = 0;
        from->len = key.n + 1;
    }
    ms_scan_end(&scan);
    return code == MS_NOT_FOUND ? MS_OK : code;
}

static enum ms_code plan(struct sweep *s, struct ms_key *from, struct batch *batch,
                         struct ms_instant *ret_next, struct ms_error *reterr) {
    struct ms_txn *txn;
    batch->tenant = s->tenant;
    batch->now = s->now;
    MS_TRY(ms_read_begin(s->svc->store, &txn, reterr));
    enum ms_code code = plan_in(txn, s, from, batch, ret_next, reterr);
    ms_read_end(txn);
    return code;
}

/* ---- apply ----------------------------------------------------------------------------------- */

static void count(struct counts *c, const struct ms_life *was, const struct ms_life *is) {
    c->applied++;
    c->purged += is->rest == MS_STATE_DELETED;
    c->failed_uploads += is->fail == MS_FAIL_TIMEOUT && was->fail != MS_FAIL_TIMEOUT;
}

/* What lies at the end of arrears waits for end_arrears. A hold that cannot be recorded, though all
 * before it in the index was applied, has damage before it. */
static enum ms_code record_hold(struct ms_txn *txn, struct ms_tenant_record *tenant,
                                struct ms_instant now, struct counts *c, struct ms_error *reterr) {
    struct ms_tree t = {
        .txn = txn, .writes = true, .id = {tenant->id}, .tenant = *tenant, .who = WHO, .now = now};
    struct ms_error err = {0};
    enum ms_code code = ms_arrears_record_hold(&t, &err);
    c->applied += t.tenant.arrears != tenant->arrears;
    *tenant = t.tenant;
    if (code == MS_BUSY)
        return ms_fail(reterr, MS_CORRUPT, "%.400s", err.message);
    return ms_pass_up(code, &err, reterr);
}

/* A row whose asset is gone, or names another row, was settled meanwhile or is damage: fsck tells
 * them apart, the sweep leaves both alone. */
static enum ms_code apply_row(struct ms_txn *txn, struct ms_tenant_record *tenant,
                              const struct due_row *row, struct ms_instant now, struct counts *c,
                              struct ms_error *reterr) {
    struct ms_asset_record asset;
    struct ms_key key = ms_key_asset((struct ms_tenant_id){tenant->id}, row->asset);
    bool there;
    if (row->kind == MS_DUE_PACKAGE) {
        MS_TRY(ms_package_overdue(txn, tenant, (struct ms_package_id){row->asset.id}, now, false,
                                  &there, reterr));
        c->applied += there;
        return MS_OK;
    }
    if (row->kind == MS_DUE_ARREARS)
        return record_hold(txn, tenant, now, c, reterr);
    MS_TRY(ms_allow_absent(ms_row_get_asset(txn, key, &asset, reterr), &there));
    if (!there || asset.due_at.ms != row->at.ms || asset.due_kind != row->kind)
        return MS_OK;
    struct ms_life was = ms_asset_life(&asset), is;
    MS_TRY(ms_change_overdue(txn, tenant, &asset, now, reterr));
    is = ms_asset_life(&asset);
    /* whatever is applied moves its row */
    if (is.rest == MS_STATE_DELETED || asset.due_at.ms != row->at.ms || asset.due_kind != row->kind)
        count(c, &was, &is);
    if (asset.rest == MS_STATE_DELETED || asset.due_kind == MS_DUE_NONE || asset.due_at.ms > now.ms)
        return MS_OK;
    MS_TRY(ms_change_put_off(txn, tenant, &asset, now, reterr));
    c->put_off += asset.due_at.ms != row->at.ms;
    return MS_OK;
}

static enum ms_code apply_op(struct ms_txn *txn, const void *in, void *out,
                             struct ms_error *reterr) {
    const struct batch *batch = in;
    struct ms_tenant_record tenant;
    MS_TRY(ms_change_begin(txn, batch->tenant, &tenant, reterr));
    for (unsigned i = 0; i < batch->n; i++)
        MS_TRY(apply_row(txn, &tenant, &batch->row[i], batch->now, out, reterr));
    return MS_OK;
}

static enum ms_code apply(struct sweep *s, const struct batch *batch, struct ms_error *reterr) {
    struct counts c;
    struct ms_write write = {.fn = apply_op,
                             .in = batch,
                             .out = &c,
                             .out_size = sizeof c,
                             .fence = ms_store_fence(s->svc->store),
                             .frees = true};
    MS_TRY(ms_store_write(s->svc->store, &write, reterr));
    s->result.applied += c.applied;
    s->result.failed_uploads += c.failed_uploads;
    s->result.purged += c.purged;
    s->result.put_off += c.put_off;
    return MS_OK;
}

/* What is wrong with the asset's rows, not with the store. */
static bool is_damage(enum ms_code code) {
    return code == MS_CORRUPT || code == MS_NOT_FOUND || code == MS_RANGE || code == MS_INTERNAL;
}

static void note_damage(struct sweep *s, const char *what, struct ms_id id,
                        const struct ms_error *err) {
    ms_log_failure(s->svc->log, MS_LOG_WARN, "not-swept", err, what, ms_id_text(id).s, NULL);
    if (s->damaged++ == 0)
        (void)ms_fail(&s->first, err->code, "%s %s: %.250s", what, ms_id_text(id).s, err->message);
}

/* Whose id a row of the index has. */
static const char *named(uint8_t kind) {
    return kind == MS_DUE_PACKAGE ? "package" : kind == MS_DUE_ARREARS ? "tenant" : "asset";
}

/* One after the other, so that an asset whose rows are damaged keeps no other from being swept. */
static enum ms_code apply_singly(struct sweep *s, const struct batch *batch,
                                 struct ms_error *reterr) {
    struct batch one = {.tenant = batch->tenant, .now = batch->now, .n = 1};
    for (unsigned i = 0; i < batch->n; i++) {
        struct ms_error err;
        one.row[0] = batch->row[i];
        enum ms_code code = apply(s, &one, &err);
        if (code != MS_OK && !is_damage(code)) {
            if (reterr)
                *reterr = err;
            return code;
        }
        if (code != MS_OK)
            note_damage(s, named(one.row[0].kind), one.row[0].asset.id, &err);
    }
    return MS_OK;
}

/* ---- one tenant ------------------------------------------------------------------------------ */

static void work_at(struct ms_sweep_result *result, struct ms_instant at) {
    if (!ms_instant_is_none(at) && (ms_instant_is_none(result->next) || at.ms < result->next.ms))
        result->next = at;
}

/* One that is to be settled now: any, or (leaves_tree) a folder in the bin whose assets' retention is over. */
static enum ms_code has_tree_operation(struct sweep *s, bool *ret_has, struct ms_error *reterr) {
    struct ms_key prefix = ms_key_treeops_of(s->tenant);
    struct ms_treeop_record op;
    struct ms_scan scan;
    struct ms_view key;
    struct ms_txn *txn;
    enum ms_code code;
    *ret_has = false;
    MS_TRY(ms_read_begin(s->svc->store, &txn, reterr));
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while (!*ret_has && (code = ms_row_next_treeop(&scan, &key, &op, reterr)) == MS_OK)
        *ret_has = !s->leaves_tree || (op.kind == MS_TREEOP_BIN &&
                                       ms_instant_add_ms(op.at, op.retention_ms).ms <= s->now.ms);
    ms_scan_end(&scan);
    ms_read_end(txn);
    return *ret_has ? MS_OK : ms_absent_is_fine(code, reterr);
}

static enum ms_code settle_tree(struct sweep *s, struct ms_error *reterr) {
    struct ms_ctx ctx = {.tenant = s->tenant, .who = WHO, .admin = true};
    uint64_t done;
    bool has;
    MS_TRY(has_tree_operation(s, &has, reterr));
    if (!has)
        return MS_OK;
    MS_TRY(ms_tree_settle(s->svc, &ctx, &done, reterr));
    s->result.tree_operations += done;
    return MS_OK;
}

static enum ms_code sweep_one(struct sweep *s, struct batch *batch, struct ms_error *reterr) {
    struct ms_key from = ms_key_dues_of(s->tenant);
    struct ms_instant next;
    for (;;) {
        MS_TRY(plan(s, &from, batch, &next, reterr));
        if (batch->n == 0)
            break;
        enum ms_code code = apply(s, batch, reterr);
        if (is_damage(code))
            code = apply_singly(s, batch, reterr);
        if (code != MS_OK)
            return code;
    }
    work_at(&s->result, next);
    return settle_tree(s, reterr);
}

/* ---- the end of arrears ---------------------------------------------------------------------- */

static enum ms_code end_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    return ms_arrears_end(txn, in, out, reterr);
}

static enum ms_code end_some(const struct sweep *s, const struct ms_arrears_end *in,
                             struct ms_arrears_ended *ret_ended, struct ms_error *reterr) {
    struct ms_arrears_ended ended;
    struct ms_error err = {0};
    struct ms_write write = {.fn = end_op,
                             .in = in,
                             .out = &ended,
                             .out_size = sizeof ended,
                             .fence = ms_store_fence(s->svc->store),
                             .frees = true};
    enum ms_code code = ms_store_write(s->svc->store, &write, &err);
    if (code == MS_OK)
        *ret_ended = ended;
    if (code == MS_BUSY) /* the walk over the index has applied what can be applied */
        return ms_fail(reterr, MS_CORRUPT, "%.400s", err.message);
    return ms_pass_up(code, &err, reterr);
}

/* The asset behind `*after`, whether it can be read or not. */
static enum ms_code pass_over(const struct sweep *s, struct ms_asset_id *after,
                              struct ms_error *reterr) {
    struct ms_key from = ms_key_asset(s->tenant, *after), to;
    struct ms_asset_id top;
    struct ms_scan scan;
    struct ms_view key, value;
    struct ms_txn *txn;
    memset(&top, 0xff, sizeof top);
    to = ms_key_asset(s->tenant, top);
    from.bytes[from.len++] = 0;
    MS_TRY(ms_read_begin(s->svc->store, &txn, reterr));
    ms_scan_begin(&scan, txn, ms_key_view(&from), ms_key_view(&to));
    enum ms_code code = ms_scan_next(&scan, &key, &value, reterr);
    if (code == MS_OK || code == MS_CORRUPT) {
        *after = (struct ms_asset_id){ms_key_id_at(key, MS_TABLE_TENANT_KEY_BYTES)};
        code = MS_OK;
    }
    ms_scan_end(&scan);
    ms_read_end(txn);
    return code;
}

/* As many at once as may be; where one of them is damaged, one after the other up to that one, which is
 * passed over: it keeps no other from being deleted. */
static enum ms_code delete_all(struct sweep *s, struct ms_arrears_end *in,
                               struct ms_error *reterr) {
    struct ms_arrears_ended ended = {.more = true};
    struct ms_error err = {0};
    in->max = MS_ARREARS_ASSETS;
    while (ended.more) {
        enum ms_code code = end_some(s, in, &ended, &err);
        if (code == MS_OK) {
            in->after = ended.after;
            s->result.applied += ended.deleted;
            s->result.purged += ended.deleted;
            continue;
        }
        if (!is_damage(code))
            return ms_pass_up(code, &err, reterr);
        if (in->max == 1) {
            MS_TRY(pass_over(s, &in->after, reterr));
            note_damage(s, "asset", in->after.id, &err);
        }
        in->max = in->max == 1 ? MS_ARREARS_ASSETS : 1;
    }
    return MS_OK;
}

/* Behind everything that was due before, which the walk over the index has applied. */
static enum ms_code end_arrears(struct sweep *s, struct ms_error *reterr) {
    struct ms_tenant_record tenant;
    struct ms_arrears_end in = {.tenant = s->tenant, .now = s->now};
    struct ms_arrears_ended begun;
    struct ms_error err = {0};
    MS_TRY(ms_tenant_get(s->svc, s->tenant, &tenant, reterr));
    if (tenant.arrears == MS_ARREARS_ENDED ||
        ms_arrears_at(ms_tenant_arrears(&tenant), s->now) != MS_ARREARS_ENDED)
        return MS_OK;
    enum ms_code code = end_some(s, &in, &begun, &err); /* what is of no asset */
    if (is_damage(code))
        note_damage(s, "tenant", s->tenant.id, &err);
    else if (code != MS_OK)
        return ms_pass_up(code, &err, reterr);
    return code == MS_OK ? delete_all(s, &in, reterr) : MS_OK;
}

/* After the assets: what ended with its asset is over. */
static enum ms_code sweep_files(struct sweep *s, struct ms_error *reterr) {
    struct ms_instant next;
    uint64_t cancelled;
    MS_TRY(ms_sweep_files(s->svc, s->tenant, s->now, &cancelled, &next, reterr));
    s->result.cancelled_files += cancelled;
    work_at(&s->result, next);
    return MS_OK;
}

static enum ms_code sweep_shares(struct sweep *s, struct ms_error *reterr) {
    struct ms_instant next;
    uint64_t ended;
    MS_TRY(ms_sweep_shares(s->svc, s->tenant, s->now, &ended, &next, reterr));
    s->result.ended_shares += ended;
    work_at(&s->result, next);
    return MS_OK;
}

/* A store that cannot be asked now is asked by the next sweep: it keeps nobody from being swept. */
static void remove_ended(struct sweep *s) {
    struct ms_error err;
    uint64_t n = 0;
    if (ms_ended_settle(s->svc, s->tenant, &n, &err) != MS_OK)
        ms_log_failure(s->svc->log, MS_LOG_WARN, "ended-upload-not-removed", &err, NULL);
    s->result.removed_uploads += n;
}

/* ---- entry points ---------------------------------------------------------------------------- */

static enum ms_code begin(struct sweep *s, struct ms_svc *svc, struct ms_error *reterr) {
    *s = (struct sweep){.svc = svc, .now = ms_clock_now(svc->clock)};
    if (svc->read_only)
        return ms_fail(reterr, MS_READ_ONLY, "the store %s is open read-only: nothing is swept",
                       svc->dir);
    return check_clock(svc, s->now, reterr);
}

static enum ms_code end(const struct sweep *s, struct ms_sweep_result *ret_result,
                        struct ms_error *reterr) {
    *ret_result = s->result;
    ret_result->damaged = s->damaged;
    if (s->damaged == 0)
        return MS_OK;
    return ms_fail(reterr, s->first.code,
                   "%" PRIu64 " assets, packages or tenants could not be swept: run msasset fsck; "
                   "first: %.250s",
                   s->damaged, s->first.message);
}

/* Renewals come before what follows from them. One behind a term that begins waits only when that has
 * begun: so there is another round as long as they are paid without a question. Questions come behind all
 * that (ms_sweep_payments), each once. */
static enum ms_code sweep_due(struct sweep *s, struct ms_error *reterr) {
    struct batch batch;
    struct ms_paid paid;
    for (bool first = true;; first = false) {
        MS_TRY(ms_payments_settle(s->svc, s->tenant, s->now, s->asking, &paid, reterr));
        s->result.applied += paid.renewed + paid.refused;
        if ((!first || s->asking) && paid.renewed + paid.refused == 0)
            break;
        MS_TRY(sweep_one(s, &batch, reterr));
        if (s->asking)
            break;
    }
    if (!s->asking || ms_asking_is_last(s->asking, s->tenant))
        s->result.unpaid += paid.waiting;
    return MS_OK;
}

static enum ms_code sweep_tenant(struct sweep *s, struct ms_tenant_id tenant,
                                 struct ms_error *reterr) {
    struct ms_paid paid = {0};
    s->tenant = tenant;
    if (s->asking && !ms_asking_concerns(s->asking, tenant))
        return MS_OK;
    if (s->asking) {
        MS_TRY(ms_payments_settle(s->svc, tenant, s->now, NULL, &paid, reterr));
        if (paid.waiting == 0)
            return MS_OK;
    }
    MS_TRY(sweep_due(s, reterr));
    MS_TRY(end_arrears(s, reterr));
    MS_TRY(sweep_files(s, reterr));
    return sweep_shares(s, reterr);
}

/* A tenant whose record is damaged keeps no other from being swept. */
static enum ms_code sweep_all(struct sweep *s, struct ms_error *reterr) {
    struct ms_tenant_record tenant;
    struct ms_tenant_id id = {{{0}}};
    enum ms_code code;
    while ((code = ms_tenant_behind(s->svc, id, &tenant, reterr)) == MS_OK || code == MS_CORRUPT) {
        id = (struct ms_tenant_id){tenant.id};
        if (code == MS_OK)
            code = sweep_tenant(s, id, reterr);
        if (code == MS_OK)
            remove_ended(s);
        if (code != MS_OK && !is_damage(code))
            return code;
        if (code != MS_OK)
            note_damage(s, "tenant", id.id, reterr);
    }
    return code == MS_NOT_FOUND ? MS_OK : code;
}

static enum ms_code sweep_named(struct ms_svc *svc, struct ms_tenant_id tenant,
                                struct ms_asking *asking, bool leaves_tree,
                                struct ms_sweep_result *ret_result, struct ms_error *reterr) {
    struct sweep s;
    struct ms_error err = {0};
    struct ms_tenant_record record;
    *ret_result = (struct ms_sweep_result){0};
    MS_TRY(ms_tenant_get(svc, tenant, &record, reterr));
    MS_TRY(begin(&s, svc, reterr));
    s.asking = asking;
    s.leaves_tree = leaves_tree;
    enum ms_code code = sweep_tenant(&s, tenant, &err);
    return code == MS_OK ? end(&s, ret_result, reterr) : ms_pass_up(code, &err, reterr);
}

static enum ms_code sweep_every(struct ms_svc *svc, struct ms_asking *asking,
                                struct ms_sweep_result *ret_result, struct ms_error *reterr) {
    struct sweep s;
    struct ms_error err = {0};
    *ret_result = (struct ms_sweep_result){0};
    MS_TRY(begin(&s, svc, reterr));
    s.asking = asking;
    if (asking)
        ms_asking_begin(svc, asking);
    enum ms_code code = sweep_all(&s, &err);
    if (code == MS_OK && asking && ms_asking_again(asking))
        code = sweep_all(&s, &err);
    if (asking)
        ms_asking_end(svc, asking);
    return code == MS_OK ? end(&s, ret_result, reterr) : ms_pass_up(code, &err, reterr);
}

enum ms_code ms_sweep_tenant(struct ms_svc *svc, struct ms_tenant_id tenant,
                             struct ms_sweep_result *ret_result, struct ms_error *reterr) {
    return sweep_named(svc, tenant, NULL, false, ret_result, reterr);
}

enum ms_code ms_sweep(struct ms_svc *svc, struct ms_sweep_result *ret_result,
                      struct ms_error *reterr) {
    return sweep_every(svc, NULL, ret_result, reterr);
}

enum ms_code ms_sweep_payments(struct ms_svc *svc, struct ms_tenant_id tenant,
                               struct ms_asking *asking, struct ms_sweep_result *ret_result,
                               struct ms_error *reterr) {
    struct ms_asking own = {0};
    struct ms_asking *how = asking ? asking : &own;
    return ms_tenant_id_is_none(tenant) ? sweep_every(svc, how, ret_result, reterr)
                                        : sweep_named(svc, tenant, how, false, ret_result, reterr);
}

enum ms_code ms_sweep_deadlines(struct ms_svc *svc, struct ms_tenant_id tenant,
                                struct ms_sweep_result *ret_result, struct ms_error *reterr) {
    return sweep_named(svc, tenant, NULL, true, ret_result, reterr);
}
