/* The gateway that takes: an upload whose bytes come from another one. */
#include "service/replicate_part.h"

#include "base/fd.h"
#include "content/hash.h"
#include "content/stage.h"
#include "service/confirm_part.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE_BYTES ((size_t)1 << 20)

struct pulling {
    struct ms_svc *svc;
    const struct ms_ctx *ctx;
    const struct ms_replicate_pull *pull;
    struct ms_replica replica;
    struct ms_file_id file[MS_FILES_MAX]; /* here, in the order of the blob */
    struct ms_asset_id asset;             /* here */
    uint64_t done, total;
};

/* ---- may it be? ------------------------------------------------------------------------------ */

static enum ms_code may_pull(const struct pulling *p, struct ms_error *reterr) {
    const struct ms_replica *r = &p->replica;
    if (!p->ctx->admin && ms_asset_type_is_model(r->type))
        return ms_fail(reterr, MS_NOT_PERMITTED,
                       "copy of \"%.255s\" is refused: models and voices are copied by "
                       "administrators only",
                       r->name);
    for (size_t i = 0; p->pull->from < 0 && i < r->n; i++)
        if (!r->files[i].url)
            return ms_fail(reterr, MS_INVALID,
                           "the replication blob has no URL of \"%.100s\": its store signs none, or "
                           "had it not yet; pipe \"msasset replicate send BLOB\" there into "
                           "\"msasset replicate pull BLOB --from -\" here",
                           r->files[i].name);
    return MS_OK;
}

/* ---- the upload begins ----------------------------------------------------------------------- */

static enum ms_code create(struct pulling *p, struct ms_error *reterr) {
    const struct ms_replica *r = &p->replica;
    const struct ms_asset_new make = {
        .type = r->type,
        .origin = ms_asset_type_is_model(r->type) && r->origin != MS_ORIGIN_UPLOADED
                      ? MS_ORIGIN_CUSTOMIZED
                      : MS_ORIGIN_UPLOADED,
        .name = r->name,
        .description = r->description,
        .tags = r->tags};
    return ms_asset_create(p->svc, p->ctx, &make, &p->asset, reterr);
}

/* All of them before the first byte: a quota that does not hold them is known at once. */
static enum ms_code declare(struct pulling *p, struct ms_error *reterr) {
    for (size_t i = 0; i < p->replica.n; i++) {
        const struct ms_replica_file *f = &p->replica.files[i];
        const struct ms_declare declare = {.asset = p->asset,
                                           .category = f->category,
                                           .name = f->name,
                                           .md5 = f->has_md5 ? f->md5 : NULL,
                                           .size = f->size,
                                           .parts = 1,
                                           .large = f->size > 5 * MS_GB};
        struct ms_declared declared;
        MS_TRY(ms_file_declare(p->svc, p->ctx, &declare, &declared, reterr));
        p->file[i] = declared.file;
    }
    return MS_OK;
}

/* ---- bytes come ------------------------------------------------------------------------------ */

struct coming {
    struct pulling *p;
    int fd;
};

static enum ms_code keep(void *priv, const void *bytes, size_t n, struct ms_error *reterr) {
    struct coming *c = priv;
    struct pulling *p = c->p;
    for (size_t at = 0; at < n;) {
        ssize_t w = write(c->fd, (const char *)bytes + at, n - at);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return ms_fail_errno(reterr, errno, "cannot stage a file");
        at += (size_t)w;
    }
    p->done += n;
    return ms_replicate_goes_on(p->pull->progress, p->pull->priv, p->done, p->total, reterr);
}

static enum ms_code from_stream(struct coming *c, uint64_t size, struct ms_error *reterr) {
    uint8_t *piece = malloc(PIECE_BYTES);
    enum ms_code code = piece ? MS_OK : ms_fail(reterr, MS_NO_MEMORY, "no memory to read a stream");
    for (uint64_t at = 0; code == MS_OK && at < size;) {
        size_t n = size - at < PIECE_BYTES ? (size_t)(size - at) : PIECE_BYTES;
        code = ms_fd_read(c->p->pull->from, piece, n, reterr);
        if (code == MS_OK)
            code = keep(c, piece, n, reterr);
        at += n;
    }
    free(piece);
    return code;
}

static enum ms_code come(struct pulling *p, const struct ms_replica_file *f, int fd,
                         struct ms_error *reterr) {
    struct coming c = {p, fd};
    if (p->pull->from >= 0)
        return from_stream(&c, f->size, reterr);
    const struct ms_url_get get = {.url = f->url,
                                   .size = f->size,
                                   .engine = p->svc->engine,
                                   .tries_max = p->svc->tries_max,
                                   .take = keep,
                                   .priv = &c};
    return ms_url_get(&get, reterr);
}

