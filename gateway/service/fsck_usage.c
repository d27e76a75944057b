/* fsck of a tenant's counters: I4 usage is the fold of the ledger and the sum over assets, I8 both
 * chains, I9 reservations.
 *
 * The sums are taken over many reads while others commit. Every change of an asset's bytes or life
 * appends to one of the two chains, so what was appended behind the point from which the assets
 * were read names each asset that must be read again; the counters are compared in the first read
 * that finds nothing new.
 */
#include "service/fsck_part.h"

#include "quota/quota.h"
#include "service/chain.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ROWS_A_READ 256u
#define TAIL_MAX 1024u
#define COUNT_TRIES 5

struct chain {
    uint64_t next;
    uint8_t hash[32]; /* of the row before it */
};

struct entry {
    struct ms_id asset;
    uint64_t bytes;
    uint8_t counted, binned;
    bool there;
};

struct state {
    struct chain ledger, audit;
    uint64_t fold[MS_CLASS_COUNT];
};

struct usage {
    struct ms_fsck *f;
    struct ms_tenant_id t;
    struct state state;
    struct entry *entry;
    size_t n, sorted, cap; /* the first `sorted` ascend by id */
    bool done;
};

/* ---- I8: chains ------------------------------------------------------------------------------ */

/* name: "ledger" or "audit log". */
static void link_row(struct usage *u, const char *name, struct chain *chain, uint64_t at,
                     uint64_t seq, const uint8_t previous[32]) {
    if (at != chain->next)
        ms_fsck_finding(u->f, "I8",
                        "tenant %s: the %s has row %" PRIu64 " where %" PRIu64 " should come",
                        u->f->tenant.name, name, at, chain->next);
    else if (memcmp(previous, chain->hash, sizeof chain->hash) != 0)
        ms_fsck_finding(u->f, "I8",
                        "tenant %s: row %" PRIu64 " of the %s does not continue the "
                        "one before it",
                        u->f->tenant.name, at, name);
    if (seq != at)
        ms_fsck_finding(u->f, "I8", "tenant %s: row %" PRIu64 " of the %s says it is %" PRIu64,
                        u->f->tenant.name, at, name, seq);
    chain->next = at + 1;
}

static bool ledger_row(struct usage *u, struct ms_view key, struct ms_view value,
                       struct ms_id *ret_asset) {
    struct ms_ledger_record row;
    struct ms_error err = {0};
    if (!ms_fsck_decoded(u->f, ms_ledger_decode(value, &row, &err), key, &err))
        return false;
    link_row(u, "ledger", &u->state.ledger, ms_key_u64_at(key, MS_TABLE_TENANT_KEY_BYTES), row.seq,
             row.previous);
    ms_chain_hash_ledger(&row, u->state.ledger.hash);
    if (row.class_before < MS_CLASS_COUNT)
        u->state.fold[row.class_before] -= row.bytes_before;
    if (row.class_after < MS_CLASS_COUNT)
        u->state.fold[row.class_after] += row.bytes_after;
    *ret_asset = row.asset;
    return true;
}

static bool audit_row(struct usage *u, struct ms_view key, struct ms_view value,
                      struct ms_id *ret_asset) {
    struct ms_audit_record row;
    struct ms_error err = {0};
    if (!ms_fsck_decoded(u->f, ms_audit_decode(value, &row, &err), key, &err))
        return false;
    link_row(u, "audit log", &u->state.audit, ms_key_u64_at(key, MS_TABLE_TENANT_KEY_BYTES),
             row.seq, row.previous);
    ms_chain_hash_audit(&row, u->state.audit.hash);
    *ret_asset = row.asset;
    return true;
}

static enum ms_code each_ledger(void *priv, struct ms_txn *txn, struct ms_view key,
                                struct ms_view value, struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct ms_id asset;
    (void)txn, (void)reterr;
    (void)ledger_row(f->part, key, value, &asset);
    return MS_OK;
}

static enum ms_code each_audit(void *priv, struct ms_txn *txn, struct ms_view key,
                               struct ms_view value, struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct ms_id asset;
    (void)txn, (void)reterr;
    (void)audit_row(f->part, key, value, &asset);
    return MS_OK;
}

static enum ms_code check_head(struct usage *u, struct ms_txn *txn, char which, const char *name,
                               const struct chain *chain, struct ms_error *reterr) {
    struct ms_chain_record head;
    enum ms_fsck_seen seen;
    MS_TRY(ms_fsck_see(ms_row_get_chain(txn, ms_key_chain(u->t, which), &head, reterr), &seen));
    if (seen == MS_FSCK_ABSENT)
        head = (struct ms_chain_record){.seq = 1};
    if (seen != MS_FSCK_DAMAGED &&
        (head.seq != chain->next || memcmp(head.head, chain->hash, sizeof head.head) != 0))
        ms_fsck_finding(u->f, "I8",
                        "tenant %s: the %s ends with row %" PRIu64 ", its head says %" PRIu64 "%s",
                        u->f->tenant.name, name, chain->next - 1, head.seq - 1,
                        head.seq == chain->next ? " with another hash" : "");
    return MS_OK;
}

