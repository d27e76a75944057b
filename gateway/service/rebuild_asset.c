/* One asset of a rebuilt tenant: its record, files, versions and objects, inode and names. Inside a
 * write. */
#include "service/rebuild_part.h"

#include "content/hash.h"
#include "service/hash_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* What is known, and what is to be made of it. */
struct plan {
    const struct ms_tree *t;
    struct ms_built *built;
    struct ms_asset_record asset;
    const json_t *line; /* of the asset */
    struct ms_inode_record inode;
    struct ms_file_record main;
    struct ms_version_record version; /* of MAIN */
    struct ms_object_record object;
    bool has_main, has_version, by_birth;
    struct ms_review_record review; /* what waits beside it (held.h), and its texts */
    struct ms_version_record held;
    struct ms_object_record held_object;
    bool holds;
};

static struct ms_id random_id(const struct ms_tree *t) {
    struct ms_id id;
    ms_txn_random(t->txn, id.b, sizeof id.b);
    return id;
}

static bool is_none(struct ms_id id) {
    static const struct ms_id none;
    return memcmp(id.b, none.b, sizeof none.b) == 0;
}

/* ---- versions and objects -------------------------------------------------------------------- */

/* A version's line, and whether the bucket has its bytes. */
struct source {
    struct ms_version_record version;
    struct ms_object_record object;
    struct ms_listed listed;
    bool told, there;
};

static enum ms_code find_source(const struct ms_tree *t, struct ms_id version,
                                struct source *ret_source, struct ms_error *reterr) {
    struct ms_key key = ms_scratch_of_ids('V', t->id, version);
    MS_AUTO(ms_json_drop) json_t *line = NULL;
    struct source *s = ret_source;
    *s = (struct source){.told = false};
    MS_TRY(ms_scratch_line(t->txn, &key, &line, reterr));
    s->told = ms_json_version(json_object_get(line, "version"), &s->version, NULL) == MS_OK;
    if (!s->told)
        return MS_OK;
    s->there = s->version.size == 0;
    if (s->version.size == 0 ||
        ms_json_object(json_object_get(line, "object"), &s->object, NULL) != MS_OK)
        return MS_OK;
    MS_TRY(ms_listed_get(t->txn, s->object.key, &s->listed, &s->there, reterr));
    if (s->there && s->listed.etag[0])
        memcpy(s->object.etag, s->listed.etag, sizeof s->object.etag);
    s->there = s->there && s->listed.size == s->version.size &&
               s->object.size == s->version.size &&
               s->object.block_log2 == s->version.block_log2;
    return MS_OK;
}

/* The segment's hashes of it, when all are there and make its root. */
static enum ms_code find_hashes(const struct ms_tree *t, const struct ms_version_record *v,
                                struct ms_hashes *h, bool *ret_whole, struct ms_error *reterr) {
    uint64_t blocks = ms_block_count(v->size, v->block_log2);
    uint8_t raw[2 * MS_ID_BYTES + 8], root[16];
    *ret_whole = v->hashed;
    MS_TRY(ms_hashes_resize(h, blocks, reterr));
    for (uint64_t at = 0; at < blocks && *ret_whole; at += MS_HASHES_PER_ROW) {
        uint64_t n = blocks - at < MS_HASHES_PER_ROW ? blocks - at : MS_HASHES_PER_ROW;
        struct ms_writer w = ms_writer_on(raw, sizeof raw);
        struct ms_view value;
        ms_write_bytes(&w, t->id.id.b, MS_ID_BYTES);
        ms_write_bytes(&w, v->id.b, MS_ID_BYTES);
        ms_write_u64(&w, at / MS_HASHES_PER_ROW);
        struct ms_key key = ms_key_scratch('h', raw, sizeof raw);
        MS_TRY(ms_allow_absent(ms_txn_get(t->txn, ms_key_view(&key), &value, reterr), ret_whole));
        *ret_whole = *ret_whole && value.n == 8 * n;
        for (uint64_t i = 0; i < n && *ret_whole; i++)
            h->hash[at + i] = ms_key_u64_at(value, 8 * i);
    }
    if (*ret_whole) {
        ms_hashes_root(h, v->size, root);
        *ret_whole = memcmp(root, v->root, sizeof root) == 0;
    }
    return MS_OK;
}

