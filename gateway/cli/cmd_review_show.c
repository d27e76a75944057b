#include "cli/review_text.h"

static void print(const struct ms_review_case *c) {
    char since[MS_RFC3339_MS_LEN + 1];
    ms_instant_format_ms(c->row.since, since);
    ms_out_pair("asset", "%s", ms_id_text(c->row.asset).s);
    ms_out_pair("what", "%s", c->edit ? "an edit that is held aside" : "a new asset");
    ms_out_pair("waits for", "%s", c->row.human ? "a person" : "the machine");
    ms_out_pair("since", "%s", since); /* to the millisecond: it is what --seen takes */
    ms_out_pair("type", "%s", ms_asset_type_name((enum ms_asset_type)c->asset.type));
    ms_out_pair("state", "%s", ms_state_name(c->state));
    ms_out_pair("name", "%s", c->asset.name);
    if (c->row.has_name)
        ms_out_pair("new name", "%s", c->row.name);
    if (c->asset.description[0])
        ms_out_pair("description", "%s", c->asset.description);
    if (c->row.has_description)
        ms_out_pair("new description", "%s", c->row.description);
    ms_out_pair("file", "%s, %s", c->main.name, ms_out_size(c->main.size).s);
    if (c->row.note[0])
        ms_out_pair("note", "%s", c->row.note);
    if (c->row.tries)
        ms_out_pair("asked", "%u times in vain; again %s", (unsigned)c->row.tries,
                    ms_out_time(c->row.retry_at).s);
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_review_case c;
    struct ms_asset_id id;
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    MS_TRY(ms_cli_review_asset(cli, cli->args[0], &id, reterr));
    MS_TRY(ms_review_get(cli->svc, &cli->ctx, id, &c, reterr));
    if (cli->json)
        return ms_out_json(ms_cli_review_json(&c), reterr);
    print(&c);
    return MS_OK;
}

const struct ms_cmd ms_cmd_review_show = {
    .name = "review show",
    .args = "PATH|ID",
    .summary = "show one case of the review queue",
    .help = "What waits, since when, what is held aside, and what the machine said. Look at the "
            "bytes with \"get\".\n\nExample:\n  msasset review show videos/film.mp4\n",
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
