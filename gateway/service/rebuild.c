/* A rebuild from its begin to its end: the folder beside, the bucket's marker, and the order of the
 * parts. */
#include "service/rebuild_part.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARKER_MAX 256
#define MARKER_HEAD "msasset object store\nstore="

/* ---- folders --------------------------------------------------------------------------------- */

static void close_dir(DIR **dir) {
    if (*dir)
        closedir(*dir);
}

/* *ret_empty: missing, or nothing in it. */
static enum ms_code look_into(const char *path, bool *ret_empty, struct ms_error *reterr) {
    MS_AUTO(close_dir) DIR *dir = opendir(path);
    *ret_empty = true;
    if (!dir)
        return errno == ENOENT ? MS_OK : ms_fail_errno(reterr, errno, "cannot look into %s", path);
    for (struct dirent *e; (e = readdir(dir));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            *ret_empty = false;
    return MS_OK;
}

static enum ms_code must_be_free(const char *path, struct ms_error *reterr) {
    bool empty;
    MS_TRY(look_into(path, &empty, reterr));
    if (empty)
        return MS_OK;
    return ms_fail(reterr, MS_EXISTS,
                   "%s has something in it: a rebuild wants a missing or empty folder", path);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st, (void)ftw;
    return flag == FTW_DP ? rmdir(path) : unlink(path);
}

/* What a rebuild that was cut left beside; only what a store consists of. */
static enum ms_code remove_rest(const char *path, struct ms_error *reterr) {
    static const char *const ours[] = {".",       "..",        "meta",          "meta.new",  "run",
                                       "journal", "writeback", "msasset.store",
                                       "msasset.store.new"};
    MS_AUTO(close_dir) DIR *dir = opendir(path);
    if (!dir)
        return errno == ENOENT ? MS_OK : ms_fail_errno(reterr, errno, "cannot look into %s", path);
    for (struct dirent *e; (e = readdir(dir));) {
        bool known = false;
        for (size_t i = 0; i < MS_ARRAY_LEN(ours); i++)
            known = known || strcmp(e->d_name, ours[i]) == 0;
        if (!known)
            return ms_fail(reterr, MS_FOREIGN, "%s has \"%s\" in it: no rebuild left that there",
                           path, e->d_name);
    }
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0)
        return ms_fail_errno(reterr, errno, "cannot remove %s", path);
    return MS_OK;
}

/* Into its place; an empty folder there is replaced. */
static enum ms_code give_name(const char *from, const char *to, struct ms_error *reterr) {
    char parent[PATH_MAX];
    (void)snprintf(parent, sizeof parent, "%s", to);
    char *slash = strrchr(parent, '/');
    if (slash)
        slash[slash == parent] = '\0';
    if (rename(from, to) != 0)
        return ms_fail_errno(reterr, errno, "cannot rename %s to %s", from, to);
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int err = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    return err ? ms_fail_errno(reterr, err, "cannot make the name %s durable", to) : MS_OK;
}

/* ---- the bucket's marker --------------------------------------------------------------------- */

static enum ms_code read_marker(struct ms_obj *obj, const char *url, struct ms_id *ret_store,
                                struct ms_error *reterr) {
    char text[MARKER_MAX] = "";
    struct ms_obj_request head = {.op = MS_OBJ_HEAD, .key = MS_OBJ_MARKER_KEY};
    struct ms_obj_request get = {.op = MS_OBJ_GET, .key = MS_OBJ_MARKER_KEY, .into = text};
    enum ms_code code = ms_obj_run(obj, &head, reterr);
    ms_buf_fini(&head.ret_meta);
    if (code == MS_NOT_FOUND)
        return ms_fail(reterr, code, "%s holds no %s: it is no object store of msasset", url,
                       MS_OBJ_MARKER_KEY);
    if (code != MS_OK)
        return code;
    get.length = head.ret_size < sizeof text - 1 ? head.ret_size : sizeof text - 1;
    MS_TRY(ms_obj_run(obj, &get, reterr));
    text[strcspn(text + sizeof MARKER_HEAD - 1, "\n") + sizeof MARKER_HEAD - 1] = '\0';
    if (strncmp(text, MARKER_HEAD, sizeof MARKER_HEAD - 1) != 0 ||
        ms_id_parse(text + sizeof MARKER_HEAD - 1, ret_store, NULL) != MS_OK)
        return ms_fail(reterr, MS_FOREIGN, "%s holds a %s that is not of msasset", url,
                       MS_OBJ_MARKER_KEY);
    return MS_OK;
}

/* From here on the old store is refused; a rebuild that is cut is begun again under the new id. */
static enum ms_code take_over(struct ms_obj *obj, struct ms_random *random,
                              struct ms_id *ret_store, struct ms_error *reterr) {
    char text[MARKER_MAX];
    struct ms_id id = ms_id_new(random);
    int n = snprintf(text, sizeof text, MARKER_HEAD "%s\n", ms_id_text(id).s);
    struct ms_obj_meta meta = {.content_type = "text/plain"};
    struct ms_obj_request put = {
        .op = MS_OBJ_PUT,
        .key = MS_OBJ_MARKER_KEY,
        .meta = &meta,
        .body = {.memory = ms_view_of(text, (size_t)n), .length = (uint64_t)n}};
    MS_TRY(ms_obj_run(obj, &put, reterr));
    *ret_store = id;
    return MS_OK;
}

