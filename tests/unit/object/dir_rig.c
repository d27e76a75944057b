#include "dir_rig.h"

struct ms_obj *dir_open(struct dir_rig *rig) {
    struct ms_obj_options o = {
        .engine = rig->engine, .random = ms_random_system(), .create = true};
    struct ms_obj *obj = NULL;

    assert_ok(ms_drv_dir_open(&o, rig->root, &obj, &test_err));
    return obj;
}

int dir_rig_new(void **state) {
    struct dir_rig *rig = calloc(1, sizeof *rig);

    rig->tmp = ms_test_tmpdir_new();
    snprintf(rig->root, sizeof rig->root, "%s/objects", rig->tmp);
    rig->engine = engine_new(3);
    rig->obj = dir_open(rig);
    *state = rig;
    return 0;
}

int dir_rig_free(void **state) {
    struct dir_rig *rig = *state;

    ms_obj_close(rig->obj);
    ms_engine_free(rig->engine);
    ms_test_tmpdir_remove(rig->tmp);
    free(rig);
    return 0;
}

void dir_reopen(struct dir_rig *rig) {
    ms_obj_close(rig->obj);
    rig->obj = dir_open(rig);
}

char *dir_path(struct dir_rig *rig, const char *name) { return ms_test_path(rig->root, name); }

size_t dir_count(struct dir_rig *rig, const char *folder) {
    char *path = dir_path(rig, folder);
    DIR *dir = opendir(path);
    struct dirent *e;
    size_t n = 0;

    free(path);
    while (dir && (e = readdir(dir)))
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    if (dir)
        closedir(dir);
    return n;
}

enum ms_code dir_op(struct dir_rig *rig, struct ms_obj_request *r) {
    return ms_obj_run(rig->obj, r, &test_err);
}

enum ms_code dir_put(struct dir_rig *rig, const char *key, const void *p, size_t n) {
    struct ms_obj_request r = {
        .op = MS_OBJ_PUT, .key = key, .body = {.memory = ms_view_of(p, n), .length = n}};

    return dir_op(rig, &r);
}

enum ms_code dir_get(struct dir_rig *rig, const char *key, void *into, size_t n) {
    struct ms_obj_request r = {.op = MS_OBJ_GET, .key = key, .into = into, .length = n};

    return dir_op(rig, &r);
}

bool dir_has(struct dir_rig *rig, const char *key, const void *p, size_t n) {
    struct ms_obj_request head = {.op = MS_OBJ_HEAD, .key = key};
    char *into = malloc(n + 1);
    bool same = dir_op(rig, &head) == MS_OK && head.ret_size == n &&
                dir_get(rig, key, into, n) == MS_OK && memcmp(into, p, n) == 0;

    ms_buf_fini(&head.ret_meta);
    free(into);
    return same;
}

size_t dir_list(struct dir_rig *rig) {
    struct ms_obj_request r = {.op = MS_OBJ_LIST, .list_max = 1000};
    size_t n;

    assert_int_equal(dir_op(rig, &r), MS_OK);
    n = r.ret_n;
    ms_obj_drop_results(&r);
    return n;
}

enum ms_code dir_mp_create(struct dir_rig *rig, const char *key, char *ret_id) {
    struct ms_obj_request r = {.op = MS_OBJ_MP_CREATE, .key = key};
    enum ms_code code = dir_op(rig, &r);

    snprintf(ret_id, MS_UPLOAD_ID_MAX + 1, "%s", r.ret_upload_id);
    return code;
}

enum ms_code dir_mp_put(struct dir_rig *rig, const char *key, const char *id, uint32_t no,
                        uint64_t offset, const void *p, size_t n, struct ms_obj_part *ret_part) {
    struct ms_obj_request r = {.op = MS_OBJ_MP_PUT,
                               .key = key,
                               .upload_id = id,
                               .part_no = no,
                               .part_offset = offset,
                               .body = {.memory = ms_view_of(p, n), .length = n}};
    enum ms_code code = dir_op(rig, &r);

    if (code == MS_OK) {
        *ret_part = (struct ms_obj_part){.part_no = no, .size = n};
        snprintf(ret_part->etag, sizeof ret_part->etag, "%s", r.ret_etag);
    }
    return code;
}

enum ms_code dir_mp_complete(struct dir_rig *rig, const char *key, const char *id,
                             const struct ms_obj_part *parts, size_t n) {
    struct ms_obj_request r = {
        .op = MS_OBJ_MP_COMPLETE, .key = key, .upload_id = id, .parts = parts, .parts_n = n};

    return dir_op(rig, &r);
}
