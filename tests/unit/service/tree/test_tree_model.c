/* Random operations on the tree and on a reference of a few hundred lines that is obviously right,
 * side by side: the same answers, the same folders in the same order, the same assets behind the
 * same names, the same bin. The tree's invariants are compared after every step. A failure prints
 * seed and steps. */
#include "fixture.h"

#include "model/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES_MAX 400
#define ENTRIES_MAX 200
#define LIVE_MAX 60 /* above it nothing is made */
#define NONE (-1)

/* ---- the reference --------------------------------------------------------------------------- */

enum kind { DIR_KIND, FILE_KIND, PIPE_KIND };
enum fate { LIVE, ORPHAN, GHOST, GONE, BINNED };

struct node {
    enum kind kind;
    enum fate fate;
    uint64_t ino;
    int nlink;                        /* names; of a folder 0 or 1 */
    int remembered;                   /* folder: bin entries and ghosts that came from it */
    int parent;                       /* folder */
    char ghost_name[64];              /* as it was spelled when the folder went */
    bool special, closed, orphan_too; /* ghost: somebody has it open as well */
    /* file */
    struct ms_id asset;
    bool has_asset, sealed, tagged;
    int64_t born; /* of the asset */
    uint64_t size;
    int was_dir;
    char was[64];
    int64_t was_at;
    /* binned */
    int bin_dir;
    char bin_name[64];
};

struct entry {
    int dir, node;
    char nfc[64], spelling[64];
};

struct model {
    struct fx *f;
    struct node node[NODES_MAX];
    int nodes;
    struct entry entry[ENTRIES_MAX];
    int entries;
    int64_t now;
    struct ms_random_seeded random;
    unsigned binned, taken_over, handed_over, restored,
        revived; /* that the run was not for nothing */
};

static uint64_t below(struct model *m, uint64_t n) { return ms_random_below(&m->random.random, n); }

static struct entry *find(struct model *m, int dir, const char *nfc) {
    for (int i = 0; i < m->entries; i++)
        if (m->entry[i].dir == dir && strcmp(m->entry[i].nfc, nfc) == 0)
            return &m->entry[i];
    return NULL;
}

static bool is_empty(struct model *m, int dir) {
    for (int i = 0; i < m->entries; i++)
        if (m->entry[i].dir == dir)
            return false;
    return true;
}

static void add_entry(struct model *m, int dir, const char *spelling, int node) {
    char nfc[MS_NAME_BYTES_MAX + 1];
    struct entry *e = &m->entry[m->entries++];
    assert_true(m->entries <= ENTRIES_MAX);
    assert_ok(ms_name_check(spelling, nfc, &test_err));
    *e = (struct entry){.dir = dir, .node = node};
    snprintf(e->nfc, sizeof e->nfc, "%.63s", nfc);
    snprintf(e->spelling, sizeof e->spelling, "%.63s", spelling);
}

static void del_entry(struct model *m, struct entry *e) {
    size_t i = (size_t)(e - m->entry);
    memmove(e, e + 1, ((size_t)m->entries - i - 1) * sizeof *e);
    m->entries--;
}

static int new_node(struct model *m, enum kind kind) {
    assert_true(m->nodes < NODES_MAX);
    m->node[m->nodes] =
        (struct node){.kind = kind, .fate = LIVE, .nlink = 1, .parent = NONE, .was_dir = NONE};
    return m->nodes++;
}

static bool is_below(struct model *m, int dir, int maybe_above) {
    for (; dir != NONE && m->node[dir].kind == DIR_KIND; dir = m->node[dir].parent)
        if (dir == maybe_above)
            return true;
    return false;
}

static void remember(struct model *m, int dir, int more) {
    struct node *d = &m->node[dir];
    d->remembered += more;
    assert_true(d->remembered >= 0);
    if (d->fate != GHOST || d->remembered > 0)
        return;
    int parent = d->parent;
    d->fate = d->orphan_too ? ORPHAN : GONE;
    d->parent = NONE;
    remember(m, parent, -1);
}

