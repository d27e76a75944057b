#include "cli/share_text.h"

#include "cli/bill_common.h"
#include "content/hash.h"

#include <stdlib.h>

/* ---- what is given --------------------------------------------------------------------------- */

static enum ms_code days_given(const char *text, int *ret_days, struct ms_error *reterr) {
    char *end = NULL;
    long n = text[0] >= '0' && text[0] <= '9' ? strtol(text, &end, 10) : 0;
    if (!end || *end != '\0' || n < 1 || n > MS_SHARE_DAYS_MAX)
        return ms_fail(reterr, MS_USAGE, "--days \"%.32s\" is no number of days from 1 to %d", text,
                       MS_SHARE_DAYS_MAX);
    *ret_days = (int)n;
    return MS_OK;
}

enum ms_code ms_share_end_given(struct ms_cli *cli, const char *days, const char *until,
                                struct ms_instant *ret_until, struct ms_error *reterr) {
    struct ms_instant day;
    int n;
    if (days && until)
        return ms_fail(reterr, MS_USAGE, "say --days or --until, not both");
    *ret_until = (struct ms_instant){0};
    if (days) {
        MS_TRY(days_given(days, &n, reterr));
        *ret_until = ms_share_ends(ms_clock_now(cli->svc->clock), n);
    }
    if (until) {
        if (ms_cli_day(until, &day, NULL) != MS_OK)
            return ms_fail(reterr, MS_USAGE, "--until \"%.32s\" is no day: write 2026-03-31, its last day",
                           until);
        *ret_until = ms_share_ends(day, 0);
    }
    return MS_OK;
}

enum ms_code ms_share_tenants_given(struct ms_cli *cli, char *const *names, size_t n,
                                    struct ms_tenant_id ret_ids[MS_SHARE_TENANTS_MAX],
                                    struct ms_error *reterr) {
    struct ms_tenant_record tenant;
    if (n > MS_SHARE_TENANTS_MAX)
        return ms_fail(reterr, MS_USAGE, "an asset is shared with at most %d tenants", MS_SHARE_TENANTS_MAX);
    for (size_t i = 0; i < n; i++) {
        MS_TRY(ms_tenant_find(cli->svc, names[i], &tenant, reterr));
        ret_ids[i] = (struct ms_tenant_id){tenant.id};
    }
    return MS_OK;
}

/* ---- how it is shown ------------------------------------------------------------------------- */

struct ms_out_text ms_share_end_text(struct ms_instant until) {
    return ms_out_time(ms_share_shown_end(until));
}

void ms_shared_root(const struct ms_shared_info *info, char ret_text[33]) {
    if (info->version.hashed)
        ms_root_format(info->version.root, ret_text);
    else
        (void)snprintf(ret_text, 33, "-");
}

/* What both sides are told: the API's AssetSharedConfig, taken apart. */
static json_t *terms_of(const struct ms_share_record *share, bool owner, const char *tenant, bool readable) {
    char end[MS_RFC3339_S_LEN + 1];
    ms_instant_format_s(ms_share_shown_end(share->until), end);
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:s,s:b}", "asset_id", ms_id_text(share->asset).s, "role",
                     owner ? "SHARER" : "SHAREE", "shared_type", "SHARED", "project_id",
                     ms_id_text(owner ? share->receiver : share->tenant).s, "project_name", tenant, "share_time",
                     ms_out_json_time(share->since), "expire_time", end, "readable", readable);
}

json_t *ms_share_json(const struct ms_share_info *info) {
    json_t *o = terms_of(&info->share, true, info->receiver, info->readable);
    ms_out_set(o, "shared_by", json_string(info->share.who));
    ms_out_set(o, "asset_name", json_string(info->name));
    ms_out_set(o, "asset_state", json_string(ms_state_name(info->state)));
    return o;
}

static void add_asset(json_t *o, const struct ms_shared_info *info) {
    const struct ms_asset_record *a = &info->asset;
    char root[33];
    ms_shared_root(info, root);
    ms_out_set(o, "asset_name", json_string(a->name));
    ms_out_set(o, "asset_state", json_string(ms_state_name(info->state)));
    ms_out_set(o, "asset_type", json_string(ms_asset_type_name(a->type)));
    ms_out_set(o, "asset_description", json_string(a->description));
    ms_out_set(o, "tags", json_string(a->tags));
    ms_out_set(o, "size_bytes", ms_out_json_u64(info->main.size));
    ms_out_set(o, "root", info->version.hashed ? json_string(root) : json_null());
    ms_out_set(o, "media_type", info->main.media_type[0] ? json_string(info->main.media_type) : json_null());
    ms_out_set(o, "create_time", ms_out_json_time(a->created));
    ms_out_set(o, "update_time", ms_out_json_time(a->updated));
}

json_t *ms_shared_json(const struct ms_shared_info *info) {
    json_t *o = terms_of(&info->share, false, info->owner, info->readable);
    if (info->readable)
        add_asset(o, info);
    ms_out_set(o, "reason", info->readable ? json_null() : json_string(info->why.message));
    return o;
}

/* ---- all of them ----------------------------------------------------------------------------- */

#define PAGE 32u

enum ms_code ms_shared_each(struct ms_cli *cli, ms_shared_each_fn *each, void *priv, struct ms_error *reterr) {
    struct ms_shared_info *page = calloc(PAGE, sizeof *page);
    struct ms_asset_id after = {{{0}}};
    enum ms_code code = MS_OK;
    size_t n = PAGE;
    if (!page)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a page of shares");
    while (code == MS_OK && n == PAGE) {
        code = ms_shared_list(cli->svc, &cli->ctx, after, page, PAGE, &n, reterr);
        for (size_t i = 0; code == MS_OK && i < n; i++) {
            each(priv, &page[i]);
            after = (struct ms_asset_id){page[i].share.asset};
        }
    }
    free(page);
    return code;
}
