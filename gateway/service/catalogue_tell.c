/* From rows to lines: each row of a tenant, an inode, an asset or a version with what hangs on it. */
#include "service/catalogue_part.h"

#include "content/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

/* One row that is told. */
struct tell {
    struct ms_txn *txn;
    struct ms_tenant_id t;
    struct ms_buf *to;
    uint64_t *lines;
};

static void begin(const struct tell *c, struct ms_line *l, const char *kind) {
    ms_line_begin(l, c->to, kind);
    ms_line_id(l, "tenant", c->t.id);
}

static enum ms_code end(const struct tell *c, struct ms_line *l, struct ms_error *reterr) {
    MS_TRY(ms_line_end(l, reterr));
    ++*c->lines;
    return MS_OK;
}

static enum ms_code gone_asset(const struct tell *c, struct ms_id asset, struct ms_error *reterr) {
    struct ms_line l;
    begin(c, &l, "gone");
    ms_line_id(&l, "asset", asset);
    return end(c, &l, reterr);
}

static enum ms_code gone_inode(const struct tell *c, uint64_t ino, struct ms_error *reterr) {
    struct ms_line l;
    begin(c, &l, "gone");
    ms_line_number(&l, "ino", ino);
    return end(c, &l, reterr);
}

/* ---- tenant ---------------------------------------------------------------------------------- */

static enum ms_code tell_tenant(const struct tell *c, struct ms_error *reterr) {
    struct ms_tenant_record tenant;
    struct ms_meta_record meta;
    struct ms_line l;
    MS_TRY(ms_row_get_tenant(c->txn, ms_key_tenant(c->t), &tenant, reterr));
    MS_TRY(ms_row_get_meta(c->txn, ms_key_meta(), &meta, reterr));
    begin(c, &l, "tenant");
    ms_line_tenant(&l, "settings", &tenant);
    ms_line_number(&l, "store_free_bytes", meta.free_bytes); /* of new tenants */
    ms_line_number(&l, "store_retention_ms", (uint64_t)meta.retention_ms);
    return end(c, &l, reterr);
}

/* ---- inode ----------------------------------------------------------------------------------- */

static enum ms_code add_name(const struct tell *c, struct ms_line *l, struct ms_view key,
                             struct ms_error *reterr) {
    uint64_t ino, parent, seq;
    struct ms_entry_record entry;
    struct ms_name_record name;
    MS_TRY(ms_key_split_link(key, &ino, &parent, &seq, reterr));
    MS_TRY(ms_row_get_entry(c->txn, ms_key_entry(c->t, parent, seq), &entry, reterr));
    MS_TRY(ms_row_get_name(c->txn, ms_key_name(c->t, parent, entry.nfc), &name, reterr));
    ms_line_open(l, NULL, '{');
    ms_line_number(l, "parent", parent);
    ms_line_text(l, "name", ms_view_str(name.spelling));
    ms_line_close(l, '}');
    return MS_OK;
}

