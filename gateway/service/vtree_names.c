/* The recycle bin as folders: who is called what in which folder. */
#include "service/vtree_part.h"

#include "content/hash.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define NUMBERED (UINT64_C(1) << 62) /* apart from the fixed numbers */

/* ---- numbers --------------------------------------------------------------------------------- */

struct ms_vnode *ms_vtree_find(const struct ms_vtree *vt, uint64_t ino) {
    struct ms_vlink *link = ms_vmap_find(&vt->numbers, ino);
    return link ? MS_CONTAINER_OF(link, struct ms_vnode, link) : NULL;
}

uint64_t ms_vtree_wanted(uint64_t hash) {
    return MS_VTREE_BIT | NUMBERED | (hash & (NUMBERED - 1));
}

uint64_t ms_vtree_number(const struct ms_vtree *vt, uint64_t hash) {
    while (ms_vtree_find(vt, ms_vtree_wanted(hash)))
        hash++;
    return ms_vtree_wanted(hash);
}

/* ---- names ----------------------------------------------------------------------------------- */

static uint64_t hash_of(const struct ms_vfolder *in, const char *nfc) {
    return ms_block_hash(nfc, strlen(nfc)) ^ in->node.ino * UINT64_C(0xff51afd7ed558ccd);
}

struct ms_vitem *ms_vitem_find(const struct ms_vtree *vt, const struct ms_vfolder *in,
                               const char *nfc) {
    struct ms_vlink *link = ms_vmap_find(&vt->names, hash_of(in, nfc));
    for (; link; link = ms_vmap_find_next(link)) {
        struct ms_vitem *item = MS_CONTAINER_OF(link, struct ms_vitem, link);
        if (item->in == in && strcmp(item->nfc, nfc) == 0)
            return item;
    }
    return NULL;
}

/* ---- slots: the order of readdir ------------------------------------------------------------- */

static void close_holes(struct ms_vfolder *f) {
    size_t n = 0;
    for (size_t i = 0; i < f->slots; i++)
        if (f->slot[i].item)
            f->slot[n++] = f->slot[i];
    f->slots = n;
    f->holes = 0;
}

static enum ms_code add_slot(struct ms_vfolder *f, struct ms_vitem *item, struct ms_error *reterr) {
    if (f->slots == f->cap && f->holes > f->cap / 2)
        close_holes(f);
    if (f->slots == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 4;
        struct ms_vslot *more = realloc(f->slot, cap * sizeof *more);
        if (!more)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for a folder of the recycle bin");
        f->slot = more;
        f->cap = cap;
    }
    item->seq = f->next_seq++;
    f->slot[f->slots++] = (struct ms_vslot){item->seq, item};
    return MS_OK;
}

