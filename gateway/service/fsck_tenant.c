/* fsck of one tenant: its own rows, its tree, and the order of the rest. */
#include "service/fsck_part.h"

#include "service/tree_check.h"
#include "service/tree_rows.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- the tenant's own rows ------------------------------------------------------------------- */

/* I5 of the tenant itself; and what ended has nothing left. */
static enum ms_code check_arrears(struct ms_fsck *f, struct ms_txn *txn,
                                  const struct ms_usage_record *usage, struct ms_error *reterr) {
    struct ms_tenant_record tenant;
    struct ms_due_record row;
    enum ms_fsck_seen seen;
    struct ms_tenant_id t = {f->tenant.id};
    MS_TRY(ms_fsck_see(ms_row_get_tenant(txn, ms_key_tenant(t), &tenant, reterr), &seen));
    if (seen != MS_FSCK_THERE)
        return MS_OK;
    struct ms_instant due = ms_arrears_due(ms_tenant_arrears(&tenant));
    if (tenant.arrears == MS_ARREARS_ENDED && usage && usage->assets > 0)
        ms_fsck_finding(f, "tenant",
                        "the arrears of tenant %s have ended, and it has %" PRIu64 " assets",
                        tenant.name, usage->assets);
    if (due.ms == INT64_MAX)
        return MS_OK;
    MS_TRY(ms_fsck_see(ms_row_get_due(txn, ms_key_due(t, due, MS_DUE_ARREARS, t.id), &row, reterr),
                       &seen));
    if (seen == MS_FSCK_ABSENT)
        ms_fsck_finding(f, "I5",
                        "tenant %s is in arrears: its due row (%" PRId64 " ms) is not there",
                        tenant.name, due.ms);
    return MS_OK;
}

/* I14 from the operations' side: each has its due row, and the record counts them. */
static enum ms_code check_treeops(struct ms_fsck *f, struct ms_txn *txn, struct ms_error *reterr) {
    struct ms_tenant_id t = {f->tenant.id};
    struct ms_key prefix = ms_key_treeops_of(t);
    struct ms_tenant_record tenant;
    struct ms_treeop_record op;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_fsck_seen seen;
    enum ms_code code;
    uint32_t n = 0;
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while ((code = ms_row_next_treeop(&scan, &key, &op, reterr)) == MS_OK) {
        struct ms_key due = ms_key_due(t, op.at, MS_DUE_TREE, op.id);
        if (op.kind != MS_TREEOP_BIN)
            continue;
        n++;
        if (!ms_txn_has(txn, ms_key_view(&due)))
            ms_fsck_finding(f, "I14",
                            "tenant %s: operation %s on folder %" PRIu64 " has no due row",
                            f->tenant.name, ms_id_text(op.id).s, op.ino);
    }
    ms_scan_end(&scan);
    MS_TRY(ms_absent_is_fine(code, reterr));
    MS_TRY(ms_fsck_see(ms_row_get_tenant(txn, ms_key_tenant(t), &tenant, reterr), &seen));
    if (seen == MS_FSCK_THERE && tenant.treeops != n)
        ms_fsck_finding(f, "I14", "tenant %s counts %" PRIu32 " folders on their way into the bin, there are %" PRIu32,
                        f->tenant.name, tenant.treeops, n);
    return MS_OK;
}

