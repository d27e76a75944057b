/* Declaring a file: row and reservation, then the multipart upload of its key, then its URLs. */
#include "service/confirm_part.h"
#include "service/file_image.h"

#include "model/derived.h"
#include "quota/quota.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- rules ----------------------------------------------------------------------------------- */

#define CAT(c) (1u << MS_CATEGORY_##c)
#define ANY_CATEGORY ((1u << MS_CATEGORY_COUNT) - 1)

/* metastudio-api.md 2.4; TEMPORARY replaces a MAIN, whatever the type is. */
static unsigned categories_of(enum ms_asset_type type) {
    switch (type) {
    case MS_TYPE_PPT:
        return CAT(MAIN) | CAT(COVER) | CAT(PAGE) | CAT(OTHER) | CAT(TEMPORARY);
    case MS_TYPE_VOICE_MODEL:
        return CAT(MAIN) | CAT(SAMPLE) | CAT(OTHER) | CAT(TEMPORARY);
    case MS_TYPE_HUMAN_MODEL_2D:
        return CAT(MAIN) | CAT(COVER) | CAT(SAMPLE) | CAT(OTHER) | CAT(TEMPORARY) | CAT(PACKAGE);
    case MS_TYPE_BUSINESS_CARD_TEMPLET:
    case MS_TYPE_VIDEO:
        return CAT(MAIN) | CAT(COVER) | CAT(TEMPORARY);
    case MS_TYPE_IMAGE:
        return CAT(MAIN) | CAT(TEMPORARY);
    case MS_TYPE_HUMAN_MODEL:
    case MS_TYPE_SCENE:
    case MS_TYPE_ANIMATION:
    case MS_TYPE_MATERIAL:
    case MS_TYPE_NORMAL_MODEL:
    case MS_TYPE_COMMON_FILE:
    case MS_TYPE_MUSIC:
    case MS_TYPE_AUDIO:
    case MS_TYPE_COUNT:
        break;
    }
    return ANY_CATEGORY;
}

static enum ms_code check_category(const struct ms_asset_record *asset, const struct ms_declare *d,
                                   struct ms_error *reterr) {
    unsigned allowed = categories_of((enum ms_asset_type)asset->type);
    if (d->large)
        allowed &= CAT(MAIN) | CAT(OTHER) | CAT(PACKAGE);
    if (allowed >> d->category & 1 || d->derived)
        return MS_OK;
    return ms_fail(reterr, MS_INVALID, "an asset of type %s takes no %s of category %s",
                   ms_asset_type_name((enum ms_asset_type)asset->type),
                   d->large ? "large file" : "file", ms_category_name(d->category));
}

/* What needs no row. */
static enum ms_code check_declare(const struct ms_declare *d, struct ms_error *reterr) {
    if ((unsigned)d->category >= MS_CATEGORY_COUNT)
        return ms_fail(reterr, MS_INVALID, "there is no such file category");
    if (d->parts < 1 || d->parts > MS_UPLOAD_PARTS_MAX || (d->parts > 1 && !d->large))
        return ms_fail(reterr, MS_RANGE,
                       "%" PRIu32 " parts; a large file has 1 to %d, any other file 1", d->parts,
                       MS_UPLOAD_PARTS_MAX);
    if (d->size == 0 && !d->large)
        return ms_fail(reterr, MS_RANGE, "the size must be declared: 1 to %" PRIu64 " bytes",
                       5 * MS_GB);
    uint64_t max = d->large ? MS_FILE_BYTES_MAX : 5 * MS_GB;
    if (d->size > max)
        return ms_fail(reterr, MS_TOO_LARGE,
                       "the file has %" PRIu64 " bytes; %s may have %" PRIu64 "%s", d->size,
                       d->large ? "a large file" : "it", max,
                       d->large ? "" : ": declare it as a large file");
    return MS_OK;
}

