/* drv_s3_upload.c — multipart uploads.
 *
 * Complete is asked for only when the store's own list of parts is what the caller names: S3 itself checks no sizes.
 * When the upload is gone, the reply of an earlier Complete may have been lost: then the object is looked at, and
 * its size and ETag (the MD5 of the parts' MD5s, and their number) say whether it is the one. RGW 16 answers Complete
 * with an empty ETag: wrap_verify.c takes HEAD's in any case.
 */
#include "object/drv_s3.h"

#include "base/assert.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#define COMPLETE_FIRST_BYTE_MS (120 * MS_SECOND_MS)
#define MD5_BYTES 16

enum ms_code ms_s3_mp_create(struct ms_obj *obj, struct ms_obj_request *r,
                             struct ms_error *reterr) {
    MS_AUTO(ms_s3_call_fini) struct ms_s3_call c = {0};
    MS_AUTO(ms_buf_fini) struct ms_buf meta = {0};
    enum ms_code code;

    ms_s3_call_init(&c, obj, r, "POST", r->key);
    c.replies = true;
    ms_s3_call_query(&c, "uploads", "");
    code = ms_s3_meta_to_headers(&c, r->meta, &meta, reterr);
    if (code == MS_OK)
        code = ms_s3_call_run(&c, reterr);
    if (code != MS_OK)
        return code;
    if (!c.reply.upload_id || strlen(c.reply.upload_id) > MS_UPLOAD_ID_MAX)
        return ms_fail(reterr, MS_PROTOCOL, "the store gave no usable upload id for %s", r->key);
    (void)snprintf(r->ret_upload_id, sizeof r->ret_upload_id, "%s", c.reply.upload_id);
    return MS_OK;
}

static void address_part(struct ms_s3_call *c, const struct ms_obj_request *r, char no[16]) {
    (void)snprintf(no, 16, "%" PRIu32, r->part_no);
    ms_s3_call_query(c, "partNumber", no);
    ms_s3_call_query(c, "uploadId", r->upload_id);
}

enum ms_code ms_s3_mp_put(struct ms_obj *obj, struct ms_obj_request *r, struct ms_error *reterr) {
    MS_AUTO(ms_s3_call_fini) struct ms_s3_call c = {0};
    char no[16];
    enum ms_code code;

    ms_s3_call_init(&c, obj, r, "PUT", r->key);
    c.body = &r->body;
    address_part(&c, r, no);
    code = ms_s3_call_run(&c, reterr);
    if (code == MS_OK)
        ms_s3_call_etag(&c, r->ret_etag);
    return code;
}

/* Stores differ in what they do with a range beyond the end (refuse, or cut it), so we look first. */
static enum ms_code check_source(struct ms_obj *obj, const struct ms_obj_request *r,
                                 struct ms_error *reterr) {
    struct ms_obj_request head = {.op = MS_OBJ_HEAD,
                                  .key = r->source_key,
                                  .timer = r->timer,
                                  .cancelled = ms_obj_is_cancelled(r)};
    enum ms_code code = ms_s3_head(obj, &head, reterr);

    ms_buf_fini(&head.ret_meta);
    if (code == MS_OK && (r->offset > head.ret_size || r->length > head.ret_size - r->offset))
        return ms_fail(reterr, MS_RANGE, "bytes %" PRIu64 "+%" PRIu64 " of %s, which has %" PRIu64,
                       r->offset, r->length, r->source_key, head.ret_size);
    return code;
}

static enum ms_code copy_part(struct ms_obj *obj, struct ms_obj_request *r,
                              struct ms_error *reterr) {
    MS_AUTO(ms_s3_call_fini) struct ms_s3_call c = {0};
    MS_AUTO(ms_buf_fini) struct ms_buf source = {0};
    char no[16], range[64];
    enum ms_code code;

    ms_s3_call_init(&c, obj, r, "PUT", r->key);
    c.replies = true;
    c.first_byte_ms = COMPLETE_FIRST_BYTE_MS;
    code = ms_s3_copy_source(c.s3, r->source_key, &source, reterr);
    if (code != MS_OK)
        return code;
    (void)snprintf(range, sizeof range, "bytes=%" PRIu64 "-%" PRIu64, r->offset,
                   r->offset + r->length - 1);
    address_part(&c, r, no);
    ms_s3_call_header(&c, "x-amz-copy-source", (const char *)source.data);
    ms_s3_call_header(&c, "x-amz-copy-source-range", range);
    code = ms_s3_call_run(&c, reterr);
    if (code != MS_OK)
        return code;
    (void)snprintf(r->ret_etag, sizeof r->ret_etag, "%.*s", MS_ETAG_MAX,
                   c.reply.etag ? c.reply.etag : "");
    ms_s3_unquote(r->ret_etag);
    return MS_OK;
}

