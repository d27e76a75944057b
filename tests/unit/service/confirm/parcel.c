#include "parcel.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void parcel_init(struct parcel *parcel, const char *name, enum ms_category category, size_t n,
                 uint8_t fill) {
    const char *dot = strrchr(name, '.');
    unsigned len = 16;
    *parcel = (struct parcel){.name = name, .category = category, .p = malloc(n), .n = n};
    assert_non_null(parcel->p);
    memset(parcel->p, fill, n);
    if (n >= 64)
        fill_like(parcel->p, n, dot ? dot + 1 : "txt");
    parcel->p[n - 1] = fill;
    assert_int_equal(EVP_Digest(parcel->p, n, parcel->md5, &len, EVP_md5(), NULL), 1);
}

void parcel_fini(struct parcel *parcel) {
    free(parcel->p);
    parcel->p = NULL;
}

struct ms_asset_id create_asset(struct world *w, enum ms_asset_type type, const char *name) {
    const struct ms_asset_new make = {.type = type, .name = name, .description = "made by a test"};
    struct ms_asset_id id;
    assert_ok(ms_asset_create(w->svc, &w->ctx, &make, &id, &test_err));
    return id;
}

enum ms_code declare_parcel(struct world *w, struct ms_asset_id asset, struct parcel *parcel,
                            struct ms_error *reterr) {
    const struct ms_declare declare = {.asset = asset,
                                       .category = parcel->category,
                                       .name = parcel->name,
                                       .md5 = parcel->md5,
                                       .size = parcel->n,
                                       .parts = 1};
    struct ms_declared declared;
    enum ms_code code = ms_file_declare(w->svc, &w->ctx, &declare, &declared, reterr);
    if (code != MS_OK)
        return code;
    parcel->asset = asset;
    parcel->file = declared.file;
    parcel->until = declared.until;
    return MS_OK;
}

enum ms_code send_parcel(struct world *w, const struct parcel *parcel, struct ms_error *reterr) {
    struct ms_send send = {.file = parcel->file, .fd = memfd_create("parcel", MFD_CLOEXEC)};
    assert_true(send.fd >= 0);
    assert_int_equal(write(send.fd, parcel->p, parcel->n), (ssize_t)parcel->n);
    enum ms_code code = ms_file_send(w->svc, &w->ctx, &send, reterr);
    close(send.fd);
    return code;
}

enum ms_code send_raw(struct world *w, struct ms_file_id file, const void *p, size_t n,
                      struct ms_error *reterr) {
    struct ms_upload_record upload = upload_of(w, file);
    struct ms_obj_request put = {.op = MS_OBJ_MP_PUT,
                                 .key = upload.key,
                                 .upload_id = upload.upload_id,
                                 .part_no = 1,
                                 .body = {.memory = ms_view_of(p, n), .length = n}};
    return ms_obj_run(w->svc->obj, &put, reterr);
}

enum ms_code confirm_parcel(struct world *w, struct ms_file_id file, enum ms_confirm_as as,
                            struct ms_confirmed *ret, struct ms_error *reterr) {
    const struct ms_confirm confirm = {.file = file, .as = as};
    return ms_file_confirm(w->svc, &w->ctx, &confirm, ret, reterr);
}

struct ms_confirmed bring_parcel(struct world *w, struct ms_asset_id asset, struct parcel *parcel) {
    struct ms_confirmed confirmed;
    assert_ok(declare_parcel(w, asset, parcel, &test_err));
    assert_ok(send_parcel(w, parcel, &test_err));
    assert_ok(confirm_parcel(w, parcel->file, MS_CONFIRM_CREATED, &confirmed, &test_err));
    return confirmed;
}

struct ms_asset_info info_of(struct world *w, struct ms_asset_id id) {
    struct ms_asset_info *info = malloc(sizeof *info), copy;
    assert_non_null(info);
    enum ms_code code = ms_asset_get(w->svc, &w->ctx, id, info, &test_err);
    copy = *info;
    free(info);
    assert_int_equal(code, MS_OK);
    return copy;
}

struct ms_upload_record upload_of(struct world *w, struct ms_file_id file) {
    struct ms_upload_record upload;
    struct ms_txn *txn;
    assert_ok(ms_read_begin(w->svc->store, &txn, &test_err));
    enum ms_code code =
        ms_row_get_upload(txn, ms_key_upload(w->ctx.tenant, file), &upload, &test_err);
    ms_read_end(txn);
    assert_int_equal(code, MS_OK);
    return upload;
}

struct ms_file_record file_of(struct world *w, struct ms_asset_id asset, struct ms_file_id file) {
    struct ms_file_record *files = calloc(MS_FILES_MAX, sizeof *files), found = {.size = 0};
    size_t n;
    assert_non_null(files);
    enum ms_code code =
        ms_file_list(w->svc, &w->ctx, asset, files, MS_FILES_MAX, &n, &test_err);
    for (size_t i = 0; code == MS_OK && i < n; i++)
        if (memcmp(files[i].id.b, file.id.b, MS_ID_BYTES) == 0)
            found = files[i];
    free(files);
    assert_int_equal(code, MS_OK);
    return found;
}

size_t audit_rows(struct world *w, uint8_t event) {
    struct ms_key prefix = ms_key_audits_of(w->ctx.tenant);
    struct ms_audit_record row;
    struct ms_scan scan;
    struct ms_view key;
    struct ms_txn *txn;
    size_t n = 0;
    assert_ok(ms_read_begin(w->svc->store, &txn, &test_err));
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while (ms_row_next_audit(&scan, &key, &row, NULL) == MS_OK)
        n += row.event == event;
    ms_scan_end(&scan);
    ms_read_end(txn);
    return n;
}

struct ms_sweep_result sweep_world(struct world *w) {
    struct ms_sweep_result result;
    assert_ok(ms_sweep(w->svc, &result, &test_err));
    return result;
}
