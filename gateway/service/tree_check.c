/* Every row of the tree against its neighbours; see tree_check.h. */
#include "service/tree_check.h"

#include "service/treeop.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define ROWS_A_READ 512

struct numbers {
    uint64_t *at;
    size_t n, cap;
};

struct check {
    struct ms_svc *svc;
    struct ms_ctx ctx;
    const struct ms_tree_check *to;
    struct ms_tree *t; /* of the read that is open */
    uint64_t inodes;
    uint64_t in_dir, subdirs;  /* pass over names: the folder it is in, and its folders so far */
    struct numbers remembered; /* folder of each bin entry and of each removed folder */
    struct numbers remembering[2]; /* pairs: folder, and what it counts */
};

static void MS_PRINTF(3, 4) report(struct check *c, const char *invariant, const char *fmt, ...) {
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    c->to->finding(c->to->priv, invariant, text);
}

static enum ms_code add_number(struct numbers *to, uint64_t number, struct ms_error *reterr) {
    if (to->n == to->cap) {
        size_t cap = to->cap ? 2 * to->cap : 64;
        uint64_t *at = realloc(to->at, cap * sizeof *at);
        if (!at)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for %zu numbers", cap);
        to->at = at;
        to->cap = cap;
    }
    to->at[to->n++] = number;
    return MS_OK;
}

/* Absence is an answer here. */
static enum ms_code allow_absent(enum ms_code code, bool *ret_there, struct ms_error *reterr) {
    *ret_there = code == MS_OK;
    return ms_absent_is_fine(code, reterr);
}

/* ---- a pass over one table ------------------------------------------------------------------- */

typedef enum ms_code row_fn(struct check *c, struct ms_view key, struct ms_view value,
                            struct ms_error *reterr);

struct pass {
    struct ms_key prefix;
    uint8_t last[MS_KEY_MAX + 1];
    size_t last_len;
    bool ended;
};

/* The smallest key behind all that begin with prefix. */
static struct ms_key behind(struct ms_key prefix) {
    while (prefix.len > 0 && prefix.bytes[prefix.len - 1] == 0xff)
        prefix.len--;
    MS_ASSERT(prefix.len > 0);
    prefix.bytes[prefix.len - 1]++;
    return prefix;
}

static enum ms_code pass_some(struct check *c, struct pass *p, row_fn *each,
                              struct ms_error *reterr) {
    struct ms_scan scan;
    struct ms_key to = behind(p->prefix);
    struct ms_view key, value,
        from = p->last_len ? ms_view_of(p->last, p->last_len) : ms_key_view(&p->prefix);
    enum ms_code code = MS_OK;
    ms_scan_begin(&scan, c->t->txn, from, ms_key_view(&to));
    for (unsigned n = 0; n < ROWS_A_READ; n++) {
        if ((code = ms_scan_next(&scan, &key, &value, reterr)) != MS_OK)
            break;
        MS_ASSERT(key.n < sizeof p->last);
        memcpy(p->last, key.p, key.n);
        p->last[key.n] = 0; /* the next key begins behind this one */
        p->last_len = key.n + 1;
        if ((code = each(c, key, value, reterr)) != MS_OK)
            break;
    }
    ms_scan_end(&scan);
    p->ended = code == MS_NOT_FOUND;
    return ms_absent_is_fine(code, reterr);
}

static enum ms_code pass(struct check *c, struct ms_key prefix, row_fn *each,
                         struct ms_error *reterr) {
    struct pass p = {.prefix = prefix};
    while (!p.ended) {
        struct ms_tree t;
        MS_TRY(ms_tree_read(&t, c->svc, &c->ctx, reterr));
        c->t = &t;
        enum ms_code code = pass_some(c, &p, each, reterr);
        c->t = NULL;
        ms_tree_read_end(&t);
        if (code != MS_OK)
            return code;
    }
    return MS_OK;
}

static uint64_t key_u64(struct ms_view key, size_t at) {
    struct ms_reader r =
        ms_reader_on(ms_view_of((const uint8_t *)key.p + at, key.n > at ? key.n - at : 0));
    return ms_read_u64(&r);
}
#define BEHIND_TENANT (1 + MS_ID_BYTES)

/* ---- inodes ---------------------------------------------------------------------------------- */

