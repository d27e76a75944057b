/* What the store has of a declared file: completed, read once, hashed and judged. */
#include "service/confirm_part.h"
#include "service/file_image.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_BYTES ((size_t)4 << 20)
#define COMPLETE_TRIES 5

void ms_found_bytes_fini(struct ms_found_bytes *found) { ms_hashes_fini(&found->hashes); }

/* ---- completing ------------------------------------------------------------------------------ */

/* Parts as the store shows them now. MS_NOT_FOUND: the upload is over, perhaps completed. */
static enum ms_code list_parts(struct ms_svc *svc, const struct ms_upload_record *upload,
                               struct ms_obj_request *list, uint64_t *ret_total,
                               struct ms_error *reterr) {
    *list = (struct ms_obj_request){
        .op = MS_OBJ_MP_PARTS, .key = upload->key, .upload_id = upload->upload_id};
    *ret_total = 0;
    MS_TRY(ms_obj_run(svc->obj, list, reterr));
    for (size_t i = 0; i < list->ret_n; i++)
        *ret_total += list->ret_parts[i].size;
    return MS_OK;
}

static enum ms_code nothing_came(const struct ms_declared_rows *rows, struct ms_error *reterr) {
    return ms_fail(reterr, MS_NOT_FOUND,
                   "no byte of \"%.150s\" has come: upload it, then confirm it", rows->file.name);
}

/* Another size than declared: it is not even completed. */
static enum ms_code complete_once(struct ms_svc *svc, const struct ms_declared_rows *rows,
                                  struct ms_found_bytes *found, struct ms_error *reterr) {
    const struct ms_upload_record *upload = &rows->upload;
    struct ms_obj_request list, complete;
    enum ms_code code = list_parts(svc, upload, &list, &found->size, reterr);
    if (code != MS_OK)
        return code;
    found->complete = false;
    if (found->size == 0)
        code = nothing_came(rows, reterr);
    else if (upload->size == 0 || found->size == upload->size) {
        complete = (struct ms_obj_request){.op = MS_OBJ_MP_COMPLETE,
                                           .key = upload->key,
                                           .upload_id = upload->upload_id,
                                           .parts = list.ret_parts,
                                           .parts_n = list.ret_n};
        code = ms_obj_run(svc->obj, &complete, reterr);
        found->complete = code == MS_OK;
    }
    free(list.ret_parts);
    return code;
}

/* Of an object that stands: its size and ETag. */
static enum ms_code head(struct ms_svc *svc, const struct ms_declared_rows *rows,
                         struct ms_found_bytes *found, struct ms_error *reterr) {
    struct ms_obj_request request = {.op = MS_OBJ_HEAD, .key = rows->upload.key};
    enum ms_code code = ms_obj_run(svc->obj, &request, reterr);
    ms_buf_fini(&request.ret_meta);
    if (code == MS_NOT_FOUND)
        return nothing_came(rows, reterr);
    if (code != MS_OK)
        return code;
    found->size = request.ret_size;
    found->complete = found->size > 0;
    memcpy(found->etag, request.ret_etag, sizeof found->etag);
    return found->complete ? MS_OK : nothing_came(rows, reterr);
}

/* Who was killed, or refused, behind a completion finds the object under its key. A part that a URL
 * replaces between the list and the completion shows as MS_CONFLICT: what it has by then counts. */