/* TEMPORARY gets the name of the path that it replaces, so its suffix cannot differ. */
static enum ms_code check_temporary(const struct ms_tree *t, const struct ms_tree_asset *asset,
                                    const char *name, struct ms_error *reterr) {
    struct ms_named named;
    char is[16], was[16];
    if (asset->rec.ino == 0)
        return ms_fail(reterr, MS_WRONG_STATE, "the asset has no MAIN that could be replaced");
    MS_TRY(ms_image_named(t, asset->rec.ino, &named, reterr));
    ms_name_suffix(name, is);
    ms_name_suffix(named.name, was);
    if (strcmp(is, was) != 0)
        return ms_fail(reterr, MS_WRONG_KIND,
                       "\"%.100s\" is to replace \"%.100s\": its suffix must be \"%s\"", name,
                       named.name, was);
    return MS_OK;
}

static enum ms_code check_name(const struct ms_tree *t, const struct ms_tree_asset *asset,
                               const struct ms_declare *d, struct ms_error *reterr) {
    struct ms_derived_name name;
    if (!d->derived && ms_derived_parse(d->name, &name))
        return ms_fail(reterr, MS_INVALID,
                       "\"%.150s\" is the name of what is derived from a file: give it another one",
                       d->name);
    if (d->category == MS_CATEGORY_TEMPORARY)
        MS_TRY(check_temporary(t, asset, d->name, reterr));
    if (d->category != MS_CATEGORY_MAIN && d->category != MS_CATEGORY_TEMPORARY)
        return MS_OK;
    return ms_confirm_judge_name(&asset->rec, d->name, d->size, d->large, reterr);
}

enum ms_code ms_files_room(unsigned n, struct ms_error *reterr) {
    if (n >= MS_FILES_MAX)
        return ms_fail(reterr, MS_RANGE, "the asset has %u files; at most %d are allowed", n, MS_FILES_MAX);
    return MS_OK;
}

/* One MAIN, one COVER, one TEMPORARY at a time; those that failed or were cancelled do not count, nor
 * does one that waits for review: a further one replaces it. */
static enum ms_code check_others(const struct ms_tree *t, const struct ms_tree_asset *asset,
                                 const struct ms_declare *d, const struct ms_held *held,
                                 uint64_t *ret_main_bytes, struct ms_error *reterr) {
    struct ms_key prefix = ms_key_files_of(t->id, (struct ms_asset_id){asset->rec.id});
    struct ms_scan scan;
    struct ms_view key;
    struct ms_file_record file;
    unsigned n = 0;
    enum ms_code code;
    bool single = d->category == MS_CATEGORY_MAIN || d->category == MS_CATEGORY_COVER ||
                  d->category == MS_CATEGORY_TEMPORARY;
    ms_scan_prefix(&scan, t->txn, ms_key_view(&prefix));
    while ((code = ms_row_next_file(&scan, &key, &file, reterr)) == MS_OK) {
        bool over = file.state == MS_FILE_CANCELLED ||
                    (file.state == MS_FILE_FAILED &&
                     ms_version_id_is_none((struct ms_version_id){file.version})) ||
                    ms_file_id_equal((struct ms_file_id){file.id}, held->file);
        n++;
        if (memcmp(file.id.b, asset->rec.main_file.b, MS_ID_BYTES) == 0)
            *ret_main_bytes = ms_version_id_is_none((struct ms_version_id){file.version})
                                  ? 0
                                  : file.size;
        if (single && !over && file.category == d->category) {
            code = ms_fail(reterr, MS_EXISTS, "the asset has a %s file already: \"%.150s\", %s",
                           ms_category_name(d->category), file.name,
                           ms_file_state_name((enum ms_file_state)file.state));
            break;
        }
    }
    ms_scan_end(&scan);
    MS_TRY(ms_absent_is_fine(code, reterr));
    return ms_files_room(n, reterr);
}

/* ---- the commit ------------------------------------------------------------------------------ */

struct declared {
    struct ms_declared pub;
    char key[MS_OBJECT_KEY_MAX + 1];
    struct ms_object_id object;
    struct ms_asset_id asset;
};

