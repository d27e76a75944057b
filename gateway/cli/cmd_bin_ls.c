#include "cli/out.h"
#include "service/bin.h"

#include <stdlib.h>

#define PAGE 64u

struct listing {
    struct ms_cli *cli;
    struct ms_table *table;
    json_t *array;
    uint64_t assets, bytes;
};

static json_t *json_of(const struct ms_bin_entry *e) {
    return json_pack("{s:s,s:s?,s:s,s:o,s:o,s:s,s:o}", "asset_id", ms_id_text(e->asset.id).s, "path",
                     e->path[0] ? e->path : NULL, "asset_state", ms_state_name(e->state),
                     "binned_time", ms_out_json_time(e->at), "purge_time",
                     ms_out_json_time(e->until), "who", e->who, "size_bytes",
                     ms_out_json_u64(e->bytes));
}

static void show(struct listing *l, const struct ms_bin_entry *e) {
    l->assets++;
    l->bytes += e->bytes;
    if (l->array) {
        ms_out_add(l->array, json_of(e));
        return;
    }
    struct ms_id_text id = ms_id_text(e->asset.id);
    struct ms_out_text at = ms_out_time(e->at), until = ms_out_time(e->until),
                       size = ms_out_size(e->bytes);
    ms_table_row(l->table, (const char *const[]){e->path[0] ? e->path : "-", id.s,
                                                 ms_state_name(e->state), at.s, e->who, until.s,
                                                 size.s});
}

static enum ms_code list_all(struct listing *l, struct ms_bin_entry *page,
                             struct ms_error *reterr) {
    struct ms_bin_id after = {{{0}}};
    size_t n = PAGE;
    while (n == PAGE) {
        MS_TRY(ms_bin_list(l->cli->svc, &l->cli->ctx, after, page, PAGE, &n, reterr));
        for (size_t i = 0; i < n; i++) {
            after = page[i].id;
            show(l, &page[i]);
        }
    }
    return MS_OK;
}

/* Folders whose assets are not all listed yet. */
static enum ms_code list_folders(struct listing *l, struct ms_error *reterr) {
    struct ms_bin_folder *folders;
    size_t n;
    MS_TRY(ms_bin_folders(l->cli->svc, &l->cli->ctx, &folders, &n, reterr));
    for (size_t i = 0; i < n; i++) {
        const struct ms_bin_folder *f = &folders[i];
        struct ms_out_text at = ms_out_time(f->at);
        if (l->array)
            ms_out_add(
                l->array, json_pack("{s:n,s:s,s:s,s:o,s:s,s:b,s:o}", "asset_id", "path", f->path,
                  "asset_state", "DELETING", "binned_time", ms_out_json_time(f->at),
                  "who", f->who, "folder", 1, "listed", ms_out_json_u64(f->assets)));
        else
            fprintf(stderr,
                    "folder %s, deleted %s by %s: %llu of its assets are in this list so far, the "
                    "others follow\n",
                    f->path, at.s, f->who, (unsigned long long)f->assets);
    }
    free(folders);
    return MS_OK;
}

static enum ms_code finish(struct listing *l, struct ms_error *reterr) {
    if (l->array)
        return ms_out_json(l->array, reterr);
    ms_table_print(l->table, stdout);
    if (!l->cli->quiet)
        fprintf(stderr, "%llu assets with %s\n", (unsigned long long)l->assets,
                ms_out_size(l->bytes).s);
    return MS_OK;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    static const char *const heads[] = {"WHERE IT WAS", "ID",    "STATE", "DELETED",
                                        "BY",           "UNTIL", ">SIZE", NULL};
    struct listing l = {.cli = cli};
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    struct ms_bin_entry *page = calloc(PAGE, sizeof *page);
    if (!page)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a page of the recycle bin");
    if (cli->json)
        l.array = json_array();
    else
        l.table = ms_table_new(heads);
    enum ms_code code = list_folders(&l, reterr);
    if (code == MS_OK)
        code = list_all(&l, page, reterr);
    free(page);
    if (code == MS_OK)
        return finish(&l, reterr);
    json_decref(l.array);
    if (l.table)
        ms_table_drop(l.table);
    return code;
}

const struct ms_cmd ms_cmd_bin_ls = {
    .name = "bin ls",
    .args = "",
    .summary = "list the recycle bin",
    .help = "Where each asset was, who deleted it and when, until when it is kept, and its size. What "
            "was frozen while it\n"
            "lay there shows BLOCK and is kept without end. msasset restore brings an asset back, "
            "msasset purge and\n"
            "msasset bin empty delete for good. A mount shows the same as .trash.\n"
            "A folder that was deleted as a whole, and whose assets are not all in the list yet, is "
            "named first.\n",
    .run = run,
};
