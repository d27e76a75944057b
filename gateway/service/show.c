#include "service/show.h"

#include "content/hash.h"

#include <stdlib.h>

json_t *ms_show_time(struct ms_instant at) {
    char text[MS_RFC3339_MS_LEN + 1];
    if (ms_instant_is_none(at))
        return json_null();
    ms_instant_format_ms(at, text);
    return json_string(text);
}

json_t *ms_show_u64(uint64_t n) { return json_integer((json_int_t)n); }

/* Text that is not UTF-8 cannot occur: every text of ours was checked. */
static void set(json_t *object, const char *member, json_t *value) {
    (void)json_object_set_new(object, member, value);
}

static json_t *text_or_null(const char *text) { return text[0] ? json_string(text) : json_null(); }

json_t *ms_show_asset(const struct ms_asset_info *info) {
    const struct ms_asset_record *a = &info->asset;
    char root[33];
    json_t *o = json_object();
    set(o, "asset_id", json_string(ms_id_text(a->id).s));
    set(o, "asset_name", json_string(a->name));
    set(o, "asset_type", json_string(ms_asset_type_name(a->type)));
    set(o, "asset_state", json_string(ms_state_name(info->state)));
    set(o, "origin", json_string(ms_origin_name(a->origin)));
    set(o, "path", text_or_null(info->path));
    set(o, "size_bytes", ms_show_u64(info->size));
    ms_root_format(info->version.root, root);
    set(o, "root", info->version.hashed ? json_string(root) : json_null());
    set(o, "media_type", text_or_null(info->main.media_type));
    set(o, "fail_type", a->fail ? json_string(ms_fail_name(a->fail)) : json_null());
    set(o, "block_reason_code", text_or_null(a->reason_code));
    set(o, "reason", text_or_null(a->reason));
    set(o, "tags", json_string(a->tags));
    set(o, "create_time", ms_show_time(a->created));
    set(o, "update_time", ms_show_time(a->updated));
    set(o, "binned_time", ms_show_time(a->binned_at));
    return o;
}

json_t *ms_show_quota(const struct ms_quota_info *info) {
    const struct ms_usage_record *u = &info->usage;
    json_t *o = json_object();
    set(o, "tenant_id", json_string(ms_id_text(info->tenant.id).s));
    set(o, "name", json_string(info->tenant.name));
    set(o, "allowance_bytes", ms_show_u64(info->allowance));
    set(o, "metered_bytes", ms_show_u64(info->metered));
    set(o, "reserved_bytes", ms_show_u64(info->reserved));
    set(o, "left_bytes", ms_show_u64(info->left));
    set(o, "standard_bytes", ms_show_u64(u->standard));
    set(o, "produced_free_bytes", ms_show_u64(u->produced_free));
    set(o, "produced_bytes", ms_show_u64(u->produced));
    set(o, "excluded_bytes", ms_show_u64(u->excluded));
    set(o, "bin_bytes", ms_show_u64(u->binned_bytes));
    set(o, "bin_assets", ms_show_u64(u->binned_assets));
    set(o, "assets", ms_show_u64(u->assets));
    set(o, "inodes", ms_show_u64(u->inodes));
    return o;
}

enum ms_code ms_show_text(json_t *value, struct ms_buf *buf, struct ms_error *reterr) {
    char *text = value ? json_dumps(value, JSON_INDENT(2) | JSON_ENSURE_ASCII) : NULL;
    json_decref(value);
    if (!text)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a JSON text");
    enum ms_code code = ms_buf_addf(buf, reterr, "%s\n", text);
    free(text);
    return code;
}