static enum ms_code add_names(const struct tell *c, struct ms_line *l, uint64_t ino,
                              struct ms_error *reterr) {
    struct ms_key prefix = ms_key_links_of(c->t, ino);
    struct ms_scan scan;
    struct ms_view key, value;
    enum ms_code code = MS_OK;
    ms_scan_prefix(&scan, c->txn, ms_key_view(&prefix));
    ms_line_open(l, "names", '[');
    for (unsigned n = 0; n < MS_CATALOGUE_NAMES_MAX && code == MS_OK; n++) {
        code = ms_scan_next(&scan, &key, &value, reterr);
        if (code == MS_OK)
            code = add_name(c, l, key, reterr);
    }
    ms_line_close(l, ']');
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

/* The link's target, or the name of a removed folder that the bin remembers. */
static enum ms_code add_target(const struct tell *c, struct ms_line *l,
                               const struct ms_inode_record *inode, struct ms_error *reterr) {
    struct ms_key key = ms_key_symlink(c->t, inode->ino);
    struct ms_view text;
    if (!S_ISLNK(inode->mode) && !(S_ISDIR(inode->mode) && inode->nlink == 0))
        return MS_OK;
    enum ms_code code = ms_txn_get(c->txn, ms_key_view(&key), &text, reterr);
    if (code == MS_OK)
        ms_line_text(l, "target", text);
    return ms_absent_is_fine(code, reterr);
}

/* Their names; each has its value in a line of its own. */
static enum ms_code add_xattr_names(const struct tell *c, struct ms_line *l, uint64_t ino,
                                    uint64_t *ret_n, struct ms_error *reterr) {
    struct ms_key prefix = ms_key_xattrs_of(c->t, ino);
    struct ms_scan scan;
    struct ms_view key, value;
    enum ms_code code;
    *ret_n = 0;
    ms_scan_prefix(&scan, c->txn, ms_key_view(&prefix));
    while ((code = ms_scan_next(&scan, &key, &value, reterr)) == MS_OK) {
        if ((*ret_n)++ == 0)
            ms_line_open(l, "xattrs", '[');
        ms_line_open(l, NULL, '{');
        ms_line_text(l, "name",
                     ms_view_of((const uint8_t *)key.p + prefix.len, key.n - prefix.len));
        ms_line_close(l, '}');
    }
    ms_scan_end(&scan);
    if (*ret_n > 0)
        ms_line_close(l, ']');
    return ms_absent_is_fine(code, reterr);
}

static enum ms_code tell_xattrs(const struct tell *c, uint64_t ino, struct ms_error *reterr) {
    struct ms_key prefix = ms_key_xattrs_of(c->t, ino);
    struct ms_scan scan;
    struct ms_view key, value;
    enum ms_code code;
    ms_scan_prefix(&scan, c->txn, ms_key_view(&prefix));
    while ((code = ms_scan_next(&scan, &key, &value, reterr)) == MS_OK) {
        struct ms_line l;
        begin(c, &l, "xattr");
        ms_line_number(&l, "ino", ino);
        ms_line_text(&l, "name",
                     ms_view_of((const uint8_t *)key.p + prefix.len, key.n - prefix.len));
        ms_line_hex(&l, "value", value.p, value.n);
        if ((code = end(c, &l, reterr)) != MS_OK)
            break;
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

static bool is_a_fact(const struct ms_inode_record *inode) {
    return !inode->unsealed && !inode->orphan;
}

static enum ms_code tell_inode(const struct tell *c, uint64_t ino, struct ms_error *reterr) {
    struct ms_inode_record inode;
    struct ms_line l;
    uint64_t xattrs = 0;
    enum ms_code code = ms_row_get_inode(c->txn, ms_key_inode(c->t, ino), &inode, reterr);
    if (code == MS_NOT_FOUND || (code == MS_OK && !is_a_fact(&inode)))
        return gone_inode(c, ino, reterr);
    if (code != MS_OK)
        return code;
    begin(c, &l, "inode");
    ms_line_inode(&l, "inode", &inode);
    code = add_names(c, &l, ino, reterr);
    if (code == MS_OK)
        code = add_target(c, &l, &inode, reterr);
    if (code == MS_OK)
        code = add_xattr_names(c, &l, ino, &xattrs, reterr);
    if (code != MS_OK) {
        c->to->len = l.begin;
        return code;
    }
    MS_TRY(end(c, &l, reterr));
    return xattrs > 0 ? tell_xattrs(c, ino, reterr) : MS_OK;
}

/* ---- asset ----------------------------------------------------------------------------------- */

static enum ms_code add_files(const struct tell *c, struct ms_line *l, struct ms_asset_id asset,
                              struct ms_error *reterr) {
    struct ms_key prefix = ms_key_files_of(c->t, asset);
    struct ms_scan scan;
    struct ms_view key;
    struct ms_file_record file;
    enum ms_code code;
    ms_scan_prefix(&scan, c->txn, ms_key_view(&prefix));
    ms_line_open(l, "files", '[');
    while ((code = ms_row_next_file(&scan, &key, &file, reterr)) == MS_OK)
        ms_line_file(l, NULL, &file);
    ms_line_close(l, ']');
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

static enum ms_code add_bin(const struct tell *c, struct ms_line *l, struct ms_asset_id asset,
                            struct ms_error *reterr) {
    struct ms_bin_id id;
    struct ms_bin_record bin;
    enum ms_code code = ms_row_get_id(c->txn, ms_key_binasset(c->t, asset), &id.id, reterr);
    if (code == MS_OK)
        code = ms_row_get_bin(c->txn, ms_key_bin(c->t, id), &bin, reterr);
    if (code == MS_OK)
        ms_line_bin(l, "bin", &bin);
    return ms_absent_is_fine(code, reterr);
}

static enum ms_code add_review(const struct tell *c, struct ms_line *l, struct ms_asset_id asset,
                               struct ms_error *reterr) {
    struct ms_review_record review;
    enum ms_code code = ms_row_get_review(c->txn, ms_key_review(c->t, asset), &review, reterr);
    if (code == MS_OK)
        ms_line_review(l, "review", &review);
    return ms_absent_is_fine(code, reterr);
}

static enum ms_code tell_asset(const struct tell *c, struct ms_asset_id id,
                               struct ms_error *reterr) {
    struct ms_asset_record asset;
    struct ms_line l;
    enum ms_code code = ms_row_get_asset(c->txn, ms_key_asset(c->t, id), &asset, reterr);
    if (code == MS_NOT_FOUND)
        return gone_asset(c, id.id, reterr);
    if (code != MS_OK)
        return code;
    if (asset.rest == MS_STATE_CREATING && !asset.sealed) /* it vanishes with its process */
        return MS_OK;
    begin(c, &l, "asset");
    ms_line_asset(&l, "asset", &asset);
    code = add_files(c, &l, id, reterr);
    if (code == MS_OK && asset.binned)
        code = add_bin(c, &l, id, reterr);
    if (code == MS_OK && asset.in_review)
        code = add_review(c, &l, id, reterr);
    if (code == MS_OK)
        return end(c, &l, reterr);
    c->to->len = l.begin;
    return code;
}

/* ---- version --------------------------------------------------------------------------------- */

static void add_hash_text(struct ms_line *l, const struct ms_hashes_record *row) {
    uint8_t bytes[8 * MS_HASHES_PER_ROW];
    struct ms_writer w = ms_writer_on(bytes, sizeof bytes);
    for (unsigned i = 0; i < row->count; i++)
        ms_write_u64(&w, row->hash[i]);
    ms_line_hex(l, "blocks", bytes, w.len);
}

static enum ms_code tell_hashes(const struct tell *c, const struct ms_version_record *version,
                                struct ms_error *reterr) {
    struct ms_key prefix = ms_key_hashes_of((struct ms_object_id){version->object});
    struct ms_hashes_record row;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code;
    uint64_t chunk = 0;
    ms_scan_prefix(&scan, c->txn, ms_key_view(&prefix));
    while ((code = ms_row_next_hashes(&scan, &key, &row, reterr)) == MS_OK) {
        struct ms_line l;
        begin(c, &l, "hashes");
        ms_line_id(&l, "version", version->id);
        ms_line_number(&l, "chunk", chunk++);
        add_hash_text(&l, &row);
        if ((code = end(c, &l, reterr)) != MS_OK)
            break;
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

static enum ms_code tell_version(const struct tell *c, struct ms_version_id id,
                                 struct ms_error *reterr) {
    struct ms_version_record version;
    struct ms_object_record object = {.refs = 0};
    struct ms_line l;
    bool there;
    MS_TRY(ms_allow_absent(
        ms_row_get_version(c->txn, ms_key_version(c->t, id), &version, reterr), &there));
    if (!there)
        return MS_OK;
    struct ms_object_id of = {version.object};
    if (!ms_object_id_is_none(of))
        MS_TRY(ms_row_get_object(c->txn, ms_key_object(of), &object, reterr));
    begin(c, &l, "version");
    ms_line_version(&l, "version", &version);
    if (!ms_object_id_is_none(of))
        ms_line_object(&l, "object", &object);
    MS_TRY(end(c, &l, reterr));
    return version.hashed && version.size > 0 ? tell_hashes(c, &version, reterr) : MS_OK;
}

/* ---- dead objects: the bucket has them still, and a rebuild must not take them for new -------- */

static enum ms_code tell_dead(const struct tell *c, struct ms_object_id id,
                              struct ms_error *reterr) {
    struct ms_tombstone_record tomb;
    struct ms_line l;
    bool there;
    MS_TRY(ms_allow_absent(ms_row_get_tombstone(c->txn, ms_key_tomb(id), &tomb, reterr), &there));
    if (!there) /* and the object with it */
        return MS_OK;
    begin(c, &l, "gone");
    ms_line_id(&l, "object", id.id);
    ms_line_text(&l, "key", ms_view_str(tomb.key));
    return end(c, &l, reterr);
}

/* ---- by its key ------------------------------------------------------------------------------ */

enum ms_code ms_catalogue_tell(struct ms_txn *txn, struct ms_view key, struct ms_buf *to,
                               uint64_t *lines, struct ms_error *reterr) {
    struct tell c = {.txn = txn, .t = {ms_key_id_at(key, 1)}, .to = to, .lines = lines};
    struct ms_id id = ms_key_id_at(key, MS_TABLE_TENANT_KEY_BYTES);
    size_t was = to->len;
    uint64_t lines_before = *lines;
    enum ms_code code = MS_OK;
    switch (*(const uint8_t *)key.p) {
    case 'T':
        code = tell_tenant(&c, reterr);
        break;
    case 'I':
        code = tell_inode(&c, ms_key_u64_at(key, MS_TABLE_TENANT_KEY_BYTES), reterr);
        break;
    case 'A':
        code = tell_asset(&c, (struct ms_asset_id){id}, reterr);
        break;
    case 'V':
        code = tell_version(&c, (struct ms_version_id){id}, reterr);
        break;
    case 'K':
        code = tell_dead(&c, (struct ms_object_id){id}, reterr);
        break;
    default:
        break;
    }
    if (code != MS_OK) {
        to->len = was;
        *lines = lines_before;
    }
    return code;
}
