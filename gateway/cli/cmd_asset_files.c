#include "cli/parcel.h"

static json_t *json_of(const struct ms_file_record *f) {
    return json_pack("{s:s,s:s,s:s,s:s,s:I,s:s?,s:o}", "file_id", ms_id_text(f->id).s, "file_name",
                     f->name, "asset_file_category", ms_category_name((enum ms_category)f->category),
                     "state", ms_file_state_name((enum ms_file_state)f->state), "file_size",
                     (json_int_t)f->size, "reason", f->reason[0] ? f->reason : NULL, "until_time",
                     ms_out_json_time(f->state == MS_FILE_CREATING ? f->confirm_due
                                                                   : (struct ms_instant){0}));
}

static void print(const struct ms_file_record *files, size_t n) {
    static const char *const heads[] = {"FILE", "CATEGORY", "STATE", ">SIZE", "NAME", "REASON", NULL};
    struct ms_table *table = ms_table_new(heads);
    for (size_t i = 0; i < n; i++) {
        const struct ms_file_record *f = &files[i];
        struct ms_id_text id = ms_id_text(f->id);
        struct ms_out_text size = ms_out_size(f->size);
        const char *const cells[] = {id.s,
                                     ms_category_name((enum ms_category)f->category),
                                     ms_file_state_name((enum ms_file_state)f->state),
                                     size.s,
                                     f->name,
                                     f->reason};
        ms_table_row(table, cells);
    }
    ms_table_print(table, stdout);
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_asset_info info;
    size_t n = 0;
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    MS_TRY(ms_asset_find(cli->svc, &cli->ctx, cli->args[0], &info, reterr));
    struct ms_file_record *files = calloc(MS_FILES_MAX, sizeof *files);
    if (!files)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a list of files");
    enum ms_code code = ms_file_list(cli->svc, &cli->ctx, (struct ms_asset_id){info.asset.id},
                                     files, MS_FILES_MAX, &n, reterr);
    json_t *list = json_array();
    for (size_t i = 0; code == MS_OK && cli->json && i < n; i++)
        ms_out_add(list, json_of(&files[i]));
    if (code == MS_OK && cli->json)
        code = ms_out_json(json_incref(list), reterr);
    else if (code == MS_OK)
        print(files, n);
    json_decref(list);
    free(files);
    return code;
}

const struct ms_cmd ms_cmd_asset_files = {
    .name = "asset files",
    .args = "PATH|ID",
    .summary = "list the files of an asset with their states",
    .help = "MAIN, COVER and what else was declared; of one that failed or was cancelled the reason. Its bytes: "
            "msasset get --file."
            "\n\nExample:\n  msasset asset files videos/film.mp4\n",
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
