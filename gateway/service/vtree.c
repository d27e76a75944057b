/* Looking into the two virtual folders: which of them, and whose lookups are counted. */
#include "service/vtree_part.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define AT_END (UINT64_C(1) << 62) /* offsets of the root's two: behind every real name */

bool ms_vtree_is_reserved(const char *name) {
    return strcmp(name, MS_TRASH_NAME) == 0 || strcmp(name, MS_OURS_NAME) == 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

static enum ms_code add_fixed(struct ms_vtree *vt, struct ms_error *reterr) {
    vt->trash.next_seq = 3;
    vt->trash.item.is_folder = true;
    for (enum ms_vkind k = MS_V_TRASH; k < MS_V_FIXED; k++) {
        struct ms_vnode *node = k == MS_V_TRASH ? &vt->trash.node : &vt->fixed[k];
        node->kind = k;
        node->ino = ms_vfixed_ino(k);
        MS_TRY(ms_vmap_add(&vt->numbers, &node->link, node->ino, reterr));
    }
    return MS_OK;
}

enum ms_code ms_vtree_new(struct ms_svc *svc, struct ms_tenant_id tenant, uint64_t root_ino,
                          struct ms_vtree **ret_vtree, struct ms_error *reterr) {
    struct ms_vtree *vt = calloc(1, sizeof *vt);
    if (!vt)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for the mount's virtual folders");
    vt->svc = svc;
    vt->tenant = tenant;
    vt->root_ino = root_ino;
    pthread_mutex_init(&vt->mutex, NULL);
    enum ms_code code = add_fixed(vt, reterr);
    if (code != MS_OK)
        ms_vtree_free(vt);
    else
        *ret_vtree = vt;
    return code;
}

void ms_vtree_free(struct ms_vtree *vt) {
    if (!vt)
        return;
    ms_vbin_fini(vt);
    pthread_mutex_destroy(&vt->mutex);
    free(vt);
}

/* ---- numbers --------------------------------------------------------------------------------- */

static enum ms_code stale(uint64_t ino, struct ms_error *reterr) {
    return ms_fail(reterr, MS_STALE, "virtual number %llx stands for nothing",
                   (unsigned long long)ino);
}

/* What a number stands for, copied. Of a folder of .trash/ only the kind is of use. */
static enum ms_code what_is(struct ms_vtree *vt, uint64_t ino, struct ms_vnode *ret_what,
                            struct ms_error *reterr) {
    pthread_mutex_lock(&vt->mutex);
    const struct ms_vnode *node = ms_vtree_find(vt, ino);
    if (node)
        *ret_what = *node;
    pthread_mutex_unlock(&vt->mutex);
    return node ? MS_OK : stale(ino, reterr);
}

/* Give it its number and, counted, a node that keeps it. */
static enum ms_code number_it(struct ms_vtree *vt, struct ms_vnode *what, bool counted,
                              struct ms_error *reterr) {
    enum ms_code code = MS_OK;
    pthread_mutex_lock(&vt->mutex);
    what->ino = ms_vnode_ino(vt, what);
    struct ms_vnode *node = ms_vtree_find(vt, what->ino);
    if (!node && counted) {
        node = calloc(1, sizeof *node);
        if (!node)
            code = ms_fail(reterr, MS_NO_MEMORY, "no memory for a node of .msasset");
        else {
            *node = *what;
            node->lookups = 0;
            code = ms_vmap_add(&vt->numbers, &node->link, node->ino, reterr);
        }
        if (code != MS_OK) {
            free(node);
            node = NULL;
        }
    }
    if (node)
        node->lookups += counted;
    pthread_mutex_unlock(&vt->mutex);
    return code;
}

void ms_vtree_forget(struct ms_vtree *vt, uint64_t ino, uint64_t lookups) {
    pthread_mutex_lock(&vt->mutex);
    struct ms_vnode *node = ms_vtree_find(vt, ino);
    if (node && node->kind >= MS_V_FIXED) {
        MS_ASSERT(node->lookups >= lookups);
        node->lookups -= lookups;
        if (node->kind == MS_V_FOLDER) {
            ms_vfolder_settle(vt, ms_vfolder_of(node));
        } else if (node->lookups == 0) {
            ms_vmap_remove(&vt->numbers, &node->link);
            free(node);
        }
    }
    pthread_mutex_unlock(&vt->mutex);
}

/* ---- .trash/ --------------------------------------------------------------------------------- */

/* One look with the lock held: name NULL asks for the folder itself, for which the bin need not be
 * read: "ls -l" of the root must not. */
static enum ms_code look_in_trash(struct ms_vtree *vt, const struct ms_ctx *ctx, uint64_t dir,
                                  const char *name, struct ms_node *ret_node,
                                  struct ms_error *reterr) {
    struct ms_tree t;
    pthread_mutex_lock(&vt->mutex);
    enum ms_code code =
        name ? ms_vbin_read(vt, ctx, &t, reterr) : ms_tree_read(&t, vt->svc, ctx, reterr);
    if (code == MS_OK) {
        struct ms_vnode *node = ms_vtree_find(vt, dir);
        if (!node)
            code = stale(dir, reterr);
        else if (name)
            code = ms_vtrash_lookup(vt, &t, ms_vfolder_of(node), name, ret_node, reterr);
        else
            code = ms_vfolder_node(&t, ms_vfolder_of(node), ret_node, reterr);
        ms_tree_read_end(&t);
    }
    pthread_mutex_unlock(&vt->mutex);
    return code;
}

static enum ms_code list_trash(struct ms_vtree *vt, const struct ms_ctx *ctx, uint64_t dir,
                               uint64_t after, bool counted, struct ms_node *ret_nodes, size_t max,
                               size_t *ret_n, struct ms_error *reterr) {
    struct ms_tree t;
    pthread_mutex_lock(&vt->mutex);
    enum ms_code code = ms_vbin_read(vt, ctx, &t, reterr);
    if (code == MS_OK) {
        struct ms_vnode *node = ms_vtree_find(vt, dir);
        if (!node)
            code = stale(dir, reterr);
        else
            code = ms_vtrash_list(&t, ms_vfolder_of(node), after, counted, ret_nodes, max, ret_n,
                                  reterr);
        ms_tree_read_end(&t);
    }
    pthread_mutex_unlock(&vt->mutex);
    return code;
}

/* ---- .msasset/ ------------------------------------------------------------------------------- */

/* Number and attributes of something that was just found. */
static enum ms_code fill(struct ms_vtree *vt, const struct ms_ctx *ctx, struct ms_vnode *what,
                         const char *name, bool counted, struct ms_node *ret_node,
                         struct ms_error *reterr) {
    MS_TRY(number_it(vt, what, counted, reterr));
    enum ms_code code = ms_vnode_fill(vt, ctx, what, ret_node, reterr);
    if (code != MS_OK) {
        if (counted)
            ms_vtree_forget(vt, what->ino, 1);
        return code;
    }
    (void)snprintf(ret_node->spelling, sizeof ret_node->spelling, "%s", name);
    pthread_mutex_lock(&vt->mutex);
    ret_node->inode.parent = ms_vnode_parent(vt, what);
    pthread_mutex_unlock(&vt->mutex);
    return MS_OK;
}

#define PAGE 32u

static enum ms_code list_ours(struct ms_vtree *vt, const struct ms_ctx *ctx,
                              const struct ms_vnode *dir, uint64_t after, bool counted,
                              struct ms_node *ret_nodes, size_t max, size_t *ret_n,
                              struct ms_error *reterr) {
    struct ms_vchild children[PAGE];
    size_t n = PAGE, out = 0;
    struct ms_error err = {0};
    enum ms_code code = MS_OK;
    while (code == MS_OK && n == PAGE && out < max) {
        MS_TRY(ms_vnode_children(vt, ctx, dir, after, children, max - out < PAGE ? max - out : PAGE,
                                 &n, reterr));
        for (size_t i = 0; i < n && code == MS_OK; i++) {
            struct ms_vchild *c = &children[i];
            code = fill(vt, ctx, &c->what, c->name, counted, &ret_nodes[out], &err);
            after = c->seq;
            if (code == MS_OK)
                ret_nodes[out++].seq = c->seq;
            else if (code == MS_NOT_FOUND)
                code = MS_OK; /* it has gone meanwhile */
        }
    }
    *ret_n = out;
    return out > 0 ? MS_OK : ms_pass_up(code, &err, reterr); /* a later call meets it again */
}

/* ---- the root -------------------------------------------------------------------------------- */

static enum ms_code root_child(struct ms_vtree *vt, const struct ms_ctx *ctx, enum ms_vkind kind,
                               struct ms_node *ret_node, struct ms_error *reterr) {
    struct ms_vnode what = {.kind = kind};
    if (kind == MS_V_TRASH)
        MS_TRY(look_in_trash(vt, ctx, ms_vfixed_ino(kind), NULL, ret_node, reterr));
    else
        MS_TRY(fill(vt, ctx, &what, MS_OURS_NAME, false, ret_node, reterr));
    ret_node->seq = AT_END + (uint64_t)kind;
    return MS_OK;
}

static enum ms_code list_root(struct ms_vtree *vt, const struct ms_ctx *ctx, uint64_t after,
                              struct ms_node *ret_nodes, size_t max, size_t *ret_n,
                              struct ms_error *reterr) {
    size_t n = 0;
    for (enum ms_vkind k = MS_V_TRASH; k <= MS_V_OURS; k++)
        if (after < AT_END + (uint64_t)k && n < max)
            MS_TRY(root_child(vt, ctx, k, &ret_nodes[n++], reterr));
    *ret_n = n;
    return MS_OK;
}

/* ---- the calls ------------------------------------------------------------------------------- */

static bool is_folder(enum ms_vkind kind) {
    return kind == MS_V_TRASH || kind == MS_V_FOLDER || kind == MS_V_OURS || kind == MS_V_ASSETS ||
           kind == MS_V_ASSET || kind == MS_V_CATEGORY;
}

static enum ms_code folder_at(struct ms_vtree *vt, uint64_t ino, struct ms_vnode *ret_what,
                              struct ms_error *reterr) {
    MS_TRY(what_is(vt, ino, ret_what, reterr));
    if (!is_folder(ret_what->kind))
        return ms_fail(reterr, MS_NOT_DIR, "a file of .msasset is not a folder");
    return MS_OK;
}

enum ms_code ms_vtree_lookup(struct ms_vtree *vt, const struct ms_ctx *ctx, uint64_t dir,
                             const char *name, struct ms_node *ret_node, struct ms_error *reterr) {
    struct ms_vnode in, what;
    if (dir == vt->root_ino) {
        MS_ASSERT(ms_vtree_is_reserved(name));
        return root_child(vt, ctx, strcmp(name, MS_TRASH_NAME) == 0 ? MS_V_TRASH : MS_V_OURS,
                          ret_node, reterr);
    }
    MS_TRY(folder_at(vt, dir, &in, reterr));
    if (ms_vnode_is_trash(&in))
        return look_in_trash(vt, ctx, dir, name, ret_node, reterr);
    MS_TRY(ms_vnode_child(vt, ctx, &in, name, &what, reterr));
    return fill(vt, ctx, &what, name, true, ret_node, reterr);
}

enum ms_code ms_vtree_node(struct ms_vtree *vt, const struct ms_ctx *ctx, uint64_t ino,
                           struct ms_node *ret_node, struct ms_error *reterr) {
    struct ms_vnode what;
    MS_TRY(what_is(vt, ino, &what, reterr));
    if (ms_vnode_is_trash(&what))
        return look_in_trash(vt, ctx, ino, NULL, ret_node, reterr);
    return fill(vt, ctx, &what, "", false, ret_node, reterr);
}

enum ms_code ms_vtree_list(struct ms_vtree *vt, const struct ms_ctx *ctx, uint64_t dir,
                           uint64_t after, bool counted, struct ms_node *ret_nodes, size_t max,
                           size_t *ret_n, struct ms_error *reterr) {
    struct ms_vnode in;
    if (dir == vt->root_ino)
        return list_root(vt, ctx, after, ret_nodes, max, ret_n, reterr);
    MS_TRY(folder_at(vt, dir, &in, reterr));
    if (ms_vnode_is_trash(&in))
        return list_trash(vt, ctx, dir, after, counted, ret_nodes, max, ret_n, reterr);
    return list_ours(vt, ctx, &in, after, counted, ret_nodes, max, ret_n, reterr);
}

enum ms_code ms_vtree_open(struct ms_vtree *vt, const struct ms_ctx *ctx, uint64_t ino, bool write,
                           struct ms_buf *ret_text, uint64_t *ret_ino, struct ms_error *reterr) {
    struct ms_vnode what;
    uint64_t main = 0;
    MS_TRY(what_is(vt, ino, &what, reterr));
    if (is_folder(what.kind))
        return ms_fail(reterr, MS_IS_DIR, "a folder is not opened as a file");
    if (write)
        return ms_vtree_refused(vt, ino, "writing", reterr);
    if (what.kind == MS_V_FILE)
        MS_TRY(ms_vnode_inode(vt, ctx, &what, &main, reterr));
    else
        MS_TRY(ms_vtext(vt, ctx, &what, ret_text, reterr));
    *ret_ino = main;
    return MS_OK;
}
