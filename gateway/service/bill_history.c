/* The ledger as a history (bill.md section 5): what happened, in the words that bill simulate reads. */
#include "service/bill_part.h"

#include "service/tenant.h"

#include <stdlib.h>

/* ---- which assets were told of already ------------------------------------------------------- */

struct id_set {
    struct ms_id *slots; /* none: free */
    size_t cap, n;       /* cap is a power of two */
};

static bool is_free(const struct ms_id *slot) {
    static const struct ms_id none;
    return memcmp(slot->b, none.b, MS_ID_BYTES) == 0;
}

/* Ids are random: their first bytes are a good hash. */
static struct ms_id *slot_of(const struct id_set *set, const struct ms_id *id) {
    uint64_t hash;
    memcpy(&hash, id->b, sizeof hash);
    size_t i = (size_t)hash & (set->cap - 1);
    while (!is_free(&set->slots[i]) && memcmp(set->slots[i].b, id->b, MS_ID_BYTES) != 0)
        i = (i + 1) & (set->cap - 1);
    return &set->slots[i];
}

static enum ms_code grow(struct id_set *set, struct ms_error *reterr) {
    struct id_set larger = {.cap = set->cap ? 2 * set->cap : 1024, .n = set->n};
    larger.slots = calloc(larger.cap, sizeof *larger.slots);
    if (!larger.slots)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a history of %zu assets", set->n);
    for (size_t i = 0; i < set->cap; i++)
        if (!is_free(&set->slots[i]))
            *slot_of(&larger, &set->slots[i]) = set->slots[i];
    free(set->slots);
    *set = larger;
    return MS_OK;
}

static enum ms_code add(struct id_set *set, const struct ms_id *id, bool *ret_new,
                        struct ms_error *reterr) {
    if (4 * set->n >= 3 * set->cap)
        MS_TRY(grow(set, reterr));
    struct ms_id *slot = slot_of(set, id);
    *ret_new = is_free(slot);
    if (*ret_new) {
        *slot = *id;
        set->n++;
    }
    return MS_OK;
}

/* ---- rows in order --------------------------------------------------------------------------- */

struct entry {
    struct ms_instant at;
    uint64_t seq;
    uint32_t tenant;
    bool arrives; /* an asset from another tenant */
};

struct history {
    struct ms_svc *svc;
    struct ms_tenant_record *tenants;
    size_t tenants_n;
    struct entry *entries;
    size_t n, cap;
    struct id_set seen;
    struct ms_instant end;
    ms_bill_event_fn *fn;
    void *priv;
    bool stopped;
};

static int by_instant(const void *x, const void *y) {
    const struct entry *a = x, *b = y;
    if (a->at.ms != b->at.ms)
        return a->at.ms < b->at.ms ? -1 : 1;
    if (a->tenant != b->tenant)
        return a->tenant < b->tenant ? -1 : 1;
    return (a->seq > b->seq) - (a->seq < b->seq);
}

static enum ms_code add_tenant(struct history *h, uint32_t tenant, struct ms_error *reterr) {
    struct ms_bill_stretch s = {.tenant = {h->tenants[tenant].id},
                                .from = 1,
                                .until = ms_instant_of(INT64_MAX)};
    enum ms_code code = ms_bill_stretch_read(h->svc, &s, reterr);
    if (code == MS_OK && h->cap - h->n < s.n) {
        size_t cap = h->n + s.n > 2 * h->cap ? h->n + s.n : 2 * h->cap;
        struct entry *entries = realloc(h->entries, cap * sizeof *entries);
        if (entries) {
            h->entries = entries;
            h->cap = cap;
        } else {
            code = ms_fail(reterr, MS_NO_MEMORY, "no memory for a history of %zu rows", cap);
        }
    }
    for (size_t i = 0; i < s.n && code == MS_OK; i++)
        h->entries[h->n++] = (struct entry){s.events[i].at, s.events[i].seq, tenant,
                                            s.events[i].why == MS_WHY_TRANSFER_IN};
    h->end = ms_instant_max(h->end, h->tenants[tenant].closed_until);
    ms_bill_stretch_fini(&s);
    return code;
}