static enum ms_code put_object(const struct ms_tree *t, const struct ms_object_record *o,
                               struct ms_error *reterr) {
    struct ms_object_id id = {o->id};
    struct ms_key key = ms_key_object(id);
    struct ms_object_record row = *o;
    if (ms_txn_has(t->txn, ms_key_view(&key))) /* a copy shares it */
        return ms_change_object_take(t->txn, id, reterr);
    row.refs = 1;
    row.local = (struct ms_instant){0}; /* the list has it */
    return ms_row_put_object(t->txn, key, &row, reterr);
}

static enum ms_code put_version(const struct ms_tree *t, struct ms_version_record v,
                                const struct ms_object_record *o, struct ms_error *reterr) {
    MS_AUTO(ms_hashes_fini) struct ms_hashes h = {NULL, 0, 0};
    bool whole = true;
    v.local = 0;
    if (v.size > 0) {
        MS_TRY(find_hashes(t, &v, &h, &whole, reterr));
        v.hashed = whole;
        if (!whole)
            memset(v.root, 0, sizeof v.root);
        MS_TRY(put_object(t, o, reterr));
    }
    if (whole && v.size > 0)
        MS_TRY(ms_hash_rows_put(t->txn, (struct ms_object_id){v.object}, &h, reterr));
    return ms_row_put_version(t->txn, ms_key_version(t->id, (struct ms_version_id){v.id}), &v,
                              reterr);
}

/* ---- which bytes ----------------------------------------------------------------------------- */

/* "<asset>/<file>.<n>.<suffix>": the next version must not get a key that is in use. */
static uint32_t number_in_key(const char *key) {
    const char *dot = strchr(key, '.');
    unsigned long n = dot ? strtoul(dot + 1, NULL, 10) : 0;
    return n < UINT32_MAX ? (uint32_t)n : 0;
}

static void version_by_birth(const struct plan *p, const struct ms_birth *b, struct ms_version_record *ret_version,
                             struct ms_object_record *ret_object) {
    *ret_version = (struct ms_version_record){.id = random_id(p->t),
                                              .asset = p->asset.id,
                                              .file = p->main.id,
                                              .size = b->size,
                                              .block_log2 = MS_BLOCK_LOG2_DEFAULT,
                                              .object = b->object.id,
                                              .committed = b->modified};
    *ret_object = (struct ms_object_record){.id = b->object.id,
                                            .size = b->size,
                                            .block_log2 = MS_BLOCK_LOG2_DEFAULT,
                                            .created = b->modified};
    memcpy(ret_object->key, b->key, sizeof ret_object->key);
    memcpy(ret_object->etag, b->etag, sizeof ret_object->etag);
}

static void use_number(struct plan *p, const struct ms_birth *b) {
    if (p->main.versions < number_in_key(b->key))
        p->main.versions = number_in_key(b->key);
}

/* Nothing tells whether its reviewer has passed these bytes: they wait as a new asset's. */
static void wait_as_new(struct plan *p) {
    if (!p->t->tenant.review || !ms_state_is_finished((enum ms_state)p->asset.rest))
        return;
    p->asset.rest = MS_STATE_CREATING;
    p->asset.takedown_due = (struct ms_instant){0};
    p->asset.sealed = p->asset.in_review = 1;
    p->main.state = MS_FILE_UPLOADED;
}

static void use_birth(struct plan *p, const struct ms_birth *b) {
    p->by_birth = p->has_version = true;
    version_by_birth(p, b, &p->version, &p->object);
    p->main.version = p->version.id;
    p->main.size = b->size;
    p->main.has_md5 = 0;
    memset(p->main.md5, 0, sizeof p->main.md5);
    (void)snprintf(p->main.media_type, sizeof p->main.media_type, "%s", b->media_type);
    use_number(p, b);
    wait_as_new(p);
}

/* It is newer than the live MAIN, and may be one that was held aside. */
static void hold_birth(struct plan *p, const struct ms_birth *b) {
    p->holds = true;
    version_by_birth(p, b, &p->held, &p->held_object);
    use_number(p, b);
    p->asset.in_review = 1;
    p->review.human = 0;
    p->review.tries = 0;
    p->review.retry_at = (struct ms_instant){0};
    memset(&p->review.held_file, 0, sizeof p->review.held_file);
    (void)snprintf(p->review.held_media, sizeof p->review.held_media, "%s", b->media_type);
    p->built->newer++;
    ms_built_note(p->built, "held", "\"%.120s\": its newest object is not told of: it waits for review",
                  p->asset.name);
}