/* The first slot with a seq above after. */
static size_t slot_behind(const struct ms_vfolder *f, uint64_t after) {
    size_t low = 0, high = f->slots;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (f->slot[middle].seq <= after)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct ms_vitem *ms_vfolder_behind(const struct ms_vfolder *folder, uint64_t after) {
    size_t i = slot_behind(folder, after);
    while (i < folder->slots && !folder->slot[i].item)
        i++;
    return i < folder->slots ? folder->slot[i].item : NULL;
}

static void drop_slot(struct ms_vfolder *f, uint64_t seq) {
    size_t i = slot_behind(f, seq - 1);
    MS_ASSERT(i < f->slots && f->slot[i].seq == seq);
    f->slot[i].item = NULL;
    if (++f->holes == f->slots)
        close_holes(f);
}

/* ---- entering and leaving -------------------------------------------------------------------- */

static enum ms_code enter(struct ms_vtree *vt, struct ms_vfolder *in, struct ms_vitem *item,
                          const char *shown, const char *nfc, struct ms_error *reterr) {
    item->shown = strdup(shown);
    item->nfc = strdup(nfc);
    enum ms_code code = MS_OK;
    if (!item->shown || !item->nfc)
        code = ms_fail(reterr, MS_NO_MEMORY, "no memory for a name of the recycle bin");
    if (code == MS_OK)
        code = ms_vmap_add(&vt->names, &item->link, hash_of(in, nfc), reterr);
    if (code == MS_OK && (code = add_slot(in, item, reterr)) != MS_OK)
        ms_vmap_remove(&vt->names, &item->link);
    if (code == MS_OK) {
        item->in = in;
        item->doubles = 1;
        return MS_OK;
    }
    free(item->shown);
    free(item->nfc);
    item->shown = item->nfc = NULL;
    return code;
}

static void leave(struct ms_vtree *vt, struct ms_vitem *item) {
    ms_vmap_remove(&vt->names, &item->link);
    drop_slot(item->in, item->seq);
    free(item->shown);
    free(item->nfc);
    item->shown = item->nfc = NULL;
    item->in = NULL;
}

static void count(struct ms_vfolder *folder, int more) {
    for (; folder; folder = folder->item.in) {
        MS_ASSERT(more > 0 || folder->files > 0);
        folder->files += (uint64_t)(int64_t)more;
        folder->removed = false;
    }
}

/* The name, or the first numbered one that is free. Who has the plain name remembers how far the
 * numbers are, so that a thousand files of one path cost a thousand steps. */
static enum ms_code free_name(struct ms_vtree *vt, const struct ms_vfolder *in, const char *name,
                              char ret_name[MS_NAME_BYTES_MAX + 1],
                              char ret_nfc[MS_NAME_BYTES_MAX + 1], struct ms_error *reterr) {
    struct ms_vitem *first = NULL, *taken;
    (void)snprintf(ret_name, MS_NAME_BYTES_MAX + 1, "%s", name);
    for (;;) {
        MS_TRY(ms_name_check(ret_name, ret_nfc, reterr));
        taken = ms_vitem_find(vt, in, ret_nfc);
        if (!taken)
            return MS_OK;
        if (!first)
            first = taken;
        if (first->doubles == UINT_MAX)
            return ms_fail(reterr, MS_EXISTS, "\"%s\" is there too often", name);
        ms_name_numbered(name, ++first->doubles, ret_name);
    }
}

enum ms_code ms_vfile_enter(struct ms_vtree *vt, struct ms_vfolder *in, struct ms_vfile *file,
                            struct ms_error *reterr) {
    char name[MS_NAME_BYTES_MAX + 1], nfc[MS_NAME_BYTES_MAX + 1];
    MS_ASSERT(file->item.in == NULL);
    MS_TRY(free_name(vt, in, file->name, name, nfc, reterr));
    MS_TRY(enter(vt, in, &file->item, name, nfc, reterr));
    count(in, 1);
    return MS_OK;
}

void ms_vfile_leave(struct ms_vtree *vt, struct ms_vfile *file) {
    struct ms_vfolder *in = file->item.in;
    if (!in) /* memory was short when it should have got its name */
        return;
    leave(vt, &file->item);
    count(in, -1);
    ms_vfolder_settle(vt, in);
}

/* ---- folders --------------------------------------------------------------------------------- */

static enum ms_code new_folder(struct ms_vtree *vt, struct ms_vfolder *in, const char *name,
                               const char *nfc, struct ms_vfolder **ret_folder,
                               struct ms_error *reterr) {
    struct ms_vfolder *f = calloc(1, sizeof *f);
    if (!f)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a folder of the recycle bin");
    f->node.kind = MS_V_FOLDER;
    f->node.ino = ms_vtree_number(vt, hash_of(in, nfc));
    f->item.is_folder = true;
    f->next_seq = 3;
    enum ms_code code = ms_vmap_add(&vt->numbers, &f->node.link, f->node.ino, reterr);
    if (code == MS_OK && (code = enter(vt, in, &f->item, name, nfc, reterr)) != MS_OK)
        ms_vmap_remove(&vt->numbers, &f->node.link);
    if (code != MS_OK)
        free(f);
    else
        *ret_folder = f;
    return code;
}

enum ms_code ms_vfolder_enter(struct ms_vtree *vt, struct ms_vfolder *in, const char *name,
                              struct ms_vfolder **ret_folder, struct ms_error *reterr) {
    char nfc[MS_NAME_BYTES_MAX + 1];
    struct ms_vfile *aside = NULL;
    MS_TRY(ms_name_check(name, nfc, reterr));
    struct ms_vitem *item = ms_vitem_find(vt, in, nfc);
    if (item && item->is_folder) {
        *ret_folder = MS_CONTAINER_OF(item, struct ms_vfolder, item);
        return MS_OK;
    }
    if (item) { /* paths lead through a folder's name, so that one is the folder's */
        aside = MS_CONTAINER_OF(item, struct ms_vfile, item);
        leave(vt, item);
    }
    enum ms_code code = new_folder(vt, in, name, nfc, ret_folder, reterr);
    if (!aside)
        return code;
    count(in, -1);
    enum ms_code again = ms_vfile_enter(vt, in, aside, code == MS_OK ? reterr : NULL);
    return code == MS_OK ? again : code;
}

void ms_vfolder_settle(struct ms_vtree *vt, struct ms_vfolder *folder) {
    while (folder != &vt->trash && folder->files == 0 && folder->node.lookups == 0 &&
           folder->slots == folder->holes) {
        struct ms_vfolder *above = folder->item.in;
        leave(vt, &folder->item);
        ms_vmap_remove(&vt->numbers, &folder->node.link);
        free(folder->slot);
        free(folder);
        folder = above;
    }
}