/* ---- assets ---------------------------------------------------------------------------------- */

static int by_asset(const void *a, const void *b) {
    return memcmp(((const struct entry *)a)->asset.b, ((const struct entry *)b)->asset.b,
                  MS_ID_BYTES);
}

static struct entry *find(struct usage *u, struct ms_id asset) {
    struct entry wanted = {.asset = asset}, *found = NULL;
    if (u->n - u->sorted > TAIL_MAX) {
        qsort(u->entry, u->n, sizeof *u->entry, by_asset);
        u->sorted = u->n;
    }
    if (u->sorted > 0)
        found = bsearch(&wanted, u->entry, u->sorted, sizeof wanted, by_asset);
    for (size_t i = u->sorted; !found && i < u->n; i++)
        if (ms_id_is(u->entry[i].asset, asset))
            found = &u->entry[i];
    return found;
}

static enum ms_code set_entry(struct usage *u, struct ms_id asset, const struct entry *is,
                              struct ms_error *reterr) {
    struct entry *e = find(u, asset);
    if (!e && !is->there)
        return MS_OK;
    if (!e && u->n == u->cap) {
        size_t cap = u->cap ? 2 * u->cap : 256;
        struct entry *more = reallocarray(u->entry, cap, sizeof *more);
        if (!more)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory to sum up %zu assets", cap);
        u->entry = more;
        u->cap = cap;
    }
    if (!e)
        e = &u->entry[u->n++];
    *e = *is;
    e->asset = asset;
    return MS_OK;
}

static struct entry entry_of(const struct ms_asset_record *asset) {
    return (struct entry){
        .bytes = asset->bytes, .counted = asset->counted, .binned = asset->binned, .there = true};
}

/* The walk goes by id, so the entries are sorted as they come. */
static enum ms_code each_asset(void *priv, struct ms_txn *txn, struct ms_view key,
                               struct ms_view value, struct ms_error *reterr) {
    struct usage *u = ((struct ms_fsck *)priv)->part;
    struct ms_asset_record asset;
    (void)txn, (void)key;
    if (ms_asset_decode(value, &asset, NULL) != MS_OK)
        return MS_OK;
    struct entry e = entry_of(&asset);
    MS_TRY(set_entry(u, asset.id, &e, reterr));
    if (u->sorted + 1 == u->n &&
        (u->n == 1 || by_asset(&u->entry[u->n - 2], &u->entry[u->n - 1]) < 0))
        u->sorted = u->n;
    return MS_OK;
}

static enum ms_code read_again(struct usage *u, struct ms_txn *txn, struct ms_id id,
                               struct ms_error *reterr) {
    struct ms_asset_record asset;
    enum ms_fsck_seen seen;
    struct ms_key key = ms_key_asset(u->t, (struct ms_asset_id){id});
    if (!ms_id_is_set(id)) /* of the tenant as a whole */
        return MS_OK;
    MS_TRY(ms_fsck_see(ms_row_get_asset(txn, key, &asset, reterr), &seen));
    struct entry e = {.there = false};
    if (seen == MS_FSCK_THERE)
        e = entry_of(&asset);
    return set_entry(u, id, &e, reterr);
}

/* ---- I4 and I9: compare ---------------------------------------------------------------------- */

static void compare(struct usage *u, const char *invariant, const char *what, uint64_t counter,
                    uint64_t is, const char *by) {
    if (counter != is)
        ms_fsck_finding(u->f, invariant, "tenant %s: usage counts %" PRIu64 " %s, %s %" PRIu64,
                        u->f->tenant.name, counter, what, by, is);
}

