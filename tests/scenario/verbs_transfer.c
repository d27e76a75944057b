/* Assets that change hands. */
#include "scenario.h"

#include "quota/package.h"
#include "service/change.h"
#include "service/transfer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static enum ms_code verb_allow(struct scene *s, int n, char **words, struct ms_error *reterr) {
    enum ms_may_transfer may = MS_MAY_TRANSFER_MODELS;
    if (n > 1)
        may = strcmp(words[1], "any") == 0 ? MS_MAY_TRANSFER_ANY : MS_MAY_TRANSFER_NOT;
    return ms_transfer_allow(s->w->svc, scene_ctx(s), may, reterr);
}

/* Labels with commas between. */
static size_t assets_of(struct scene *s, char *labels, struct ms_asset_id *ret_ids) {
    size_t n = 0;
    for (char *p = labels, *next; p; p = next) {
        next = strchr(p, ',');
        if (next)
            *next++ = '\0';
        if (n == MS_TRANSFER_ASSETS_MAX)
            scene_fail(s, "too many assets");
        ret_ids[n++] = scene_asset_of(s, p)->id;
    }
    return n;
}

static enum ms_code verb_transfer(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_asset_id ids[MS_TRANSFER_ASSETS_MAX];
    const char *back = scene_value(n, words, "back");
    struct ms_transfer_create c = {.assets = ids,
                                   .dest = scene_tenant_of(s, words[3]),
                                   .memo = scene_value(n, words, "memo"),
                                   .auto_accept = scene_value(n, words, "accept") != NULL,
                                   .activate = scene_value(n, words, "active") != NULL,
                                   .billing = scene_value(n, words, "billing") != NULL};
    struct ms_transfer_record job;
    scene_only(s, n, words, "back memo accept active billing");
    c.n = assets_of(s, words[2], ids);
    if (back)
        c.back_of = (struct ms_transfer_id){*scene_id_of(s, back)};
    MS_TRY(ms_transfer_create(s->w->svc, scene_ctx(s), &c, &job, reterr));
    scene_name_id(s, words[1], job.id);
    return MS_OK;
}

static enum ms_code end(struct scene *s, int n, char **words, enum ms_transfer_state how,
                        struct ms_error *reterr) {
    struct ms_transfer_id id = {*scene_id_of(s, words[1])};
    struct ms_transfer_record job;
    scene_only(s, n, words, "why");
    return ms_transfer_end(s->w->svc, scene_ctx(s), id, how, scene_value(n, words, "why"), &job,
                           reterr);
}

static enum ms_code verb_accept(struct scene *s, int n, char **words, struct ms_error *reterr) {
    return end(s, n, words, MS_TRANSFER_ACCEPT, reterr);
}

static enum ms_code verb_accept_confirm(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_transfer_record job;
    (void)n;
    return ms_transfer_confirm(s->w->svc, scene_ctx(s), (struct ms_transfer_id){*scene_id_of(s, words[1])},
                               NULL, &job, reterr);
}

/* By kind of package, "required/left"; what is not named is not required. */
static enum ms_code verb_required(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_transfer_needs needs;
    MS_TRY(ms_transfer_required(s->w->svc, scene_ctx(s), (struct ms_transfer_id){*scene_id_of(s, words[1])},
                                &needs, reterr));
    if ((size_t)n - 2 != needs.n)
        scene_fail(s, "%zu kinds are required", needs.n);
    for (size_t i = 0; i < needs.n; i++) {
        const char *want = scene_value(n, words, ms_package_kind_name(needs.need[i].kind));
        char is[64];
        (void)snprintf(is, sizeof is, "%" PRIu64 "/%" PRIu64, needs.need[i].units, needs.need[i].left);
        if (!want || strcmp(want, is) != 0)
            scene_fail(s, "%s: %s", ms_package_kind_name(needs.need[i].kind), is);
    }
    return MS_OK;
}

static enum ms_code verb_reject(struct scene *s, int n, char **words, struct ms_error *reterr) {
    return end(s, n, words, MS_TRANSFER_REJECT, reterr);
}

static enum ms_code verb_cancel(struct scene *s, int n, char **words, struct ms_error *reterr) {
    return end(s, n, words, MS_TRANSFER_CANCEL, reterr);
}

static enum ms_code verb_job(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_transfer_id id = {*scene_id_of(s, words[1])};
    struct ms_asset_id assets[MS_TRANSFER_ASSETS_MAX];
    const char *state = scene_value(n, words, "state"), *why = scene_value(n, words, "why"),
               *finish = scene_value(n, words, "finish");
    struct ms_transfer_record job;
    size_t count;
    scene_only(s, n, words, "state why finish");
    MS_TRY(ms_transfer_get(s->w->svc, scene_ctx(s), id, &job, assets, &count, reterr));
    if (count != job.assets)
        scene_fail(s, "the job has %zu assets, not %u", count, job.assets);
    if (state && strcmp(state, ms_transfer_state_name(job.state)) != 0)
        scene_fail(s, "the job is %s: %s", ms_transfer_state_name(job.state), job.reason);
    if (why && !strstr(job.reason, why))
        scene_fail(s, "the job's reason is %s", job.reason);
    if (finish && job.finish.ms != scene_instant(s, finish).ms)
        scene_fail(s, "the job ended at %" PRId64, job.finish.ms);
    return MS_OK;
}

