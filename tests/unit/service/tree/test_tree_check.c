/* Each invariant broken by hand, one at a time: the checker must name it. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

struct damaged {
    struct fx *f;
    uint64_t dir, sub, file, link; /* /d, /d/s, /d/a, symbolic link /d/l */
    struct ms_name_record name;    /* of /d/a */
    void (*damage)(const struct ms_tree *t, const struct damaged *d);
};

static struct ms_inode_record inode_of(const struct ms_tree *t, uint64_t ino) {
    struct ms_inode_record inode;
    MS_ASSERT(ms_tree_inode(t, ino, &inode, NULL) == MS_OK);
    return inode;
}

static void put(const struct ms_tree *t, const struct ms_inode_record *inode) {
    MS_ASSERT(ms_tree_put(t, inode, NULL) == MS_OK);
}

static void del(const struct ms_tree *t, struct ms_key key) {
    MS_ASSERT(ms_row_del(t->txn, key, NULL) == MS_OK);
}

#define CHANGE(name, what, statement)                                                              \
    static void name(const struct ms_tree *t, const struct damaged *d) {                           \
        struct ms_inode_record inode = inode_of(t, d->what);                                       \
        statement;                                                                                 \
        put(t, &inode);                                                                            \
    }

static void lose_entry(const struct ms_tree *t, const struct damaged *d) {
    del(t, ms_key_entry(t->id, d->dir, d->name.seq));
}
static void lose_link(const struct ms_tree *t, const struct damaged *d) {
    del(t, ms_key_link(t->id, d->file, d->dir, d->name.seq));
}
static void lose_name(const struct ms_tree *t, const struct damaged *d) {
    del(t, ms_key_name(t->id, d->dir, "a"));
}
static void lose_inode(const struct ms_tree *t, const struct damaged *d) {
    del(t, ms_key_inode(t->id, d->file));
}
static void misspell(const struct ms_tree *t, const struct damaged *d) {
    struct ms_name_record name = d->name;
    snprintf(name.spelling, sizeof name.spelling, "b");
    MS_ASSERT(ms_row_put_name(t->txn, ms_key_name(t->id, d->dir, "a"), &name, NULL) == MS_OK);
}
static void lose_target(const struct ms_tree *t, const struct damaged *d) {
    del(t, ms_key_symlink(t->id, d->link));
}
static void lose_asset(const struct ms_tree *t, const struct damaged *d) {
    del(t, ms_key_asset(t->id, (struct ms_asset_id){inode_of(t, d->file).asset}));
}
static void lose_version(const struct ms_tree *t, const struct damaged *d) {
    del(t, ms_key_version(t->id, (struct ms_version_id){inode_of(t, d->file).version}));
}
static void mark_orphan(const struct ms_tree *t, const struct damaged *d) {
    MS_ASSERT(ms_row_put_id(t->txn, ms_key_orphan(t->id, d->file), t->instance.id, NULL) == MS_OK);
}
static void stray_xattr(const struct ms_tree *t, const struct damaged *d) {
    struct ms_key key = ms_key_xattr(t->id, 4711, "user.x");
    (void)d;
    MS_ASSERT(ms_txn_put(t->txn, ms_key_view(&key), ms_view_str("v"), NULL) == MS_OK);
}
static void stray_mark(const struct ms_tree *t, const struct damaged *d) {
    (void)d;
    MS_ASSERT(ms_row_put_id(t->txn, ms_key_orphan(t->id, 4711), t->instance.id, NULL) == MS_OK);
}
static void stray_bin(const struct ms_tree *t, const struct damaged *d) {
    struct ms_bin_record bin = {.id = {{1}}, .asset = {{2}}, .ino = d->file, .parent = d->dir};
    struct ms_bin_id id = {bin.id};
    MS_ASSERT(ms_row_put_bin(t->txn, ms_key_bin(t->id, id), &bin, NULL) == MS_OK);
}
CHANGE(wrong_nlink, file, inode.nlink = 2)
CHANGE(wrong_dir_nlink, dir, inode.nlink = 9)
CHANGE(wrong_subdirs, dir, (inode.subdirs = 2, inode.nlink = 4))
CHANGE(wrong_parent, sub, inode.parent = d->f->root)
CHANGE(loop, dir, inode.parent = d->sub)
CHANGE(low_seq, dir, inode.next_seq = 4)
CHANGE(wrong_height, sub, inode.height = 7)
CHANGE(wrong_size, file, inode.size = 6)
CHANGE(wrong_binned, dir, inode.binned = 1)
CHANGE(false_orphan, file, inode.orphan = 1)
CHANGE(no_asset, file,
       (memset(&inode.asset, 0, sizeof inode.asset),
        memset(&inode.version, 0, sizeof inode.version), inode.size = 0))

