#include "fuse/virtual.h"

#include "fuse/attr.h"
#include "fuse/inval.h"
#include "fuse/node.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define PAGE 64u

/* The number for the service: the root has one of its own in the tree. */
static uint64_t ino_of(struct ms_mount *mount, fuse_ino_t nodeid) {
    return ms_virtual_is(nodeid) ? nodeid : ms_nodes_ino(mount->nodes, nodeid);
}

/* ---- entries and attributes ------------------------------------------------------------------ */

static enum ms_code fill_entry(struct ms_mount *mount, fuse_ino_t parent, struct ms_node *node,
                               struct fuse_entry_param *ret_entry, struct ms_error *reterr) {
    struct fuse_entry_param e = {.ino = node->inode.ino};
    if (ms_virtual_is(e.ino)) {
        ms_attr_fill(node, &e.attr);
    } else {
        bool live = ms_file_overlay(mount->svc, &mount->ctx, node);
        enum ms_code code = ms_entry_fill(mount, parent, node->spelling, node, live, &e, reterr);
        if (code != MS_OK)
            return code;
        e.entry_timeout = 0.0;
    }
    *ret_entry = e;
    return MS_OK;
}

/* The kernel does not have it: its count is taken back. */
static void forget_entry(struct ms_mount *mount, uint64_t nodeid) {
    if (ms_virtual_is(nodeid))
        ms_vtree_forget(mount->vtree, nodeid, 1);
    else
        ms_nodes_forget(mount->nodes, nodeid, 1);
}

void ms_virtual_lookup(fuse_req_t req, fuse_ino_t parent, const char *name) {
    struct ms_mount *mount = ms_mount_of(req);
    struct ms_ctx ctx = ms_mount_ctx(mount, req);
    struct ms_error err = {0};
    struct ms_node node;
    struct fuse_entry_param entry;
    enum ms_code code =
        ms_vtree_lookup(mount->vtree, &ctx, ino_of(mount, parent), name, &node, &err);
    if (code == MS_OK)
        code = fill_entry(mount, parent, &node, &entry, &err);
    if (code != MS_OK)
        ms_reply_failure(req, "lookup", code, &err);
    else if (fuse_reply_entry(req, &entry) == -ENOENT)
        forget_entry(mount, entry.ino); /* interrupted */
}

/* ---- open texts ------------------------------------------------------------------------------ */

/* A text as it was when it was opened; no handle tells it from an open file. */
struct text {
    struct ms_open_file file;
    struct ms_buf bytes;
};

static struct text *text_of(const struct fuse_file_info *fi) {
    struct ms_open_file *file = (struct ms_open_file *)(uintptr_t)fi->fh;
    return file && !file->handle ? MS_CONTAINER_OF(file, struct text, file) : NULL;
}

static void free_text(struct text *text) {
    ms_open_files_remove(&text->file);
    ms_buf_fini(&text->bytes);
    free(text);
}

static void reply_text(fuse_req_t req, struct ms_buf *bytes, struct fuse_file_info *fi) {
    struct text *text = calloc(1, sizeof *text);
    if (!text) {
        (void)fuse_reply_err(req, ENOMEM);
        return;
    }
    text->file.mount = ms_mount_of(req);
    text->bytes = *bytes;
    *bytes = (struct ms_buf){0};
    fi->fh = (uintptr_t)&text->file;
    fi->direct_io = 1;
    ms_open_files_add(&text->file);
    if (fuse_reply_open(req, fi) == -ENOENT)
        free_text(text);
}

bool ms_virtual_open(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi,
                     uint64_t *ret_ino) {
    struct ms_mount *mount = ms_mount_of(req);
    struct ms_ctx ctx = ms_mount_ctx(mount, req);
    struct ms_error err = {0};
    MS_AUTO(ms_buf_fini) struct ms_buf bytes = MS_BUF_MAX((size_t)64 << 20);
    bool write = (fi->flags & O_ACCMODE) != O_RDONLY || (fi->flags & O_TRUNC);
    enum ms_code code = ms_vtree_open(mount->vtree, &ctx, nodeid, write, &bytes, ret_ino, &err);
    if (code == MS_OK && *ret_ino != 0)
        return false;
    if (code == MS_OK)
        reply_text(req, &bytes, fi);
    else
        ms_reply_failure(req, "open", code, &err);
    return true;
}

bool ms_virtual_read(fuse_req_t req, size_t size, off_t offset, const struct fuse_file_info *fi) {
    const struct text *text = text_of(fi);
    if (!text)
        return false;
    size_t at = (uint64_t)offset < text->bytes.len ? (size_t)offset : text->bytes.len;
    size_t n = text->bytes.len - at < size ? text->bytes.len - at : size;
    /* A copy: who has got the answer may close the file before the call that gave it returns. */
    char *copy = malloc(n ? n : 1);
    if (!copy) {
        (void)fuse_reply_err(req, ENOMEM);
        return true;
    }
    if (n > 0)
        memcpy(copy, text->bytes.data + at, n);
    (void)fuse_reply_buf(req, copy, n);
    free(copy);
    return true;
}