/* ---- events ---------------------------------------------------------------------------------- */

static struct ms_view view_of(const char *text) { return ms_view_of(text, strlen(text)); }

static void settings(struct ms_history_event *e, const struct ms_ledger_record *row) {
    e->what = MS_HISTORY_TENANT;
    e->has |= 1u << MS_HISTORY_HAS_FREE_BYTES | 1u << MS_HISTORY_HAS_PAY_PER_USE;
    e->free_bytes = row->free_bytes;
    e->pay_per_use = row->pay_per_use;
}

static void put(struct ms_history_event *e, const struct ms_ledger_record *row, bool first) {
    e->what = MS_HISTORY_PUT;
    e->has |= 1u << MS_HISTORY_HAS_TYPE | 1u << MS_HISTORY_HAS_ORIGIN | 1u << MS_HISTORY_HAS_BYTES;
    e->type = row->type;
    e->origin = row->origin;
    e->bytes = row->bytes_after;
    if (!first || row->asset_created.ms == row->at.ms)
        return;
    e->has |= 1u << MS_HISTORY_HAS_CREATED;
    e->created = row->asset_created;
}

/* Of one tenant alone the other one is nobody: what leaves goes to null, what comes is a put. Of all
 * of them the row of the sender says it for both. False: nothing is to be told. */
static bool transferred(const struct history *h, struct ms_history_event *e,
                        const struct ms_ledger_record *row) {
    bool all = h->tenants_n > 1;
    if (row->why == MS_WHY_TRANSFER_IN) {
        put(e, row, true);
        return !all;
    }
    e->what = MS_HISTORY_TRANSFER;
    e->has |= 1u << MS_HISTORY_HAS_TO;
    for (size_t i = 0; all && i < h->tenants_n; i++)
        if (memcmp(h->tenants[i].id.b, row->peer.b, MS_ID_BYTES) == 0)
            e->to = view_of(h->tenants[i].name);
    return true;
}

static void produced(struct ms_history_event *e, const struct ms_ledger_record *row) {
    e->what = MS_HISTORY_PRODUCE;
    e->has |= 1u << MS_HISTORY_HAS_SECONDS | 1u << MS_HISTORY_HAS_BYTES;
    e->seconds = row->seconds;
    e->bytes = row->bytes_after;
}

/* The package's own record says what it is; text is its id. */
static enum ms_code package(struct history *h, const struct ms_tenant_record *tenant,
                            const struct ms_ledger_record *row, struct ms_package_record *p,
                            char text[MS_ID_TEXT_LEN + 1], struct ms_history_event *e,
                            struct ms_error *reterr) {
    struct ms_txn *txn;
    struct ms_key key =
        ms_key_package((struct ms_tenant_id){tenant->id}, (struct ms_package_id){row->package});
    MS_TRY(ms_read_begin(h->svc->store, &txn, reterr));
    enum ms_code code = ms_row_get_package(txn, key, p, reterr);
    ms_read_end(txn);
    ms_id_format(row->package, text);
    e->package = view_of(text);
    e->terms = row->terms;
    e->has |= 1u << MS_HISTORY_HAS_PACKAGE | 1u << MS_HISTORY_HAS_TERMS;
    e->what = row->why == MS_WHY_RENEW ? MS_HISTORY_RENEW : MS_HISTORY_PACKAGE;
    if (row->why == MS_WHY_RENEW)
        return code;
    e->has |= 1u << MS_HISTORY_HAS_NAME | 1u << MS_HISTORY_HAS_KIND | 1u << MS_HISTORY_HAS_AMOUNT |
              1u << MS_HISTORY_HAS_MONTHS | 1u << MS_HISTORY_HAS_PAID;
    e->name = view_of(p->name);
    e->kind = p->kind;
    e->amount = p->amount;
    e->months = p->months;
    e->paid = p->paid;
    return code;
}