/* What the file will add to what is metered, now. */
static enum ms_code reserve(const struct ms_tree *t, const struct ms_asset_record *asset,
                            const struct ms_declare *d, uint64_t main_bytes, uint64_t *ret_bytes,
                            struct ms_error *reterr) {
    struct ms_usage_record usage;
    enum ms_class class = ms_class_of(asset->origin, asset->type, asset->created, t->now);
    uint64_t need = d->size;
    if (d->category == MS_CATEGORY_TEMPORARY)
        need = ms_quota_overwrite_needs(main_bytes, d->size);
    *ret_bytes = 0;
    if (!ms_class_is_metered(class) || need == 0)
        return MS_OK;
    MS_TRY(ms_usage_now(t->txn, t->id, t->now, t->unasked, &usage, reterr));
    uint64_t left = ms_usage_left(&t->tenant, &usage);
    if (need > left)
        return ms_fail(reterr, MS_QUOTA,
                       "the file needs %" PRIu64 " bytes; tenant %s has %" PRIu64
                       " left: delete something for good, or buy a package",
                       need, t->tenant.name, left);
    *ret_bytes = need;
    return MS_OK;
}

static void fill_rows(const struct ms_tree *t, const struct ms_declare *d, struct declared *o,
                      struct ms_file_record *file, struct ms_upload_record *upload) {
    struct ms_instant due = ms_instant_add_ms(t->now, MS_UPLOAD_DUE_MS);
    ms_txn_random(t->txn, file->id.b, sizeof file->id.b);
    ms_txn_random(t->txn, upload->object.b, sizeof upload->object.b);
    upload->file = file->id;
    upload->asset = d->asset.id;
    upload->large = d->large;
    upload->parts = d->parts;
    upload->size = d->size;
    upload->due = due;
    ms_tree_object_key(d->asset, (struct ms_file_id){file->id}, 1, file->name, upload->key);
    file->category = (uint8_t)d->category;
    file->state = MS_FILE_CREATING;
    file->size = d->size;
    file->declared = t->now;
    file->confirm_due = due;
    file->has_md5 = d->md5 != NULL;
    if (d->md5)
        memcpy(file->md5, d->md5, sizeof file->md5);
    o->pub.file.id = file->id;
    o->pub.until = due;
    o->object.id = upload->object;
    o->asset = d->asset;
    memcpy(o->key, upload->key, sizeof o->key);
}

/* The first MAIN has no time of its own: it must be confirmed within the asset's 24 h. */
static struct ms_instant told_until(const struct ms_tree_asset *asset, const struct ms_declare *d,
                                    struct ms_instant due) {
    struct ms_instant own = asset->life.confirm_due;
    bool first = d->category == MS_CATEGORY_MAIN && !ms_instant_is_none(own);
    return first && own.ms < due.ms ? own : due;
}

static enum ms_code declare_op(struct ms_txn *txn, const void *in, void *out,
                               struct ms_error *reterr) {
    const struct ms_declare *d = ((const struct ms_tree_call *)in)->args;
    struct ms_file_record file = {.size = 0};
    struct ms_upload_record upload = {.size = 0};
    struct ms_tree_asset asset;
    struct ms_held held;
    struct ms_tree t;
    uint64_t main_bytes = 0;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_asset_load(&t, d->asset, &asset, reterr));
    MS_TRY(ms_held_of(&t, &asset.rec, &held, reterr));
    if (d->category == MS_CATEGORY_MAIN) /* the second one is named for what it is */
        MS_TRY(check_others(&t, &asset, d, &held, &main_bytes, reterr));
    MS_TRY(ms_asset_takes_file(&t, &asset, d->category, "declaring a file", reterr));
    MS_TRY(check_category(&asset.rec, d, reterr));
    MS_TRY(ms_text_take("the file's name", d->name, false, 256, sizeof file.name - 1, file.name, reterr));
    if (file.name[0] == '\0')
        return ms_fail(reterr, MS_INVALID, "the file has no name");
    MS_TRY(check_name(&t, &asset, d, reterr));
    if (d->category != MS_CATEGORY_MAIN)
        MS_TRY(check_others(&t, &asset, d, &held, &main_bytes, reterr));
    main_bytes = ms_held_base(ms_held_waits(&t, &asset.life, &held), &held, main_bytes);
    MS_TRY(reserve(&t, &asset.rec, d, main_bytes, &upload.reserved, reterr));
    fill_rows(&t, d, out, &file, &upload);
    struct ms_declared *told = &((struct declared *)out)->pub;
    told->until = told_until(&asset, d, told->until);
    MS_TRY(ms_change_upload_begin(txn, t.id, &file, &upload, reterr));
    if (d->category == MS_CATEGORY_MAIN)
        asset.rec.main_file = file.id;
    asset.rec.updated = t.now;
    MS_TRY(ms_row_put_asset(txn, ms_key_asset(t.id, d->asset), &asset.rec, reterr));
    return ms_change_file_note(txn, &t.tenant, t.who, &asset.rec, MS_AUDIT_FILE_DECLARED, t.now,
                          file.name, reterr);
}

