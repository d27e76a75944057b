/* Looking into .trash/. */
#include "service/vtree_part.h"

#include <stdio.h>
#include <sys/stat.h>

/* ---- nodes ----------------------------------------------------------------------------------- */

static enum ms_code time_has_it(const struct ms_vfile *file, struct ms_error *reterr) {
    return ms_fail(reterr, MS_NOT_FOUND, "\"%s\" is not in the recycle bin any more", file->name);
}

enum ms_code ms_vfile_node(const struct ms_tree *t, const struct ms_vfile *file,
                           struct ms_node *ret_node, struct ms_error *reterr) {
    struct ms_inode_record inode;
    struct ms_tree_asset asset;
    bool gone;
    MS_TRY(ms_tree_inode(t, file->ino, &inode, reterr));
    if (!ms_inode_has_asset(&inode))
        return time_has_it(file, reterr);
    MS_TRY(ms_tree_asset(t, &inode, &asset, &gone, reterr));
    if (!asset.life.binned || asset.life.rest == MS_STATE_DELETED)
        return time_has_it(file, reterr);
    ms_tree_fill(t, &inode, &asset, ret_node);
    (void)snprintf(ret_node->spelling, sizeof ret_node->spelling, "%s", file->item.shown);
    ret_node->seq = file->item.seq;
    return MS_OK;
}

/* Attributes are those of the folder whose place it is: who may not look into that may not look
 * into this. It has no links to count: find(1) takes 1 for "unknown". */
enum ms_code ms_vfolder_node(const struct ms_tree *t, const struct ms_vfolder *folder,
                             struct ms_node *ret_node, struct ms_error *reterr) {
    struct ms_inode_record inode;
    uint64_t mirror = folder->mirror ? folder->mirror : t->tenant.root_ino;
    if (ms_tree_inode(t, mirror, &inode, NULL) != MS_OK || !S_ISDIR(inode.mode))
        MS_TRY(ms_tree_inode(t, t->tenant.root_ino, &inode, reterr));
    const struct ms_vfolder *above = folder->item.in;
    inode.ino = folder->node.ino;
    inode.parent = above ? above->node.ino : t->tenant.root_ino;
    inode.nlink = 1;
    inode.size = 0;
    inode.special = MS_SPECIAL_NONE;
    ms_tree_fill(t, &inode, NULL, ret_node);
    (void)snprintf(ret_node->spelling, sizeof ret_node->spelling, "%s",
                   above ? folder->item.shown : MS_TRASH_NAME);
    ret_node->seq = folder->item.seq;
    return MS_OK;
}

enum ms_code ms_vfolder_path(const struct ms_vfolder *folder, struct ms_buf *ret_path,
                             struct ms_error *reterr) {
    if (!folder->item.in)
        return MS_OK;
    MS_TRY(ms_vfolder_path(folder->item.in, ret_path, reterr));
    return ms_buf_addf(ret_path, reterr, "/%s", folder->item.shown);
}

enum ms_code ms_vfolder_shows(const struct ms_vtree *vt, const struct ms_tree *t,
                              const struct ms_vfolder *folder, bool *ret_shows,
                              struct ms_error *reterr) {
    const struct ms_vitem *item = NULL;
    *ret_shows = false;
    while (!*ret_shows && (item = ms_vfolder_behind(folder, item ? item->seq : 0)) != NULL) {
        struct ms_node node;
        struct ms_error err = {0};
        enum ms_code code = MS_NOT_FOUND;
        if (item->is_folder)
            MS_TRY(ms_vfolder_shows(vt, t, MS_CONTAINER_OF(item, struct ms_vfolder, item),
                                    ret_shows, reterr));
        else
            code = ms_vfile_node(t, MS_CONTAINER_OF(item, struct ms_vfile, item), &node, &err);
        if (code != MS_OK && code != MS_NOT_FOUND)
            return ms_pass_up(code, &err, reterr);
        *ret_shows |= code == MS_OK;
    }
    return MS_OK;
}

/* ---- lookup and list ------------------------------------------------------------------------- */

static enum ms_code item_node(const struct ms_tree *t, struct ms_vitem *item, bool counted,
                              struct ms_node *ret_node, struct ms_error *reterr) {
    if (!item->is_folder)
        return ms_vfile_node(t, MS_CONTAINER_OF(item, struct ms_vfile, item), ret_node, reterr);
    struct ms_vfolder *folder = MS_CONTAINER_OF(item, struct ms_vfolder, item);
    MS_TRY(ms_vfolder_node(t, folder, ret_node, reterr));
    folder->node.lookups += counted;
    return MS_OK;
}

enum ms_code ms_vtrash_find(const struct ms_vtree *vt, const struct ms_vfolder *in,
                            const char *name, struct ms_vitem **ret_item, struct ms_error *reterr) {
    char nfc[MS_NAME_BYTES_MAX + 1];
    MS_TRY(ms_name_check(name, nfc, reterr));
    struct ms_vitem *item = ms_vitem_find(vt, in, nfc);
    if (item && item->is_folder &&
        !ms_vfolder_is_named(MS_CONTAINER_OF(item, struct ms_vfolder, item)))
        item = NULL;
    if (!item)
        return ms_fail(reterr, MS_NOT_FOUND, "there is no \"%s\" in this folder of the recycle bin",
                       name);
    *ret_item = item;
    return MS_OK;
}

enum ms_code ms_vtrash_lookup(const struct ms_vtree *vt, const struct ms_tree *t,
                              const struct ms_vfolder *in, const char *name,
                              struct ms_node *ret_node, struct ms_error *reterr) {
    struct ms_vitem *item;
    MS_TRY(ms_vtrash_find(vt, in, name, &item, reterr));
    return item_node(t, item, true, ret_node, reterr);
}

static bool is_listed(const struct ms_vitem *item) {
    return !item->is_folder || MS_CONTAINER_OF(item, struct ms_vfolder, item)->files > 0;
}

enum ms_code ms_vtrash_list(const struct ms_tree *t, const struct ms_vfolder *in, uint64_t after,
                            bool counted, struct ms_node *ret_nodes, size_t max, size_t *ret_n,
                            struct ms_error *reterr) {
    struct ms_vitem *item;
    size_t n = 0;
    while (n < max && (item = ms_vfolder_behind(in, after)) != NULL) {
        struct ms_error err = {0};
        enum ms_code code = MS_NOT_FOUND;
        after = item->seq;
        if (is_listed(item))
            code = item_node(t, item, counted, &ret_nodes[n], &err);
        if (code != MS_OK && code != MS_NOT_FOUND)
            return n > 0 ? (*ret_n = n, MS_OK) : ms_pass_up(code, &err, reterr);
        n += code == MS_OK;
    }
    *ret_n = n;
    return MS_OK;
}
