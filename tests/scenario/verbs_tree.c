/* What a mount does: names, attributes, open files. */
#include "scenario.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct spot {
    struct ms_node parent;
    char name[MS_NAME_BYTES_MAX + 1];
};

static enum ms_code spot_of(struct scene *s, const char *path, struct spot *ret_spot,
                            struct ms_error *reterr) {
    return ms_tree_walk_parent(s->w->svc, scene_ctx(s), path, &ret_spot->parent, ret_spot->name,
                               reterr);
}

/* By its label or by its path. */
static enum ms_code ino_at(struct scene *s, const char *what, uint64_t *ret_ino,
                           struct ms_error *reterr) {
    struct ms_node node;
    if (what[0] == '/') {
        MS_TRY(ms_tree_walk(s->w->svc, scene_ctx(s), what, &node, reterr));
        *ret_ino = node.inode.ino;
        return MS_OK;
    }
    MS_TRY(scene_look(s, scene_asset_of(s, what), reterr));
    *ret_ino = s->info.asset.ino;
    return MS_OK;
}

/* ---- names ------------------------------------------------------------------------------- */

static enum ms_code verb_unlink(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct spot spot;
    struct ms_gone gone;
    (void)n;
    MS_TRY(spot_of(s, words[1], &spot, reterr));
    return ms_tree_unlink(s->w->svc, scene_ctx(s), spot.parent.inode.ino, spot.name, false, &gone,
                          reterr);
}

static enum ms_code verb_rename(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct spot from, to;
    struct ms_node node;
    struct ms_gone gone;
    (void)n;
    MS_TRY(spot_of(s, words[1], &from, reterr));
    MS_TRY(spot_of(s, words[2], &to, reterr));
    struct ms_rename rename = {.parent = from.parent.inode.ino,
                               .name = from.name,
                               .new_parent = to.parent.inode.ino,
                               .new_name = to.name};
    return ms_tree_rename(s->w->svc, scene_ctx(s), &rename, &node, &gone, reterr);
}

static enum ms_code verb_link(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct spot to;
    struct ms_node node;
    uint64_t ino;
    (void)n;
    MS_TRY(ino_at(s, words[1], &ino, reterr));
    MS_TRY(spot_of(s, words[2], &to, reterr));
    return ms_tree_link(s->w->svc, scene_ctx(s), ino, to.parent.inode.ino, to.name, &node, reterr);
}

static enum ms_code verb_mkdir(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct spot spot;
    struct ms_made made;
    (void)n;
    MS_TRY(spot_of(s, words[1], &spot, reterr));
    struct ms_make make = {
        .parent = spot.parent.inode.ino, .name = spot.name, .mode = S_IFDIR | 0755};
    return ms_tree_make(s->w->svc, scene_ctx(s), &make, &made, reterr);
}

static enum ms_code verb_rmdir(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct spot spot;
    struct ms_gone gone;
    (void)n;
    MS_TRY(spot_of(s, words[1], &spot, reterr));
    return ms_tree_rmdir(s->w->svc, scene_ctx(s), spot.parent.inode.ino, spot.name, false, &gone,
                         reterr);
}

/* msasset rm -r, as far as it is one commit. */
static enum ms_code verb_bin_folder(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct spot spot;
    uint64_t ino;
    (void)n;
    MS_TRY(spot_of(s, words[1], &spot, reterr));
    return ms_tree_bin(s->w->svc, scene_ctx(s), spot.parent.inode.ino, spot.name, &ino, reterr);
}

static enum ms_code verb_settle(struct scene *s, int n, char **words, struct ms_error *reterr) {
    uint64_t done;
    (void)n, (void)words;
    return ms_tree_settle(s->w->svc, scene_ctx(s), &done, reterr);
}

static enum ms_code verb_chmod(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_setattr set = {.which = MS_ATTR_MODE, .mode = 0600};
    struct ms_node node;
    (void)n;
    MS_TRY(ino_at(s, words[1], &set.ino, reterr));
    return ms_tree_setattr(s->w->svc, scene_ctx(s), &set, &node, reterr);
}

