/* Folders and names of a rebuilt tenant. Inside a write: every row here is made by the steps that
 * keep the tree's invariants. */
#include "service/rebuild_part.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#define NUMBER_MAX 10000

/* ---- old numbers and new ones ---------------------------------------------------------------- */

static enum ms_code known_as(const struct ms_tree *t, uint64_t old, uint64_t *ret_ino,
                             struct ms_error *reterr) {
    struct ms_key key = ms_scratch_of_ino('m', t->id, old);
    struct ms_view value;
    bool there;
    *ret_ino = 0;
    MS_TRY(ms_allow_absent(ms_txn_get(t->txn, ms_key_view(&key), &value, reterr), &there));
    if (there)
        *ret_ino = ms_key_u64_at(value, 0);
    return MS_OK;
}

static enum ms_code know_as(const struct ms_tree *t, uint64_t old, uint64_t ino,
                            struct ms_error *reterr) {
    struct ms_key key = ms_scratch_of_ino('m', t->id, old);
    uint8_t bytes[8];
    struct ms_writer w = ms_writer_on(bytes, sizeof bytes);
    ms_write_u64(&w, ino);
    return ms_txn_put(t->txn, ms_key_view(&key), ms_writer_view(&w), reterr);
}

/* ---- names ----------------------------------------------------------------------------------- */

static bool is_taken(const struct ms_tree *t, uint64_t dir, const char *nfc) {
    struct ms_key key = ms_key_name(t->id, dir, nfc);
    if (dir == t->tenant.root_ino &&
        (strcmp(nfc, MS_TRASH_NAME) == 0 || strcmp(nfc, MS_OURS_NAME) == 0))
        return true;
    return ms_txn_has(t->txn, ms_key_view(&key));
}

/* A removed folder that has names in it was on its way into the bin (treeop.h): the operation is no part of
 * what is told, so it is in the tree again, as everything in it. */
static enum ms_code be_there(const struct ms_tree *t, uint64_t dir, struct ms_built *built,
                             struct ms_error *reterr) {
    struct ms_inode_record inode;
    struct ms_view text;
    char name[MS_NAME_BYTES_MAX + 1];
    struct ms_key key = ms_key_symlink(t->id, dir);
    MS_TRY(ms_tree_inode(t, dir, &inode, reterr));
    if (inode.nlink > 0)
        return MS_OK;
    MS_TRY(ms_txn_get(t->txn, ms_key_view(&key), &text, reterr));
    (void)snprintf(name, sizeof name, "%.*s", (int)text.n, (const char *)text.p);
    MS_TRY(ms_row_del(t->txn, key, reterr));
    inode.nlink = 2;
    MS_TRY(ms_tree_put(t, &inode, reterr));
    MS_TRY(ms_rebuild_name(t, inode.parent, name, &inode, built, reterr));
    MS_TRY(ms_tree_bin_count(t->txn, t->id, inode.parent, false, reterr));
    built->folders++;
    ms_built_note(built, "folder", "\"%.90s\" was on its way into the recycle bin: it is in the tree",
                  name);
    return ms_tree_raise(t, inode.parent, 1, reterr);
}

enum ms_code ms_rebuild_name(const struct ms_tree *t, uint64_t dir, const char *name,
                             const struct ms_inode_record *inode, struct ms_built *built,
                             struct ms_error *reterr) {
    char legal[MS_NAME_BYTES_MAX + 1], free[MS_NAME_BYTES_MAX + 1], nfc[MS_NAME_BYTES_MAX + 1];
    struct ms_inode_record folder;
    unsigned n = 1;
    MS_TRY(be_there(t, dir, built, reterr));
    MS_TRY(ms_tree_dir(t, dir, &folder, reterr));
    if (ms_name_check(name, nfc, NULL) == MS_OK)
        (void)snprintf(legal, sizeof legal, "%s", name);
    else
        ms_name_from_text(name, legal);
    (void)snprintf(free, sizeof free, "%s", legal);
    MS_TRY(ms_name_check(free, nfc, reterr));
    while (is_taken(t, dir, nfc)) {
        if (++n > NUMBER_MAX)
            return ms_fail(reterr, MS_EXISTS, "\"%s\" and %d numbered names are taken", legal,
                           NUMBER_MAX);
        ms_name_numbered(legal, n, free);
        MS_TRY(ms_name_check(free, nfc, reterr));
    }
    if (strcmp(free, name) != 0) {
        built->displaced++;
        ms_built_note(built, "renamed", "\"%.90s\" is \"%.90s\" now", name, free);
    }
    MS_TRY(ms_tree_name_add(t, &folder, nfc, free, inode, reterr));
    if (S_ISDIR(inode->mode))
        ms_tree_subdirs(&folder, 1);
    return ms_tree_put(t, &folder, reterr);
}