/* ---- what the reference says of files ----------------------------------------------------------
 */

static bool plain(const struct node *n) { return n->has_asset && n->sealed; }

static bool may_take_over(struct model *m, const struct node *keep, const struct node *source) {
    return plain(keep) && plain(source) && !source->tagged && source->nlink == 1 &&
           m->now - source->born < MS_DAY_MS;
}

static void take_over(struct node *keep, struct node *source) {
    source->asset = keep->asset;
    source->born = keep->born;
    source->tagged = keep->tagged;
    keep->has_asset = false;
}

/* One name of the node has gone; its entry is removed. */
static void lose(struct model *m, int node, int dir, const char *spelling, bool keep_open,
                 bool *ret_binned) {
    struct node *n = &m->node[node];
    *ret_binned = false;
    if (--n->nlink > 0)
        return;
    if (n->kind == FILE_KIND && n->has_asset && n->sealed &&
        m->now - n->born >= MS_BIN_BYPASS_AGE_MS) {
        int in_bin = new_node(m, FILE_KIND);
        struct node *b = &m->node[in_bin];
        *b = *n;
        b->fate = BINNED;
        b->nlink = 0;
        b->was_dir = NONE;
        b->bin_dir = dir;
        snprintf(b->bin_name, sizeof b->bin_name, "%.63s", spelling);
        remember(m, dir, 1);
        m->binned++;
        *ret_binned = true;
    }
    n->has_asset = false;
    n->fate = keep_open ? ORPHAN : GONE;
}

/* ---- steps: each does the same to both and compares the answers --------------------------------
 */

static const char *const pool[] = {"a",    "b", "c", "b~", "d", "caf\xc3\xa9", "cafe\xcc\x81",
                                   "files"};
static const char *const bad[] = {"", "..", "x/y", "\xff"};

static const char *some_name(struct model *m) {
    return below(m, 40) == 0 ? bad[below(m, MS_ARRAY_LEN(bad))]
                             : pool[below(m, MS_ARRAY_LEN(pool))];
}

static int some_dir(struct model *m) {
    for (;;) {
        int i = (int)below(m, (uint64_t)m->nodes);
        const struct node *n = &m->node[i];
        if (n->closed)
            continue;
        if (n->kind == DIR_KIND ? n->fate == LIVE || below(m, 20) == 0
                                : n->fate == LIVE && below(m, 20) == 0)
            return i;
    }
}

/* Mostly something that is there. */
static void some_place(struct model *m, int *ret_dir, const char **ret_name) {
    const struct entry *e = &m->entry[below(m, (uint64_t)m->entries)];
    *ret_dir = some_dir(m);
    *ret_name = some_name(m);
    if (below(m, 4) == 0 || m->node[e->node].closed || strlen(e->spelling) > 6)
        return;
    *ret_dir = e->dir;
    for (size_t i = 0; i < MS_ARRAY_LEN(pool); i++)
        if (strcmp(pool[i], e->spelling) == 0)
            *ret_name = pool[i];
}

static void step_time(struct model *m) {
    static const int64_t steps[] = {1000,  1000,  30000,   30000,    59999,
                                    60000, 60000, 3600000, MS_DAY_MS};
    int64_t ms = steps[below(m, MS_ARRAY_LEN(steps))];
    fx_advance(m->f, ms);
    m->now += ms;
}

/* What a call on a name that is not there answers. */
static enum ms_code absent(struct model *m, int dir) {
    const struct node *d = &m->node[dir];
    return d->fate == LIVE && d->kind != DIR_KIND ? MS_NOT_DIR : MS_NOT_FOUND;
}

static bool dir_ok(struct model *m, int dir) {
    return m->node[dir].fate == LIVE && m->node[dir].kind == DIR_KIND;
}

static enum ms_code nfc_of(const char *name, char ret_nfc[MS_NAME_BYTES_MAX + 1]) {
    return ms_name_check(name, ret_nfc, NULL);
}

