/* Assets, found and shown. */
#include "service/asset.h"

#include "service/derived_rows.h"
#include "service/held.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one asset ------------------------------------------------------------------------------- */

/* What is not there is an answer here, not an error. */
static enum ms_code absent(struct ms_error *reterr) {
    if (reterr)
        *reterr = (struct ms_error){0};
    return MS_OK;
}

static enum ms_code main_file(const struct ms_tree *t, struct ms_asset_info *info,
                              struct ms_error *reterr) {
    struct ms_file_id file = {info->asset.main_file};
    struct ms_version_id version;
    enum ms_code code;

    if (ms_file_id_is_none(file))
        return MS_OK;
    code = ms_row_get_file(t->txn, ms_key_file(t->id, (struct ms_asset_id){info->asset.id}, file),
                           &info->main, reterr);
    if (code == MS_NOT_FOUND)
        return absent(reterr); /* a deleted one has no files any more */
    if (code != MS_OK)
        return code;
    version = (struct ms_version_id){info->main.version};
    info->size = info->main.size;
    MS_TRY(ms_held_case(t, &info->asset, &info->pending, &info->waits, reterr));
    if (!ms_version_id_is_none((struct ms_version_id){info->pending.held})) { /* shown to the owner */
        version = (struct ms_version_id){info->pending.held};
        info->size = info->pending.held_bytes;
        memcpy(info->main.media_type, info->pending.held_media, sizeof info->main.media_type);
    }
    if (ms_version_id_is_none(version))
        return MS_OK;
    MS_TRY(ms_tree_facts_of(t, version, &info->facts, &info->probed, reterr));
    if (t->limits)
        info->limits = *t->limits;
    return ms_row_get_version(t->txn, ms_key_version(t->id, version), &info->version, reterr);
}

/* By the name in the tree, which decides; an asset without a place has its file's. */
struct ms_content ms_asset_content(const struct ms_asset_info *info) {
    const char *slash = strrchr(info->path, '/');

    return (struct ms_content){
        .facts = info->probed ? &info->facts : NULL,
        .name = !info->path[0] ? info->main.name : slash ? slash + 1 : info->path,
        .type = (enum ms_asset_type)info->asset.type,
        .size = info->size,
        .webm = info->webm.state == MS_DERIVED_SUCCEEDED ? &info->webm_facts : NULL,
        .webm_size = info->webm_size,
    };
}

static enum ms_code bin_place(const struct ms_tree *t, const struct ms_asset_record *asset,
                              struct ms_bin_record *ret_bin, struct ms_error *reterr) {
    struct ms_bin_id id;

    MS_TRY(ms_row_get_id(t->txn, ms_key_binasset(t->id, (struct ms_asset_id){asset->id}), &id.id,
                         reterr));
    return ms_row_get_bin(t->txn, ms_key_bin(t->id, id), ret_bin, reterr);
}

/* In the bin: where it was. What has no place has an empty path. */
static enum ms_code path_of(const struct ms_tree *t, struct ms_asset_info *info,
                            struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf path = MS_BUF_MAX(sizeof info->path - 1);
    struct ms_bin_record bin;
    enum ms_code code = MS_NOT_FOUND;

    if (info->asset.binned)
        code = bin_place(t, &info->asset, &bin, reterr);
    if (info->asset.binned && code == MS_OK)
        code = ms_tree_path_in(t, bin.parent, bin.name, &path, reterr);
    else if (info->asset.ino != 0) /* in the tree, also when time has binned it and nobody swept */
        code = ms_tree_path_of(t, info->asset.ino, &path, reterr);
    if (code == MS_OK)
        memcpy(info->path, path.data, path.len);
    return code == MS_NOT_FOUND || code == MS_OK ? absent(reterr) : code;
}

/* What the rules ask for (a WebM) and the API shows; covers are not looked for here. */
static enum ms_code derived(const struct ms_tree *t, struct ms_asset_info *info,
                            struct ms_error *reterr) {
    const struct ms_content content = ms_asset_content(info);
    const struct ms_version_id main = {info->version.id};
    unsigned wanted = ms_derived_wanted(&content);

    if (wanted >> MS_DERIVED_PAGES & 1)
        MS_TRY(ms_derived_of(t, (struct ms_asset_id){info->asset.id}, main, &content, MS_DERIVED_PAGES,
                             &info->pages, NULL, reterr));
    if (!(wanted >> MS_DERIVED_WEBM & 1))
        return MS_OK;
    struct ms_derived_bytes bytes = {&info->webm_facts, &info->webm_size};
    return ms_derived_of(t, (struct ms_asset_id){info->asset.id}, main, &content, MS_DERIVED_WEBM,
                         &info->webm, &bytes, reterr);
}

static enum ms_code fill(const struct ms_tree *t, struct ms_asset_id id, struct ms_asset_info *info,
                         struct ms_error *reterr) {
    const struct ms_inode_record inode = {.asset = id.id};
    struct ms_tree_asset asset;
    bool gone;

    memset(info, 0, sizeof *info);
    MS_TRY(ms_tree_asset(t, &inode, &asset, &gone, reterr));
    info->asset = asset.rec;
    ms_asset_set_life(&info->asset, &asset.life);
    info->state = asset.state;
    MS_TRY(ms_asset_warning(t, &info->asset, info->warning, reterr));
    MS_TRY(main_file(t, info, reterr));
    MS_TRY(path_of(t, info, reterr));
    return derived(t, info, reterr);
}

