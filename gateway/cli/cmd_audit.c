#include "cli/out.h"
#include "service/audit.h"

#include <stdlib.h>

enum { OPT_ASSET, OPT_SINCE, OPT_UNTIL, OPT_WHO, OPT_EVENT, OPT_FOLLOW };

#define PAGE 256
#define FOLLOW_NS INT64_C(200000000)

static const char *state_of(uint8_t state) {
    return state < MS_STATE_COUNT ? ms_state_name((enum ms_state)state) : "-";
}

/* RFC 3339, or so long ago: "24h". */
static enum ms_code instant_of(const struct ms_cli *cli, const char *text,
                               struct ms_instant *ret_at, struct ms_error *reterr) {
    int64_t ago;
    if (ms_instant_parse(text, ret_at, NULL) == MS_OK)
        return MS_OK;
    if (ms_duration_parse(text, &ago, NULL) == MS_OK) {
        *ret_at = ms_instant_add_ms(ms_clock_now(cli->svc->clock), -ago);
        return MS_OK;
    }
    return ms_fail(reterr, MS_USAGE,
                   "\"%.40s\" is no instant: 2026-01-31T12:00:00Z, or so long ago: 24h, 7d", text);
}

static enum ms_code asset_of(struct ms_cli *cli, const char *text, struct ms_asset_id *ret_id,
                             struct ms_error *reterr) {
    struct ms_asset_info info;
    if (ms_id_parse(text, &ret_id->id, NULL) == MS_OK) /* also one that is gone */
        return MS_OK;
    MS_TRY(ms_asset_find(cli->svc, &cli->ctx, text, &info, reterr));
    ret_id->id = info.asset.id;
    return MS_OK;
}

static enum ms_code filter_of(struct ms_cli *cli, struct ms_audit_filter *f,
                              struct ms_error *reterr) {
    f->who = cli->given[OPT_WHO];
    f->has_event = cli->given[OPT_EVENT] != NULL;
    if (f->has_event && !ms_audit_event_parse(cli->given[OPT_EVENT], &f->event))
        return ms_fail(reterr, MS_USAGE, "there is no event \"%.40s\": FREEZE, CREATED, DELETE, ...",
                       cli->given[OPT_EVENT]);
    if (cli->given[OPT_ASSET])
        MS_TRY(asset_of(cli, cli->given[OPT_ASSET], &f->asset, reterr));
    if (cli->given[OPT_SINCE])
        MS_TRY(instant_of(cli, cli->given[OPT_SINCE], &f->since, reterr));
    if (cli->given[OPT_UNTIL])
        MS_TRY(instant_of(cli, cli->given[OPT_UNTIL], &f->until, reterr));
    return MS_OK;
}

/* One object a line, so that a reader need not wait for the end, which --follow has not. */
static enum ms_code print(const struct ms_cli *cli, const struct ms_audit_record *row,
                          struct ms_error *reterr) {
    static const struct ms_id none;
    bool has_asset = memcmp(row->asset.b, none.b, MS_ID_BYTES) != 0;
    struct ms_id_text asset = ms_id_text(row->asset);
    const char *event = ms_audit_event_name(row->event);
    if (cli->json)
        return ms_out_json(
            json_pack("{s:I,s:o,s:s,s:s?,s:s,s:s?,s:s?,s:s}", "seq", (json_int_t)row->seq, "time",
                      ms_out_json_time(row->at), "who", row->who, "asset_id",
                      has_asset ? asset.s : NULL, "event", event, "from",
                      row->from < MS_STATE_COUNT ? state_of(row->from) : NULL, "to",
                      row->to < MS_STATE_COUNT ? state_of(row->to) : NULL, "why", row->why),
            reterr);
    printf("%s  %-32s  %-20s %s > %s  %s%s%s\n", ms_out_time(row->at).s,
           has_asset ? asset.s : "(tenant)", event, state_of(row->from), state_of(row->to),
           row->who, row->why[0] ? ": " : "", row->why);
    return MS_OK;
}

static enum ms_code pages(struct ms_cli *cli, const struct ms_audit_filter *filter,
                          struct ms_audit_record *rows, uint64_t *after, struct ms_error *reterr) {
    for (bool end = false; !end && !ms_cli_stopped();) {
        size_t n;
        MS_TRY(ms_audit_page(cli->svc, &cli->ctx, filter, *after, rows, PAGE, &n, after, &end,
                             reterr));
        for (size_t i = 0; i < n; i++)
            MS_TRY(print(cli, &rows[i], reterr));
    }
    if (fflush(stdout) != 0)
        return ms_fail_errno(reterr, errno, "cannot write the output");
    return MS_OK;
}

/* The log is asked five times a second: that is cheap, and sees commits of every process. */
static enum ms_code show(struct ms_cli *cli, struct ms_audit_record *rows,
                         struct ms_error *reterr) {
    struct ms_audit_filter filter = {.who = NULL};
    uint64_t after = 0;
    MS_TRY(filter_of(cli, &filter, reterr));
    ms_cli_catch_signals();
    do {
        MS_TRY(pages(cli, &filter, rows, &after, reterr));
        if (cli->given[OPT_FOLLOW] && !ms_cli_stopped())
            ms_clock_sleep_ns(FOLLOW_NS);
    } while (cli->given[OPT_FOLLOW] && !ms_cli_stopped());
    return MS_OK;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    struct ms_audit_record *rows = calloc(PAGE, sizeof *rows);
    enum ms_code code = rows ? show(cli, rows, reterr)
                             : ms_fail(reterr, MS_NO_MEMORY, "no memory for the audit log");
    free(rows);
    return code;
}

const struct ms_cmd ms_cmd_audit = {
    .name = "audit",
    .args = "",
    .summary = "show who changed what, when and why",
    .help = "One line a change, in the order of the commits: when, asset, event, state before and "
            "after, who, why. What\n"
            "time brought about is dated with the instant at which it was due. Filters are "
            "combined. --json prints one\n"
            "object a line.\n\nExamples:\n  msasset audit --asset videos/film.mp4\n"
            "  msasset audit --since 24h --event FREEZE --json\n  msasset audit --follow\n",
    .opts = {{"asset", 0, "PATH|ID", "of this asset; an id also of one that is gone"},
             {"since", 0, "TIME", "at or behind this instant, or so long ago: 24h"},
             {"until", 0, "TIME", "before this instant"},
             {"who", 0, "NAME", "by this principal"},
             {"event", 0, "NAME", "CREATED, CONFIRM, DELETE, FREEZE, EXPIRE, ..."},
             {"follow", 'f', NULL, "go on with what is committed from now on, until interrupted"}},
    .run = run,
};