static int live(struct model *m) {
    int n = 0;
    for (int i = 0; i < m->nodes; i++)
        n += m->node[i].fate == LIVE;
    return n;
}

static void do_make(struct model *m, int dir, const char *name, enum kind kind) {
    static const uint32_t modes[] = {S_IFDIR | 0755, S_IFREG | 0644, S_IFIFO | 0600};
    char nfc[MS_NAME_BYTES_MAX + 1];
    struct ms_make make = {.parent = m->node[dir].ino, .name = name, .mode = modes[kind]};
    struct ms_made made;
    if (live(m) >= LIVE_MAX)
        return;
    enum ms_code want = nfc_of(name, nfc);
    if (want == MS_OK)
        want = find(m, dir, nfc) ? MS_EXISTS : dir_ok(m, dir) ? MS_OK : absent(m, dir);
    assert_code(ms_tree_make(&m->f->svc, &m->f->ctx, &make, &made, &test_err), want);
    if (want != MS_OK)
        return;
    int node = new_node(m, kind);
    struct node *n = &m->node[node];
    n->ino = made.node.inode.ino;
    n->parent = kind == DIR_KIND ? dir : NONE;
    n->has_asset = kind == FILE_KIND;
    n->asset = made.asset.id;
    n->born = m->now;
    add_entry(m, dir, name, node);
}

static void step_make(struct model *m) {
    int dir = some_dir(m);
    const char *name = some_name(m);
    do_make(m, dir, name, below(m, 3) ? FILE_KIND : below(m, 4) ? DIR_KIND : PIPE_KIND);
}

static int some_file(struct model *m) {
    for (int tries = 0; tries < 100; tries++) {
        int i = (int)below(m, (uint64_t)m->nodes);
        if (m->node[i].kind == FILE_KIND && m->node[i].fate == LIVE)
            return i;
    }
    return NONE;
}

static void do_seal(struct model *m, int node) {
    struct node *n = &m->node[node];
    n->size = below(m, 3) ? below(m, 100) : 0;
    n->sealed = true;
    fx_seal(m->f, n->ino, n->size, "text/plain", false);
}

static void step_seal(struct model *m) {
    int node = some_file(m);
    if (node != NONE)
        do_seal(m, node);
}

static void step_tag(struct model *m) {
    int node = some_file(m);
    if (node == NONE || below(m, 3))
        return;
    m->node[node].tagged = true;
    assert_ok(ms_tree_xattr_set(&m->f->svc, &m->f->ctx, m->node[node].ino, "user.msasset.tags",
                                ms_view_str("t"), MS_XATTR_ANY, &test_err));
}

static void step_link(struct model *m) {
    int node = (int)below(m, (uint64_t)m->nodes), dir = some_dir(m);
    struct node *n = &m->node[node];
    const char *name = some_name(m);
    char nfc[MS_NAME_BYTES_MAX + 1];
    struct ms_node out;
    if (n->fate == BINNED || n->fate == GHOST || (n->fate == ORPHAN && n->kind == DIR_KIND))
        return;
    enum ms_code want = nfc_of(name, nfc);
    if (want == MS_OK)
        want = find(m, dir, nfc)     ? MS_EXISTS
               : n->fate != LIVE     ? MS_NOT_FOUND
               : n->kind == DIR_KIND ? MS_NOT_PERMITTED
               : dir_ok(m, dir)      ? MS_OK
                                     : absent(m, dir);
    assert_code(
        ms_tree_link(&m->f->svc, &m->f->ctx, n->ino, m->node[dir].ino, name, &out, &test_err),
        want);
    if (want != MS_OK)
        return;
    n->nlink++;
    add_entry(m, dir, name, node);
}

/* vim's new file: in the folder where the old one had its name, and made since. */
static struct node *successor(struct model *m, struct node *old, int dir) {
    if (!old->has_asset || old->nlink != 1 || old->was_dir != dir || m->now - old->was_at >= 60000)
        return NULL;
    struct entry *e = find(m, dir, old->was);
    struct node *next = e ? &m->node[e->node] : NULL;
    return next && next != old && next->has_asset && next->born >= old->was_at &&
                   may_take_over(m, old, next)
               ? next
               : NULL;
}