bool ms_virtual_sync(fuse_req_t req, const struct fuse_file_info *fi) {
    if (!text_of(fi))
        return false;
    (void)fuse_reply_err(req, 0);
    return true;
}

bool ms_virtual_release(fuse_req_t req, const struct fuse_file_info *fi) {
    struct text *text = text_of(fi);
    if (!text)
        return false;
    free_text(text);
    (void)fuse_reply_err(req, 0);
    return true;
}

bool ms_virtual_drop(struct ms_open_file *file) {
    if (file->handle)
        return false;
    free_text(MS_CONTAINER_OF(file, struct text, file));
    return true;
}

void ms_virtual_getattr(fuse_req_t req, fuse_ino_t nodeid, const struct fuse_file_info *fi) {
    struct ms_mount *mount = ms_mount_of(req);
    struct ms_ctx ctx = ms_mount_ctx(mount, req);
    struct ms_error err = {0};
    struct ms_node node;
    struct stat st;
    const struct text *text = fi ? text_of(fi) : NULL;
    enum ms_code code = ms_vtree_node(mount->vtree, &ctx, nodeid, &node, &err);
    if (code != MS_OK) {
        ms_reply_failure(req, "getattr", code, &err);
        return;
    }
    if (text)
        node.inode.size = text->bytes.len;
    ms_attr_fill(&node, &st);
    (void)fuse_reply_attr(req, &st, 0.0);
}

/* ---- listings -------------------------------------------------------------------------------- */

size_t ms_virtual_add(fuse_req_t req, fuse_ino_t parent, const struct ms_node *node, bool plus,
                      char *at, size_t left) {
    struct fuse_entry_param e;
    struct ms_node copy = *node;
    struct stat st = {.st_ino = node->inode.ino, .st_mode = node->inode.mode};
    size_t need = plus ? fuse_add_direntry_plus(req, NULL, 0, node->spelling, NULL, 0)
                       : fuse_add_direntry(req, NULL, 0, node->spelling, NULL, 0);
    if (need > left)
        return 0;
    if (!plus)
        return fuse_add_direntry(req, at, left, node->spelling, &st, (off_t)node->seq);
    if (fill_entry(ms_mount_of(req), parent, &copy, &e, NULL) != MS_OK)
        return 0;
    return fuse_add_direntry_plus(req, at, left, node->spelling, &e, (off_t)node->seq);
}

struct listing {
    fuse_req_t req;
    struct ms_mount *mount;
    struct ms_ctx ctx;
    fuse_ino_t nodeid;
    bool plus;
    char *buf;
    size_t size, used;
};

/* "." and "..": no lookup is counted for these. */
static bool add_dot(struct listing *l, const char *name, const struct ms_node *node,
                    uint64_t offset) {
    struct fuse_entry_param e = {.ino = 0};
    char *at = l->buf + l->used;
    size_t left = l->size - l->used, need;
    ms_attr_fill(node, &e.attr);
    need = l->plus ? fuse_add_direntry_plus(l->req, at, left, name, &e, (off_t)offset)
                   : fuse_add_direntry(l->req, at, left, name, &e.attr, (off_t)offset);
    l->used += need <= left ? need : 0;
    return need <= left;
}

static enum ms_code add_dots(struct listing *l, uint64_t after, bool *full,
                             struct ms_error *reterr) {
    struct ms_node node;
    enum ms_code code = ms_vtree_node(l->mount->vtree, &l->ctx, l->nodeid, &node, reterr);
    if (code != MS_OK)
        return code;
    if (after < 1)
        *full = !add_dot(l, ".", &node, 1);
    node.inode.ino = node.inode.parent;
    if (!*full && after < 2)
        *full = !add_dot(l, "..", &node, 2);
    return MS_OK;
}

/* Entries of one page, as many as fit; the lookups of the others are taken back. */
static bool add_page(struct listing *l, const struct ms_node *page, size_t n) {
    bool full = false;
    for (size_t i = 0; i < n; i++) {
        size_t used = full ? 0
                           : ms_virtual_add(l->req, l->nodeid, &page[i], l->plus, l->buf + l->used,
                                            l->size - l->used);
        full |= used == 0;
        l->used += used;
        if (used == 0 && l->plus && ms_virtual_is(page[i].inode.ino))
            ms_vtree_forget(l->mount->vtree, page[i].inode.ino, 1);
    }
    return full;
}