static enum ms_code get(const struct ms_tree *t, struct ms_asset_id id, struct ms_asset_info *info,
                        struct ms_error *reterr) {
    struct ms_key key = ms_key_asset(t->id, id);
    bool there = ms_txn_has(t->txn, ms_key_view(&key));

    if (there)
        MS_TRY(fill(t, id, info, reterr));
    if (there && info->state != MS_STATE_DELETED) /* its time may have come, swept or not */
        return MS_OK;
    return ms_fail(reterr, MS_NOT_FOUND, "tenant %s has no asset %s", t->tenant.name,
                   ms_id_text(id.id).s);
}

enum ms_code ms_asset_get(struct ms_svc *svc, const struct ms_ctx *ctx, struct ms_asset_id id,
                          struct ms_asset_info *ret_info, struct ms_error *reterr) {
    struct ms_tree t;
    enum ms_code code;

    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    code = get(&t, id, ret_info, reterr);
    ms_tree_read_end(&t);
    return code;
}

/* ---- by path or id --------------------------------------------------------------------------- */

static enum ms_code find_path(struct ms_svc *svc, const struct ms_ctx *ctx, const char *path,
                              struct ms_asset_id *ret_id, struct ms_error *reterr) {
    struct ms_node node;

    MS_TRY(ms_tree_walk(svc, ctx, path, &node, reterr));
    if (!node.has_asset)
        return ms_fail(reterr, MS_NOT_FOUND,
                       "\"%.255s\" is no asset: it is a folder, a link or a special file", path);
    *ret_id = (struct ms_asset_id){node.inode.asset};
    return MS_OK;
}

static enum ms_code no_such(const char *path_or_id, struct ms_error *reterr) {
    return ms_fail(reterr, MS_NOT_FOUND,
                   "\"%.255s\" is neither the id of an asset nor a path in the tree", path_or_id);
}

enum ms_code ms_asset_find(struct ms_svc *svc, const struct ms_ctx *ctx, const char *path_or_id,
                           struct ms_asset_info *ret_info, struct ms_error *reterr) {
    struct ms_asset_id id;
    bool is_id = ms_id_parse(path_or_id, &id.id, NULL) == MS_OK;
    struct ms_error err = {0};
    enum ms_code code = is_id ? ms_asset_get(svc, ctx, id, ret_info, &err) : MS_NOT_FOUND;

    if (code == MS_NOT_FOUND) {
        code = find_path(svc, ctx, path_or_id, &id, &err);
        if (code == MS_OK)
            code = ms_asset_get(svc, ctx, id, ret_info, &err);
    }
    if (code == MS_NOT_FOUND && is_id)
        return no_such(path_or_id, reterr);
    if (code != MS_OK && reterr)
        *reterr = err;
    return code;
}

/* ---- lists ----------------------------------------------------------------------------------- */

#define SKIPPED_MAX 4096 /* rows looked at in one read transaction */

struct page {
    struct ms_asset_info *infos;
    size_t max, n;
    uint32_t states;
    struct ms_asset_id last; /* looked at */
    bool end;
};

static enum ms_code list_some(const struct ms_tree *t, struct page *page, struct ms_error *reterr) {
    struct ms_key from = ms_key_asset(t->id, page->last), all = ms_key_assets_of(t->id);
    struct ms_asset_id top;
    struct ms_scan scan;
    struct ms_view key;
    struct ms_asset_record asset;
    enum ms_code code = MS_OK;

    memset(&top, 0xff, sizeof top);
    struct ms_key to = ms_key_asset(t->id, top);
    ms_scan_begin(&scan, t->txn, ms_key_view(ms_asset_id_is_none(page->last) ? &all : &from),
                  ms_key_view(&to));
    for (unsigned looked = 0; looked < SKIPPED_MAX && page->n < page->max; looked++) {
        code = ms_row_next_asset(&scan, &key, &asset, reterr);
        if (code != MS_OK)
            break;
        if (memcmp(asset.id.b, page->last.id.b, MS_ID_BYTES) == 0)
            continue; /* the scan begins with the last one of the page before */
        page->last.id = asset.id;
        code = fill(t, page->last, &page->infos[page->n], reterr);
        if (code != MS_OK)
            break;
        page->n += (page->states >> page->infos[page->n].state) & 1;
    }
    ms_scan_end(&scan);
    page->end = code == MS_NOT_FOUND;
    return page->end ? absent(reterr) : code;
}

enum ms_code ms_asset_list(struct ms_svc *svc, const struct ms_ctx *ctx, struct ms_asset_id after,
                           uint32_t states, struct ms_asset_info *ret_infos, size_t max,
                           size_t *ret_n, struct ms_error *reterr) {
    struct page page = {.infos = ret_infos, .max = max, .last = after};

    page.states = (states ? states : UINT32_MAX) & ~(UINT32_C(1) << MS_STATE_DELETED);
    while (!page.end && page.n < max) {
        struct ms_tree t;
        enum ms_code code;

        MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
        code = list_some(&t, &page, reterr);
        ms_tree_read_end(&t);
        if (code != MS_OK)
            return code;
    }
    *ret_n = page.n;
    return MS_OK;
}
