/* The gateway that gives: the blob, and the bytes where its store signs no URLs. */
#include "service/replicate_part.h"

#include "base/fd.h"
#include "service/asset_in.h"
#include "service/file_image.h"
#include "service/replica_seal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES ((size_t)1 << 20)
#define AHEAD_BYTES ((size_t)16 << 20)

enum ms_code ms_replicate_open(struct ms_svc *svc, struct ms_view blob,
                               struct ms_replica *ret_replica, struct ms_error *reterr) {
    MS_AUTO(ms_replica_keys_fini) struct ms_replica_keys keys = {.n = 0};
    MS_AUTO(ms_replica_wipe) struct ms_buf plain = MS_BUF_MAX(MS_REPLICA_PLAIN_MAX);
    struct ms_replica_head head;
    MS_TRY(ms_replica_keys_load(svc->replication_keys, &keys, reterr));
    MS_TRY(ms_replica_unseal(&keys, ms_clock_now(svc->clock), blob, &head, &plain, reterr));
    MS_TRY(ms_replica_read(ms_buf_view(&plain), ret_replica, reterr));
    if (ms_asset_id_equal(head.asset, ret_replica->asset))
        return MS_OK;
    ms_replica_fini(ret_replica);
    return ms_fail(reterr, MS_INVALID, "the replication blob is about another asset than it says");
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* What the blob tells, and where each file's bytes are. */
struct telling {
    struct ms_replica replica;
    struct {
        char key[MS_OBJECT_KEY_MAX + 1];
        bool local; /* acknowledged from the local disk: the store has not got it yet */
    } at[MS_FILES_MAX];
};

static void telling_free(struct telling **telling) {
    if (*telling)
        ms_replica_fini(&(*telling)->replica);
    free(*telling);
}

/* Errors name the file, because there may be a hundred. */
static enum ms_code tell_version(const struct ms_tree *t, const struct ms_file_record *file,
                                 struct telling *telling, size_t i, struct ms_error *reterr) {
    struct ms_replica_file *f = &telling->replica.files[i];
    struct ms_version_record version;
    struct ms_object_record object;
    if (ms_version_id_is_none(f->version) || file->size == 0)
        return ms_fail(reterr, MS_UNSUPPORTED,
                       "\"%.150s\" has no bytes: an empty file is made anew, not copied",
                       file->name);
    MS_TRY(ms_row_get_version(t->txn, ms_key_version(t->id, f->version), &version, reterr));
    MS_TRY(ms_row_get_object(t->txn, ms_key_object((struct ms_object_id){version.object}), &object,
                             reterr));
    if (!version.hashed)
        return ms_fail(reterr, MS_UNAVAILABLE,
                       "\"%.150s\" has no hashes yet, so a copy of it could not be checked: when "
                       "the rebuild has ended, try again",
                       file->name);
    f->size = version.size;
    f->block_log2 = version.block_log2;
    memcpy(f->root, version.root, sizeof f->root);
    memcpy(telling->at[i].key, object.key, sizeof object.key);
    telling->at[i].local = object.local.ms != 0;
    return MS_OK;
}

static enum ms_code tell_row(const struct ms_tree *t, const struct ms_file_record *file,
                             struct telling *telling, size_t i, struct ms_error *reterr) {
    struct ms_replica_file *f = &telling->replica.files[i];
    *f = (struct ms_replica_file){.id = {file->id},
                                  .version = {file->version},
                                  .category = (enum ms_category)file->category,
                                  .has_md5 = file->has_md5 != 0};
    memcpy(f->name, file->name, sizeof f->name);
    memcpy(f->md5, file->md5, sizeof f->md5);
    return tell_version(t, file, telling, i, reterr);
}

/* MAIN comes last: what pulls them seals it last. */
static enum ms_code tell_rows(const struct ms_tree *t, const struct ms_asset_record *asset,
                              struct telling *telling, struct ms_error *reterr) {
    struct ms_key prefix = ms_key_files_of(t->id, (struct ms_asset_id){asset->id});
    struct ms_file_record file, main = {.size = 0};
    struct ms_replica *r = &telling->replica;
    struct ms_derived_name derived;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code;
    ms_scan_prefix(&scan, t->txn, ms_key_view(&prefix));
    while ((code = ms_row_next_file(&scan, &key, &file, reterr)) == MS_OK) {
        bool is_main = memcmp(file.id.b, asset->main_file.b, MS_ID_BYTES) == 0;
        if (is_main)
            main = file;
        if (is_main || file.state != MS_FILE_CREATED || file.category == MS_CATEGORY_TEMPORARY ||
            ms_derived_parse(file.name, &derived)) /* the other gateway makes its own */
            continue;
        if (r->n == MS_FILES_MAX - 1)
            code = ms_fail(reterr, MS_RANGE, "the asset has more than %d files", MS_FILES_MAX);
        else
            code = tell_row(t, &file, telling, r->n, reterr);
        if (code != MS_OK)
            break;
        r->n++;
    }
    ms_scan_end(&scan);
    MS_TRY(ms_absent_is_fine(code, reterr));
    MS_TRY(tell_row(t, &main, telling, r->n, reterr));
    r->n++;
    return MS_OK;
}

static enum ms_code may_replicate(const struct ms_tree *t, struct ms_asset_id id,
                                  struct ms_tree_asset *ret_asset, struct ms_error *reterr) {
    MS_TRY(ms_asset_find_in(t, id, ret_asset, reterr));
    return ms_asset_may_copy(t, ret_asset, "copy to another gateway", reterr);
}

static enum ms_code tell_asset(const struct ms_tree *t, struct ms_asset_id id,
                               struct telling *telling, struct ms_error *reterr) {
    struct ms_replica *r = &telling->replica;
    struct ms_tree_asset asset;
    MS_TRY(may_replicate(t, id, &asset, reterr));
    r->tenant = t->id;
    r->asset = id;
    r->type = (enum ms_asset_type)asset.rec.type;
    r->origin = (enum ms_origin)asset.rec.origin;
    memcpy(r->name, asset.rec.name, sizeof r->name);
    memcpy(r->description, asset.rec.description, sizeof r->description);
    memcpy(r->tags, asset.rec.tags, sizeof r->tags);
    return tell_rows(t, &asset.rec, telling, reterr);
}

/* ---- the blob -------------------------------------------------------------------------------- */

/* Asks nobody. A store that signs none, or has not got the bytes yet, leaves the URL out. */
static enum ms_code sign(struct ms_svc *svc, struct telling *telling, int64_t expires_s,
                         struct ms_error *reterr) {
    for (size_t i = 0; svc->obj->caps.presign_get && i < telling->replica.n; i++) {
        const struct ms_obj_presign what = {
            .op = MS_OBJ_GET, .key = telling->at[i].key, .expires_s = expires_s};
        MS_AUTO(ms_replica_wipe) struct ms_buf url = MS_BUF_MAX(MS_URL_MAX);
        MS_AUTO(ms_buf_fini) struct ms_buf headers = MS_BUF_MAX(MS_URL_MAX);
        if (telling->at[i].local)
            continue;
        MS_TRY(ms_obj_presign(svc->obj, &what, &url, &headers, reterr));
        telling->replica.files[i].url = strdup((const char *)url.data);
        if (!telling->replica.files[i].url)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for a URL");
    }
    return MS_OK;
}

static enum ms_code check_valid(int64_t *valid_ms, struct ms_error *reterr) {
    if (*valid_ms == 0)
        *valid_ms = MS_REPLICATE_VALID_MS;
    if (*valid_ms >= MS_REPLICATE_VALID_MS_MIN && *valid_ms <= MS_REPLICATE_VALID_MS_MAX)
        return MS_OK;
    return ms_fail(reterr, MS_RANGE,
                   "a replication blob is good for 1 minute to 24 hours, not for %" PRId64 " ms",
                   *valid_ms);
}

static enum ms_code seal(struct ms_svc *svc, const struct ms_replica_keys *keys,
                         struct telling *telling, int64_t valid_ms, struct ms_buf *ret_blob,
                         struct ms_error *reterr) {
    MS_AUTO(ms_replica_wipe) struct ms_buf plain = MS_BUF_MAX((size_t)4 << 20);
    int64_t now = ms_clock_now(svc->clock).ms;
    /* rounded down: the URLs are not older than the blob */
    const struct ms_replica_head head = {.asset = telling->replica.asset,
                                         .expires = {(now + valid_ms) / 1000 * 1000}};
    telling->replica.store = svc->store_id;
    MS_TRY(sign(svc, telling, valid_ms / 1000, reterr));
    MS_TRY(ms_replica_tell(&telling->replica, &plain, reterr));
    return ms_replica_seal(keys, svc->random, &head, ms_buf_view(&plain), ret_blob, reterr);
}

enum ms_code ms_replicate_info(struct ms_svc *svc, const struct ms_ctx *ctx,
                               struct ms_asset_id asset, int64_t valid_ms, struct ms_buf *ret_blob,
                               struct ms_error *reterr) {
    MS_AUTO(ms_replica_keys_fini) struct ms_replica_keys keys = {.n = 0};
    MS_AUTO(telling_free) struct telling *telling = calloc(1, sizeof *telling);
    struct ms_tree t;
    MS_TRY(check_valid(&valid_ms, reterr));
    MS_TRY(ms_replica_keys_load(svc->replication_keys, &keys, reterr));
    if (telling)
        telling->replica.files = calloc(MS_FILES_MAX, sizeof *telling->replica.files);
    if (!telling || !telling->replica.files)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a replication blob");
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    enum ms_code code = tell_asset(&t, asset, telling, reterr);
    ms_tree_read_end(&t);
    return code == MS_OK ? seal(svc, &keys, telling, valid_ms, ret_blob, reterr) : code;
}

/* ---- the stream ------------------------------------------------------------------------------ */

struct sending {
    struct ms_svc *svc;
    const struct ms_ctx *ctx;
    const struct ms_replicate_send *send;
    const struct ms_replica *replica;
    uint64_t done, total;
};

static enum ms_code ours(const struct sending *s, struct ms_error *reterr) {
    if (memcmp(s->replica->store.b, s->svc->store_id.b, MS_ID_BYTES) != 0)
        return ms_fail(reterr, MS_FOREIGN,
                       "the replication blob was made by another gateway, of store %s: the stream is "
                       "that one's to send",
                       ms_id_text(s->replica->store).s);
    if (!ms_tenant_id_equal(s->replica->tenant, s->ctx->tenant))
        return ms_fail(reterr, MS_FOREIGN, "the replication blob is about another tenant's asset");
    return MS_OK;
}

/* As it is now: a freeze holds from the next piece on. source: NULL: only whether it may. */
static enum ms_code look(const struct sending *s, const struct ms_replica_file *f,
                         struct ms_source *source, struct ms_error *reterr) {
    struct ms_tree_asset asset;
    struct ms_file_record file;
    struct ms_tree t;
    MS_TRY(ms_tree_read(&t, s->svc, s->ctx, reterr));
    enum ms_code code = may_replicate(&t, s->replica->asset, &asset, reterr);
    if (code == MS_OK && source) {
        code = ms_row_get_file(t.txn, ms_key_file(t.id, s->replica->asset, f->id), &file, reterr);
        if (code == MS_NOT_FOUND ||
            (code == MS_OK && memcmp(file.version.b, f->version.id.b, MS_ID_BYTES) != 0))
            code = ms_fail(reterr, MS_CONFLICT,
                           "\"%.150s\" was replaced since the replication blob was made: make a new "
                           "one",
                           f->name);
        if (code == MS_OK)
            code = ms_source_load(t.txn, t.id, f->version, source, reterr);
    }
    ms_tree_read_end(&t);
    return code;
}

static enum ms_code send_pieces(struct sending *s, const struct ms_replica_file *f,
                                const struct ms_source *source, uint8_t *piece,
                                struct ms_error *reterr) {
    for (uint64_t at = 0; at < source->size; at += PIECE_BYTES) {
        uint64_t left = source->size - at;
        size_t n = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
        if (at > 0)
            MS_TRY(look(s, f, NULL, reterr));
        if (left > n)
            ms_read_ahead(s->svc->cache, source, at + n, AHEAD_BYTES);
        MS_TRY(ms_read_run(s->svc->cache, source, at, n, piece, reterr));
        MS_TRY(ms_fd_write(s->send->fd, piece, n, reterr));
        s->done += n;
        MS_TRY(ms_replicate_goes_on(s->send->progress, s->send->priv, s->done, s->total, reterr));
    }
    return MS_OK;
}

static enum ms_code send_file(struct sending *s, const struct ms_replica_file *f, uint8_t *piece,
                              struct ms_error *reterr) {
    MS_AUTO(ms_source_fini) struct ms_source source = {.size = 0};
    MS_TRY(look(s, f, &source, reterr));
    return send_pieces(s, f, &source, piece, reterr);
}

enum ms_code ms_replicate_send(struct ms_svc *svc, const struct ms_ctx *ctx,
                               const struct ms_replicate_send *send, struct ms_error *reterr) {
    MS_AUTO(ms_replica_fini) struct ms_replica replica = {.n = 0};
    struct sending s = {.svc = svc, .ctx = ctx, .send = send, .replica = &replica};
    enum ms_code code = MS_OK;
    MS_TRY(ms_replicate_open(svc, send->blob, &replica, reterr));
    MS_TRY(ours(&s, reterr));
    s.total = ms_replica_bytes(&replica);
    uint8_t *piece = malloc(PIECE_BYTES);
    if (!piece)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory to send a file");
    for (size_t i = 0; code == MS_OK && i < replica.n; i++)
        code = send_file(&s, &replica.files[i], piece, reterr);
    free(piece);
    return code;
}