static enum ms_code complete(struct ms_svc *svc, const struct ms_declared_rows *rows,
                             struct ms_found_bytes *found, struct ms_error *reterr) {
    struct ms_error err = {0};
    enum ms_code code = MS_CONFLICT;
    if (rows->upload.upload_id[0] == '\0')
        return nothing_came(rows, reterr);
    for (unsigned i = 0; i < COMPLETE_TRIES && code == MS_CONFLICT; i++)
        code = complete_once(svc, rows, found, &err);
    bool over = code == MS_NOT_FOUND && !found->complete && found->size == 0;
    if (over || (code == MS_OK && found->complete))
        return head(svc, rows, found, reterr);
    if (code != MS_OK && reterr)
        *reterr = err;
    return code;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct reading {
    struct ms_svc *svc;
    const struct ms_declared_rows *rows;
    const struct ms_confirm *confirm;
    struct ms_found_bytes *found;
    EVP_MD_CTX *md5;
    uint8_t *buffer;
};

static enum ms_code take_piece(struct reading *r, uint64_t at, size_t n, struct ms_error *reterr) {
    size_t block = (size_t)1 << MS_BLOCK_LOG2_DEFAULT;
    for (size_t from = 0; from < n; from += block)
        r->found->hashes.hash[(at + from) >> MS_BLOCK_LOG2_DEFAULT] =
            ms_block_hash(r->buffer + from, n - from < block ? n - from : block);
    if (EVP_DigestUpdate(r->md5, r->buffer, n) != 1)
        return ms_fail(reterr, MS_INTERNAL, "OpenSSL cannot make an MD5");
    if (at == 0)
        MS_TRY(ms_files_identify(r->svc->files, r->buffer, n < MS_MEDIA_BYTES ? n : MS_MEDIA_BYTES,
                                 r->found->media_type, reterr));
    if (!r->confirm->progress ||
        r->confirm->progress(r->confirm->priv, at + n, r->found->size))
        return MS_OK;
    return ms_fail(reterr, MS_CANCELLED,
                   "cancelled after %" PRIu64 " of %" PRIu64 " bytes; confirm it again", at + n,
                   r->found->size);
}

static enum ms_code read_all(struct reading *r, struct ms_error *reterr) {
    struct ms_found_bytes *found = r->found;
    unsigned n = sizeof found->md5;
    MS_TRY(ms_hashes_resize(&found->hashes, ms_block_count(found->size, MS_BLOCK_LOG2_DEFAULT),
                            reterr));
    if (EVP_DigestInit_ex(r->md5, EVP_md5(), NULL) != 1)
        return ms_fail(reterr, MS_INTERNAL, "OpenSSL has no MD5");
    for (uint64_t at = 0; at < found->size; at += READ_BYTES) {
        uint64_t left = found->size - at;
        struct ms_obj_request get = {.op = MS_OBJ_GET,
                                     .key = r->rows->upload.key,
                                     .offset = at,
                                     .length = left < READ_BYTES ? left : READ_BYTES,
                                     .into = r->buffer};
        MS_TRY(ms_obj_run(r->svc->obj, &get, reterr));
        MS_TRY(take_piece(r, at, (size_t)get.length, reterr));
    }
    if (EVP_DigestFinal_ex(r->md5, found->md5, &n) != 1)
        return ms_fail(reterr, MS_INTERNAL, "OpenSSL cannot end an MD5");
    ms_hashes_root(&found->hashes, found->size, found->root);
    return MS_OK;
}

enum ms_code ms_found_bytes(struct ms_svc *svc, const struct ms_declared_rows *rows,
                            const struct ms_confirm *confirm, struct ms_found_bytes *found,
                            struct ms_error *reterr) {
    struct reading r = {.svc = svc, .rows = rows, .confirm = confirm, .found = found};
    MS_TRY(complete(svc, rows, found, reterr));
    if (!found->complete || (rows->upload.size != 0 && found->size != rows->upload.size))
        return MS_OK;
    r.md5 = EVP_MD_CTX_new();
    r.buffer = malloc(READ_BYTES);
    enum ms_code code = r.md5 && r.buffer
                            ? read_all(&r, reterr)
                            : ms_fail(reterr, MS_NO_MEMORY, "no memory to read an upload");
    free(r.buffer);
    EVP_MD_CTX_free(r.md5);
    if (code == MS_OK)
        code = ms_probe_object(svc, svc->obj, rows->upload.key, found->size, found->media_type,
                               &found->probed, reterr);
    return code;
}

/* ---- judging --------------------------------------------------------------------------------- */

static enum ms_code check_size(const struct ms_asset_record *asset, uint64_t size, bool large,
                               struct ms_error *reterr) {
    enum ms_asset_type type = (enum ms_asset_type)asset->type;
    uint64_t max = ms_asset_type_bytes_max(type, large);
    if (size <= max)
        return MS_OK;
    return ms_fail(reterr, MS_TOO_LARGE,
                   "the file has %" PRIu64 " bytes; as %s it may have %" PRIu64 "%s", size,
                   ms_asset_type_name(type), max,
                   !large && ms_asset_type_takes_any(type) ? ": declare it as a large file" : "");
}

enum ms_code ms_confirm_judge_name(const struct ms_asset_record *asset, const char *name,
                                   uint64_t size, bool large, struct ms_error *reterr) {
    enum ms_asset_type type = (enum ms_asset_type)asset->type;
    if (!ms_asset_type_takes_any(type) &&
        ms_asset_type_of_name(name, ms_asset_type_folder(type), false) != type)
        return ms_fail(reterr, MS_WRONG_KIND, "\"%.150s\" has no suffix of an asset of type %s",
                       name, ms_asset_type_name(type));
    return check_size(asset, size, large, reterr);
}

enum ms_code ms_confirm_judge(const struct ms_asset_record *asset, const char *name,
                              const struct ms_found_bytes *found, bool large,
                              const struct ms_limits *limits, struct ms_error *reterr) {
    const struct ms_content content = {.facts = found->probed.there ? &found->probed.facts : NULL,
                                       .name = name,
                                       .type = (enum ms_asset_type)asset->type,
                                       .size = found->size};
    char suffix[16];
    ms_name_suffix(name, suffix);
    MS_TRY(check_size(asset, found->size, large, reterr));
    MS_TRY(ms_asset_type_fits(content.type, suffix, found->media_type, reterr));
    return ms_content_accept(limits, &content, reterr);
}
