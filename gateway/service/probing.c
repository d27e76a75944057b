#include "service/probing.h"

struct object {
    struct ms_obj *obj;
    const char *key;
};

static enum ms_code read_object(struct ms_probe_request *request, uint64_t offset, void *into,
                                size_t n, struct ms_error *reterr) {
    const struct object *o = request->priv;
    struct ms_obj_request get = {
        .op = MS_OBJ_GET, .key = o->key, .offset = offset, .length = n, .into = into};

    return ms_obj_run(o->obj, &get, reterr);
}

enum ms_code ms_probe_object(struct ms_svc *svc, struct ms_obj *obj, const char *key, uint64_t size,
                             const char *media_type, struct ms_probed *ret_probed,
                             struct ms_error *reterr) {
    struct object o = {obj, key};
    struct ms_probe_request request = {.size = size, .read = read_object, .priv = &o};

    ret_probed->there = svc->prober && size > 0 && ms_media_type_is_listed(media_type);
    if (!ret_probed->there)
        return MS_OK;
    MS_TRY(ms_prober_run(svc->prober, &request, reterr));
    ret_probed->facts = request.facts;
    return MS_OK;
}