/* *ret_lost: there should be bytes, and the bucket has none.  newer: than the live MAIN, or NULL. */
static enum ms_code plan_main(struct plan *p, struct ms_birth *ret_birth, bool *ret_newer, bool *ret_lost,
                              struct ms_error *reterr) {
    struct source s = {.told = false};
    MS_TRY(ms_birth_get(p->t->txn, (struct ms_asset_id){p->asset.id}, ret_birth, ret_newer, reterr));
    if (!is_none(p->main.version))
        MS_TRY(find_source(p->t, p->main.version, &s, reterr));
    p->has_version = s.there;
    p->version = s.version;
    p->object = s.object;
    *ret_newer = *ret_newer && p->has_main && (!s.there || ret_birth->modified.ms > s.listed.modified.ms);
    if (*ret_newer && (!s.there || !ms_state_is_finished((enum ms_state)p->asset.rest) ||
                       !(p->t->tenant.review || p->asset.in_review))) {
        use_birth(p, ret_birth);
        p->built->newer++;
        ms_built_note(p->built, "newer", "\"%.150s\": its newest object is not told of: used",
                      p->asset.name);
    }
    *ret_lost = !is_none(p->main.version) && !p->has_version;
    return MS_OK;
}

/* The owner's inode had the version that waits for review. Segments of older versions tell no case.
 * birth: newer than the live MAIN, or NULL. */
static enum ms_code plan_held(struct plan *p, const struct ms_birth *birth, struct ms_error *reterr) {
    struct source s = {.told = false};
    if (ms_json_review(json_object_get(p->line, "review"), &p->review, NULL) != MS_OK)
        p->review = (struct ms_review_record){.human = 0};
    if (p->by_birth)
        return MS_OK;
    if (p->asset.in_review && !is_none(p->inode.version) &&
        memcmp(p->inode.version.b, p->main.version.b, MS_ID_BYTES) != 0) {
        MS_TRY(find_source(p->t, p->inode.version, &s, reterr));
        p->holds = s.there && memcmp(s.version.asset.b, p->asset.id.b, MS_ID_BYTES) == 0;
        p->held = s.version;
        p->held_object = s.object;
    }
    if (birth && (!p->holds || birth->modified.ms > s.listed.modified.ms))
        hold_birth(p, birth);
    else if (s.told && !p->holds)
        ms_built_note(p->built, "lost", "what waits for review of \"%.80s\": its object is missing",
                      p->asset.name);
    return MS_OK;
}

/* ---- rows of the asset ----------------------------------------------------------------------- */

/* Beside MAIN: one whose bytes are gone has failed. */
static enum ms_code put_other_file(struct plan *p, struct ms_file_record file, uint64_t *bytes,
                                   struct ms_error *reterr) {
    struct source s = {.told = false};
    if (!is_none(file.version))
        MS_TRY(find_source(p->t, file.version, &s, reterr));
    if (s.there) {
        MS_TRY(put_version(p->t, s.version, &s.object, reterr));
        *bytes += file.size;
    } else if (!is_none(file.version)) {
        memset(&file.version, 0, sizeof file.version);
        file.state = MS_FILE_FAILED;
        ms_built_note(p->built, "lost", "file \"%.80s\" of \"%.80s\": its object is missing",
                      file.name, p->asset.name);
    }
    MS_TRY(ms_row_put_id(p->t->txn, ms_key_fowner(p->t->id, (struct ms_file_id){file.id}), p->asset.id, reterr));
    return ms_row_put_file(p->t->txn,
                           ms_key_file(p->t->id, (struct ms_asset_id){p->asset.id},
                                       (struct ms_file_id){file.id}),
                           &file, reterr);
}

static enum ms_code put_files(struct plan *p, uint64_t *ret_bytes, struct ms_error *reterr) {
    const json_t *files = json_object_get(p->line, "files");
    *ret_bytes = p->has_version ? p->main.size : 0;
    if (p->has_version)
        MS_TRY(put_version(p->t, p->version, &p->object, reterr));
    if (p->has_main)
        MS_TRY(ms_row_put_file(p->t->txn,
                               ms_key_file(p->t->id, (struct ms_asset_id){p->asset.id},
                                           (struct ms_file_id){p->main.id}),
                               &p->main, reterr));
    for (size_t i = 0; i < json_array_size(files); i++) {
        struct ms_file_record file;
        if (ms_json_file(json_array_get(files, i), &file, NULL) == MS_OK &&
            memcmp(file.id.b, p->main.id.b, MS_ID_BYTES) != 0)
            MS_TRY(put_other_file(p, file, ret_bytes, reterr));
    }
    return MS_OK;
}