static enum ms_code damage_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    struct ms_tree t;
    const struct damaged *d = ((const struct ms_tree_call *)in)->args;
    (void)out;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    d->damage(&t, d);
    return MS_OK;
}

struct seen {
    const char *want;
    unsigned wanted, all;
    char text[512];
};

static void see(void *priv, const char *invariant, const char *text) {
    struct seen *s = priv;
    s->wanted += strcmp(invariant, s->want) == 0;
    s->all++;
    snprintf(s->text, sizeof s->text, "%s: %s", invariant, text);
}

static struct damaged prepare(struct fx *f) {
    struct damaged d = {.f = f};
    struct ms_tree t;
    d.dir = fx_mkdir(f, f->root, "d");
    d.sub = fx_mkdir(f, d.dir, "s");
    d.file = fx_file(f, d.dir, "a", 5, "text/plain");
    d.link = fx_make(f, d.dir, "l", S_IFLNK | 0777).node.inode.ino;
    assert_ok(ms_tree_read(&t, &f->svc, &f->ctx, &test_err));
    assert_ok(ms_row_get_name(t.txn, ms_key_name(t.id, d.dir, "a"), &d.name, &test_err));
    ms_tree_read_end(&t);
    return d;
}

static void every_broken_invariant_is_named(void **state) {
    static const struct {
        void (*damage)(const struct ms_tree *t, const struct damaged *d);
        const char *what, *invariant;
    } rows[] = {
        {lose_entry, "a name without an entry", "T1"},
        {lose_link, "a name without a link row", "T1"},
        {lose_name, "an entry without a name", "T1"},
        {lose_inode, "a name of nothing", "T1"},
        {misspell, "another spelling", "T1"},
        {wrong_parent, "another parent", "T1"},
        {wrong_nlink, "a wrong link count", "T2"},
        {wrong_dir_nlink, "a wrong link count of a folder", "T2"},
        {wrong_subdirs, "a wrong number of folders", "T2"},
        {false_orphan, "an orphan with a name", "T3"},
        {low_seq, "a seq given twice", "T4"},
        {loop, "a folder in itself", "T5"},
        {wrong_height, "a folder higher than its parent knows", "T5"},
        {lose_asset, "a file whose asset is lost", "asset"},
        {no_asset, "a file without an asset", "asset"},
        {lose_version, "a file whose version is lost", "version"},
        {wrong_size, "another size than the version's", "version"},
        {lose_target, "a link to nothing", "symlink"},
        {mark_orphan, "a mark of no orphan", "orphan"},
        {stray_mark, "a mark of no inode", "orphan"},
        {stray_xattr, "an attribute of nothing", "xattr"},
        {stray_bin, "a bin entry of another asset", "bin"},
        {wrong_binned, "a folder that counts what is not in the bin", "bin"},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct fx *f;
        uint64_t inodes;
        struct seen seen = {.want = rows[i].invariant};
        struct ms_tree_check check = {see, &seen};
        assert_int_equal(fx_setup((void **)&f), 0);
        struct damaged d = prepare(f);
        assert_ok(ms_tree_check(&f->svc, f->ctx.tenant, &check, &inodes, &test_err));
        assert_int_equal(seen.all, 0);
        d.damage = rows[i].damage;
        assert_ok(ms_tree_write(&f->svc, &f->ctx, damage_op, &d, NULL, 0, &test_err));
        assert_ok(ms_tree_check(&f->svc, f->ctx.tenant, &check, &inodes, &test_err));
        if (seen.wanted == 0)
            fail_msg("%s: no finding of %s (%s)", rows[i].what, rows[i].invariant, seen.text);
        fx_drop(f);
    }
    (void)state;
}

FX_TESTS(cmocka_unit_test(every_broken_invariant_is_named))
