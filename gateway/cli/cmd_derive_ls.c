#include "cli/apply.h"
#include "service/derive.h"

/* The API's words: a deck is converted, a video transcoded. */
static const char *state_of(const struct ms_derived_all *all, enum ms_derived_kind kind) {
    if (all->working[kind] && all->of[kind].state == MS_DERIVED_WAITING)
        return kind == MS_DERIVED_PAGES ? "CONVERTING" : "TRANSCODING";
    return ms_derived_state_name(all->of[kind].state);
}

static enum ms_code print_json(const struct ms_derived_all *all, struct ms_error *reterr) {
    json_t *list = json_array();
    for (enum ms_derived_kind kind = 0; kind < MS_DERIVED_COUNT; kind++) {
        const struct ms_derived *d = &all->of[kind];
        if (d->state == MS_DERIVED_NONE)
            continue;
        json_t *o = json_object();
        ms_out_set(o, "kind", json_string(ms_derived_kind_name(kind)));
        ms_out_set(o, "state", json_string(state_of(all, kind)));
        ms_out_set(o, "files", ms_out_json_u64(d->files));
        ms_out_set(o, "error_info", d->reason[0] ? json_string(d->reason) : json_null());
        ms_out_add(list, o);
    }
    return ms_out_json(list, reterr);
}

static void print_text(const struct ms_derived_all *all) {
    static const char *const heads[] = {"KIND", "STATE", ">FILES", "REASON", NULL};
    struct ms_table *table = ms_table_new(heads);
    for (enum ms_derived_kind kind = 0; kind < MS_DERIVED_COUNT; kind++) {
        const struct ms_derived *d = &all->of[kind];
        char files[16];
        (void)snprintf(files, sizeof files, "%u", d->files);
        const char *const cells[] = {ms_derived_kind_name(kind), state_of(all, kind), files, d->reason};
        if (d->state != MS_DERIVED_NONE)
            ms_table_row(table, cells);
    }
    ms_table_print(table, stdout);
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_asset_info info;
    struct ms_derived_all all;
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    MS_TRY(ms_asset_find(cli->svc, &cli->ctx, cli->args[0], &info, reterr));
    MS_TRY(ms_derive_look(cli->svc, &cli->ctx, &info, &all, reterr));
    if (cli->json)
        return print_json(&all, reterr);
    print_text(&all);
    return MS_OK;
}

const struct ms_cmd ms_cmd_derive_ls = {
    .name = "derive ls",
    .args = "PATH|ID",
    .summary = "show how far what is derived from an asset is",
    .help = "WAITING for a run, TRANSCODING or CONVERTING just now, FAILED with its reason, or SUCCEEDED; nothing\n"
            "for contents that get none. The files themselves: msasset asset files.\n\n"
            "Example:\n"
            "  msasset derive ls videos/film.mov\n",
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
