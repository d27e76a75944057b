#include "service/audit.h"

#include "service/chain.h"
#include "service/tree_rows.h"
#include "service/upkeep_walk.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ROWS_A_READ 1024u

bool ms_audit_event_parse(const char *name, uint8_t *ret_event) {
    for (unsigned event = 0; event <= UINT8_MAX; event++) {
        const char *known = ms_audit_event_name((uint8_t)event);
        if (known[0] != '?' && strcasecmp(name, known) == 0) {
            *ret_event = (uint8_t)event;
            return true;
        }
    }
    return false;
}

/* ---- pages ----------------------------------------------------------------------------------- */

static bool fits(const struct ms_audit_filter *f, const struct ms_audit_record *row) {
    return (ms_asset_id_is_none(f->asset) ||
            ms_asset_id_equal(f->asset, (struct ms_asset_id){row->asset})) &&
           (ms_instant_is_none(f->since) || row->at.ms >= f->since.ms) &&
           (ms_instant_is_none(f->until) || row->at.ms < f->until.ms) &&
           (!f->who || strcmp(f->who, row->who) == 0) && (!f->has_event || f->event == row->event);
}

/* Rows from `next` on, to the end of the tenant's log. */
static void scan_from(struct ms_scan *scan, const struct ms_tree *t, uint64_t next) {
    struct ms_key from = ms_key_audit(t->id, next), to = ms_key_audit(t->id, UINT64_MAX);
    ms_scan_begin(scan, t->txn, ms_key_view(&from), ms_key_view(&to));
}

struct page {
    const struct ms_audit_filter *filter;
    struct ms_audit_record *rows;
    size_t max, n;
    uint64_t after;
    bool end;
};

static enum ms_code read_page(const struct ms_tree *t, struct page *p, struct ms_error *reterr) {
    struct ms_scan scan;
    struct ms_view key;
    struct ms_audit_record row;
    enum ms_code code = MS_OK;
    scan_from(&scan, t, p->after + 1);
    for (unsigned i = 0; i < ROWS_A_READ && p->n < p->max; i++) {
        code = ms_row_next_audit(&scan, &key, &row, reterr);
        if (code != MS_OK)
            break;
        p->after = ms_key_u64_at(key, MS_TABLE_TENANT_KEY_BYTES);
        if (fits(p->filter, &row))
            p->rows[p->n++] = row;
    }
    ms_scan_end(&scan);
    p->end = code == MS_NOT_FOUND;
    return ms_absent_is_fine(code, reterr);
}

enum ms_code ms_audit_page(struct ms_svc *svc, const struct ms_ctx *ctx,
                           const struct ms_audit_filter *filter, uint64_t after,
                           struct ms_audit_record *ret_rows, size_t max, size_t *ret_n,
                           uint64_t *ret_after, bool *ret_end, struct ms_error *reterr) {
    struct page page = {.filter = filter, .rows = ret_rows, .max = max, .after = after};
    struct ms_error err = {0};
    struct ms_tree t;
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    enum ms_code code = read_page(&t, &page, &err);
    ms_tree_read_end(&t);
    if (code != MS_OK)
        return ms_fail(reterr, code, "the audit log behind row %" PRIu64 " cannot be read: %.200s",
                       page.after, err.message);
    *ret_n = page.n;
    *ret_after = page.after;
    *ret_end = page.end;
    return MS_OK;
}

/* ---- the chain ------------------------------------------------------------------------------- */

struct chain {
    struct ms_audit_verdict verdict;
    uint64_t next;
    uint8_t hash[32]; /* of the row before it */
    bool end;
};

static void broken(struct chain *c, uint64_t seq, const char *why) {
    c->verdict.broken = true;
    c->verdict.seq = seq;
    (void)snprintf(c->verdict.why, sizeof c->verdict.why, "%.159s", why);
}

static void link_row(struct chain *c, uint64_t at, const struct ms_audit_record *row) {
    if (at != c->next)
        broken(c, c->next, "it is missing");
    else if (row->seq != at)
        broken(c, at, "it says that it is another row");
    else if (memcmp(row->previous, c->hash, sizeof c->hash) != 0)
        broken(c, at, at == 1 ? "it is not the first row of a log"
                              : "it does not continue the row before it: that one, or this one, "
                                "was changed");
    if (c->verdict.broken)
        return;
    ms_chain_hash_audit(row, c->hash);
    c->verdict.rows++;
    c->next++;
}

/* In the read that finds no further row, so nobody can append in between. */
static enum ms_code check_head(const struct ms_tree *t, struct chain *c, struct ms_error *reterr) {
    struct ms_chain_record head = {.seq = 1};
    struct ms_error err = {0};
    enum ms_code code = ms_row_get_chain(t->txn, ms_key_chain(t->id, 'E'), &head, &err);
    if (code != MS_OK && code != MS_NOT_FOUND && code != MS_CORRUPT)
        return ms_pass_up(code, &err, reterr);
    if (code == MS_CORRUPT)
        broken(c, c->next, err.message);
    else if (head.seq > c->next)
        broken(c, c->next, "it is missing: the head of the chain knows of it");
    else if (head.seq < c->next || memcmp(head.head, c->hash, sizeof c->hash) != 0)
        broken(c, c->next - 1, "the head of the chain names another last row");
    return MS_OK;
}

static enum ms_code follow(const struct ms_tree *t, struct chain *c, struct ms_error *reterr) {
    struct ms_scan scan;
    struct ms_view key;
    struct ms_audit_record row;
    struct ms_error err = {0};
    enum ms_code code = MS_OK;
    scan_from(&scan, t, c->next);
    for (unsigned i = 0; i < ROWS_A_READ && !c->verdict.broken; i++) {
        if ((code = ms_row_next_audit(&scan, &key, &row, &err)) != MS_OK)
            break;
        link_row(c, ms_key_u64_at(key, MS_TABLE_TENANT_KEY_BYTES), &row);
    }
    ms_scan_end(&scan);
    c->end = code == MS_NOT_FOUND;
    if (code == MS_CORRUPT)
        broken(c, c->next, err.message);
    else if (code != MS_OK && !c->end)
        return ms_pass_up(code, &err, reterr);
    return c->end ? check_head(t, c, reterr) : MS_OK;
}

enum ms_code ms_audit_verify(struct ms_svc *svc, const struct ms_ctx *ctx,
                             bool (*progress)(void *priv, uint64_t rows), void *priv,
                             struct ms_audit_verdict *ret_verdict, struct ms_error *reterr) {
    struct chain c = {.next = 1};
    while (!c.end && !c.verdict.broken) {
        struct ms_error err = {0};
        struct ms_tree t;
        MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
        enum ms_code code = follow(&t, &c, &err);
        ms_tree_read_end(&t);
        if (code != MS_OK)
            return ms_pass_up(code, &err, reterr);
        if (progress && !progress(priv, c.verdict.rows))
            return ms_fail(reterr, MS_CANCELLED, "stopped after %" PRIu64 " rows", c.verdict.rows);
    }
    *ret_verdict = c.verdict;
    return MS_OK;
}