/* ret_root: as this store makes it, with blocks of its own size. */
static enum ms_code check_root(const struct ms_replica_file *f, int fd, uint8_t ret_root[16],
                               struct ms_error *reterr) {
    MS_AUTO(ms_hashes_fini) struct ms_hashes h = {NULL, 0, 0};
    char is[33], told[33];
    uint64_t size;
    MS_TRY(ms_hash_fd(fd, f->block_log2, &h, &size, ret_root, NULL, NULL, reterr));
    if (size != f->size || memcmp(ret_root, f->root, sizeof f->root) != 0) {
        ms_root_format(f->root, told);
        ms_root_format(ret_root, is);
        return ms_fail(reterr, MS_MISMATCH,
                       "\"%.100s\" came as other bytes than the replication blob tells: root hash "
                       "%s instead of %s",
                       f->name, is, told);
    }
    if (f->block_log2 == MS_BLOCK_LOG2_DEFAULT)
        return MS_OK;
    ms_hashes_fini(&h);
    return ms_hash_fd(fd, MS_BLOCK_LOG2_DEFAULT, &h, &size, ret_root, NULL, NULL, reterr);
}

/* ---- one file -------------------------------------------------------------------------------- */

static enum ms_code confirm(struct pulling *p, size_t i, const uint8_t root[16],
                            struct ms_error *reterr) {
    const struct ms_confirm confirm = {
        .file = p->file[i], .as = MS_CONFIRM_CREATED, .root = root};
    struct ms_confirmed done;
    MS_TRY(ms_file_confirm(p->svc, p->ctx, &confirm, &done, reterr));
    if (done.verdict == MS_OK)
        return MS_OK;
    return ms_fail(reterr, done.verdict, "\"%.100s\" is refused here: %s",
                   p->replica.files[i].name, done.reason);
}

static enum ms_code bring_staged(struct pulling *p, size_t i, int fd, struct ms_error *reterr) {
    const struct ms_send send = {.file = p->file[i], .fd = fd};
    uint8_t root[16];
    MS_TRY(come(p, &p->replica.files[i], fd, reterr));
    MS_TRY(check_root(&p->replica.files[i], fd, root, reterr));
    MS_TRY(ms_file_send(p->svc, p->ctx, &send, reterr));
    return confirm(p, i, root, reterr);
}

static enum ms_code bring(struct pulling *p, size_t i, struct ms_error *reterr) {
    MS_AUTO(ms_scratch_close) struct ms_scratch scratch = {.journal = NULL};
    MS_TRY(ms_scratch_open(p->svc->journal, p->replica.files[i].size, &scratch, reterr));
    return bring_staged(p, i, scratch.fd, reterr);
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* Nothing is left of what failed; what cannot be deleted now fails by TIMEOUT and is swept. */
static void give_up(struct pulling *p) {
    const struct ms_asset_event gone = {
        .id = p->asset, .event = MS_EVENT_FORCE_DELETE, .why = "copy from another gateway failed"};
    struct ms_asset_info info;
    struct ms_error err = {0};
    uint64_t n;
    if (ms_asset_apply(p->svc, p->ctx, &gone, &info, &err) != MS_OK ||
        ms_ended_settle(p->svc, p->ctx->tenant, &n, &err) != MS_OK)
        ms_log_failure(p->svc->log, MS_LOG_DEBUG, "copy-not-given-up", &err, NULL);
}

static enum ms_code run(struct pulling *p, struct ms_error *reterr) {
    MS_TRY(create(p, reterr));
    enum ms_code code = declare(p, reterr);
    for (size_t i = 0; code == MS_OK && i < p->replica.n; i++)
        code = bring(p, i, reterr);
    if (code != MS_OK)
        give_up(p);
    return code;
}

enum ms_code ms_replicate_pull(struct ms_svc *svc, const struct ms_ctx *ctx,
                               const struct ms_replicate_pull *pull,
                               struct ms_asset_info *ret_info, struct ms_error *reterr) {
    struct pulling p = {.svc = svc, .ctx = ctx, .pull = pull};
    MS_TRY(ms_replicate_open(svc, pull->blob, &p.replica, reterr));
    p.total = ms_replica_bytes(&p.replica);
    enum ms_code code = may_pull(&p, reterr);
    if (code == MS_OK)
        code = run(&p, reterr);
    ms_replica_fini(&p.replica);
    return code == MS_OK ? ms_asset_get(svc, ctx, p.asset, ret_info, reterr) : code;
}
