#include "cli/binned.h"

#include <stdlib.h>

#define PAGE 64u

enum ms_code ms_binned_each(struct ms_cli *cli,
                            enum ms_code (*fn)(void *priv, const struct ms_asset_info *info,
                                               struct ms_error *reterr),
                            void *priv, struct ms_error *reterr) {
    struct ms_asset_info *page = calloc(PAGE, sizeof *page);
    if (!page)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a page of the recycle bin");
    struct ms_asset_id after = {{{0}}};
    size_t n = PAGE;
    enum ms_code code = MS_OK;
    while (code == MS_OK && n == PAGE) {
        code = ms_asset_list(cli->svc, &cli->ctx, after,
                             1u << MS_STATE_DELETING | 1u << MS_STATE_BLOCK, page, PAGE, &n,
                             reterr);
        for (size_t i = 0; code == MS_OK && i < n; i++) {
            after = (struct ms_asset_id){page[i].asset.id};
            if (page[i].asset.binned) /* BLOCK may show over it */
                code = fn(priv, &page[i], reterr);
        }
    }
    free(page);
    return code;
}

struct search {
    const char *path; /* without a leading "/" */
    struct ms_asset_id found;
    unsigned matches;
    char ids[160];
};

static enum ms_code match(void *priv, const struct ms_asset_info *info, struct ms_error *reterr) {
    (void)reterr;
    struct search *s = priv;
    if (strcmp(info->path + (info->path[0] == '/'), s->path) != 0)
        return MS_OK;
    s->found = (struct ms_asset_id){info->asset.id};
    size_t used = strlen(s->ids);
    (void)snprintf(s->ids + used, sizeof s->ids - used, " %s", ms_id_text(info->asset.id).s);
    s->matches++;
    return MS_OK;
}

enum ms_code ms_binned_find(struct ms_cli *cli, const char *path_or_id, struct ms_asset_id *ret_id,
                            struct ms_error *reterr) {
    if (strlen(path_or_id) == MS_ID_TEXT_LEN && ms_id_parse(path_or_id, &ret_id->id, NULL) == MS_OK)
        return MS_OK;
    struct search s = {.path = path_or_id + (path_or_id[0] == '/')};
    enum ms_code code = ms_binned_each(cli, match, &s, reterr);
    if (code != MS_OK)
        return code;
    if (s.matches == 0)
        return ms_fail(reterr, MS_NOT_FOUND,
                       "nothing in the recycle bin was at \"%s\"; msasset ls --bin lists it",
                       path_or_id);
    if (s.matches > 1)
        return ms_fail(reterr, MS_INVALID,
                       "%u assets in the recycle bin were at \"%s\": name one by its id:%s",
                       s.matches, path_or_id, s.ids);
    *ret_id = s.found;
    return MS_OK;
}