static enum ms_code check_record(struct ms_fsck *f, struct ms_txn *txn, void *priv,
                                 struct ms_error *reterr) {
    struct ms_tenant_id t = {f->tenant.id};
    struct ms_mask mask = ms_tenant_mask(&f->tenant, (struct ms_instant){0});
    struct ms_usage_record usage;
    struct ms_inode_record root;
    struct ms_id named;
    enum ms_fsck_seen seen;
    (void)priv;
    MS_TRY(ms_fsck_see(ms_row_get_id(txn, ms_key_tname(f->tenant.name), &named, reterr), &seen));
    if (seen == MS_FSCK_ABSENT || (seen == MS_FSCK_THERE && !ms_id_is(named, t.id)))
        ms_fsck_finding(f, "tenant", "the name \"%s\" does not lead to tenant %s", f->tenant.name,
                        ms_id_text(t.id).s);
    if (ms_mask_broken(&mask))
        ms_fsck_finding(f, "tenant", "the freeze of tenant %s makes no sense: %s", f->tenant.name,
                        ms_mask_broken(&mask));
    MS_TRY(ms_fsck_see(ms_row_get_usage(txn, ms_key_usage(t), &usage, reterr), &seen));
    if (seen == MS_FSCK_ABSENT)
        ms_fsck_finding(f, "tenant", "tenant %s has no counters", f->tenant.name);
    MS_TRY(check_arrears(f, txn, seen == MS_FSCK_THERE ? &usage : NULL, reterr));
    MS_TRY(check_treeops(f, txn, reterr));
    MS_TRY(ms_fsck_see(ms_row_get_inode(txn, ms_key_inode(t, f->tenant.root_ino), &root, reterr),
                       &seen));
    if (seen == MS_FSCK_ABSENT)
        ms_fsck_finding(f, "tenant", "tenant %s has no root folder", f->tenant.name);
    return MS_OK;
}

/* ---- the tree -------------------------------------------------------------------------------- */

struct said {
    struct ms_buf *now;          /* "invariant\0text\0" each */
    const struct ms_buf *before; /* NULL: the first run */
    struct ms_fsck *f;
};

static bool was_said(const struct ms_buf *before, const char *invariant, const char *text) {
    for (size_t at = 0; at < before->len;) {
        const char *name = (const char *)before->data + at, *then = name + strlen(name) + 1;
        if (strcmp(name, invariant) == 0 && strcmp(then, text) == 0)
            return true;
        at += strlen(name) + 1 + strlen(then) + 1;
    }
    return false;
}

static void hear(void *priv, const char *invariant, const char *text) {
    struct said *s = priv;
    if (s->before) {
        if (was_said(s->before, invariant, text))
            ms_fsck_finding(s->f, invariant, "tenant %s: %s", s->f->tenant.name, text);
    } else if (ms_buf_add(s->now, invariant, strlen(invariant) + 1, NULL) == MS_OK &&
               ms_buf_add(s->now, text, strlen(text) + 1, NULL) != MS_OK) {
        s->now->len -= strlen(invariant) + 1; /* there is enough to read already */
    }
}

/* A row that cannot be read ends the check of the tree; it has been named. */
static enum ms_code run_tree_check(struct ms_fsck *f, struct said *said, uint64_t *ret_inodes,
                                   struct ms_error *reterr) {
    struct ms_tree_check check = {hear, said};
    enum ms_code code = MS_STALE;
    for (unsigned tries = 0; code == MS_STALE && tries < 3; tries++)
        code =
            ms_tree_check(f->svc, (struct ms_tenant_id){f->tenant.id}, &check, ret_inodes, reterr);
    return code == MS_CORRUPT || code == MS_NO_TENANT ? MS_OK : code;
}

/* What two runs say alike is no commit that was under way. */
static enum ms_code check_tree(struct ms_fsck *f, struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf first = {0};
    struct said said = {.now = &first, .f = f};
    uint64_t inodes = 0;
    MS_TRY(run_tree_check(f, &said, &inodes, reterr));
    f->result.inodes += inodes;
    if (first.len == 0)
        return MS_OK;
    said.before = &first;
    MS_TRY(run_tree_check(f, &said, &inodes, reterr));
    ms_fsck_flush(f);
    return MS_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

enum ms_code ms_fsck_tenant(struct ms_fsck *f, struct ms_error *reterr) {
    MS_TRY(ms_fsck_read(f, check_record, NULL, reterr));
    MS_TRY(check_tree(f, reterr));
    MS_TRY(ms_fsck_assets(f, reterr));
    MS_TRY(ms_fsck_answers(f, reterr));
    MS_TRY(ms_fsck_packages(f, reterr));
    return ms_fsck_usage(f, reterr);
}