enum ms_code ms_s3_mp_copy(struct ms_obj *obj, struct ms_obj_request *r, struct ms_error *reterr) {
    enum ms_code code = check_source(obj, r, reterr);

    if (code != MS_OK)
        return code;
    /* No range of HTTP is empty. */
    return r->length > 0 ? copy_part(obj, r, reterr) : ms_s3_mp_put(obj, r, reterr);
}

enum ms_code ms_s3_mp_abort(struct ms_obj *obj, struct ms_obj_request *r, struct ms_error *reterr) {
    MS_AUTO(ms_s3_call_fini) struct ms_s3_call c = {0};
    enum ms_code code;

    ms_s3_call_init(&c, obj, r, "DELETE", r->key);
    ms_s3_call_query(&c, "uploadId", r->upload_id);
    code = ms_s3_call_run(&c, reterr);
    return code == MS_NOT_FOUND ? MS_OK : code;
}

/* ---- MP_COMPLETE ----------------------------------------------------------------------------- */

/* Both ascend. */
static enum ms_code compare_parts(const struct ms_obj_request *r, const struct ms_obj_part *stored,
                                  size_t stored_n, struct ms_error *reterr) {
    size_t at = 0;

    for (size_t i = 0; i < r->parts_n; i++) {
        const struct ms_obj_part *want = &r->parts[i];

        while (at < stored_n && stored[at].part_no < want->part_no)
            at++;
        if (at == stored_n || stored[at].part_no != want->part_no)
            return ms_fail(reterr, MS_CONFLICT, "part %" PRIu32 " of %s was never sent",
                           want->part_no, r->key);
        if (strcmp(stored[at].etag, want->etag) != 0 || stored[at].size != want->size)
            return ms_fail(reterr, MS_CONFLICT,
                           "part %" PRIu32 " of %s is %s with %" PRIu64 " bytes; "
                           "named was %s with %" PRIu64,
                           want->part_no, r->key, stored[at].etag, stored[at].size, want->etag,
                           want->size);
    }
    return MS_OK;
}

static enum ms_code check_parts(struct ms_obj *obj, const struct ms_obj_request *r,
                                struct ms_error *reterr) {
    struct ms_obj_request list = {.op = MS_OBJ_MP_PARTS,
                                  .key = r->key,
                                  .upload_id = r->upload_id,
                                  .timer = r->timer,
                                  .cancelled = ms_obj_is_cancelled(r)};
    enum ms_code code = ms_s3_mp_parts(obj, &list, reterr);

    if (code == MS_OK)
        code = compare_parts(r, list.ret_parts, list.ret_n, reterr);
    ms_obj_drop_results(&list);
    return code;
}

static bool read_md5(const char *text, unsigned char ret_bytes[MD5_BYTES]) {
    static const char digits[] = "0123456789abcdef";

    if (strlen(text) != 2 * MD5_BYTES || strspn(text, digits) != 2 * MD5_BYTES)
        return false;
    for (size_t i = 0; i < MD5_BYTES; i++)
        ret_bytes[i] = (unsigned char)((strchr(digits, text[2 * i]) - digits) << 4 |
                                       (strchr(digits, text[2 * i + 1]) - digits));
    return true;
}