static bool brought_by_upload(const struct plan *p) {
    return memcmp(p->held.file.b, p->main.id.b, MS_ID_BYTES) != 0;
}

/* The row of a TEMPORARY has its version already. */
static enum ms_code put_held(struct plan *p, struct ms_review_record *row, uint64_t *bytes, struct ms_error *reterr) {
    row->held = p->held.id;
    row->held_bytes = p->held.size;
    if (brought_by_upload(p)) {
        row->held_file = p->held.file;
        return MS_OK;
    }
    MS_TRY(put_version(p->t, p->held, &p->held_object, reterr));
    *bytes += p->held.size;
    return MS_OK;
}

/* The case, as it was told, of what there is. */
static enum ms_code put_case(struct plan *p, uint64_t *bytes, struct ms_error *reterr) {
    struct ms_key key = ms_key_review(p->t->id, (struct ms_asset_id){p->asset.id});
    struct ms_review_record made, row = p->review;
    MS_TRY(ms_row_get_review(p->t->txn, key, &made, reterr));
    row.asset = made.asset;
    row.since = made.since;
    memset(&row.held, 0, sizeof row.held);
    memset(&row.held_file, 0, sizeof row.held_file);
    row.held_bytes = 0;
    if (p->holds)
        MS_TRY(put_held(p, &row, bytes, reterr));
    else
        row.held_media[0] = '\0';
    return ms_row_put_review(p->t->txn, key, &row, reterr);
}

static struct ms_life out_of_bin(const struct ms_life *life) {
    struct ms_life out = *life;
    out.binned = 0;
    out.binned_at = out.purge_floor = (struct ms_instant){0};
    out.retention_ms = 0;
    out.last = out.holds ? MS_LAST_FROZEN : MS_LAST_NONE;
    return out;
}

static enum ms_code put_bin(struct plan *p, const struct ms_life *life, struct ms_error *reterr) {
    struct ms_bin_record bin = {.parent = 0};
    struct ms_bin_place place = {.name = bin.name};
    if (ms_json_bin(json_object_get(p->line, "bin"), &bin, NULL) != MS_OK)
        ms_name_from_text(p->main.name[0] ? p->main.name : "unnamed", bin.name);
    if (p->asset.ino != 0)
        MS_TRY(ms_rebuild_folder(p->t, bin.parent, p->built, &place.parent, reterr));
    MS_TRY(ms_change_bin(p->t->txn, p->t->id, bin.who[0] ? bin.who : p->t->who, &p->asset,
                         life->binned_at, p->asset.ino ? &place : NULL, reterr));
    p->built->binned++;
    return ms_change_life(p->t->txn, p->t->id, p->t->who, &p->asset, life, MS_EVENT_DELETE,
                          p->t->now, "it was in the bin before the rebuild", reterr);
}

/* Packages do not come back with a rebuild: without one it renews nothing, and may be deleted. */
static void unbind(struct ms_asset_record *asset) {
    asset->package = (struct ms_id){{0}};
    asset->auto_renew = 0;
}

static enum ms_code put_asset(struct plan *p, struct ms_error *reterr) {
    unbind(&p->asset);
    struct ms_instant updated = p->asset.updated;
    struct ms_life life = ms_asset_life(&p->asset), out = out_of_bin(&life);
    struct ms_asset_id id = {p->asset.id};
    uint64_t bytes;
    ms_asset_set_life(&p->asset, life.binned ? &out : &life);
    p->asset.bytes = 0;
    p->asset.due_kind = MS_DUE_NONE;
    p->asset.due_at = (struct ms_instant){0};
    MS_TRY(ms_change_new_asset(p->t->txn, p->t->id, p->t->who, &p->asset, reterr));
    MS_TRY(put_files(p, &bytes, reterr));
    if (p->asset.in_review)
        MS_TRY(put_case(p, &bytes, reterr));
    MS_TRY(ms_change_bytes(p->t->txn, p->t->id, &p->asset, bytes, MS_WHY_SEAL, p->t->now, reterr));
    if (life.binned)
        MS_TRY(put_bin(p, &life, reterr));
    p->asset.updated = updated;
    p->built->bytes += bytes;
    p->built->files++;
    p->built->by_birth += p->by_birth && !p->line;
    return ms_row_put_asset(p->t->txn, ms_key_asset(p->t->id, id), &p->asset, reterr);
}

/* ---- the inode ------------------------------------------------------------------------------- */