/* ---- the multipart upload -------------------------------------------------------------------- */

/* What the API's clients must send: metastudio-api.md section 3. */
static const char *content_type_of(const char *suffix) {
    static const char *const types[][2] = {
        {"gif", "image/gif"},  {"jpg", "image/jpeg"}, {"jpeg", "image/jpeg"},
        {"png", "image/png"},  {"mp4", "video/mp4"},  {"mp3", "audio/mp3"},
        {"wav", "audio/wav"},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(types); i++)
        if (strcmp(suffix, types[i][0]) == 0)
            return types[i][1];
    return "application/octet-stream";
}

struct opened {
    struct ms_file_id file;
    const char *upload_id;
};

/* Somebody else may have opened one meanwhile; then ours is the one too many, which gc aborts. */
static enum ms_code opened_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    const struct opened *a = ((const struct ms_tree_call *)in)->args;
    struct ms_upload_record upload;
    struct ms_tree t;
    (void)out;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_row_get_upload(txn, ms_key_upload(t.id, a->file), &upload, reterr));
    if (upload.upload_id[0])
        return ms_fail(reterr, MS_CONFLICT, "the upload was opened by another call meanwhile");
    (void)snprintf(upload.upload_id, sizeof upload.upload_id, "%s", a->upload_id);
    return ms_row_put_upload(txn, ms_key_upload(t.id, a->file), &upload, reterr);
}

struct birth {
    char object[MS_ID_TEXT_LEN + 1], asset[MS_ID_TEXT_LEN + 1], tenant[MS_ID_TEXT_LEN + 1];
    char name[3 * MS_NAME_BYTES_MAX + 1], at[MS_RFC3339_MS_LEN + 1], suffix[16];
};

/* The row is committed: from here on the store may have something under the key. */
static enum ms_code open_upload(struct ms_svc *svc, const struct ms_ctx *ctx,
                                const struct declared *d, const struct ms_declare *asked,
                                struct ms_error *reterr) {
    const char *name = asked->name;
    struct birth b;
    ms_id_format(d->object.id, b.object);
    ms_id_format(d->asset.id, b.asset);
    ms_id_format(ctx->tenant.id, b.tenant);
    ms_instant_format_ms(ms_clock_now(svc->clock), b.at);
    ms_birth_name(name, b.name, sizeof b.name);
    ms_name_suffix(name, b.suffix);
    const struct ms_obj_meta meta = {
        .content_type = ms_content_type("application/octet-stream", b.suffix),
        .pair = {{"object", b.object},
                 {"asset", b.asset},
                 {"tenant", b.tenant},
                 {"name", b.name},
                 {"created", b.at},
                 {"category", ms_category_name(asked->category)}},
        .pairs = 6};
    struct ms_obj_request create = {.op = MS_OBJ_MP_CREATE, .key = d->key, .meta = &meta};
    MS_TRY(ms_obj_run(svc->obj, &create, reterr));
    const struct opened opened = {d->pub.file, create.ret_upload_id};
    return ms_tree_write(svc, ctx, opened_op, &opened, NULL, 0, reterr);
}

/* ---- entry points ---------------------------------------------------------------------------- */