static void compare_sums(struct usage *u, const struct ms_usage_record *usage) {
    const uint64_t counter[MS_CLASS_COUNT] = {[MS_CLASS_STANDARD] = usage->standard,
                                              [MS_CLASS_PRODUCED_FREE] = usage->produced_free,
                                              [MS_CLASS_PRODUCED] = usage->produced,
                                              [MS_CLASS_EXCLUDED] = usage->excluded};
    uint64_t sum[MS_CLASS_COUNT] = {0}, assets = 0, binned = 0, binned_bytes = 0;
    char what[64];
    for (size_t i = 0; i < u->n; i++) {
        const struct entry *e = &u->entry[i];
        if (!e->there)
            continue;
        assets++;
        binned += e->binned;
        binned_bytes += e->binned ? e->bytes : 0;
        if (e->counted < MS_CLASS_COUNT)
            sum[e->counted] += e->bytes;
    }
    for (unsigned c = 0; c < MS_CLASS_COUNT; c++) {
        (void)snprintf(what, sizeof what, "bytes of class %s", ms_class_name((enum ms_class)c));
        compare(u, "I4", what, counter[c], sum[c], "its assets have");
        compare(u, "I4", what, counter[c], u->state.fold[c], "its ledger adds up to");
    }
    compare(u, "I4", "assets", usage->assets, assets, "there are");
    compare(u, "I4", "assets in the bin", usage->binned_assets, binned, "there are");
    compare(u, "I4", "bytes in the bin", usage->binned_bytes, binned_bytes, "there are");
}

static enum ms_code add_lease(void *priv, struct ms_txn *txn, struct ms_view key,
                              struct ms_view value, struct ms_error *reterr) {
    struct ms_lease_record lease;
    (void)txn, (void)key, (void)reterr;
    if (ms_lease_decode(value, &lease, NULL) == MS_OK)
        *(uint64_t *)priv += lease.bytes;
    return MS_OK;
}

static enum ms_code add_upload(void *priv, struct ms_txn *txn, struct ms_view key,
                               struct ms_view value, struct ms_error *reterr) {
    struct ms_upload_record upload;
    (void)txn, (void)key, (void)reterr;
    if (ms_upload_decode(value, &upload, NULL) == MS_OK)
        *(uint64_t *)priv += upload.reserved;
    return MS_OK;
}

static void pass_over(void *priv, struct ms_view key, const struct ms_error *err) {
    (void)priv, (void)key, (void)err;
}

static enum ms_code compare_now(struct usage *u, struct ms_txn *txn, struct ms_error *reterr) {
    struct ms_usage_record usage;
    enum ms_fsck_seen seen;
    uint64_t leased = 0;
    struct ms_walk leases = {
        .prefix = ms_key_leases_of(u->t), .each = add_lease, .priv = &leased, .damaged = pass_over};
    struct ms_walk uploads = {.prefix = ms_key_uploads_of(u->t),
                              .each = add_upload,
                              .priv = &leased,
                              .damaged = pass_over};
    MS_TRY(check_head(u, txn, 'L', "ledger", &u->state.ledger, reterr));
    MS_TRY(check_head(u, txn, 'E', "audit log", &u->state.audit, reterr));
    MS_TRY(ms_walk_in(txn, &leases, reterr));
    MS_TRY(ms_walk_in(txn, &uploads, reterr));
    MS_TRY(ms_fsck_see(ms_row_get_usage(txn, ms_key_usage(u->t), &usage, reterr), &seen));
    if (seen != MS_FSCK_THERE)
        return MS_OK;
    compare_sums(u, &usage);
    compare(u, "I9", "reserved bytes", usage.reserved, leased, "leases and declared files have");
    return MS_OK;
}

/* ---- catching up ----------------------------------------------------------------------------- */

/* Rows appended to one chain since. *ret_end: there are no more. */
static enum ms_code appended(struct usage *u, struct ms_txn *txn, bool ledger, bool *ret_end,
                             struct ms_error *reterr) {
    uint64_t next = ledger ? u->state.ledger.next : u->state.audit.next;
    struct ms_key from = ledger ? ms_key_ledger(u->t, next) : ms_key_audit(u->t, next);
    struct ms_key to = ledger ? ms_key_ledger(u->t, UINT64_MAX) : ms_key_audit(u->t, UINT64_MAX);
    struct ms_scan scan;
    struct ms_view key, value;
    enum ms_code code = MS_OK;
    ms_scan_begin(&scan, txn, ms_key_view(&from), ms_key_view(&to));
    for (unsigned n = 0; n < ROWS_A_READ && code == MS_OK; n++) {
        struct ms_id asset;
        code = ms_scan_next(&scan, &key, &value, reterr);
        if (code == MS_OK &&
            (ledger ? ledger_row(u, key, value, &asset) : audit_row(u, key, value, &asset)))
            code = read_again(u, txn, asset, reterr);
    }
    ms_scan_end(&scan);
    *ret_end = code == MS_NOT_FOUND || code == MS_CORRUPT; /* damage has been named */
    return *ret_end ? MS_OK : code;
}

static enum ms_code catch_up(struct ms_fsck *f, struct ms_txn *txn, void *priv,
                             struct ms_error *reterr) {
    struct usage *u = priv;
    struct state before = u->state;
    bool ledger, audit;
    (void)f;
    enum ms_code code = appended(u, txn, true, &ledger, reterr);
    if (code == MS_OK)
        code = appended(u, txn, false, &audit, reterr);
    if (code == MS_OK && ledger && audit)
        code = compare_now(u, txn, reterr);
    if (code != MS_OK)
        u->state = before;
    u->done = code == MS_OK && ledger && audit;
    return code;
}