enum ms_code ms_rebuild_names(const struct ms_tree *t, const json_t *line,
                              const struct ms_inode_record *inode, struct ms_built *built,
                              uint32_t *ret_n, struct ms_error *reterr) {
    const json_t *names = json_object_get(line, "names");
    *ret_n = 0;
    for (size_t i = 0; i < json_array_size(names); i++) {
        const json_t *one = json_array_get(names, i);
        const char *name = ms_json_text(one, "name");
        uint64_t parent;
        if (name[0] == '\0')
            continue;
        MS_TRY(ms_rebuild_folder(t, ms_json_number(one, "parent"), built, &parent, reterr));
        MS_TRY(ms_rebuild_name(t, parent, name, inode, built, reterr));
        ++*ret_n;
    }
    return MS_OK;
}

/* ---- folders --------------------------------------------------------------------------------- */

static enum ms_code special_ino(const struct ms_tree *t, enum ms_special special,
                                uint64_t *ret_ino, struct ms_error *reterr) {
    struct ms_name_record name;
    *ret_ino = t->tenant.root_ino;
    if (special == MS_SPECIAL_ROOT)
        return MS_OK;
    MS_TRY(ms_row_get_name(t->txn,
                           ms_key_name(t->id, t->tenant.root_ino, ms_special_name(special)), &name,
                           reterr));
    *ret_ino = name.ino;
    return MS_OK;
}

static struct ms_inode_record empty_folder(const struct ms_inode_record *told, uint64_t ino,
                                           uint64_t parent) {
    struct ms_inode_record inode = *told;
    inode.ino = ino;
    inode.parent = parent;
    inode.nlink = 2;
    inode.next_seq = 3;
    inode.subdirs = inode.height = inode.binned = 0;
    inode.orphan = inode.unsealed = 0;
    inode.was_parent = 0;
    inode.was[0] = '\0';
    inode.was_at = (struct ms_instant){0};
    memset(&inode.opener, 0, sizeof inode.opener);
    return inode;
}

struct folder_line {
    struct ms_inode_record inode;
    uint64_t parent; /* old */
    char name[MS_NAME_BYTES_MAX + 1];
    bool removed; /* the bin remembers it */
};

/* False: nothing that can be used is told of it. */
static bool read_folder(const json_t *line, struct folder_line *ret_folder) {
    const json_t *first = json_array_get(json_object_get(line, "names"), 0);
    size_t n;
    if (ms_json_inode(json_object_get(line, "inode"), &ret_folder->inode, NULL) != MS_OK ||
        !S_ISDIR(ret_folder->inode.mode))
        return false;
    ret_folder->removed = ret_folder->inode.nlink == 0;
    if (ret_folder->inode.special != MS_SPECIAL_NONE)
        return true;
    ret_folder->parent =
        ret_folder->removed ? ret_folder->inode.parent : ms_json_number(first, "parent");
    return ms_json_bytes(ret_folder->removed ? line : first,
                         ret_folder->removed ? "target" : "name", ret_folder->name,
                         MS_NAME_BYTES_MAX, &n);
}