enum ms_code ms_file_declare(struct ms_svc *svc, const struct ms_ctx *ctx,
                             const struct ms_declare *d, struct ms_declared *ret_declared,
                             struct ms_error *reterr) {
    struct declared out;
    MS_TRY(check_declare(d, reterr));
    if (!svc->obj->caps.multipart)
        return ms_fail(reterr, MS_UNSUPPORTED,
                       "the object store has no multipart uploads: use msasset put");
    MS_TRY(ms_tree_write_metered(svc, ctx, declare_op, d, &out, sizeof out, reterr));
    MS_TRY(open_upload(svc, ctx, &out, d, reterr));
    *ret_declared = out.pub;
    return MS_OK;
}

/* ---- URLs ------------------------------------------------------------------------------------ */

static void base64_of(const uint8_t md5[16], char ret_text[25]) {
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (unsigned i = 0, o = 0; i < 16; i += 3) {
        uint32_t v = (uint32_t)md5[i] << 16;
        v |= i + 1 < 16 ? (uint32_t)md5[i + 1] << 8 : 0;
        v |= i + 2 < 16 ? md5[i + 2] : 0;
        ret_text[o++] = digit[v >> 18];
        ret_text[o++] = digit[v >> 12 & 63];
        ret_text[o++] = i + 1 < 16 ? digit[v >> 6 & 63] : '=';
        ret_text[o++] = i + 2 < 16 ? digit[v & 63] : '=';
    }
    ret_text[24] = '\0';
}

enum ms_code ms_declared_open(struct ms_svc *svc, const struct ms_ctx *ctx, struct ms_file_id file,
                              struct ms_declared_rows *ret_rows, int64_t *ret_left_ms,
                              struct ms_error *reterr) {
    struct ms_declared_rows *rows = ret_rows;
    struct ms_tree t;
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    enum ms_code code = ms_declared_load(&t, file, rows, reterr);
    if (code == MS_OK)
        code = ms_declared_may(&t, rows, "uploading", reterr);
    if (code == MS_OK && ret_left_ms)
        *ret_left_ms =
            ms_upload_ends(&t.tenant, &rows->asset.life, &rows->file, t.now).ms - t.now.ms;
    ms_tree_read_end(&t);
    if (code == MS_OK && rows->upload.upload_id[0] == '\0')
        return ms_fail(reterr, MS_UNAVAILABLE,
                       "the object store could not open the upload when the file was declared: "
                       "cancel it and declare it again");
    return code;
}

enum ms_code ms_file_url(struct ms_svc *svc, const struct ms_ctx *ctx, struct ms_file_id file,
                         uint32_t part_no, struct ms_buf *ret_url, struct ms_buf *ret_headers,
                         struct ms_error *reterr) {
    struct ms_declared_rows rows;
    char md5[25], suffix[16];
    int64_t left_ms = 0;
    if (!svc->obj->caps.presign_put)
        return ms_fail(reterr, MS_UNSUPPORTED,
                       "the object store signs no URLs: the bytes are sent with msasset upload");
    MS_TRY(ms_declared_open(svc, ctx, file, &rows, &left_ms, reterr));
    if (part_no < 1 || part_no > rows.upload.parts)
        return ms_fail(reterr, MS_RANGE, "part %" PRIu32 "; the file was declared with %" PRIu32,
                       part_no, rows.upload.parts);
    base64_of(rows.file.md5, md5);
    ms_name_suffix(rows.file.name, suffix);
    int64_t day = MS_UPLOAD_DUE_MS, seconds = (left_ms < day ? left_ms : day) / 1000;
    struct ms_obj_presign what = {.op = MS_OBJ_MP_PUT,
                                  .key = rows.upload.key,
                                  .expires_s = seconds > 0 ? seconds : 1,
                                  .upload_id = rows.upload.upload_id,
                                  .part_no = part_no,
                                  .any_length = rows.upload.large};
    if (!rows.upload.large) {
        what.content_length = rows.upload.size;
        what.content_md5 = rows.file.has_md5 ? md5 : NULL;
        what.content_type = content_type_of(suffix);
    }
    return ms_obj_presign(svc->obj, &what, ret_url, ret_headers, reterr);
}