/* It is the tenant's in use from now on: later lines find it there. */
static enum ms_code verb_mine(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct scene_asset *asset = scene_asset_of(s, words[1]);
    (void)n;
    asset->tenant = s->w->ctx.tenant;
    return scene_look(s, asset, reterr);
}

/* The last row of an asset in a tenant's ledger that says so. */
static bool ledger_row(struct scene *s, struct ms_tenant_id tenant, struct ms_asset_id asset,
                       enum ms_why why, struct ms_ledger_record *ret_row) {
    struct ms_key prefix = ms_key_ledgers_of(tenant);
    struct ms_ledger_record row;
    struct ms_scan scan;
    struct ms_view key;
    struct ms_txn *txn;
    bool found = false;
    assert_ok(ms_read_begin(s->w->svc->store, &txn, &test_err));
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while (ms_row_next_ledger(&scan, &key, &row, NULL) == MS_OK)
        if (row.why == why && memcmp(row.asset.b, asset.id.b, MS_ID_BYTES) == 0) {
            *ret_row = row;
            found = true;
        }
    ms_scan_end(&scan);
    ms_read_end(txn);
    return found;
}

/* Both ledgers have it at the same instant, with the same bytes, each naming the other. */
static enum ms_code verb_moved(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const struct scene_asset *asset = scene_asset_of(s, words[1]);
    struct ms_tenant_id from = scene_tenant_of(s, words[2]), to = scene_tenant_of(s, words[3]);
    struct ms_ledger_record out, in;
    struct ms_instant at = n > 4 ? scene_instant(s, words[4]) : scene_now(s);
    (void)reterr;
    if (!ledger_row(s, from, asset->id, MS_WHY_TRANSFER_OUT, &out) ||
        !ledger_row(s, to, asset->id, MS_WHY_TRANSFER_IN, &in))
        scene_fail(s, "a ledger has no row of it");
    if (out.at.ms != in.at.ms || out.at.ms != at.ms)
        scene_fail(s, "the ledgers have it at %" PRId64 " and %" PRId64 ", not %" PRId64, out.at.ms,
                   in.at.ms, at.ms);
    if (out.bytes_before != in.bytes_after || out.bytes_after != 0 || in.bytes_before != 0 ||
        memcmp(out.peer.b, to.id.b, MS_ID_BYTES) != 0 ||
        memcmp(in.peer.b, from.id.b, MS_ID_BYTES) != 0)
        scene_fail(s, "the rows do not fit each other");
    return MS_OK;
}

/* What the object store has been given since the last such line. */
static enum ms_code verb_stored(struct scene *s, int n, char **words, struct ms_error *reterr) {
    uint64_t put = atomic_exchange(&s->w->gate.put_bytes, 0);
    (void)reterr;
    if (n > 1 && put != scene_bytes(s, words[1]))
        scene_fail(s, "%" PRIu64 " bytes went to the object store", put);
    return MS_OK;
}

static const struct scene_verb verbs[] = {
    {"allow", 0, 1, verb_allow, "[any|not]: the tenant in use may send models, any type, nothing"},
    {"transfer", 3, 8, verb_transfer, "JOB LABEL,... TENANT [back=JOB] [memo=] [accept=1] [active=1] [billing=1]"},
    {"accept", 1, 2, verb_accept, "JOB [why=TEXT]"},
    {"accept-confirm", 1, 1, verb_accept_confirm, "JOB: a billed one, and deducted"},
    {"required", 1, 3, verb_required, "JOB [KIND=UNITS/LEFT...]: what its acceptance deducts"},
    {"reject", 1, 2, verb_reject, "JOB [why=TEXT]"},
    {"cancel", 1, 2, verb_cancel, "JOB [why=TEXT]"},
    {"job", 2, 4, verb_job, "JOB state=S [why=WORDS] [finish=INSTANT]"},
    {"mine", 1, 1, verb_mine, "LABEL: it is the asset of the tenant in use"},
    {"moved", 3, 4, verb_moved, "LABEL FROM TO [INSTANT]: so both ledgers have it"},
    {"stored", 0, 1, verb_stored, "[BYTES]: so much went to the object store since"},
};
const struct scene_verbs scene_verbs_transfer = {verbs, MS_ARRAY_LEN(verbs)};