static enum ms_code find_store_id(const struct ms_rebuild_options *o, struct ms_id *ret_store,
                                  struct ms_error *reterr) {
    struct ms_engine *engine = NULL;
    struct ms_obj *obj = NULL;
    MS_TRY(ms_engine_new(1, &engine, reterr));
    struct ms_obj_options options = {.url = o->store.object_url,
                                     .engine = engine,
                                     .random = o->store.random ? o->store.random
                                                               : ms_random_system(),
                                     .log = o->store.log,
                                     .trace = o->store.trace};
    enum ms_code code = ms_obj_open(&options, &obj, reterr);
    if (code == MS_OK)
        code = read_marker(obj, o->store.object_url, ret_store, reterr);
    if (code == MS_OK && o->take_over && !o->dry_run)
        code = take_over(obj, options.random, ret_store, reterr);
    ms_obj_close(obj);
    ms_engine_free(engine);
    return code;
}

/* ---- the rows about the store ---------------------------------------------------------------- */

static enum ms_code defaults_op(struct ms_txn *txn, const void *in, void *out,
                                struct ms_error *reterr) {
    const struct ms_rebuild *r = in;
    struct ms_meta_record meta;
    (void)out;
    MS_TRY(ms_row_get_meta(txn, ms_key_meta(), &meta, reterr));
    if (r->free_bytes > 0 && r->free_bytes <= INT64_MAX)
        meta.free_bytes = r->free_bytes;
    if (r->retention_ms > 0)
        meta.retention_ms = r->retention_ms;
    return ms_row_put_meta(txn, ms_key_meta(), &meta, reterr);
}

/* The new store's segments are numbered behind those that are there: its first snapshot replaces
 * them. */
struct numbering {
    struct ms_tenant_id tenant;
    uint64_t next;
};

static enum ms_code number_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    const struct numbering *n = in;
    struct ms_catalogue_record state = {.next = n->next};
    (void)out;
    return ms_row_put_catalogue(txn, ms_key_catalogue(n->tenant), &state, reterr);
}

static enum ms_code put_numbers(struct ms_rebuild *r, struct ms_error *reterr) {
    for (size_t i = 0; i < r->tenant_n; i++) {
        struct numbering in = {r->tenant[i].id, r->tenant[i].last_number + 1};
        struct ms_write write = {.fn = number_op, .in = &in};
        MS_TRY(ms_store_write(r->svc->store, &write, reterr));
    }
    struct ms_write write = {.fn = defaults_op, .in = r};
    return ms_store_write(r->svc->store, &write, reterr);
}

/* ---- the order of the parts ------------------------------------------------------------------ */

static enum ms_code fill(struct ms_rebuild *r, struct ms_error *reterr) {
    MS_TRY(ms_rebuild_list(r, reterr));
    MS_TRY(ms_rebuild_fold(r, reterr));
    MS_TRY(ms_rebuild_births(r, reterr));
    MS_TRY(ms_rebuild_build(r, reterr));
    if (!r->options->dry_run)
        MS_TRY(ms_rebuild_hash(r, reterr));
    MS_TRY(put_numbers(r, reterr));
    r->result.left = r->result.listed > r->result.files ? r->result.listed - r->result.files : 0;
    return ms_rebuild_tidy(r, reterr);
}

static enum ms_code make_beside(struct ms_rebuild *r, struct ms_svc_options *store,
                                struct ms_error *reterr) {
    MS_TRY(find_store_id(r->options, &store->store_id, reterr));
    MS_TRY(ms_svc_init(store, reterr));
    MS_TRY(ms_svc_open(store, &r->svc, reterr));
    enum ms_code code = fill(r, reterr);
    ms_svc_close(r->svc);
    free(r->tenant);
    return code;
}

enum ms_code ms_rebuild(const struct ms_rebuild_options *options,
                        struct ms_rebuild_result *ret_result, struct ms_error *reterr) {
    struct ms_rebuild r = {.options = options, .telling = PTHREAD_MUTEX_INITIALIZER};
    struct ms_svc_options store = options->store;
    struct ms_error err = {0};
    char beside[PATH_MAX];
    int n = snprintf(beside, sizeof beside, "%s.rebuild", options->store.dir);
    if (n < 0 || (size_t)n >= sizeof beside)
        return ms_fail(reterr, MS_NAME_TOO_LONG, "the store's path is too long");
    MS_TRY(must_be_free(options->store.dir, reterr));
    MS_TRY(remove_rest(beside, reterr));
    store.dir = beside;
    enum ms_code code = make_beside(&r, &store, &err);
    if (code == MS_OK && !options->dry_run)
        code = give_name(beside, options->store.dir, &err);
    if (code != MS_OK || options->dry_run)
        (void)remove_rest(beside, NULL);
    if (code == MS_OK)
        *ret_result = r.result;
    return ms_pass_up(code, &err, reterr);
}