static enum ms_code make_folder(const struct ms_tree *t, const struct folder_line *told,
                                uint64_t parent, struct ms_built *built, uint64_t *ret_ino,
                                struct ms_error *reterr) {
    struct ms_inode_record inode = empty_folder(&told->inode, 0, parent);
    MS_TRY(ms_txn_number(t->txn, "ino", &inode.ino, reterr));
    *ret_ino = inode.ino;
    if (told->removed) {
        struct ms_key key = ms_key_symlink(t->id, inode.ino);
        inode.nlink = 0;
        MS_TRY(ms_change_inode_new(t->txn, t->id, &inode, reterr));
        MS_TRY(ms_txn_put(t->txn, ms_key_view(&key), ms_view_str(told->name), reterr));
        return ms_tree_bin_count(t->txn, t->id, parent, true, reterr);
    }
    MS_TRY(ms_change_inode_new(t->txn, t->id, &inode, reterr));
    MS_TRY(ms_rebuild_name(t, parent, told->name, &inode, built, reterr));
    built->folders++;
    return ms_tree_raise(t, parent, 1, reterr);
}

static enum ms_code folder_at(const struct ms_tree *t, uint64_t old, unsigned depth,
                              struct ms_built *built, uint64_t *ret_ino, struct ms_error *reterr);

/* A folder that is too deep, or above itself by damaged lines, goes to the root. */
static enum ms_code parent_of(const struct ms_tree *t, const struct folder_line *told,
                              unsigned depth, struct ms_built *built, uint64_t *ret_ino,
                              struct ms_error *reterr) {
    struct ms_place place = {.depth = 0};
    *ret_ino = t->tenant.root_ino;
    if (depth < 4 * MS_DEPTH_MAX)
        MS_TRY(folder_at(t, told->parent, depth + 1, built, ret_ino, reterr));
    if (!told->removed)
        MS_TRY(ms_tree_place(t, *ret_ino, 0, &place, reterr));
    if (place.depth + 1 <= MS_DEPTH_MAX)
        return MS_OK;
    *ret_ino = t->tenant.root_ino;
    built->displaced++;
    return MS_OK;
}

static enum ms_code folder_told(const struct ms_tree *t, uint64_t old, const json_t *line,
                                unsigned depth, struct ms_built *built, uint64_t *ret_ino,
                                struct ms_error *reterr) {
    struct folder_line told = {.parent = 0};
    uint64_t parent;
    if (!read_folder(line, &told)) {
        built->displaced++;
        ms_built_note(built, "folder", "nothing is known of folder %" PRIu64 ": the root", old);
        *ret_ino = t->tenant.root_ino;
        return MS_OK;
    }
    if (told.inode.special != MS_SPECIAL_NONE) {
        MS_TRY(special_ino(t, (enum ms_special)told.inode.special, ret_ino, reterr));
        return know_as(t, old, *ret_ino, reterr);
    }
    MS_TRY(parent_of(t, &told, depth, built, &parent, reterr));
    MS_TRY(known_as(t, old, ret_ino, reterr)); /* on the way up, by damaged lines */
    if (*ret_ino != 0)
        return MS_OK;
    MS_TRY(make_folder(t, &told, parent, built, ret_ino, reterr));
    return know_as(t, old, *ret_ino, reterr);
}

static enum ms_code folder_at(const struct ms_tree *t, uint64_t old, unsigned depth,
                              struct ms_built *built, uint64_t *ret_ino, struct ms_error *reterr) {
    struct ms_key key = ms_scratch_of_ino('I', t->id, old);
    MS_AUTO(ms_json_drop) json_t *line = NULL;
    MS_TRY(known_as(t, old, ret_ino, reterr));
    if (*ret_ino != 0)
        return MS_OK;
    MS_TRY(ms_scratch_line(t->txn, &key, &line, reterr));
    return folder_told(t, old, line, depth, built, ret_ino, reterr);
}

enum ms_code ms_rebuild_folder(const struct ms_tree *t, uint64_t old, struct ms_built *built,
                               uint64_t *ret_ino, struct ms_error *reterr) {
    return folder_at(t, old, 0, built, ret_ino, reterr);
}
