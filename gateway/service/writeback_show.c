/* The queue of one tenant as JSON: what .msasset/pending.json says of it. */
#include "service/show.h"
#include "service/tree.h"
#include "service/writeback.h"

#include <stdlib.h>

#define SHOWN_MAX 1000u /* files; the sums are of all */

struct shown {
    struct ms_tenant_id tenant;
    struct ms_local_record *row;
    unsigned n;
    uint64_t files, bytes, failing;
    struct ms_instant oldest;
};

static bool collect(void *priv, const struct ms_local_record *row) {
    struct shown *s = priv;

    if (!ms_tenant_id_equal((struct ms_tenant_id){row->tenant}, s->tenant))
        return true;
    if (s->files++ == 0)
        s->oldest = row->since;
    s->bytes += row->size;
    s->failing += row->tries > 0;
    if (s->n < SHOWN_MAX)
        s->row[s->n++] = *row;
    return true;
}

static json_t *show_one(struct ms_svc *svc, const struct ms_ctx *ctx,
                        const struct ms_local_record *row) {
    MS_AUTO(ms_buf_fini) struct ms_buf path = {0};
    bool named = ms_tree_path(svc, ctx, row->ino, &path, NULL) == MS_OK;
    struct ms_show s = ms_show_begin();

    ms_show_set(&s, "path", named ? json_string((const char *)path.data) : json_null());
    ms_show_set(&s, "size_bytes", ms_show_u64(row->size));
    ms_show_set(&s, "acknowledged", ms_show_time(row->since));
    ms_show_set(&s, "failed_tries", ms_show_u64(row->tries));
    ms_show_set(&s, "reason", row->tries ? json_string(row->reason) : json_null());
    return ms_show_end(&s);
}

static json_t *show_all(struct ms_svc *svc, const struct ms_ctx *ctx, const struct shown *shown,
                        const struct ms_pending_sum *sum) {
    struct ms_show s = ms_show_begin();
    json_t *list = json_array();

    for (unsigned i = 0; i < shown->n; i++)
        s.failed |= json_array_append_new(list, show_one(svc, ctx, &shown->row[i])) != 0;
    ms_show_set(&s, "files", ms_show_u64(shown->files));
    ms_show_set(&s, "bytes", ms_show_u64(shown->bytes));
    ms_show_set(&s, "oldest", ms_show_time(shown->oldest));
    ms_show_set(&s, "failing", ms_show_u64(shown->failing));
    ms_show_set(&s, "uploading", json_boolean(sum->moving));
    ms_show_set(&s, "bytes_per_second", ms_show_u64(sum->bytes_per_s));
    ms_show_set(&s, "list", list);
    return ms_show_end(&s);
}

enum ms_code ms_writeback_show(struct ms_svc *svc, const struct ms_ctx *ctx, json_t **ret_json,
                               struct ms_error *reterr) {
    struct shown shown = {.tenant = ctx->tenant, .row = calloc(SHOWN_MAX, sizeof *shown.row)};
    struct ms_pending_sum sum;
    enum ms_code code = shown.row ? ms_pending(svc, collect, &shown, &sum, reterr)
                                  : ms_fail(reterr, MS_NO_MEMORY, "no memory for the queue");

    if (code == MS_OK)
        *ret_json = show_all(svc, ctx, &shown, &sum);
    free(shown.row);
    return code;
}