/* S3's ETag of a finished upload; false where the parts' ETags are no MD5s (encrypted by some keys). */
static bool expected_etag(const struct ms_obj_request *r, char ret_etag[MS_ETAG_MAX + 1]) {
    unsigned char bytes[MD5_BYTES], digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool is_known = md && EVP_DigestInit_ex(md, EVP_md5(), NULL) == 1;
    char text[2 * MD5_BYTES + 1];

    for (size_t i = 0; i < r->parts_n && is_known; i++)
        is_known = read_md5(r->parts[i].etag, bytes) && EVP_DigestUpdate(md, bytes, MD5_BYTES) == 1;
    is_known = is_known && EVP_DigestFinal_ex(md, digest, NULL) == 1;
    EVP_MD_CTX_free(md);
    for (size_t i = 0; i < MD5_BYTES && is_known; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", digest[i]);
    if (is_known)
        (void)snprintf(ret_etag, MS_ETAG_MAX + 1, "%s-%zu", text, r->parts_n);
    return is_known;
}

/* The upload is gone: was it completed? */
static enum ms_code judge_gone(struct ms_obj *obj, struct ms_obj_request *r,
                               struct ms_error *reterr) {
    struct ms_obj_request head = {
        .op = MS_OBJ_HEAD, .key = r->key, .timer = r->timer, .cancelled = ms_obj_is_cancelled(r)};
    struct ms_error err = {0};
    char etag[MS_ETAG_MAX + 1];
    uint64_t size = 0;
    enum ms_code code = ms_s3_head(obj, &head, &err);

    ms_buf_fini(&head.ret_meta);
    for (size_t i = 0; i < r->parts_n; i++)
        size += r->parts[i].size;
    if (code != MS_OK && code != MS_NOT_FOUND)
        return ms_fail(reterr, code, "%s", err.message);
    if (code == MS_NOT_FOUND || head.ret_size != size ||
        (expected_etag(r, etag) && strcmp(etag, head.ret_etag) != 0))
        return ms_fail(reterr, MS_NOT_FOUND,
                       "the store has no upload %s of %s, and no object that it "
                       "became",
                       r->upload_id, r->key);
    (void)snprintf(r->ret_etag, sizeof r->ret_etag, "%s", head.ret_etag);
    return MS_OK;
}

static enum ms_code add_parts(const struct ms_obj_request *r, struct ms_buf *xml,
                              struct ms_error *reterr) {
    enum ms_code code = ms_buf_addf(xml, reterr, "<CompleteMultipartUpload>");

    for (size_t i = 0; i < r->parts_n && code == MS_OK; i++) {
        code = ms_buf_addf(xml, reterr, "<Part><PartNumber>%" PRIu32 "</PartNumber><ETag>&quot;",
                           r->parts[i].part_no);
        if (code == MS_OK)
            code = ms_s3_xml_escape(xml, r->parts[i].etag, reterr);
        if (code == MS_OK)
            code = ms_buf_addf(xml, reterr, "&quot;</ETag></Part>");
    }
    return code == MS_OK ? ms_buf_addf(xml, reterr, "</CompleteMultipartUpload>") : code;
}

static enum ms_code complete(struct ms_obj *obj, struct ms_obj_request *r,
                             struct ms_error *reterr) {
    MS_AUTO(ms_s3_call_fini) struct ms_s3_call c = {0};
    MS_AUTO(ms_buf_fini) struct ms_buf xml = MS_BUF_MAX((size_t)4 << 20);
    struct ms_obj_body body;
    enum ms_code code = add_parts(r, &xml, reterr);

    if (code != MS_OK)
        return code;
    ms_s3_call_init(&c, obj, r, "POST", r->key);
    body = (struct ms_obj_body){.memory = ms_buf_view(&xml), .length = xml.len};
    c.body = &body;
    c.replies = true;
    c.first_byte_ms = COMPLETE_FIRST_BYTE_MS;
    ms_s3_call_query(&c, "uploadId", r->upload_id);
    ms_s3_call_header(&c, "content-type", "application/xml");
    code = ms_s3_call_run(&c, reterr);
    if (code != MS_OK)
        return code;
    (void)snprintf(r->ret_etag, sizeof r->ret_etag, "%.*s", MS_ETAG_MAX,
                   c.reply.etag ? c.reply.etag : "");
    ms_s3_unquote(r->ret_etag);
    return MS_OK;
}

enum ms_code ms_s3_mp_complete(struct ms_obj *obj, struct ms_obj_request *r,
                               struct ms_error *reterr) {
    enum ms_code code = check_parts(obj, r, reterr);

    if (code == MS_OK)
        code = complete(obj, r, reterr);
    return code == MS_NOT_FOUND ? judge_gone(obj, r, reterr) : code;
}
