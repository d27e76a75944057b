/* ops_dir.c — reading folders: pages of the tree in seq order; an entry's seq is its offset, so it
 * is stable while others make and remove names. "." is 1, ".." is 2, real names start at 3. */
#include "fuse/attr.h"
#include "fuse/node.h"
#include "fuse/virtual.h"

#include <stdlib.h>
#include <sys/stat.h>

#define PAGE 128u

struct listing {
    fuse_req_t req;
    struct ms_mount *mount;
    struct ms_ctx ctx;
    fuse_ino_t nodeid;
    uint64_t ino;
    bool plus;
    char *buf;
    size_t size, used;
};

/* False when the buffer is full. Takes one lookup count per entry of readdirplus, as the kernel
 * does. */
static bool add(struct listing *l, const char *name, struct ms_node *node, uint64_t offset) {
    char *at = l->buf + l->used;
    size_t left = l->size - l->used, need;
    if (!l->plus) {
        struct stat st = {.st_ino = node->inode.ino, .st_mode = node->inode.mode};
        need = fuse_add_direntry(l->req, at, left, name, &st, (off_t)offset);
        l->used += need <= left ? need : 0;
        return need <= left;
    }
    struct fuse_entry_param e = {.attr_timeout = MS_TIMEOUT_S, .entry_timeout = MS_TIMEOUT_S};
    ms_attr_fill(node, &e.attr);
    need = fuse_add_direntry_plus(l->req, NULL, 0, name, NULL, 0);
    if (need > left)
        return false;
    bool dots = offset <= 2, live = !dots && ms_file_overlay(l->mount->svc, &l->ctx, node);
    if (!dots && ms_entry_fill(l->mount, l->nodeid, name, node, live, &e, NULL) != MS_OK)
        return false;
    l->used += fuse_add_direntry_plus(l->req, at, left, name, &e, (off_t)offset);
    return true;
}

static enum ms_code add_dots(struct listing *l, uint64_t after, bool *full,
                             struct ms_error *reterr) {
    struct ms_node node;
    enum ms_code code = ms_tree_node(l->mount->svc, &l->ctx, l->ino, &node, reterr);
    if (code != MS_OK)
        return code;
    if (!S_ISDIR(node.inode.mode))
        return ms_fail(reterr, MS_NOT_DIR, "inode %llu is not a folder",
                       (unsigned long long)l->ino);
    if (after < 1)
        *full = !add(l, ".", &node, 1);
    if (node.inode.parent != 0)
        node.inode.ino = node.inode.parent;
    if (!*full && after < 2)
        *full = !add(l, "..", &node, 2);
    return MS_OK;
}

/* The root's two virtual folders, behind all others. */
static enum ms_code add_virtual(struct listing *l, uint64_t after, struct ms_error *reterr) {
    struct ms_node nodes[2];
    size_t n = 0, used = 1;
    enum ms_code code = ms_vtree_list(l->mount->vtree, &l->ctx, l->ino, after, l->plus, nodes,
                                      MS_ARRAY_LEN(nodes), &n, reterr);
    for (size_t i = 0; code == MS_OK && i < n && used > 0; i++) {
        used = ms_virtual_add(l->req, l->nodeid, &nodes[i], l->plus, l->buf + l->used,
                              l->size - l->used);
        l->used += used;
    }
    return code;
}

static enum ms_code fill(struct listing *l, uint64_t after, struct ms_error *reterr) {
    bool full = false;
    enum ms_code code = MS_OK;
    if (after < 2)
        code = add_dots(l, after, &full, reterr);
    struct ms_node *page = malloc(PAGE * sizeof *page);
    if (!page)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a page of a folder");
    size_t n = PAGE;
    while (code == MS_OK && !full && n == PAGE) {
        code = ms_tree_list(l->mount->svc, &l->ctx, l->ino, after, page, PAGE, &n, reterr);
        for (size_t i = 0; code == MS_OK && i < n && !full; i++) {
            full = !add(l, page[i].spelling, &page[i], page[i].seq);
            after = page[i].seq;
        }
    }
    free(page);
    if (code == MS_OK && !full && l->ino == l->mount->root_ino)
        code = add_virtual(l, after, reterr);
    return code;
}

static void read_folder(fuse_req_t req, fuse_ino_t nodeid, size_t size, off_t offset, bool plus) {
    struct ms_mount *mount = ms_mount_of(req);
    struct ms_error err = {0};
    struct listing l = {.req = req,
                        .mount = mount,
                        .ctx = ms_mount_ctx(mount, req),
                        .nodeid = nodeid,
                        .ino = ms_nodes_ino(mount->nodes, nodeid),
                        .plus = plus,
                        .size = size};
    l.buf = malloc(size ? size : 1);
    if (!l.buf || l.ino == 0) {
        (void)fuse_reply_err(req, l.buf ? ESTALE : ENOMEM);
        free(l.buf);
        return;
    }
    enum ms_code code = fill(&l, (uint64_t)offset, &err);
    if (code != MS_OK && l.used == 0)
        ms_reply_failure(req, "readdir", code, &err);
    else
        (void)fuse_reply_buf(req, l.buf, l.used);
    free(l.buf);
}

void ms_op_opendir(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi) {
    (void)nodeid;
    (void)fuse_reply_open(req, fi);
}

void ms_op_readdir(fuse_req_t req, fuse_ino_t nodeid, size_t size, off_t offset,
                   struct fuse_file_info *fi) {
    (void)fi;
    if (ms_virtual_is(nodeid))
        ms_virtual_readdir(req, nodeid, size, offset, false);
    else
        read_folder(req, nodeid, size, offset, false);
}

void ms_op_readdirplus(fuse_req_t req, fuse_ino_t nodeid, size_t size, off_t offset,
                       struct fuse_file_info *fi) {
    (void)fi;
    if (ms_virtual_is(nodeid))
        ms_virtual_readdir(req, nodeid, size, offset, true);
    else
        read_folder(req, nodeid, size, offset, true);
}

void ms_op_releasedir(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi) {
    (void)nodeid;
    (void)fi;
    (void)fuse_reply_err(req, 0);
}

/* Every change of a folder was durable when it was answered. */
void ms_op_fsyncdir(fuse_req_t req, fuse_ino_t nodeid, int datasync, struct fuse_file_info *fi) {
    (void)nodeid;
    (void)datasync;
    (void)fi;
    (void)fuse_reply_err(req, 0);
}
