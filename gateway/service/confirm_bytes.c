/* The bytes of a declared file, sent by this program: parts of the same upload that URLs are for. */
#include "service/confirm_part.h"

#include "content/parts.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LANES 4

struct lane {
    struct ms_obj_request request;
    struct sending *of;
    bool busy, done;
};

struct sending {
    struct ms_svc *svc;
    const struct ms_send *send;
    const struct ms_upload_record *upload;
    uint64_t size, offset, sent;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct lane lane[LANES];
};

static void part_done(struct ms_obj_request *request) {
    struct lane *lane = request->priv;
    pthread_mutex_lock(&lane->of->mutex);
    lane->done = true;
    pthread_cond_signal(&lane->of->cond); /* under the lock: who waits destroys both */
    pthread_mutex_unlock(&lane->of->mutex);
}

static void send_part(struct sending *s, struct lane *lane) {
    struct ms_part_range range = ms_part_at(s->offset);
    uint64_t left = s->size - s->offset;
    uint64_t length = range.length < left ? range.length : left;
    *lane = (struct lane){.request = {.op = MS_OBJ_MP_PUT,
                                      .key = s->upload->key,
                                      .upload_id = s->upload->upload_id,
                                      .part_no = range.part_no,
                                      .part_offset = range.offset,
                                      .body = {.fd = s->send->fd,
                                               .fd_offset = s->offset,
                                               .length = length},
                                      .done = part_done,
                                      .priv = lane},
                          .of = s,
                          .busy = true};
    s->offset += length;
    ms_obj_submit(s->svc->obj, &lane->request);
}

static void wait_part(struct sending *s, struct lane *lane) {
    pthread_mutex_lock(&s->mutex);
    while (!lane->done)
        pthread_cond_wait(&s->cond, &s->mutex);
    pthread_mutex_unlock(&s->mutex);
    lane->busy = false;
}

static enum ms_code go_on(struct sending *s, struct ms_error *reterr) {
    const struct ms_send *send = s->send;
    if (!send->progress || send->progress(send->priv, s->sent, s->size))
        return MS_OK;
    return ms_fail(reterr, MS_CANCELLED, "cancelled after %" PRIu64 " of %" PRIu64 " bytes",
                   s->sent, s->size);
}

/* To the end even when one fails: what is on its way reads from the caller's file. */
static enum ms_code send_all(struct sending *s, struct ms_error *reterr) {
    enum ms_code code = MS_OK;
    for (unsigned i = 0; s->offset < s->size && i < LANES; i++)
        send_part(s, &s->lane[i]);
    for (unsigned i = 0; s->lane[i].busy; i = (i + 1) % LANES) {
        struct lane *lane = &s->lane[i];
        wait_part(s, lane);
        if (code != MS_OK)
            continue;
        code = lane->request.code;
        s->sent += lane->request.body.length;
        if (code != MS_OK && reterr)
            *reterr = lane->request.error;
        if (code == MS_OK)
            code = go_on(s, reterr);
        if (code == MS_OK && s->offset < s->size)
            send_part(s, lane);
    }
    return code;
}

/* Parts of a longer file that was sent before cannot be taken back. */
static enum ms_code check_parts(const struct sending *s, struct ms_error *reterr) {
    struct ms_obj_request list = {
        .op = MS_OBJ_MP_PARTS, .key = s->upload->key, .upload_id = s->upload->upload_id};
    uint64_t total = 0;
    MS_TRY(ms_obj_run(s->svc->obj, &list, reterr));
    for (size_t i = 0; i < list.ret_n; i++)
        total += list.ret_parts[i].size;
    free(list.ret_parts);
    if (total == s->size)
        return MS_OK;
    return ms_fail(reterr, MS_CONFLICT,
                   "the upload has %" PRIu64 " bytes, the file %" PRIu64
                   ": parts of another file are in it; cancel it and declare it again",
                   total, s->size);
}

