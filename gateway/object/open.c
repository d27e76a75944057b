/* open.c — URL -> driver -> wrappers, and whose store it is. */
#include "base/assert.h"
#include "object/wrap.h"
#include "object/wrap_disk.h"

#include <stdio.h>

#define MARKER_HEAD "msasset object store\n"

struct driver {
    const char *name;
    ms_drv_open_fn *open;
};

static enum ms_code open_driver(const struct ms_obj_options *options, struct ms_obj **ret_obj,
                                struct ms_error *reterr) {
    static const struct driver drivers[] = {
#define MS_DRIVER(name) {#name, ms_drv_##name##_open},
#include "object/drivers.def"
#undef MS_DRIVER
    };
    static const char forms[] =
#define MS_DRIVER(name) " " #name ":..."
#include "object/drivers.def"
#undef MS_DRIVER
        ;
    const char *colon = options->url ? strchr(options->url, ':') : NULL;
    size_t n = colon ? (size_t)(colon - options->url) : 0;

    for (size_t i = 0; colon && i < MS_ARRAY_LEN(drivers); i++)
        if (strlen(drivers[i].name) == n && strncmp(drivers[i].name, options->url, n) == 0)
            return drivers[i].open(options, colon + 1, ret_obj, reterr);
    return ms_fail(reterr, MS_CONFIG, "object store '%s': the forms are%s",
                   options->url ? options->url : "", forms);
}

/* ---- the marker ------------------------------------------------------------------------------ */

size_t ms_obj_marker_text(struct ms_id store_id, char ret_text[MS_OBJ_MARKER_MAX]) {
    return (size_t)snprintf(ret_text, MS_OBJ_MARKER_MAX, MARKER_HEAD "store=%s\n", ms_id_text(store_id).s);
}

static enum ms_code read_marker(struct ms_obj *obj, char ret_text[MS_OBJ_MARKER_MAX],
                                struct ms_error *reterr) {
    struct ms_obj_request head = {.op = MS_OBJ_HEAD, .key = MS_OBJ_MARKER_KEY};
    struct ms_obj_request get = {
        .op = MS_OBJ_GET, .key = MS_OBJ_MARKER_KEY, .into = ret_text, .fresh = true};
    enum ms_code code = ms_obj_run(obj, &head, reterr);

    ms_buf_fini(&head.ret_meta);
    if (code != MS_OK)
        return code;
    get.length = head.ret_size < MS_OBJ_MARKER_MAX - 1 ? head.ret_size : MS_OBJ_MARKER_MAX - 1;
    code = ms_obj_run(obj, &get, reterr);
    if (code == MS_OK)
        ret_text[get.length] = '\0';
    return code;
}

static enum ms_code check_marker(struct ms_obj *obj, const struct ms_obj_options *o,
                                 struct ms_error *reterr) {
    char found[MS_OBJ_MARKER_MAX], own[MS_OBJ_MARKER_MAX];
    enum ms_code code = read_marker(obj, found, reterr);

    if (code != MS_OK)
        return code;
    ms_obj_marker_text(o->store_id, own);
    if (strcmp(found, own) == 0)
        return MS_OK;
    if (strncmp(found, MARKER_HEAD, strlen(MARKER_HEAD)) != 0)
        return ms_fail(reterr, MS_FOREIGN,
                       "%s holds a %s that is not of msasset: give another place", o->url,
                       MS_OBJ_MARKER_KEY);
    return ms_fail(reterr, MS_FOREIGN,
                   "%s belongs to another store (%.*s); this one is %s: give "
                   "another place, or the store that it belongs to",
                   o->url, (int)strcspn(found + strlen(MARKER_HEAD), "\n"),
                   found + strlen(MARKER_HEAD), ms_id_text(o->store_id).s);
}

static enum ms_code check_empty(struct ms_obj *obj, const struct ms_obj_options *o,
                                struct ms_error *reterr) {
    struct ms_obj_request list = {.op = MS_OBJ_LIST, .list_max = 1};
    enum ms_code code = ms_obj_run(obj, &list, reterr);

    if (code == MS_OK && list.ret_n > 0)
        code = ms_fail(reterr, MS_FOREIGN,
                       "%s is not empty and not a store of msasset (it holds "
                       "'%s'): give an empty place",
                       o->url, list.ret_entries[0].key);
    ms_obj_drop_results(&list);
    return code;
}