static enum ms_code tell(struct history *h, const struct ms_tenant_record *tenant,
                         const struct ms_ledger_record *row, struct ms_error *reterr) {
    char asset[MS_ID_TEXT_LEN + 1];
    struct ms_package_record p;
    bool first;
    struct ms_history_event e = {
        .at = row->at, .has = 1u << MS_HISTORY_HAS_TENANT, .tenant = view_of(tenant->name)};
    if (row->why == MS_WHY_CLASS || row->why == MS_WHY_TERM || row->why == MS_WHY_EXPIRE)
        return MS_OK; /* who reads a history knows what time does */
    if (row->why == MS_WHY_SETTINGS) {
        settings(&e, row);
    } else if (ms_bill_is_of_package(row->why)) {
        MS_TRY(package(h, tenant, row, &p, asset, &e, reterr));
    } else {
        ms_id_format(row->asset, asset);
        e.asset = view_of(asset);
        e.has |= 1u << MS_HISTORY_HAS_ASSET;
        MS_TRY(add(&h->seen, &row->asset, &first, reterr));
        if (row->why == MS_WHY_DELETE || row->why == MS_WHY_FAIL)
            e.what = MS_HISTORY_DELETE;
        else if (row->why == MS_WHY_TRANSFER_IN || row->why == MS_WHY_TRANSFER_OUT) {
            if (!transferred(h, &e, row))
                return MS_OK;
        } else if (row->why == MS_WHY_PRODUCE)
            produced(&e, row);
        else
            put(&e, row, first);
    }
    h->stopped = !h->fn(h->priv, &e);
    return MS_OK;
}

static enum ms_code row_of(struct history *h, const struct entry *entry,
                           struct ms_ledger_record *ret_row, struct ms_error *reterr) {
    struct ms_tenant_id id = {h->tenants[entry->tenant].id};
    struct ms_txn *txn;
    MS_TRY(ms_read_begin(h->svc->store, &txn, reterr));
    enum ms_code code = ms_row_get_ledger(txn, ms_key_ledger(id, entry->seq), ret_row, reterr);
    ms_read_end(txn);
    return code;
}

static enum ms_code tell_entry(struct history *h, const struct entry *entry, struct ms_error *reterr) {
    struct ms_ledger_record row;
    MS_TRY(row_of(h, entry, &row, reterr));
    return tell(h, &h->tenants[entry->tenant], &row, reterr);
}

/* ---- one instant ----------------------------------------------------------------------------- */

/* Ledgers have no order among each other, but what arrives has left before, in the same commit: at one
 * instant a tenant's rows wait for those of whoever sends. */
struct under_way {
    struct {
        struct ms_id asset, to;
    } *list;
    size_t n, cap;
};

static enum ms_code leave(struct under_way *u, const struct ms_ledger_record *row,
                          struct ms_error *reterr) {
    if (u->n == u->cap) {
        size_t cap = u->cap ? 2 * u->cap : 64;
        void *list = realloc(u->list, cap * sizeof *u->list);
        if (!list)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for %zu transfers", cap);
        u->list = list;
        u->cap = cap;
    }
    u->list[u->n].asset = row->asset;
    u->list[u->n++].to = row->peer;
    return MS_OK;
}

static bool arrive(struct under_way *u, const struct ms_id *asset, const struct ms_id *to) {
    for (size_t i = u->n; i-- > 0;)
        if (memcmp(u->list[i].asset.b, asset->b, MS_ID_BYTES) == 0 &&
            memcmp(u->list[i].to.b, to->b, MS_ID_BYTES) == 0) {
            u->list[i] = u->list[--u->n];
            return true;
        }
    return false;
}