/* ---- bytes ------------------------------------------------------------------------------- */

/* All of it, as msasset get reads it. */
static enum ms_code verb_read(struct scene *s, int n, char **words, struct ms_error *reterr) {
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct ms_get get = {.id = scene_asset_of(s, words[1])->id, .fd = fd};
    (void)n;
    enum ms_code code = ms_asset_fetch(s->w->svc, scene_ctx(s), &get, reterr);
    (void)close(fd);
    return code;
}

static enum ms_code verb_open(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_open open = {.read = true, .write = n > 3 && strcmp(words[3], "write") == 0};
    struct ms_handle *handle;
    MS_TRY(ino_at(s, words[2], &open.ino, reterr));
    MS_TRY(ms_file_open(s->w->svc, scene_ctx(s), &open, &handle, reterr));
    scene_name_handle(s, words[1], handle);
    return MS_OK;
}

/* A new file that is being written. */
static enum ms_code verb_make(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_open open = {.read = true, .write = true};
    struct ms_handle *handle;
    struct ms_node node;
    struct spot spot;
    (void)n;
    MS_TRY(spot_of(s, words[3], &spot, reterr));
    struct ms_make make = {
        .parent = spot.parent.inode.ino, .name = spot.name, .mode = S_IFREG | 0644};
    MS_TRY(ms_file_create(s->w->svc, scene_ctx(s), &make, &open, &node, &handle, reterr));
    scene_name_handle(s, words[1], handle);
    scene_name_asset(s, words[2], (struct ms_asset_id){node.inode.asset});
    return MS_OK;
}

static enum ms_code verb_pread(struct scene *s, int n, char **words, struct ms_error *reterr) {
    uint8_t bytes[16];
    size_t got;
    (void)n;
    return read_file(*scene_handle_of(s, words[1]), 0, sizeof bytes, bytes, &got, reterr);
}

static enum ms_code verb_pwrite(struct scene *s, int n, char **words, struct ms_error *reterr) {
    static const uint8_t bytes[64] = "just text, and nothing else in it\n";
    size_t done;
    (void)n;
    return ms_file_write(*scene_handle_of(s, words[1]), 0, bytes, sizeof bytes, &done, reterr);
}

static enum ms_code verb_close(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_handle *handle = MS_TAKE(*scene_handle_of(s, words[1]));
    struct ms_error err = {0};
    (void)n;
    enum ms_code code = flush_file(handle, &err), released;
    released = release_file(handle, code ? NULL : &err);
    code = code ? code : released;
    if (code != MS_OK && reterr)
        *reterr = err;
    return code;
}

static const struct scene_verb verbs[] = {
    {"unlink", 1, 1, verb_unlink, "PATH"},
    {"rename", 2, 2, verb_rename, "PATH PATH"},
    {"link", 2, 2, verb_link, "LABEL|PATH PATH: a hard link"},
    {"mkdir", 1, 1, verb_mkdir, "PATH"},
    {"rmdir", 1, 1, verb_rmdir, "PATH"},
    {"bin-folder", 1, 1, verb_bin_folder, "PATH: a folder to the bin, as one operation"},
    {"settle", 0, 0, verb_settle, "what follows of such operations"},
    {"chmod", 1, 1, verb_chmod, "LABEL|PATH: to 0600"},
    {"read", 1, 1, verb_read, "LABEL: all of it, as msasset get does"},
    {"make", 3, 3, verb_make, "HANDLE LABEL PATH: a new file, open for writing"},
    {"open", 2, 3, verb_open, "HANDLE LABEL|PATH [write]"},
    {"pread", 1, 1, verb_pread, "HANDLE: a few bytes"},
    {"pwrite", 1, 1, verb_pwrite, "HANDLE: a few bytes"},
    {"close", 1, 1, verb_close, "HANDLE"},
};
const struct scene_verbs scene_verbs_tree = {verbs, MS_ARRAY_LEN(verbs)};