static enum ms_code fill(struct listing *l, uint64_t after, struct ms_error *reterr) {
    bool full = false;
    enum ms_code code = MS_OK;
    if (after < 2)
        code = add_dots(l, after, &full, reterr);
    struct ms_node *page = malloc(PAGE * sizeof *page);
    if (!page)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a page of a folder");
    size_t n = 1;
    while (code == MS_OK && !full && n > 0) {
        code = ms_vtree_list(l->mount->vtree, &l->ctx, l->nodeid, after, l->plus, page, PAGE, &n,
                             reterr);
        if (code == MS_OK && n > 0) {
            full = add_page(l, page, n);
            after = page[n - 1].seq;
        }
    }
    free(page);
    return code;
}

void ms_virtual_readdir(fuse_req_t req, fuse_ino_t nodeid, size_t size, off_t offset, bool plus) {
    struct ms_mount *mount = ms_mount_of(req);
    struct ms_error err = {0};
    struct listing l = {.req = req,
                        .mount = mount,
                        .ctx = ms_mount_ctx(mount, req),
                        .nodeid = nodeid,
                        .plus = plus,
                        .size = size,
                        .buf = malloc(size ? size : 1)};
    if (!l.buf) {
        (void)fuse_reply_err(req, ENOMEM);
        return;
    }
    enum ms_code code = fill(&l, (uint64_t)offset, &err);
    if (code != MS_OK && l.used == 0)
        ms_reply_failure(req, "readdir", code, &err);
    else
        (void)fuse_reply_buf(req, l.buf, l.used);
    free(l.buf);
}

/* ---- changes --------------------------------------------------------------------------------- */

void ms_virtual_refuse(fuse_req_t req, fuse_ino_t nodeid, const char *op, const char *what) {
    struct ms_mount *mount = ms_mount_of(req);
    struct ms_error err = {0};
    enum ms_code code = ms_vtree_refused(mount->vtree, ino_of(mount, nodeid), what, &err);
    ms_reply_failure(req, op, code, &err);
}

typedef enum ms_code remove_fn(struct ms_vtree *, const struct ms_ctx *, uint64_t, const char *,
                               struct ms_error *);

static void remove_name(fuse_req_t req, const char *op, fuse_ino_t parent, const char *name,
                        remove_fn *fn) {
    struct ms_mount *mount = ms_mount_of(req);
    struct ms_ctx ctx = ms_mount_ctx(mount, req);
    struct ms_error err = {0};
    enum ms_code code = fn(mount->vtree, &ctx, ino_of(mount, parent), name, &err);
    if (code != MS_OK)
        ms_reply_failure(req, op, code, &err);
    else
        (void)fuse_reply_err(req, 0);
}

void ms_virtual_unlink(fuse_req_t req, fuse_ino_t parent, const char *name) {
    remove_name(req, "unlink", parent, name, ms_vtree_unlink);
}

void ms_virtual_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name) {
    remove_name(req, "rmdir", parent, name, ms_vtree_rmdir);
}

/* After the reply, for until then the kernel holds both folders. A deletion leaves no name where
 * the kernel believes to have moved it; one that ended in the middle has changed what it believes
 * to have left alone. */
static void after_rename(struct ms_mount *mount, fuse_ino_t parent, const char *name,
                         fuse_ino_t new_parent, const char *new_name, const struct ms_vmoved *moved,
                         bool failed) {
    if (moved->ino != 0) {
        ms_nodes_unnamed(mount->nodes, moved->ino, parent, name);
        ms_nodes_named(mount->nodes, moved->ino, new_parent, new_name);
    }
    if (failed && moved->done > 0)
        ms_inval_name(mount->inval, parent, name);
    if (moved->binned || (failed && moved->done > 0))
        ms_inval_name(mount->inval, new_parent, new_name);
}

void ms_virtual_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
                       const char *new_name, unsigned flags) {
    struct ms_mount *mount = ms_mount_of(req);
    struct ms_ctx ctx = ms_mount_ctx(mount, req);
    struct ms_error err = {0};
    struct ms_vmoved moved;
    struct ms_rename how = {.parent = ino_of(mount, parent),
                            .new_parent = ino_of(mount, new_parent),
                            .name = name,
                            .new_name = new_name,
                            .no_replace = flags & RENAME_NOREPLACE,
                            .exchange = flags & RENAME_EXCHANGE};
    if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)) {
        (void)fuse_reply_err(req, EINVAL);
        return;
    }
    enum ms_code code = ms_vtree_rename(mount->vtree, &ctx, &how, &moved, &err);
    if (code != MS_OK)
        ms_reply_failure(req, "rename", code, &err);
    else
        (void)fuse_reply_err(req, 0);
    after_rename(mount, parent, name, new_parent, new_name, &moved, code != MS_OK);
}

/* ---- extended attributes: there are none ----------------------------------------------------- */

void ms_virtual_getxattr(fuse_req_t req) { (void)fuse_reply_err(req, ENODATA); }

void ms_virtual_listxattr(fuse_req_t req, size_t size) {
    if (size == 0)
        (void)fuse_reply_xattr(req, 0);
    else
        (void)fuse_reply_buf(req, NULL, 0);
}