/* One tenant's rows of the instant, as far as they do not wait; force: the first one in any case. */
static enum ms_code tell_run(struct history *h, struct under_way *u, size_t *from, size_t to,
                             bool force, struct ms_error *reterr) {
    uint32_t tenant = h->entries[*from].tenant;
    for (; *from < to && h->entries[*from].tenant == tenant && !h->stopped; ++*from) {
        struct ms_ledger_record row;
        MS_TRY(row_of(h, &h->entries[*from], &row, reterr));
        if (row.why == MS_WHY_TRANSFER_IN && !arrive(u, &row.asset, &h->tenants[tenant].id) && !force)
            return MS_OK;
        if (row.why == MS_WHY_TRANSFER_OUT)
            MS_TRY(leave(u, &row, reterr));
        MS_TRY(tell(h, &h->tenants[tenant], &row, reterr));
        force = false;
    }
    return MS_OK;
}

static size_t run_end(const struct history *h, size_t from, size_t to) {
    uint32_t tenant = h->entries[from].tenant;
    while (from < to && h->entries[from].tenant == tenant)
        from++;
    return from;
}

/* What waits is moved together, so that each pass looks at it alone. */
static enum ms_code tell_tied(struct history *h, size_t from, size_t to, struct ms_error *reterr) {
    struct under_way u = {.n = 0};
    enum ms_code code = MS_OK;
    bool force = false;
    while (from < to && code == MS_OK && !h->stopped) {
        size_t kept = from;
        for (size_t i = from, end; i < to && code == MS_OK; i = end) {
            end = run_end(h, i, to);
            code = tell_run(h, &u, &i, end, force, reterr);
            force = false;
            memmove(&h->entries[kept], &h->entries[i], (end - i) * sizeof *h->entries);
            kept += end - i;
        }
        force = kept == to; /* a ledger was read before its neighbour's transfer */
        to = kept;
    }
    free(u.list);
    return code;
}

static enum ms_code tell_all(struct history *h, struct ms_error *reterr) {
    for (size_t i = 0, end; i < h->n && !h->stopped; i = end) {
        bool tied = false;
        for (end = i; end < h->n && h->entries[end].at.ms == h->entries[i].at.ms; end++)
            tied |= h->entries[end].arrives;
        h->end = ms_instant_max(h->end, h->entries[i].at);
        if (tied && h->tenants_n > 1)
            MS_TRY(tell_tied(h, i, end, reterr));
        for (size_t k = i; k < end && !(tied && h->tenants_n > 1) && !h->stopped; k++)
            MS_TRY(tell_entry(h, &h->entries[k], reterr));
    }
    struct ms_history_event end = {.at = h->end, .what = MS_HISTORY_END};
    if (!h->stopped)
        (void)h->fn(h->priv, &end);
    return MS_OK;
}

static enum ms_code load_tenants(struct history *h, struct ms_tenant_id tenant,
                                 struct ms_error *reterr) {
    if (ms_tenant_id_is_none(tenant))
        return ms_tenant_list(h->svc, &h->tenants, &h->tenants_n, reterr);
    h->tenants = calloc(1, sizeof *h->tenants);
    if (!h->tenants)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a history");
    h->tenants_n = 1;
    return ms_tenant_get(h->svc, tenant, h->tenants, reterr);
}

enum ms_code ms_bill_history(struct ms_svc *svc, struct ms_tenant_id tenant, ms_bill_event_fn *fn,
                             void *priv, struct ms_error *reterr) {
    struct history h = {.svc = svc, .fn = fn, .priv = priv};
    enum ms_code code = load_tenants(&h, tenant, reterr);
    for (size_t i = 0; i < h.tenants_n && code == MS_OK; i++)
        code = add_tenant(&h, (uint32_t)i, reterr);
    if (code == MS_OK && h.n > 1)
        qsort(h.entries, h.n, sizeof *h.entries, by_instant);
    if (code == MS_OK)
        code = tell_all(&h, reterr);
    free(h.entries);
    free(h.seen.slots);
    free(h.tenants);
    return code;
}