static void clean_inode(struct plan *p, uint64_t ino) {
    struct ms_inode_record *inode = &p->inode;
    inode->ino = ino;
    inode->asset = p->asset.id;
    inode->version = p->holds ? p->held.id : p->main.version;
    inode->size = p->holds ? p->held.size : p->main.size;
    inode->nlink = 0;
    inode->parent = 0;
    inode->orphan = inode->unsealed = 0;
    inode->was_parent = 0;
    inode->was[0] = '\0';
    inode->was_at = (struct ms_instant){0};
    memset(&inode->opener, 0, sizeof inode->opener);
}

static void default_inode(struct plan *p) {
    int64_t s = p->asset.created.ms / 1000;
    const struct ms_tenant_record *tenant = &p->t->tenant;
    p->inode = (struct ms_inode_record){.mode = S_IFREG | (0666 & ~tenant->umask),
                                        .uid = tenant->uid,
                                        .gid = tenant->gid,
                                        .atime_s = s,
                                        .mtime_s = s,
                                        .ctime_s = s,
                                        .btime_s = s};
}

static enum ms_code put_in_type_folder(struct plan *p, struct ms_error *reterr) {
    const struct ms_tree *t = p->t;
    enum ms_special special = ms_asset_type_folder((enum ms_asset_type)p->asset.type);
    struct ms_name_record name;
    const char *called = p->main.name[0] ? p->main.name : p->asset.name;
    struct ms_key key = ms_key_name(t->id, t->tenant.root_ino, ms_special_name(special));
    MS_TRY(ms_row_get_name(t->txn, key, &name, reterr));
    p->inode.nlink = 1;
    return ms_rebuild_name(t, name.ino, called, &p->inode, p->built, reterr);
}

static enum ms_code put_xattrs(struct plan *p, const json_t *line, uint64_t old,
                               struct ms_error *reterr) {
    const json_t *names = json_object_get(line, "xattrs");
    for (size_t i = 0; i < json_array_size(names); i++) {
        uint8_t raw[MS_ID_BYTES + 8 + MS_XATTR_NAME_MAX];
        char name[MS_XATTR_NAME_MAX + 1];
        struct ms_writer w = ms_writer_on(raw, sizeof raw);
        struct ms_view value;
        size_t n;
        bool there;
        if (!ms_json_bytes(json_array_get(names, i), "name", name, MS_XATTR_NAME_MAX, &n))
            continue;
        ms_write_bytes(&w, p->t->id.id.b, MS_ID_BYTES);
        ms_write_u64(&w, old);
        ms_write_bytes(&w, name, n);
        struct ms_key from = ms_key_scratch('x', raw, w.len);
        struct ms_key to = ms_key_xattr(p->t->id, p->inode.ino, name);
        MS_TRY(ms_allow_absent(ms_txn_get(p->t->txn, ms_key_view(&from), &value, reterr), &there));
        if (!there || value.n == 0)
            continue;
        uint8_t *copy = malloc(value.n); /* a put may move what a get has lent */
        if (!copy)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for an attribute");
        memcpy(copy, value.p, value.n);
        enum ms_code code = ms_txn_put(p->t->txn, ms_key_view(&to),
                                       ms_view_of(copy + 1, value.n - 1), reterr);
        free(copy);
        MS_TRY(code);
    }
    return MS_OK;
}

static enum ms_code put_inode(struct plan *p, const json_t *line, struct ms_error *reterr) {
    const struct ms_tree *t = p->t;
    uint64_t ino, old = p->inode.ino;
    MS_TRY(ms_txn_number(t->txn, "ino", &ino, reterr));
    clean_inode(p, ino);
    p->asset.ino = ino;
    if (!p->asset.binned) {
        MS_TRY(ms_rebuild_names(t, line, &p->inode, p->built, &p->inode.nlink, reterr));
        if (p->inode.nlink == 0)
            MS_TRY(put_in_type_folder(p, reterr));
    }
    MS_TRY(ms_change_inode_new(t->txn, t->id, &p->inode, reterr));
    return put_xattrs(p, line, old, reterr);
}

/* ---- entry points ---------------------------------------------------------------------------- */

static bool find_main(struct plan *p) {
    const json_t *files = json_object_get(p->line, "files");
    for (size_t i = 0; i < json_array_size(files); i++)
        if (ms_json_file(json_array_get(files, i), &p->main, NULL) == MS_OK &&
            memcmp(p->main.id.b, p->asset.main_file.b, MS_ID_BYTES) == 0)
            return true;
    p->main = (struct ms_file_record){.size = 0};
    return false;
}