static enum ms_code count_links(struct check *c, uint64_t ino, uint64_t *ret_n,
                                uint64_t *ret_parent, struct ms_error *reterr) {
    struct ms_key prefix = ms_key_links_of(c->t->id, ino);
    struct ms_scan scan;
    struct ms_view key, value;
    enum ms_code code;
    *ret_n = 0;
    *ret_parent = 0;
    ms_scan_prefix(&scan, c->t->txn, ms_key_view(&prefix));
    while ((code = ms_scan_next(&scan, &key, &value, reterr)) == MS_OK) {
        uint64_t of, seq;
        ++*ret_n;
        if ((code = ms_key_split_link(key, &of, ret_parent, &seq, reterr)) != MS_OK)
            break;
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

static enum ms_code check_height(struct check *c, const struct ms_inode_record *dir,
                                 struct ms_error *reterr) {
    struct ms_inode_record parent;
    bool there;
    MS_TRY(allow_absent(
        ms_row_get_inode(c->t->txn, ms_key_inode(c->t->id, dir->parent), &parent, reterr), &there,
        reterr));
    if (there && parent.height < dir->height + 1u)
        report(c, "T5", "folder %" PRIu64 " has %u levels below it, its folder %" PRIu64 " says %u",
               dir->ino, dir->height, parent.ino, parent.height);
    return MS_OK;
}

static enum ms_code last_seq(struct check *c, uint64_t dir, uint64_t *ret_seq,
                             struct ms_error *reterr) {
    struct ms_key prefix = ms_key_entries_of(c->t->id, dir);
    struct ms_scan scan;
    struct ms_view key, value;
    ms_scan_prefix(&scan, c->t->txn, ms_key_view(&prefix));
    ms_scan_backwards(&scan);
    enum ms_code code = ms_scan_next(&scan, &key, &value, reterr);
    *ret_seq = code == MS_OK ? key_u64(key, BEHIND_TENANT + 8) : 0;
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

static enum ms_code check_live_dir(struct check *c, const struct ms_inode_record *dir,
                                   uint64_t links, uint64_t parent, struct ms_error *reterr) {
    struct ms_place place;
    uint64_t seq;
    bool root = dir->ino == c->t->tenant.root_ino;
    if (dir->nlink != 2 + dir->subdirs || links != (root ? 0 : 1))
        report(c, "T2",
               "folder %" PRIu64 " has nlink %" PRIu32 ", %" PRIu32 " folders and %" PRIu64
               " names",
               dir->ino, dir->nlink, dir->subdirs, links);
    if (!root && links == 1 && parent != dir->parent)
        report(c, "T1", "folder %" PRIu64 " has its name in %" PRIu64 " and its parent is %" PRIu64,
               dir->ino, parent, dir->parent);
    MS_TRY(last_seq(c, dir->ino, &seq, reterr));
    if (seq >= dir->next_seq || (seq == 0 && dir->subdirs > 0))
        report(c, "T4", "folder %" PRIu64 " gives %" PRIu64 " next, its last entry is %" PRIu64,
               dir->ino, dir->next_seq, seq);
    if (ms_tree_place(c->t, dir->ino, 0, &place, NULL) != MS_OK)
        report(c, "T5", "folder %" PRIu64 " does not lead to the root", dir->ino);
    return root ? MS_OK : check_height(c, dir, reterr);
}

static enum ms_code check_removed_dir(struct check *c, const struct ms_inode_record *dir,
                                      uint64_t links, struct ms_error *reterr) {
    struct ms_key key = ms_key_symlink(c->t->id, dir->ino);
    uint64_t seq;
    MS_TRY(last_seq(c, dir->ino, &seq, reterr));
    struct ms_treeop_record op;
    bool on_its_way;
    MS_TRY(ms_treeop_of_folder(c->t->txn, c->t->id, dir->ino, &op, &on_its_way, reterr));
    if (links != 0 || (!on_its_way && (seq != 0 || dir->subdirs != 0)))
        report(c, "T2", "removed folder %" PRIu64 " has names, or something in it", dir->ino);
    bool ghost = dir->binned > 0;
    if (!ghost && !dir->orphan)
        report(c, "T3", "folder %" PRIu64 " has no name", dir->ino);
    if (ghost != ms_txn_has(c->t->txn, ms_key_view(&key)) || ghost != (dir->parent != 0))
        report(c, "bin", "removed folder %" PRIu64 " is remembered half", dir->ino);
    return ghost ? add_number(&c->remembered, dir->parent, reterr) : MS_OK;
}

static enum ms_code check_dir(struct check *c, const struct ms_inode_record *dir, uint64_t links,
                              uint64_t parent, struct ms_error *reterr) {
    if (dir->binned > 0) {
        MS_TRY(add_number(&c->remembering[0], dir->ino, reterr));
        MS_TRY(add_number(&c->remembering[1], dir->binned, reterr));
    }
    return dir->nlink > 0 ? check_live_dir(c, dir, links, parent, reterr)
                          : check_removed_dir(c, dir, links, reterr);
}

/* Whether the inode is what the bin keeps of an asset. */
static enum ms_code in_bin(struct check *c, const struct ms_inode_record *inode, bool *ret_in,
                           struct ms_error *reterr) {
    struct ms_bin_id id;
    struct ms_bin_record bin;
    *ret_in = false;
    if (!ms_inode_has_asset(inode))
        return MS_OK;
    struct ms_key key = ms_key_binasset(c->t->id, (struct ms_asset_id){inode->asset});
    MS_TRY(allow_absent(ms_row_get_id(c->t->txn, key, &id.id, reterr), ret_in, reterr));
    if (!*ret_in)
        return MS_OK;
    MS_TRY(allow_absent(ms_row_get_bin(c->t->txn, ms_key_bin(c->t->id, id), &bin, reterr), ret_in,
                        reterr));
    *ret_in = *ret_in && bin.ino == inode->ino;
    return MS_OK;
}

static enum ms_code check_asset(struct check *c, const struct ms_inode_record *inode,
                                struct ms_error *reterr) {
    struct ms_asset_record asset;
    bool there;
    struct ms_key key = ms_key_asset(c->t->id, (struct ms_asset_id){inode->asset});
    MS_TRY(allow_absent(ms_row_get_asset(c->t->txn, key, &asset, reterr), &there, reterr));
    if (!there || asset.ino != inode->ino)
        report(c, "asset", "inode %" PRIu64 " has asset %s, which %s %" PRIu64, inode->ino,
               ms_id_text(inode->asset).s, there ? "has inode" : "is not there",
               there ? asset.ino : 0);
    return MS_OK;
}

static enum ms_code check_version(struct check *c, const struct ms_inode_record *inode,
                                  struct ms_error *reterr) {
    struct ms_version_record version;
    struct ms_version_id id = {inode->version};
    bool there;
    if (ms_version_id_is_none(id)) {
        if (S_ISREG(inode->mode) && inode->size != 0)
            report(c, "version", "inode %" PRIu64 " has %" PRIu64 " bytes and no version",
                   inode->ino, inode->size);
        return MS_OK;
    }
    if (inode->orphan) /* its version is in the bin, or gone */
        return MS_OK;
    MS_TRY(
        allow_absent(ms_row_get_version(c->t->txn, ms_key_version(c->t->id, id), &version, reterr),
                     &there, reterr));
    if (!there || version.size != inode->size ||
        memcmp(version.asset.b, inode->asset.b, MS_ID_BYTES) != 0)
        report(c, "version", "inode %" PRIu64 " and its version %s do not agree", inode->ino,
               ms_id_text(id.id).s);
    return MS_OK;
}

static enum ms_code check_file(struct check *c, const struct ms_inode_record *inode, uint64_t links,
                               struct ms_error *reterr) {
    bool binned;
    MS_TRY(in_bin(c, inode, &binned, reterr));
    if (inode->nlink != links)
        report(c, "T2", "inode %" PRIu64 " has nlink %" PRIu32 " and %" PRIu64 " names", inode->ino,
               inode->nlink, links);
    if (links == 0 && !inode->orphan && !binned)
        report(c, "T3", "inode %" PRIu64 " has no name", inode->ino);
    if (links > 0 && (inode->orphan || binned))
        report(c, "T3", "inode %" PRIu64 " has %" PRIu64 " names and is an orphan or in the bin",
               inode->ino, links);
    if (ms_inode_has_asset(inode))
        MS_TRY(check_asset(c, inode, reterr));
    else if (S_ISREG(inode->mode) && !inode->orphan)
        report(c, "asset", "inode %" PRIu64 " is a file without an asset", inode->ino);
    return check_version(c, inode, reterr);
}

static enum ms_code check_orphan_row(struct check *c, const struct ms_inode_record *inode,
                                     struct ms_error *reterr) {
    struct ms_id opener = {{0}};
    bool there, wanted = inode->orphan || inode->unsealed;
    struct ms_key key = ms_key_orphan(c->t->id, inode->ino);
    MS_TRY(allow_absent(ms_row_get_id(c->t->txn, key, &opener, reterr), &there, reterr));
    if (there != wanted || memcmp(opener.b, inode->opener.b, MS_ID_BYTES) != 0)
        report(c, "orphan", "inode %" PRIu64 " is kept by %s, its mark says %s", inode->ino,
               ms_id_text(inode->opener).s, there ? ms_id_text(opener).s : "nothing");
    return MS_OK;
}

static enum ms_code check_symlink(struct check *c, const struct ms_inode_record *inode) {
    struct ms_key key = ms_key_symlink(c->t->id, inode->ino);
    struct ms_view text;
    if (ms_txn_get(c->t->txn, ms_key_view(&key), &text, NULL) != MS_OK || text.n != inode->size)
        report(c, "symlink", "symbolic link %" PRIu64 " has no target of %" PRIu64 " bytes",
               inode->ino, inode->size);
    return MS_OK;
}

static enum ms_code check_inode(struct check *c, struct ms_view key, struct ms_view value,
                                struct ms_error *reterr) {
    struct ms_inode_record inode;
    uint64_t links, parent;
    MS_TRY(ms_inode_decode(value, &inode, reterr));
    c->inodes++;
    if (inode.ino != key_u64(key, BEHIND_TENANT))
        report(c, "T1", "inode %" PRIu64 " lies under number %" PRIu64, inode.ino,
               key_u64(key, BEHIND_TENANT));
    MS_TRY(count_links(c, inode.ino, &links, &parent, reterr));
    MS_TRY(check_orphan_row(c, &inode, reterr));
    if (S_ISDIR(inode.mode))
        return check_dir(c, &inode, links, parent, reterr);
    if (S_ISLNK(inode.mode))
        MS_TRY(check_symlink(c, &inode));
    return check_file(c, &inode, links, reterr);
}

/* ---- names, entries, links ------------------------------------------------------------------- */

static enum ms_code count_subdirs(struct check *c, uint64_t dir, uint64_t *ret_n,
                                  struct ms_error *reterr) {
    struct ms_key prefix = ms_key_names_of(c->t->id, dir);
    struct ms_scan scan;
    struct ms_view key;
    struct ms_name_record name;
    enum ms_code code;
    *ret_n = 0;
    ms_scan_prefix(&scan, c->t->txn, ms_key_view(&prefix));
    while ((code = ms_row_next_name(&scan, &key, &name, reterr)) == MS_OK)
        *ret_n += S_ISDIR(name.mode);
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

/* The pass has left a folder: what it counted may be of two instants, so a difference is counted
 * again in one. */
static enum ms_code leave_dir(struct check *c, struct ms_error *reterr) {
    struct ms_inode_record dir;
    bool there;
    uint64_t n;
    if (c->in_dir == 0)
        return MS_OK;
    MS_TRY(
        allow_absent(ms_row_get_inode(c->t->txn, ms_key_inode(c->t->id, c->in_dir), &dir, reterr),
                     &there, reterr));
    if (!there || dir.subdirs == c->subdirs)
        return MS_OK;
    MS_TRY(count_subdirs(c, c->in_dir, &n, reterr));
    if (n != dir.subdirs)
        report(c, "T2", "folder %" PRIu64 " counts %" PRIu32 " folders and has %" PRIu64, c->in_dir,
               dir.subdirs, n);
    return MS_OK;
}

static enum ms_code check_entry_of(struct check *c, uint64_t parent, const char *nfc,
                                   const struct ms_name_record *name, struct ms_error *reterr) {
    struct ms_entry_record entry;
    bool there;
    struct ms_key key = ms_key_entry(c->t->id, parent, name->seq);
    struct ms_key link = ms_key_link(c->t->id, name->ino, parent, name->seq);
    MS_TRY(allow_absent(ms_row_get_entry(c->t->txn, key, &entry, reterr), &there, reterr));
    if (!there || strcmp(entry.nfc, nfc) != 0)
        report(c, "T1", "\"%s\" in folder %" PRIu64 " has no entry %" PRIu64, nfc, parent,
               name->seq);
    if (!ms_txn_has(c->t->txn, ms_key_view(&link)))
        report(c, "T1", "\"%s\" in folder %" PRIu64 " has no link row", nfc, parent);
    return MS_OK;
}

static enum ms_code check_named(struct check *c, uint64_t parent, const char *nfc,
                                const struct ms_name_record *name, struct ms_error *reterr) {
    struct ms_inode_record inode;
    char again[MS_NAME_BYTES_MAX + 1];
    bool there;
    MS_TRY(
        allow_absent(ms_row_get_inode(c->t->txn, ms_key_inode(c->t->id, name->ino), &inode, reterr),
                     &there, reterr));
    if (!there || (inode.mode & S_IFMT) != (name->mode & S_IFMT))
        report(c, "T1", "\"%s\" in folder %" PRIu64 " names inode %" PRIu64 ", which %s", nfc,
               parent, name->ino, there ? "is of another kind" : "is not there");
    if (ms_name_check(name->spelling, again, NULL) != MS_OK || strcmp(again, nfc) != 0)
        report(c, "T1", "\"%s\" in folder %" PRIu64 " is spelled \"%s\"", nfc, parent,
               name->spelling);
    return MS_OK;
}

static enum ms_code check_name(struct check *c, struct ms_view key, struct ms_view value,
                               struct ms_error *reterr) {
    struct ms_name_record name;
    char nfc[MS_NAME_BYTES_MAX + 1];
    uint64_t parent = key_u64(key, BEHIND_TENANT);
    size_t n = key.n - BEHIND_TENANT - 8;
    if (key.n <= BEHIND_TENANT + 8 || n > MS_NAME_BYTES_MAX)
        return ms_fail(reterr, MS_CORRUPT, "a name's key has %zu bytes", key.n);
    memcpy(nfc, (const uint8_t *)key.p + BEHIND_TENANT + 8, n);
    nfc[n] = '\0';
    MS_TRY(ms_name_decode(value, &name, reterr));
    if (parent != c->in_dir) {
        MS_TRY(leave_dir(c, reterr));
        c->in_dir = parent;
        c->subdirs = 0;
    }
    c->subdirs += S_ISDIR(name.mode);
    MS_TRY(check_entry_of(c, parent, nfc, &name, reterr));
    return check_named(c, parent, nfc, &name, reterr);
}

static enum ms_code check_entry(struct check *c, struct ms_view key, struct ms_view value,
                                struct ms_error *reterr) {
    struct ms_entry_record entry;
    struct ms_name_record name;
    bool there;
    uint64_t parent = key_u64(key, BEHIND_TENANT), seq = key_u64(key, BEHIND_TENANT + 8);
    MS_TRY(ms_entry_decode(value, &entry, reterr));
    MS_TRY(allow_absent(
        ms_row_get_name(c->t->txn, ms_key_name(c->t->id, parent, entry.nfc), &name, reterr), &there,
        reterr));
    if (!there || name.seq != seq)
        report(c, "T1", "entry %" PRIu64 " of folder %" PRIu64 " says \"%s\", which is %s", seq,
               parent, entry.nfc, there ? "another entry" : "no name");
    return MS_OK;
}

static enum ms_code check_link(struct check *c, struct ms_view key, struct ms_view value,
                               struct ms_error *reterr) {
    struct ms_entry_record entry;
    struct ms_name_record name;
    uint64_t ino, parent, seq;
    bool there;
    (void)value;
    MS_TRY(ms_key_split_link(key, &ino, &parent, &seq, reterr));
    MS_TRY(allow_absent(
        ms_row_get_entry(c->t->txn, ms_key_entry(c->t->id, parent, seq), &entry, reterr), &there,
        reterr));
    if (there)
        MS_TRY(allow_absent(
            ms_row_get_name(c->t->txn, ms_key_name(c->t->id, parent, entry.nfc), &name, reterr),
            &there, reterr));
    if (!there || name.ino != ino)
        report(c, "T1",
               "link row of inode %" PRIu64 " at %" PRIu64 " in folder %" PRIu64 " has no name",
               ino, seq, parent);
    return MS_OK;
}

/* ---- what hangs on inodes -------------------------------------------------------------------- */

static enum ms_code needs_inode(struct check *c, struct ms_view key, const char *what) {
    struct ms_key inode = ms_key_inode(c->t->id, key_u64(key, BEHIND_TENANT));
    if (!ms_txn_has(c->t->txn, ms_key_view(&inode)))
        report(c, what, "a row of inode %" PRIu64 ", which is not there",
               key_u64(key, BEHIND_TENANT));
    return MS_OK;
}

static enum ms_code check_xattr(struct check *c, struct ms_view key, struct ms_view value,
                                struct ms_error *reterr) {
    (void)value, (void)reterr;
    return needs_inode(c, key, "xattr");
}

static enum ms_code check_target(struct check *c, struct ms_view key, struct ms_view value,
                                 struct ms_error *reterr) {
    (void)value, (void)reterr;
    return needs_inode(c, key, "symlink");
}

static enum ms_code check_mark(struct check *c, struct ms_view key, struct ms_view value,
                               struct ms_error *reterr) {
    (void)value, (void)reterr;
    return needs_inode(c, key, "orphan");
}

static enum ms_code check_bin(struct check *c, struct ms_view key, struct ms_view value,
                              struct ms_error *reterr) {
    struct ms_bin_record bin;
    struct ms_inode_record inode;
    bool there;
    (void)key;
    MS_TRY(ms_bin_decode(value, &bin, reterr));
    if (bin.ino == 0)
        return MS_OK;
    MS_TRY(
        allow_absent(ms_row_get_inode(c->t->txn, ms_key_inode(c->t->id, bin.ino), &inode, reterr),
                     &there, reterr));
    if (!there || memcmp(inode.asset.b, bin.asset.b, MS_ID_BYTES) != 0)
        report(c, "bin", "bin entry \"%s\" has inode %" PRIu64 ", which %s", bin.name, bin.ino,
               there ? "has another asset" : "is not there");
    return add_number(&c->remembered, bin.parent, reterr);
}

static enum ms_code check_treeop(struct check *c, struct ms_view key, struct ms_view value,
                                 struct ms_error *reterr) {
    struct ms_treeop_record op;
    struct ms_inode_record dir;
    bool there;
    (void)key;
    MS_TRY(ms_treeop_decode(value, &op, reterr));
    if (op.kind != MS_TREEOP_BIN)
        return MS_OK;
    MS_TRY(allow_absent(ms_row_get_inode(c->t->txn, ms_key_inode(c->t->id, op.ino), &dir, reterr),
                        &there, reterr));
    if (!there || !S_ISDIR(dir.mode) || dir.nlink != 0)
        report(c, "I14", "folder %" PRIu64 " is on its way into the bin and %s", op.ino,
               there ? "was not removed" : "is not there");
    return add_number(&c->remembered, op.ino, reterr);
}

/* ---- counts ---------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* How many of the sorted numbers are this one; *at moves on. */
static uint64_t take_equal(const struct numbers *in, size_t *at, uint64_t number) {
    uint64_t n = 0;
    for (; *at < in->n && in->at[*at] == number; ++*at)
        n++;
    return n;
}

static bool counts_agree(struct check *c, bool say) {
    size_t at = 0;
    bool agree = true;

    if (c->remembered.n > 0) /* qsort() takes no NULL, not even for nothing */
        qsort(c->remembered.at, c->remembered.n, sizeof *c->remembered.at, by_number);
    for (size_t i = 0; i < c->remembering[0].n; i++) { /* ascending: the pass went by number */
        uint64_t dir = c->remembering[0].at[i], says = c->remembering[1].at[i];
        uint64_t n = take_equal(&c->remembered, &at, dir);
        agree &= n == says;
        if (n != says && say)
            report(c, "bin",
                   "folder %" PRIu64 " counts %" PRIu64 " things in the bin, there are %" PRIu64,
                   dir, says, n);
    }
    agree &= at == c->remembered.n;
    if (at != c->remembered.n && say)
        report(c, "bin", "folder %" PRIu64 " does not know what the bin has from it",
               c->remembered.at[at]);
    return agree;
}

static enum ms_code recount(struct check *c, struct ms_view key, struct ms_view value,
                            struct ms_error *reterr) {
    struct ms_inode_record dir;
    struct ms_bin_record bin;
    struct ms_treeop_record op;
    const uint8_t *table = key.p;
    if (*table == 'R') {
        MS_TRY(ms_treeop_decode(value, &op, reterr));
        return op.kind == MS_TREEOP_BIN ? add_number(&c->remembered, op.ino, reterr) : MS_OK;
    }
    if (*table == 'B') {
        MS_TRY(ms_bin_decode(value, &bin, reterr));
        return bin.ino ? add_number(&c->remembered, bin.parent, reterr) : MS_OK;
    }
    MS_TRY(ms_inode_decode(value, &dir, reterr));
    if (!S_ISDIR(dir.mode) || dir.binned == 0)
        return MS_OK;
    MS_TRY(add_number(&c->remembering[0], dir.ino, reterr));
    MS_TRY(add_number(&c->remembering[1], dir.binned, reterr));
    return dir.nlink == 0 ? add_number(&c->remembered, dir.parent, reterr) : MS_OK;
}

/* On a live store bin and folders were read at two instants: a difference counts when a second look
 * has one too. */
static enum ms_code check_counts(struct check *c, struct ms_error *reterr) {
    if (counts_agree(c, false))
        return MS_OK;
    c->remembered.n = c->remembering[0].n = c->remembering[1].n = 0;
    MS_TRY(pass(c, ms_key_inodes_of(c->ctx.tenant), recount, reterr));
    MS_TRY(pass(c, ms_key_bins_of(c->ctx.tenant), recount, reterr));
    MS_TRY(pass(c, ms_key_treeops_of(c->ctx.tenant), recount, reterr));
    (void)counts_agree(c, true);
    return MS_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* The prefix of a whole table of the tenant, from the key of any row in it. */
static struct ms_key table_of(struct ms_key key) {
    key.len = BEHIND_TENANT;
    return key;
}

static enum ms_code leave_last_dir(struct check *c, struct ms_error *reterr) {
    struct ms_tree t;
    MS_TRY(ms_tree_read(&t, c->svc, &c->ctx, reterr));
    c->t = &t;
    enum ms_code code = leave_dir(c, reterr);
    c->t = NULL;
    ms_tree_read_end(&t);
    return code;
}

static enum ms_code check_all(struct check *c, struct ms_error *reterr) {
    struct ms_tenant_id id = c->ctx.tenant;
    MS_TRY(pass(c, ms_key_inodes_of(id), check_inode, reterr));
    MS_TRY(pass(c, table_of(ms_key_names_of(id, 0)), check_name, reterr));
    MS_TRY(leave_last_dir(c, reterr));
    MS_TRY(pass(c, table_of(ms_key_entries_of(id, 0)), check_entry, reterr));
    MS_TRY(pass(c, table_of(ms_key_links_of(id, 0)), check_link, reterr));
    MS_TRY(pass(c, table_of(ms_key_xattrs_of(id, 0)), check_xattr, reterr));
    MS_TRY(pass(c, table_of(ms_key_symlink(id, 0)), check_target, reterr));
    MS_TRY(pass(c, ms_key_orphans_of(id), check_mark, reterr));
    MS_TRY(pass(c, ms_key_bins_of(id), check_bin, reterr));
    MS_TRY(pass(c, ms_key_treeops_of(id), check_treeop, reterr));
    return check_counts(c, reterr);
}

enum ms_code ms_tree_check(struct ms_svc *svc, struct ms_tenant_id tenant,
                           const struct ms_tree_check *check, uint64_t *ret_inodes,
                           struct ms_error *reterr) {
    struct check c = {
        .svc = svc, .ctx = {.tenant = tenant, .who = "fsck", .admin = true}, .to = check};
    enum ms_code code = check_all(&c, reterr);
    free(c.remembered.at);
    free(c.remembering[0].at);
    free(c.remembering[1].at);
    if (code == MS_OK)
        *ret_inodes = c.inodes;
    return code;
}
