#include "service/fetch.h"

#include "base/fd.h"
#include "service/confirm_part.h"
#include "service/file_image.h"
#include "service/upkeep_walk.h"

#include <inttypes.h>
#include <stdlib.h>

#define PIECE_BYTES ((size_t)1 << 20)
#define AHEAD_BYTES ((size_t)16 << 20)

static enum ms_code go_on(const struct ms_get *get, uint64_t done, uint64_t total,
                          struct ms_error *reterr) {
    if (!get->progress || get->progress(get->priv, done, total))
        return MS_OK;
    return ms_fail(reterr, MS_CANCELLED, "cancelled after %" PRIu64 " of %" PRIu64 " bytes", done,
                   total);
}

static enum ms_code copy_out(const struct ms_fetch *f, const struct ms_source *source,
                             uint8_t *piece, struct ms_error *reterr) {
    for (uint64_t at = 0; at < source->size;) {
        uint64_t left = source->size - at;
        size_t n = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
        if (left > n)
            ms_read_ahead(f->svc->cache, source, at + n, AHEAD_BYTES);
        MS_TRY(ms_read_run(f->svc->cache, source, at, n, piece, reterr));
        MS_TRY(ms_fd_write(f->get->fd, piece, n, reterr));
        at += n;
        MS_TRY(go_on(f->get, at, source->size, reterr));
        if (at < source->size)
            MS_TRY(f->may(f->of, NULL, reterr));
    }
    return MS_OK;
}

enum ms_code ms_fetch(const struct ms_fetch *fetch, struct ms_error *reterr) {
    struct ms_source source = {.size = 0};
    uint8_t *piece = malloc(PIECE_BYTES);
    if (!piece)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory to copy a file");
    enum ms_code code = fetch->may(fetch->of, &source, reterr);
    if (code == MS_OK)
        code = copy_out(fetch, &source, piece, reterr);
    ms_source_fini(&source);
    free(piece);
    return code;
}

/* ---- files beside MAIN ----------------------------------------------------------------------- */

struct beside {
    struct ms_svc *svc;
    const struct ms_ctx *ctx;
    struct ms_file_id file;
};

static enum ms_code check(const struct ms_tree *t, const struct ms_declared_rows *rows,
                          struct ms_error *reterr) {
    if (rows->file.category == MS_CATEGORY_MAIN)
        return ms_fail(reterr, MS_INVALID, "file %s is MAIN of its asset: it is read by the asset's path or id",
                       ms_id_text(rows->file.id).s);
    /* By the life cycle alone: what is never readable of a model or voice is its MAIN. */
    const struct ms_mask mask = ms_tenant_mask(&t->tenant, t->now);
    if (!(ms_lc_rights(&rows->asset.life, mask) & MS_RIGHT_READ))
        return ms_tree_refused(t, &rows->asset, ms_lc_why(&rows->asset.life, mask, MS_RIGHT_READ),
                               "read", reterr);
    if (ms_version_id_is_none((struct ms_version_id){rows->file.version}))
        return ms_fail(reterr, MS_WRONG_STATE, "file %s has no bytes: it is %s",
                       ms_id_text(rows->file.id).s,
                       ms_file_state_name((enum ms_file_state)rows->file.state));
    return MS_OK;
}

static enum ms_code may_beside(void *of, struct ms_source *source, struct ms_error *reterr) {
    const struct beside *b = of;
    struct ms_declared_rows rows;
    struct ms_error err = {0};
    struct ms_tree t;
    MS_TRY(ms_tree_read(&t, b->svc, b->ctx, reterr));
    enum ms_code code = ms_declared_load(&t, b->file, &rows, &err);
    if (code == MS_OK)
        code = check(&t, &rows, &err);
    if (code == MS_OK && source)
        code = ms_source_load(t.txn, t.id, (struct ms_version_id){rows.file.version}, source, &err);
    ms_tree_read_end(&t);
    return ms_pass_up(code, &err, reterr);
}

enum ms_code ms_file_fetch(struct ms_svc *svc, const struct ms_ctx *ctx, struct ms_file_id file,
                           const struct ms_get *get, struct ms_error *reterr) {
    struct beside beside = {svc, ctx, file};
    const struct ms_fetch fetch = {svc, get, may_beside, &beside};
    return ms_fetch(&fetch, reterr);
}
