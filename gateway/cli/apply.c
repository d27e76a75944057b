#include "cli/apply.h"

#include "cli/binned.h"

#include <stdio.h>
#include <string.h>

enum ms_code ms_apply_find(struct ms_cli *cli, const char *arg, struct ms_asset_id *ret_id,
                           struct ms_error *reterr) {
    struct ms_asset_info info;
    struct ms_error err = {0}, bin_err = {0};
    enum ms_code code = ms_asset_find(cli->svc, &cli->ctx, arg, &info, &err);
    if (code == MS_OK)
        *ret_id = (struct ms_asset_id){info.asset.id};
    if (code == MS_NOT_FOUND && ms_id_parse(arg, &ret_id->id, NULL) != MS_OK) {
        code = ms_binned_find(cli, arg, ret_id, &bin_err);
        if (code != MS_OK && code != MS_NOT_FOUND)
            err = bin_err;
    }
    if (code != MS_OK && reterr)
        *reterr = err;
    return code;
}

enum ms_code ms_apply_one(struct ms_cli *cli, const char *arg, struct ms_asset_event *event,
                          json_t *results, struct ms_error *reterr) {
    struct ms_asset_info info;
    MS_TRY(ms_apply_find(cli, arg, &event->id, reterr));
    MS_TRY(ms_asset_apply(cli->svc, &cli->ctx, event, &info, reterr));
    if (cli->json)
        ms_out_add(results, ms_out_asset_json(&info));
    else if (!cli->quiet)
        printf("%s  %s\n", arg, ms_state_name(info.state));
    return MS_OK;
}

enum ms_code ms_apply_instant(struct ms_cli *cli, const char *flag, const char *text,
                              struct ms_instant *ret_at, struct ms_error *reterr) {
    int64_t ms;
    if (!text)
        return ms_fail(reterr, MS_USAGE, "%s is missing: an instant, or +7d from now on", flag);
    if (text[0] == '+' && ms_duration_parse(text + 1, &ms, NULL) == MS_OK) {
        *ret_at = ms_instant_add_ms(ms_clock_now(cli->svc->clock), ms);
        return MS_OK;
    }
    if (ms_instant_parse(text, ret_at, NULL) == MS_OK)
        return MS_OK;
    return ms_fail(reterr, MS_USAGE,
                   "%s \"%.64s\" is no instant: write 2026-03-01T00:00:00Z, or +7d from now on",
                   flag, text);
}

enum ms_code ms_apply_all(struct ms_cli *cli, ms_cli_each_fn *fn, struct ms_error *reterr) {
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    return ms_cli_each(cli, fn, reterr);
}