static void do_unlink(struct model *m, int dir, const char *name) {
    char nfc[MS_NAME_BYTES_MAX + 1];
    bool keep_open = below(m, 3) == 0, binned = false;
    struct ms_gone gone;
    enum ms_code want = nfc_of(name, nfc);
    struct entry *e = want == MS_OK ? find(m, dir, nfc) : NULL;
    if (want == MS_OK)
        want = !e ? absent(m, dir) : m->node[e->node].kind == DIR_KIND ? MS_IS_DIR : MS_OK;
    assert_code(
        ms_tree_unlink(&m->f->svc, &m->f->ctx, m->node[dir].ino, name, keep_open, &gone, &test_err),
        want);
    if (want != MS_OK)
        return;
    struct entry was = *e;
    struct node *n = &m->node[was.node], *next = successor(m, n, dir);
    del_entry(m, e);
    m->handed_over += next != NULL;
    if (next)
        take_over(n, next);
    lose(m, was.node, dir, was.spelling, keep_open, &binned);
    n = &m->node[was.node];
    assert_int_equal(gone.ino, n->ino);
    assert_int_equal(gone.nlink, n->nlink);
    assert_int_equal(gone.binned, binned);
    assert_int_equal(gone.taken_over, next != NULL);
    assert_int_equal(gone.kept, n->nlink == 0 && keep_open);
}

static void step_unlink(struct model *m) {
    int dir;
    const char *name;
    some_place(m, &dir, &name);
    do_unlink(m, dir, name);
}

static void remove_dir(struct model *m, int node, const char *spelling, bool keep_open) {
    struct node *n = &m->node[node];
    n->nlink = 0;
    n->fate = n->remembered ? GHOST : keep_open ? ORPHAN : GONE;
    n->orphan_too = n->remembered && keep_open;
    if (n->fate == GHOST) {
        snprintf(n->ghost_name, sizeof n->ghost_name, "%.63s", spelling);
        remember(m, n->parent, 1);
    } else {
        n->parent = NONE;
    }
}

static void step_rmdir(struct model *m) {
    int dir;
    const char *name;
    some_place(m, &dir, &name);
    char nfc[MS_NAME_BYTES_MAX + 1];
    bool keep_open = below(m, 3) == 0;
    struct ms_gone gone;
    enum ms_code want = nfc_of(name, nfc);
    struct entry *e = want == MS_OK ? find(m, dir, nfc) : NULL;
    if (want == MS_OK)
        want = !e                                  ? absent(m, dir)
               : m->node[e->node].kind != DIR_KIND ? MS_NOT_DIR
               : m->node[e->node].special          ? MS_BUSY
               : !is_empty(m, e->node)             ? MS_NOT_EMPTY
                                                   : MS_OK;
    assert_code(
        ms_tree_rmdir(&m->f->svc, &m->f->ctx, m->node[dir].ino, name, keep_open, &gone, &test_err),
        want);
    if (want != MS_OK)
        return;
    struct entry was = *e;
    del_entry(m, e);
    remove_dir(m, was.node, was.spelling, keep_open);
    assert_int_equal(gone.kept, keep_open);
}

static void step_forget(struct model *m) {
    int node = (int)below(m, (uint64_t)m->nodes);
    struct node *n = &m->node[node];
    if (n->fate == BINNED)
        return;
    assert_ok(ms_tree_forget(&m->f->svc, &m->f->ctx, n->ino, &test_err));
    if (n->fate == ORPHAN)
        n->fate = GONE;
    n->orphan_too = false;
}

/* ---- rename ------------------------------------------------------------------------------------
 */

struct move {
    int from, to;
    const char *name, *new_name;
    char nfc[MS_NAME_BYTES_MAX + 1], new_nfc[MS_NAME_BYTES_MAX + 1];
    struct entry *src, *dst;
    bool no_replace, exchange, keep_open;
};

