#include "copies.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void copies_keys(struct world *w) {
    static const char text[] = "k1 00112233445566778899aabbccddeeff\n";
    char *path = ms_test_path(w->tmp, "keys");
    ms_test_write_file(path, text, sizeof text - 1);
    assert_int_equal(chmod(path, 0600), 0);
    (void)snprintf(w->svc->replication_keys, sizeof w->svc->replication_keys, "%s", path);
    free(path);
}

void copies_make(struct world *w, struct copies *c) {
    const struct ms_asset_new make = {.type = MS_TYPE_VIDEO,
                                      .name = "The film",
                                      .description = "made by a test",
                                      .tags = "one,two",
                                      .app_user_id = "somebody"};
    char *blob = ms_test_path(w->tmp, "blob");
    *c = (struct copies){.stream = ms_test_path(w->tmp, "stream")};
    parcel_init(&c->main, "f.mp4", MS_CATEGORY_MAIN, COPIES_BYTES, 1);
    parcel_init(&c->cover, "c.png", MS_CATEGORY_COVER, 500, 2);
    assert_ok(ms_asset_create(w->svc, &w->ctx, &make, &c->asset, &test_err));
    (void)bring_parcel(w, c->asset, &c->cover);
    (void)bring_parcel(w, c->asset, &c->main);
    assert_ok(ms_replicate_info(w->svc, &w->ctx, c->asset, 0, &c->blob, &test_err));
    ms_test_write_file(blob, c->blob.data, c->blob.len);
    free(blob);
    struct ms_replicate_send send = {.blob = ms_buf_view(&c->blob),
                                     .fd = open(c->stream, O_WRONLY | O_CREAT | O_TRUNC, 0600)};
    assert_true(send.fd >= 0);
    enum ms_code code = ms_replicate_send(w->svc, &w->ctx, &send, &test_err);
    close(send.fd);
    assert_int_equal(code, MS_OK);
}

void copies_fini(struct copies *c) {
    parcel_fini(&c->main);
    parcel_fini(&c->cover);
    ms_buf_fini(&c->blob);
    free(c->stream);
}

enum ms_code copies_pull(struct ms_svc *svc, const struct ms_ctx *ctx, const char *dir,
                         struct ms_asset_info *ret_info, struct ms_error *reterr) {
    char path[4096];
    size_t n;
    (void)snprintf(path, sizeof path, "%s/blob", dir);
    char *blob = ms_test_read_file(path, &n);
    (void)snprintf(path, sizeof path, "%s/stream", dir);
    const struct ms_replicate_pull pull = {.blob = {blob, n}, .from = open(path, O_RDONLY)};
    enum ms_code code = ms_replicate_pull(svc, ctx, &pull, ret_info, reterr);
    close(pull.from);
    free(blob);
    return code;
}

void copies_same(struct world *w, const struct copies *c, const struct ms_asset_info *info) {
    struct ms_file_record *files = calloc(MS_FILES_MAX, sizeof *files);
    size_t n;
    assert_non_null(files);
    assert_string_equal(info->asset.name, "The film");
    assert_string_equal(info->asset.description, "made by a test");
    assert_string_equal(info->asset.tags, "one,two");
    assert_string_equal(info->asset.app_user_id, "");
    assert_int_equal(info->asset.type, MS_TYPE_VIDEO);
    assert_int_equal(info->asset.bytes, c->main.n + c->cover.n);
    check_file(w, info->path, c->main.p, c->main.n);
    assert_ok(ms_file_list(w->svc, &w->ctx, (struct ms_asset_id){info->asset.id}, files, MS_FILES_MAX,
                           &n, &test_err));
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++) {
        const struct parcel *p = files[i].category == MS_CATEGORY_MAIN ? &c->main : &c->cover;
        assert_int_equal(files[i].state, MS_FILE_CREATED);
        assert_string_equal(files[i].name, p->name);
        assert_memory_equal(files[i].md5, p->md5, 16);
    }
    free(files);
}