/* Once, however often it is come by. */
static enum ms_code lose(struct plan *p, struct ms_asset_id id, const char *why,
                         struct ms_error *reterr) {
    struct ms_key key = ms_scratch_of_id('l', id.id);
    if (ms_txn_has(p->t->txn, ms_key_view(&key)))
        return MS_OK;
    p->built->lost++;
    ms_built_note(p->built, "lost", "asset %s, \"%.120s\": %s", ms_id_text(id.id).s,
                  p->asset.name, why);
    return ms_txn_put(p->t->txn, ms_key_view(&key), ms_view_of("", 1), reterr);
}

static enum ms_code asset_told(struct plan *p, struct ms_asset_id id, const json_t *inode_line,
                               struct ms_error *reterr) {
    struct ms_birth birth;
    bool lost, newer;
    if (ms_json_asset(json_object_get(p->line, "asset"), &p->asset, NULL) != MS_OK)
        return lose(p, id, "its line cannot be taken", reterr);
    bool in_tree = p->asset.ino != 0;
    p->has_main = find_main(p);
    MS_TRY(plan_main(p, &birth, &newer, &lost, reterr));
    if (lost)
        return lose(p, id, "its object is missing, or of another size", reterr);
    if (ms_json_inode(json_object_get(inode_line, "inode"), &p->inode, NULL) != MS_OK ||
        !S_ISREG(p->inode.mode))
        default_inode(p);
    p->asset.ino = 0;
    MS_TRY(plan_held(p, newer ? &birth : NULL, reterr));
    if (in_tree)
        MS_TRY(put_inode(p, inode_line, reterr));
    return put_asset(p, reterr);
}

static bool is_there(const struct ms_tree *t, struct ms_asset_id id) {
    struct ms_key key = ms_key_aowner(id);
    return ms_txn_has(t->txn, ms_key_view(&key));
}

enum ms_code ms_rebuild_asset(const struct ms_tree *t, struct ms_asset_id id,
                              const json_t *inode_line, struct ms_built *built,
                              struct ms_error *reterr) {
    struct ms_key key = ms_scratch_of_ids('A', t->id, id.id);
    MS_AUTO(ms_json_drop) json_t *line = NULL;
    struct plan *p;
    if (is_there(t, id))
        return MS_OK;
    MS_TRY(ms_scratch_line(t->txn, &key, &line, reterr));
    if (!line) /* it comes back by its birth facts, or not at all */
        return MS_OK;
    p = calloc(1, sizeof *p); /* records are large */
    if (!p)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for an asset");
    p->t = t;
    p->built = built;
    p->line = line;
    enum ms_code code = asset_told(p, id, inode_line, reterr);
    free(p);
    return code;
}

static void fill_by_birth(struct plan *p, const struct ms_birth *b) {
    const struct ms_tenant_record *tenant = &p->t->tenant;
    p->asset = (struct ms_asset_record){
        .id = b->asset.id,
        .type = (uint8_t)ms_asset_type_of_name(b->name, MS_SPECIAL_NONE, false),
        .origin = MS_ORIGIN_UPLOADED,
        .rest = tenant->start_unactived ? MS_STATE_UNACTIVED : MS_STATE_ACTIVED,
        .sealed = 1,
        .created = b->created,
        .updated = b->modified,
        .main_file = random_id(p->t),
        .from_mount = 1};
    (void)snprintf(p->asset.name, sizeof p->asset.name, "%s", b->name);
    p->main = (struct ms_file_record){.id = p->asset.main_file,
                                      .category = MS_CATEGORY_MAIN,
                                      .state = MS_FILE_CREATED,
                                      .declared = b->created,
                                      .versions = 1};
    (void)snprintf(p->main.name, sizeof p->main.name, "%s", b->name);
    (void)snprintf(p->main.media_type, sizeof p->main.media_type, "%s", b->media_type);
    p->has_main = true;
    use_birth(p, b);
    default_inode(p);
}

enum ms_code ms_rebuild_asset_by_birth(const struct ms_tree *t, const struct ms_birth *birth,
                                       struct ms_built *built, struct ms_error *reterr) {
    struct plan *p;
    if (is_there(t, birth->asset))
        return MS_OK;
    p = calloc(1, sizeof *p);
    if (!p)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for an asset");
    p->t = t;
    p->built = built;
    fill_by_birth(p, birth);
    enum ms_code code = put_inode(p, NULL, reterr);
    if (code == MS_OK)
        code = put_asset(p, reterr);
    free(p);
    return code;
}