static bool known(struct model *m, int dir) {
    enum fate fate = m->node[dir].fate;
    return fate == LIVE || fate == ORPHAN || fate == GHOST;
}

static enum ms_code over(struct model *m, const struct node *a, int b) {
    const struct node *n = &m->node[b];
    if (a->kind == DIR_KIND && n->kind != DIR_KIND)
        return MS_NOT_DIR;
    if (a->kind != DIR_KIND && n->kind == DIR_KIND)
        return MS_IS_DIR;
    return n->kind == DIR_KIND && !is_empty(m, b) ? MS_NOT_EMPTY : MS_OK;
}

static enum ms_code rename_wants(struct model *m, const struct move *v) {
    if (!v->src)
        return absent(m, v->from);
    if (v->exchange && !v->dst)
        return absent(m, v->to);
    if (!known(m, v->to))
        return MS_NOT_FOUND;
    const struct node *a = &m->node[v->src->node], *b = v->dst ? &m->node[v->dst->node] : NULL;
    if (a == b)
        return v->no_replace && !(v->from == v->to && strcmp(v->nfc, v->new_nfc) == 0) ? MS_EXISTS
                                                                                       : MS_OK;
    if (v->no_replace && b)
        return MS_EXISTS;
    if (a->special || (b && b->special))
        return MS_BUSY;
    if (a->kind == DIR_KIND && is_below(m, v->to, v->src->node))
        return MS_LOOP;
    if (v->exchange && b->kind == DIR_KIND && is_below(m, v->from, v->dst->node))
        return MS_LOOP;
    if (!v->exchange && b && over(m, a, v->dst->node) != MS_OK)
        return over(m, a, v->dst->node);
    return dir_ok(m, v->to) ? MS_OK : absent(m, v->to);
}

static void note_was(struct model *m, struct node *n, const struct move *v, bool inside) {
    n->was_dir = NONE;
    if (!inside || n->kind != FILE_KIND || n->nlink != 1 || !n->sealed)
        return;
    n->was_dir = v->from;
    n->was_at = m->now;
    snprintf(n->was, sizeof n->was, "%.63s", v->nfc);
}

static void do_exchange(struct model *m, const struct move *v) {
    int a = v->src->node, b = v->dst->node;
    v->src->node = b;
    v->dst->node = a;
    snprintf(v->src->spelling, 64, "%.63s", v->name);
    snprintf(v->dst->spelling, 64, "%.63s", v->new_name);
    note_was(m, &m->node[a], v, false);
    note_was(m, &m->node[b], v, false);
    if (m->node[a].kind == DIR_KIND)
        m->node[a].parent = v->to;
    if (m->node[b].kind == DIR_KIND)
        m->node[b].parent = v->from;
}

static void replace(struct model *m, const struct move *v, int old_node, const char *spelling,
                    struct ms_gone *gone) {
    struct node *old = &m->node[old_node], *fresh = &m->node[v->src->node];
    bool binned = false, taken = false;
    if (old->kind == DIR_KIND) {
        remove_dir(m, old_node, spelling, v->keep_open);
    } else {
        taken = old->nlink == 1 && may_take_over(m, old, fresh);
        if (taken)
            take_over(old, fresh);
        lose(m, old_node, v->to, spelling, v->keep_open, &binned);
    }
    m->taken_over += taken;
    assert_int_equal(gone->ino, m->node[old_node].ino);
    assert_int_equal(gone->binned, binned);
    assert_int_equal(gone->taken_over, taken);
}

static void do_move(struct model *m, struct move *v, struct ms_gone *gone) {
    int node = v->src->node;
    note_was(m, &m->node[node], v, v->from == v->to && !v->dst);
    if (v->dst) {
        int old = v->dst->node;
        char spelling[64];
        snprintf(spelling, sizeof spelling, "%.63s", v->dst->spelling);
        replace(m, v, old, spelling, gone);
        v->dst->node = node;
        snprintf(v->dst->spelling, sizeof v->dst->spelling, "%.63s", v->new_name);
        del_entry(m, v->src);
    } else {
        del_entry(m, v->src);
        add_entry(m, v->to, v->new_name, node);
    }
    if (m->node[node].kind == DIR_KIND)
        m->node[node].parent = v->to;
}