static enum ms_code size_of(const struct ms_send *send, const struct ms_upload_record *upload,
                            uint64_t *ret_size, struct ms_error *reterr) {
    struct stat st;
    if (fstat(send->fd, &st) != 0)
        return ms_fail_errno(reterr, errno, "cannot look at the local file");
    uint64_t size = (uint64_t)st.st_size;
    if (!S_ISREG(st.st_mode) || size == 0)
        return ms_fail(reterr, MS_NO_INPUT, "only a regular file that is not empty can be sent");
    if (upload->size != 0 && size != upload->size)
        return ms_fail(reterr, MS_MISMATCH,
                       "the file has %" PRIu64 " bytes, %" PRIu64 " were declared", size,
                       upload->size);
    if (size > MS_FILE_BYTES_MAX)
        return ms_fail(reterr, MS_TOO_LARGE,
                       "the file has %" PRIu64 " bytes; %" PRIu64 " are allowed", size,
                       MS_FILE_BYTES_MAX);
    *ret_size = size;
    return MS_OK;
}

enum ms_code ms_file_send(struct ms_svc *svc, const struct ms_ctx *ctx, const struct ms_send *send,
                          struct ms_error *reterr) {
    struct ms_declared_rows rows;
    struct sending s = {.svc = svc, .send = send, .upload = &rows.upload};
    struct ms_error err = {0};
    MS_TRY(ms_declared_open(svc, ctx, send->file, &rows, NULL, reterr));
    MS_TRY(size_of(send, &rows.upload, &s.size, reterr));
    pthread_mutex_init(&s.mutex, NULL);
    pthread_cond_init(&s.cond, NULL);
    enum ms_code code = send_all(&s, &err);
    pthread_cond_destroy(&s.cond);
    pthread_mutex_destroy(&s.mutex);
    if (code == MS_OK)
        code = check_parts(&s, &err);
    if (code == MS_NOT_FOUND)
        code = ms_fail(&err, MS_WRONG_STATE,
                       "the upload is over: it was confirmed or cancelled meanwhile");
    if (code != MS_OK && reterr)
        *reterr = err;
    return code;
}

/* ---- what is declared of a local file -------------------------------------------------------- */

#define MD5_READ_BYTES ((size_t)1 << 20)

static enum ms_code md5_of(const struct ms_send *send, EVP_MD_CTX *md, uint8_t *buffer,
                           uint8_t ret_md5[16], uint64_t *ret_size, struct ms_error *reterr) {
    struct stat st;
    uint64_t at = 0;
    unsigned n = 16;
    if (fstat(send->fd, &st) != 0)
        return ms_fail_errno(reterr, errno, "cannot look at the local file");
    if (EVP_DigestInit_ex(md, EVP_md5(), NULL) != 1)
        return ms_fail(reterr, MS_INTERNAL, "OpenSSL has no MD5");
    for (;;) {
        ssize_t got = pread(send->fd, buffer, MD5_READ_BYTES, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ms_fail_errno(reterr, errno, "cannot read the local file at byte %" PRIu64, at);
        if (got == 0)
            break;
        if (EVP_DigestUpdate(md, buffer, (size_t)got) != 1)
            return ms_fail(reterr, MS_INTERNAL, "OpenSSL cannot make an MD5");
        at += (uint64_t)got;
        if (send->progress && !send->progress(send->priv, at, (uint64_t)st.st_size))
            return ms_fail(reterr, MS_CANCELLED, "cancelled after %" PRIu64 " bytes", at);
    }
    if (EVP_DigestFinal_ex(md, ret_md5, &n) != 1)
        return ms_fail(reterr, MS_INTERNAL, "OpenSSL cannot end an MD5");
    *ret_size = at;
    return MS_OK;
}

enum ms_code ms_md5_fd(const struct ms_send *send, uint8_t ret_md5[16], uint64_t *ret_size,
                       struct ms_error *reterr) {
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    uint8_t *buffer = malloc(MD5_READ_BYTES);
    enum ms_code code = md && buffer ? md5_of(send, md, buffer, ret_md5, ret_size, reterr)
                                     : ms_fail(reterr, MS_NO_MEMORY, "no memory to read a file");
    free(buffer);
    EVP_MD_CTX_free(md);
    return code;
}
