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

static enum ms_code take_create(struct ms_s3_op *op, enum ms_code code, struct ms_error *reterr) {
    const char *id = op->call.reply.upload_id;
    struct ms_obj_request *r = op->request;

    if (code != MS_OK)
        return code;
    if (!id || strlen(id) > MS_UPLOAD_ID_MAX)
        return ms_fail(reterr, MS_PROTOCOL, "the store gave no usable upload id for %s", r->key);
    (void)snprintf(r->ret_upload_id, sizeof r->ret_upload_id, "%s", id);
    return MS_OK;
}

enum ms_code ms_s3_mp_create(struct ms_s3_op *op, struct ms_error *reterr) {
    struct ms_s3_call *c = ms_s3_op_call(op, "POST", op->request->key, take_create);

    c->replies = true;
    ms_s3_call_query(c, "uploads", "");
    return ms_s3_meta_to_headers(c, op->request->meta, reterr);
}

static void address_part(struct ms_s3_call *c, const struct ms_obj_request *r) {
    char no[16];

    (void)snprintf(no, sizeof no, "%" PRIu32, r->part_no);
    ms_s3_call_query(c, "partNumber", no);
    ms_s3_call_query(c, "uploadId", r->upload_id);
}

static enum ms_code take_part(struct ms_s3_op *op, enum ms_code code, struct ms_error *reterr) {
    (void)reterr;
    if (code == MS_OK)
        ms_s3_call_etag(&op->call, op->request->ret_etag);
    return code;
}

enum ms_code ms_s3_mp_put(struct ms_s3_op *op, struct ms_error *reterr) {
    struct ms_s3_call *c = ms_s3_op_call(op, "PUT", op->request->key, take_part);

    (void)reterr;
    c->body = &op->request->body;
    address_part(c, op->request);
    return MS_OK;
}

static enum ms_code take_copied(struct ms_s3_op *op, enum ms_code code, struct ms_error *reterr) {
    (void)reterr;
    if (code == MS_OK)
        ms_s3_etag_of_reply(op);
    return code;
}

static enum ms_code ask_part_copy(struct ms_s3_op *op, struct ms_error *reterr) {
    const struct ms_obj_request *r = op->request;
    struct ms_s3_call *c = ms_s3_op_call(op, "PUT", r->key, take_copied);
    char range[64];

    c->replies = true;
    c->first_byte_ms = COMPLETE_FIRST_BYTE_MS;
    (void)snprintf(range, sizeof range, "bytes=%" PRIu64 "-%" PRIu64, r->offset,
                   r->offset + r->length - 1);
    address_part(c, r);
    ms_s3_call_header(c, "x-amz-copy-source-range", range);
    return ms_s3_copy_source(c, r->source_key, reterr);
}

static enum ms_code take_source(struct ms_s3_op *op, enum ms_code code, struct ms_error *reterr) {
    const struct ms_obj_request *r = op->request;

    if (code != MS_OK)
        return code;
    if (r->offset > op->look.size || r->length > op->look.size - r->offset)
        return ms_fail(reterr, MS_RANGE, "bytes %" PRIu64 "+%" PRIu64 " of %s, which has %" PRIu64,
                       r->offset, r->length, r->source_key, op->look.size);
    /* No range of HTTP is empty. */
    op->ask = r->length > 0 ? ask_part_copy : ms_s3_mp_put;
    return MS_OK;
}

/* Stores differ in what they do with a range beyond the end (refuse, or cut it), so we look first. */
enum ms_code ms_s3_mp_copy(struct ms_s3_op *op, struct ms_error *reterr) {
    ms_s3_op_look(op, op->request->source_key, take_source);
    return MS_TAKE(op->ask)(op, reterr);
}

static enum ms_code take_aborted(struct ms_s3_op *op, enum ms_code code, struct ms_error *reterr) {
    (void)op;
    (void)reterr;
    return code == MS_NOT_FOUND ? MS_OK : code;
}

enum ms_code ms_s3_mp_abort(struct ms_s3_op *op, struct ms_error *reterr) {
    struct ms_s3_call *c = ms_s3_op_call(op, "DELETE", op->request->key, take_aborted);

    (void)reterr;
    ms_s3_call_query(c, "uploadId", op->request->upload_id);
    return MS_OK;
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
static enum ms_code judge_gone(struct ms_s3_op *op, enum ms_code code, struct ms_error *reterr) {
    struct ms_obj_request *r = op->request;
    char etag[MS_ETAG_MAX + 1];
    uint64_t size = 0;

    for (size_t i = 0; i < r->parts_n; i++)
        size += r->parts[i].size;
    if (code != MS_OK && code != MS_NOT_FOUND)
        return code;
    if (code == MS_NOT_FOUND || op->look.size != size ||
        (expected_etag(r, etag) && strcmp(etag, op->look.etag) != 0))
        return ms_fail(reterr, MS_NOT_FOUND,
                       "the store has no upload %s of %s, and no object that it "
                       "became",
                       r->upload_id, r->key);
    memcpy(r->ret_etag, op->look.etag, sizeof r->ret_etag);
    return MS_OK;
}

static enum ms_code end_or_look(struct ms_s3_op *op, enum ms_code code) {
    if (code != MS_NOT_FOUND)
        return code;
    ms_s3_op_look(op, op->request->key, judge_gone);
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

static enum ms_code take_complete(struct ms_s3_op *op, enum ms_code code,
                                  struct ms_error *reterr) {
    (void)reterr;
    if (code == MS_OK)
        ms_s3_etag_of_reply(op);
    return end_or_look(op, code);
}

static enum ms_code ask_complete(struct ms_s3_op *op, struct ms_error *reterr) {
    struct ms_s3_call *c = ms_s3_op_call(op, "POST", op->request->key, take_complete);
    enum ms_code code = add_parts(op->request, &c->xml, reterr);

    if (code != MS_OK)
        return code;
    ms_s3_call_xml_body(c);
    c->replies = true;
    c->first_byte_ms = COMPLETE_FIRST_BYTE_MS;
    ms_s3_call_query(c, "uploadId", op->request->upload_id);
    ms_s3_call_header(c, "content-type", "application/xml");
    return MS_OK;
}

/* All pages of the parts are there. */
static enum ms_code take_stored(struct ms_s3_op *op, enum ms_code code, struct ms_error *reterr) {
    if (code == MS_OK)
        code = compare_parts(op->request, op->parts, op->parts_n, reterr);
    if (code == MS_OK)
        op->ask = ask_complete;
    return end_or_look(op, code);
}

enum ms_code ms_s3_mp_complete(struct ms_s3_op *op, struct ms_error *reterr) {
    op->parts_then = take_stored;
    return ms_s3_ask_parts(op, reterr);
}