static void apply_rename(struct model *m, struct move *v, struct ms_gone *gone) {
    bool same_name = v->from == v->to && strcmp(v->nfc, v->new_nfc) == 0;
    if (v->dst && v->src->node == v->dst->node) {
        if (same_name && !v->exchange)
            snprintf(v->src->spelling, sizeof v->src->spelling, "%.63s", v->new_name);
        return;
    }
    if (v->exchange)
        do_exchange(m, v);
    else
        do_move(m, v, gone);
}

static void do_rename(struct model *m, struct move v) {
    struct ms_node node;
    struct ms_gone gone;
    enum ms_code want = nfc_of(v.name, v.nfc);
    if (want == MS_OK)
        want = nfc_of(v.new_name, v.new_nfc);
    if (want == MS_OK) {
        v.src = find(m, v.from, v.nfc);
        v.dst = find(m, v.to, v.new_nfc);
        want = rename_wants(m, &v);
    }
    struct ms_rename rename = {.parent = m->node[v.from].ino,
                               .name = v.name,
                               .new_parent = m->node[v.to].ino,
                               .new_name = v.new_name,
                               .no_replace = v.no_replace,
                               .exchange = v.exchange,
                               .keep_open = v.keep_open};
    assert_code(ms_tree_rename(&m->f->svc, &m->f->ctx, &rename, &node, &gone, &test_err), want);
    if (want == MS_OK)
        apply_rename(m, &v, &gone);
}

static void step_rename(struct model *m) {
    struct move v = {.exchange = below(m, 8) == 0, .keep_open = below(m, 3) == 0};
    some_place(m, &v.from, &v.name);
    if (below(m, 2)) {
        some_place(m, &v.to, &v.new_name);
    } else {
        v.to = below(m, 2) ? v.from : some_dir(m);
        v.new_name = some_name(m);
    }
    v.no_replace = !v.exchange && below(m, 8) == 0;
    do_rename(m, v);
}

/* What vim does, with some time in between. */
static void step_edit(struct model *m) {
    int dir;
    const char *name;
    some_place(m, &dir, &name);
    do_rename(m, (struct move){.from = dir, .to = dir, .name = name, .new_name = "b~"});
    do_make(m, dir, name, FILE_KIND);
    if (below(m, 4)) {
        char nfc[MS_NAME_BYTES_MAX + 1];
        struct entry *e = nfc_of(name, nfc) == MS_OK ? find(m, dir, nfc) : NULL;
        if (e && m->node[e->node].kind == FILE_KIND)
            do_seal(m, e->node);
    }
    if (below(m, 3) == 0)
        step_time(m);
    do_unlink(m, dir, "b~");
}

/* What rsync does: a temporary file takes the place of another. */
static void step_replace(struct model *m) {
    int dir;
    const char *name;
    char nfc[MS_NAME_BYTES_MAX + 1];
    some_place(m, &dir, &name);
    do_make(m, dir, ".tmp", FILE_KIND);
    struct entry *e = nfc_of(".tmp", nfc) == MS_OK ? find(m, dir, nfc) : NULL;
    if (e)
        do_seal(m, e->node);
    if (below(m, 6) == 0)
        step_time(m);
    do_rename(m, (struct move){.from = dir, .to = dir, .name = ".tmp", .new_name = name});
}

/* ---- restore -----------------------------------------------------------------------------------
 */