/* ---- inodes ---------------------------------------------------------------------------------- */

struct inodes {
    struct ms_tenant_id t;
    uint64_t is, counter;
    bool known;
};

static enum ms_code count_row(void *priv, struct ms_txn *txn, struct ms_view key,
                              struct ms_view value, struct ms_error *reterr) {
    (void)txn, (void)key, (void)value, (void)reterr;
    ++*(uint64_t *)priv;
    return MS_OK;
}

static void count_damaged(void *priv, struct ms_view key, const struct ms_error *err) {
    (void)key, (void)err;
    ++*(uint64_t *)priv;
}

static enum ms_code count_inodes(struct ms_fsck *f, struct ms_txn *txn, void *priv,
                                 struct ms_error *reterr) {
    struct inodes *i = priv;
    struct ms_usage_record usage;
    struct ms_walk walk = {.prefix = ms_key_inodes_of(i->t),
                           .each = count_row,
                           .priv = &i->is,
                           .damaged = count_damaged};
    enum ms_fsck_seen seen;
    (void)f;
    i->is = 0;
    MS_TRY(ms_walk_in(txn, &walk, reterr));
    MS_TRY(ms_fsck_see(ms_row_get_usage(txn, ms_key_usage(i->t), &usage, reterr), &seen));
    i->known = seen == MS_FSCK_THERE;
    i->counter = usage.inodes;
    return MS_OK;
}

static enum ms_code usage_now(struct usage *u, struct ms_usage_record *ret_usage,
                              enum ms_fsck_seen *ret_seen, struct ms_error *reterr) {
    struct ms_txn *txn;
    MS_TRY(ms_read_begin(u->f->svc->store, &txn, reterr));
    enum ms_code code = ms_row_get_usage(txn, ms_key_usage(u->t), ret_usage, reterr);
    ms_read_end(txn);
    return ms_fsck_see(code, ret_seen);
}

/* Over many reads: good for a comparison when the counter stood still. */
static enum ms_code count_slowly(struct usage *u, struct inodes *i, struct ms_error *reterr) {
    struct ms_walk walk = {.prefix = ms_key_inodes_of(u->t),
                           .each = count_row,
                           .priv = &i->is,
                           .damaged = count_damaged};
    struct ms_usage_record before, after;
    enum ms_fsck_seen seen[2];
    i->is = 0;
    MS_TRY(usage_now(u, &before, &seen[0], reterr));
    MS_TRY(ms_walk_all(u->f->svc, &walk, reterr));
    MS_TRY(usage_now(u, &after, &seen[1], reterr));
    i->counter = after.inodes;
    i->known =
        seen[0] == MS_FSCK_THERE && seen[1] == MS_FSCK_THERE && before.inodes == after.inodes;
    return MS_OK;
}

/* In one read, which a million inodes still fit; with more, and somebody who makes or deletes some
 * all the time, there is nothing to compare. */
static enum ms_code check_inodes(struct usage *u, struct ms_error *reterr) {
    struct inodes i = {.t = u->t};
    enum ms_code code = ms_fsck_read(u->f, count_inodes, &i, reterr);
    for (unsigned tries = 0; code == MS_STALE && !i.known && tries < COUNT_TRIES; tries++) {
        enum ms_code slowly = count_slowly(u, &i, reterr);
        if (slowly != MS_OK)
            return slowly;
    }
    if (i.known)
        compare(u, "I4", "inodes", i.counter, i.is, "there are");
    ms_fsck_flush(u->f);
    return code == MS_STALE ? MS_OK : code;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static enum ms_code check_usage(struct usage *u, struct ms_error *reterr) {
    u->f->part = u;
    MS_TRY(ms_fsck_walk(u->f, ms_key_ledgers_of(u->t), each_ledger, reterr));
    MS_TRY(ms_fsck_walk(u->f, ms_key_audits_of(u->t), each_audit, reterr));
    MS_TRY(ms_fsck_walk(u->f, ms_key_assets_of(u->t), each_asset, reterr));
    while (!u->done)
        MS_TRY(ms_fsck_read(u->f, catch_up, u, reterr));
    return check_inodes(u, reterr);
}

enum ms_code ms_fsck_usage(struct ms_fsck *f, struct ms_error *reterr) {
    struct usage u = {.f = f, .t = {f->tenant.id}};
    u.state.ledger.next = u.state.audit.next = 1;
    enum ms_code code = check_usage(&u, reterr);
    free(u.entry);
    return code;
}
