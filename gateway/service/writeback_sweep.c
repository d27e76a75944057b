/* What is left in the writeback folder and belongs to nobody: files of seals that never came, of
 * objects that are in the store by now, unfinished uploads of dead processes. */
#include "service/tree_rows.h"
#include "service/upkeep_list.h"
#include "service/writeback.h"

#include <stdlib.h>

struct strays {
    struct ms_svc *svc, near; /* near: the same store, with the near objects as its objects */
    bool remove;
    void (*found)(void *priv, const char *key);
    void *priv;
    uint64_t n;
};

static enum ms_code remove_one(struct strays *s, const struct ms_stored *stray,
                               struct ms_error *reterr) {
    if (s->found)
        s->found(s->priv, stray->key);
    s->n++;
    if (!s->remove)
        return MS_OK;
    if (stray->upload_id[0])
        return ms_stored_abort(&s->near, stray, reterr);
    ms_near_remove(s->svc, stray->key);
    return MS_OK;
}

static enum ms_code sweep_list(struct strays *s, struct ms_stored_list *list,
                               struct ms_error *reterr) {
    MS_AUTO(ms_numbers_fini) struct ms_numbers known = {NULL, 0, 0};
    struct ms_stored stored;
    enum ms_code code = list->n > 0 ? ms_known_keys(s->svc, true, &known, reterr) : MS_OK;

    if (code != MS_OK)
        return code;
    while ((code = ms_stored_list_next(list, &stored, reterr)) == MS_OK)
        if (!ms_numbers_have(&known, ms_key_hash(stored.key)))
            MS_TRY(remove_one(s, &stored, reterr));
    return ms_absent_is_fine(code, reterr);
}

static enum ms_code sweep(struct strays *s, struct ms_instant before, struct ms_error *reterr) {
    for (int uploads = 0; uploads < 2; uploads++) {
        MS_AUTO(ms_stored_list_fini) struct ms_stored_list list = {NULL, 0};
        MS_TRY(ms_stored_list_make(&s->near, uploads != 0, before, &list, reterr));
        MS_TRY(sweep_list(s, &list, reterr));
    }
    return MS_OK;
}

enum ms_code ms_near_sweep(struct ms_svc *svc, struct ms_instant before, bool remove,
                           void (*found)(void *priv, const char *key), void *priv, uint64_t *ret_n,
                           struct ms_error *reterr) {
    *ret_n = 0;
    if (!svc->near)
        return MS_OK;
    struct strays *s = calloc(1, sizeof *s);
    if (!s)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory to look into the writeback folder");
    *s = (struct strays){.svc = svc, .near = *svc, .remove = remove, .found = found, .priv = priv};
    s->near.obj = svc->near;
    enum ms_code code = sweep(s, before, reterr);
    *ret_n = s->n;
    free(s);
    return code;
}