static void free_name(struct model *m, int dir, const char *name, char ret_name[64]) {
    char numbered[MS_NAME_BYTES_MAX + 1], nfc[MS_NAME_BYTES_MAX + 1];
    snprintf(numbered, sizeof numbered, "%.63s", name);
    for (unsigned n = 2;; n++) {
        assert_ok(ms_name_check(numbered, nfc, &test_err));
        if (!find(m, dir, nfc))
            break;
        ms_name_numbered(name, n, numbered);
    }
    snprintf(ret_name, 64, "%.63s", numbered);
}

static int folder_again(struct model *m, int dir) {
    struct node *d = &m->node[dir];
    char nfc[MS_NAME_BYTES_MAX + 1], name[64];
    if (d->fate == LIVE)
        return dir;
    assert_int_equal(d->fate, GHOST);
    int came_from = d->parent, parent = folder_again(m, came_from);
    assert_ok(ms_name_check(d->ghost_name, nfc, &test_err));
    struct entry *e = find(m, parent, nfc);
    if (e && m->node[e->node].kind == DIR_KIND)
        return e->node;
    free_name(m, parent, d->ghost_name, name);
    d->fate = LIVE;
    d->nlink = 1;
    d->orphan_too = false;
    m->revived++;
    d->parent = parent;
    add_entry(m, parent, name, dir);
    remember(m, came_from, -1);
    return dir;
}

static void step_restore(struct model *m) {
    char name[64];
    struct ms_asset_record asset;
    int node = (int)below(m, (uint64_t)m->nodes);
    struct node *n = &m->node[node];
    if (n->fate != BINNED)
        return;
    fx_restore(m->f, n->asset, NULL);
    int came_from = n->bin_dir, dir = folder_again(m, came_from);
    free_name(m, dir, n->bin_name, name);
    n->fate = LIVE;
    n->nlink = 1;
    m->restored++;
    assert_true(fx_asset_by_id(m->f, n->asset, &asset));
    n->ino = asset.ino;
    add_entry(m, dir, name, node);
    remember(m, came_from, -1);
}

/* ---- comparing ---------------------------------------------------------------------------------
 */

static void compare_node(struct model *m, const struct ms_node *got, const struct entry *want) {
    static const uint32_t modes[] = {S_IFDIR, S_IFREG, S_IFIFO};
    const struct node *n = &m->node[want->node];
    assert_string_equal(got->spelling, want->spelling);
    assert_int_equal(got->inode.ino, n->ino);
    assert_int_equal(got->inode.mode & S_IFMT, modes[n->kind]);
    if (n->kind != DIR_KIND)
        assert_int_equal(got->inode.nlink, n->nlink);
    else
        assert_int_equal(got->inode.binned, n->remembered);
    if (n->kind != FILE_KIND)
        return;
    assert_int_equal(got->inode.size, n->size);
    assert_memory_equal(&got->inode.asset, &n->asset, MS_ID_BYTES);
    assert_int_equal(got->state, n->sealed ? MS_STATE_ACTIVED : MS_STATE_CREATING);
}

static void compare_dir(struct model *m, int dir) {
    struct ms_node nodes[16];
    uint64_t after = 0;
    size_t n = 0, at = 0;
    for (int i = 0; i < m->entries; i++) {
        if (m->entry[i].dir != dir)
            continue;
        if (at == n) {
            assert_ok(ms_tree_list(&m->f->svc, &m->f->ctx, m->node[dir].ino, after, nodes,
                                   MS_ARRAY_LEN(nodes), &n, &test_err));
            assert_true(n > 0);
            at = 0;
        }
        compare_node(m, &nodes[at], &m->entry[i]);
        after = nodes[at++].seq;
    }
    assert_ok(
        ms_tree_list(&m->f->svc, &m->f->ctx, m->node[dir].ino, after, nodes, 1, &n, &test_err));
    assert_int_equal(n, 0);
}

static void compare(struct model *m) {
    size_t binned = 0;
    for (int i = 0; i < m->nodes; i++) {
        binned += m->node[i].fate == BINNED;
        if (m->node[i].kind == DIR_KIND && m->node[i].fate == LIVE)
            compare_dir(m, i);
    }
    assert_int_equal(fx_bins(m->f, NULL, 0), binned);
    fx_check(m->f);
}