static enum ms_code make_marker(struct ms_obj *obj, const struct ms_obj_options *o,
                                struct ms_error *reterr) {
    char text[MS_OBJ_MARKER_MAX];
    size_t n = ms_obj_marker_text(o->store_id, text);
    struct ms_obj_meta meta = {.content_type = "text/plain"};
    struct ms_obj_request put = {.op = MS_OBJ_PUT,
                                 .key = MS_OBJ_MARKER_KEY,
                                 .meta = &meta,
                                 .body = {.memory = ms_view_of(text, n), .length = n}};
    enum ms_code code = check_empty(obj, o, reterr);

    if (code == MS_OK)
        code = ms_obj_run(obj, &put, reterr);
    /* Of two that begin at once the later PUT wins, and whoever looks behind it sees so. A PUT that comes behind the
     * other one's look (it was tried again, say) is seen by that one at its next start only. */
    return code != MS_OK ? code : check_marker(obj, o, reterr);
}

/* A store may say of an object in a bucket that is not there only that it is not found; of a list, why. */
static enum ms_code no_marker(struct ms_obj *obj, const struct ms_obj_options *o,
                              struct ms_error *reterr) {
    struct ms_obj_request list = {.op = MS_OBJ_LIST, .list_max = 1};
    enum ms_code code = ms_obj_run(obj, &list, reterr);

    ms_obj_drop_results(&list);
    if (code != MS_OK)
        return code;
    return ms_fail(reterr, MS_FOREIGN,
                   "%s holds no %s: it is not the object store of %s (is its "
                   "disk mounted?)",
                   o->url, MS_OBJ_MARKER_KEY, ms_id_text(o->store_id).s);
}

static bool is_down(enum ms_code code) {
    return code == MS_UNAVAILABLE || code == MS_TIMEOUT || code == MS_THROTTLED;
}

static enum ms_code claim(struct ms_obj *obj, const struct ms_obj_options *o,
                          struct ms_error *reterr) {
    static const struct ms_id none;
    struct ms_error err = {0};
    enum ms_code code;

    if (memcmp(o->store_id.b, none.b, MS_ID_BYTES) == 0)
        return MS_OK;
    if (o->unasked) {
        *o->ret_unchecked = true;
        return MS_OK;
    }
    code = check_marker(obj, o, &err);
    if (o->may_be_down && is_down(code)) {
        ms_log_failure(o->log, MS_LOG_WARN, "object-store-down", &err, NULL);
        *o->ret_unchecked = true;
        return MS_OK;
    }
    if (code != MS_OK && code != MS_NOT_FOUND)
        return ms_fail(reterr, code, "%s", err.message);
    if (code == MS_OK)
        return MS_OK;
    if (o->create)
        return make_marker(obj, o, reterr);
    return no_marker(obj, o, reterr);
}

enum ms_code ms_obj_check_owner(struct ms_obj *obj, const char *url, struct ms_id store_id,
                                struct ms_error *reterr) {
    const struct ms_obj_options options = {.url = url, .store_id = store_id};
    struct ms_error err = {0};
    enum ms_code code = check_marker(obj, &options, &err);

    if (code == MS_NOT_FOUND)
        return no_marker(obj, &options, reterr);
    return code == MS_OK ? MS_OK : ms_fail(reterr, code, "%s", err.message);
}

/* Around all others: a cached answer needs no check, no retry and no store. Behind the claim, so
 * that the marker is read from the store. */
static enum ms_code add_disk_cache(const struct ms_obj_options *o, struct ms_obj *inner,
                                   struct ms_obj **ret_obj, struct ms_error *reterr) {
    struct ms_disk_options disk = {.dir = o->cache_dir,
                                   .bytes_max = o->cache_disk_bytes,
                                   .store_id = o->store_id,
                                   .log = o->log};

    return ms_wrap_disk(&disk, inner, ret_obj, reterr);
}

enum ms_code ms_obj_open(const struct ms_obj_options *options, struct ms_obj **ret_obj,
                         struct ms_error *reterr) {
    struct ms_obj *obj = NULL;
    enum ms_code code;

    MS_ASSERT(options->engine);
    MS_ASSERT(options->random);
    /* From the inside: each try of a retry is checked, traced and made to fail anew. */
    code = open_driver(options, &obj, reterr);
    if (code == MS_OK && options->faults)
        code = ms_wrap_fault(options, MS_TAKE(obj), &obj, reterr);
    if (code == MS_OK && options->trace)
        code = ms_wrap_trace(options, MS_TAKE(obj), &obj, reterr);
    if (code == MS_OK)
        code = ms_wrap_verify(options, MS_TAKE(obj), &obj, reterr);
    if (code == MS_OK)
        code = ms_wrap_retry(options, MS_TAKE(obj), &obj, reterr);
    if (code == MS_OK)
        code = claim(obj, options, reterr);
    if (code == MS_OK && options->ret_unchecked && *options->ret_unchecked)
        code = ms_wrap_owner(options, MS_TAKE(obj), &obj, reterr);
    if (code == MS_OK && options->cache_dir)
        code = add_disk_cache(options, MS_TAKE(obj), &obj, reterr);
    if (code != MS_OK) {
        ms_obj_close(obj);
        return code;
    }
    *ret_obj = obj;
    return MS_OK;
}