/* Nodes that are gone make room. */
static void compact(struct model *m) {
    int to[NODES_MAX], kept = 0;
    for (int i = 0; i < m->nodes; i++)
        to[i] = m->node[i].fate == GONE ? NONE : kept++;
    for (int i = 0; i < m->nodes; i++) {
        struct node *n = &m->node[i];
        if (to[i] == NONE)
            continue;
        n->parent = n->parent == NONE ? NONE : to[n->parent];
        n->was_dir = n->was_dir == NONE ? NONE : to[n->was_dir];
        n->bin_dir = n->fate == BINNED ? to[n->bin_dir] : NONE;
        m->node[to[i]] = *n;
    }
    for (int i = 0; i < m->entries; i++) {
        m->entry[i].dir = to[m->entry[i].dir];
        m->entry[i].node = to[m->entry[i].node];
    }
    m->nodes = kept;
}

static void begin(struct model *m, struct fx *f, uint64_t seed) {
    static const char *const names[] = {"videos",        "images",    "audio",  "music",
                                        "presentations", "models",    "voices", "scenes",
                                        "animations",    "materials", "files"};
    /* nothing leaves the bin by itself here: deadlines have tests of their own */
    struct ms_tenant_options options = {
        .name = "model", .free_bytes = UINT64_MAX, .retention_ms = MS_RETENTION_MS_MAX};
    assert_ok(ms_tenant_add(&f->svc, "root@cli", &options, &f->tenant, &test_err));
    f->ctx.tenant.id = f->tenant.id;
    f->root = f->tenant.root_ino;
    memset(m, 0, sizeof *m);
    m->f = f;
    m->now = ms_clock_now(&f->clock.clock).ms;
    ms_random_seeded_init(&m->random, seed);
    int root = new_node(m, DIR_KIND);
    m->node[root].ino = f->root;
    m->node[root].special = true;
    for (size_t i = 0; i < MS_ARRAY_LEN(names); i++) {
        int dir = new_node(m, DIR_KIND);
        m->node[dir].ino = fx_ino(f, names[i]);
        m->node[dir].special = true;
        m->node[dir].parent = root;
        add_entry(m, root, names[i], dir);
        /* the platform's folders have rules of their own: not here */
        if (strcmp(names[i], "models") == 0 || strcmp(names[i], "voices") == 0)
            m->node[dir].closed = true;
    }
}

typedef void step_fn(struct model *m);

static void tree_and_reference_agree_whatever_happens(void **state) {
    static const struct {
        step_fn *step;
        unsigned weight;
    } steps[] = {{step_make, 8},   {step_seal, 8},    {step_rename, 12}, {step_unlink, 6},
                 {step_rmdir, 6},  {step_edit, 5},    {step_replace, 5}, {step_link, 2},
                 {step_forget, 2}, {step_restore, 3}, {step_time, 3},    {step_tag, 1}};
    unsigned weights = 0, rounds = ms_test_rounds(600);
    struct model *m = calloc(1, sizeof *m);
    assert_non_null(m);
    begin(m, *state, ms_test_seed());
    for (size_t i = 0; i < MS_ARRAY_LEN(steps); i++)
        weights += steps[i].weight;
    for (unsigned round = 0; round < rounds; round++) {
        unsigned pick = (unsigned)below(m, weights);
        size_t i = 0;
        while (pick >= steps[i].weight)
            pick -= steps[i++].weight;
        steps[i].step(m);
        compare(m);
        if (m->nodes > NODES_MAX - 50)
            compact(m);
    }
    print_message("%u binned, %u restored, %u folders revived, %u taken over, %u handed over\n",
                  m->binned, m->restored, m->revived, m->taken_over, m->handed_over);
    if (rounds >= 5000)
        assert_true(m->binned && m->restored && m->taken_over && m->handed_over);
    ms_random_seeded_fini(&m->random);
    free(m);
}

FX_TESTS(FX(tree_and_reference_agree_whatever_happens))
