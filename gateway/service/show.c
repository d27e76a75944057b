#include "service/show.h"

#include "content/hash.h"

json_t *ms_show_time(struct ms_instant at) {
    char text[MS_RFC3339_MS_LEN + 1];
    if (ms_instant_is_none(at))
        return json_null();
    ms_instant_format_ms(at, text);
    return json_string(text);
}

json_t *ms_show_u64(uint64_t n) { return json_integer((json_int_t)n); }

/* Text that is not UTF-8 cannot occur: every text of ours was checked. */
void ms_show_set(struct ms_show *show, const char *member, json_t *value) {
    show->failed |= json_object_set_new(show->o, member, value) != 0;
}

json_t *ms_show_end(struct ms_show *show) {
    if (!show->failed)
        return show->o;
    json_decref(show->o);
    return NULL;
}

static json_t *text_or_null(const char *text) { return text[0] ? json_string(text) : json_null(); }

static json_t *holds_of(const struct ms_asset_record *a) {
    json_t *array = json_array();
    if (a->holds & MS_HOLD_ADMIN)
        (void)json_array_append_new(array, json_string("ADMIN"));
    if (a->holds & MS_HOLD_SCHEDULED)
        (void)json_array_append_new(array, json_string("SCHEDULED"));
    if (a->holds & MS_HOLD_PACKAGE)
        (void)json_array_append_new(array, json_string("PACKAGE"));
    return array;
}

static json_t *operations_of(const struct ms_asset_record *a) {
    json_t *array = json_array();
    for (unsigned i = 0; i < a->scheduled_count; i++)
        (void)json_array_append_new(
            array, json_pack("{s:s,s:o}", "operation",
                             a->scheduled[i].op == MS_SCHEDULED_BLOCK ? "BLOCK" : "DELETE",
                             "execute_time", ms_show_time(a->scheduled[i].at)));
    return array;
}

static void show_content(struct ms_show *s, const struct ms_asset_info *info) {
    const struct ms_content content = ms_asset_content(info);
    bool probed = ms_content_is_probed(content.type);

    ms_show_set(s, "facts", info->probed ? ms_show_facts(&info->facts) : json_null());
    ms_show_set(s, "usable", probed ? ms_show_uses(&info->limits, &content) : json_null());
    ms_show_meta(s, info);
}

/* What waits for review. */
static json_t *pending_of(const struct ms_asset_info *info) {
    const struct ms_review_record *p = &info->pending;
    bool held = !ms_version_id_is_none((struct ms_version_id){p->held});
    if (!info->waits)
        return json_null();
    return json_pack("{s:o,s:o,s:o,s:o,s:b,s:o}", "since_time", ms_show_time(p->since), "asset_name",
                     p->has_name ? json_string(p->name) : json_null(), "asset_description",
                     p->has_description ? json_string(p->description) : json_null(), "size_bytes",
                     held ? ms_show_u64(p->held_bytes) : json_null(), "human", p->human != 0,
                     "live_bytes", held ? ms_show_u64(info->main.size) : json_null());
}

json_t *ms_show_asset(const struct ms_asset_info *info) {
    const struct ms_asset_record *a = &info->asset;
    char root[33];
    struct ms_show s = ms_show_begin();
    ms_show_set(&s, "asset_id", json_string(ms_id_text(a->id).s));
    ms_show_set(&s, "asset_name", json_string(a->name));
    ms_show_set(&s, "asset_type", json_string(ms_asset_type_name(a->type)));
    ms_show_set(&s, "asset_state", json_string(ms_state_name(info->state)));
    ms_show_set(&s, "origin", json_string(ms_origin_name(a->origin)));
    ms_show_set(&s, "path", text_or_null(info->path));
    ms_show_set(&s, "size_bytes", ms_show_u64(info->size));
    ms_root_format(info->version.root, root);
    ms_show_set(&s, "root", info->version.hashed ? json_string(root) : json_null());
    ms_show_set(&s, "media_type", text_or_null(info->main.media_type));
    show_content(&s, info);
    ms_show_set(&s, "fail_type", a->fail ? json_string(ms_fail_name(a->fail)) : json_null());
    ms_show_set(&s, "block_reason_code", text_or_null(a->reason_code));
    ms_show_set(&s, "reason", text_or_null(a->reason));
    ms_show_set(&s, "pending", pending_of(info));
    ms_show_set(&s, "warning", text_or_null(info->warning));
    ms_show_set(&s, "holds", holds_of(a));
    ms_show_set(&s, "auto_operation_config", operations_of(a));
    ms_show_set(&s, "takedown_time", ms_show_time(a->takedown_due));
    ms_show_set(&s, "tags", json_string(a->tags));
    ms_show_set(&s, "create_time", ms_show_time(a->created));
    ms_show_set(&s, "update_time", ms_show_time(a->updated));
    ms_show_set(&s, "binned_time", ms_show_time(a->binned_at));
    return ms_show_end(&s);
}

/* Frozen as a whole, in arrears: since when, and what comes of it when. */
static void show_state(struct ms_show *s, const struct ms_quota_info *info) {
    struct ms_arrears a = ms_tenant_arrears(&info->tenant);
    enum ms_arrears_stage stage = ms_arrears_at(a, info->now);
    bool none = stage == MS_ARREARS_NONE;
    ms_warning why, warning;
    ms_tenant_why(&info->tenant, info->now, why);
    ms_tenant_warning(&info->tenant, info->now, warning);
    ms_show_set(s, "frozen", json_boolean(ms_tenant_mask(&info->tenant, info->now).holds != 0));
    ms_show_set(s, "reason", text_or_null(why));
    ms_show_set(s, "arrears", json_string(ms_arrears_stage_name(stage)));
    ms_show_set(s, "arrears_since", none ? json_null() : ms_show_time(a.since));
    ms_show_set(s, "frozen_at", none ? json_null() : ms_show_time(ms_arrears_hold_at(a)));
    ms_show_set(s, "deleted_at", none ? json_null() : ms_show_time(ms_arrears_end_at(a)));
    ms_show_set(s, "warning", text_or_null(warning));
}

json_t *ms_show_quota(const struct ms_quota_info *info) {
    const struct ms_usage_record *u = &info->usage;
    struct ms_show s = ms_show_begin();
    ms_show_set(&s, "tenant_id", json_string(ms_id_text(info->tenant.id).s));
    ms_show_set(&s, "name", json_string(info->tenant.name));
    ms_show_set(&s, "allowance_bytes", ms_show_u64(info->allowance));
    ms_show_set(&s, "metered_bytes", ms_show_u64(info->metered));
    ms_show_set(&s, "reserved_bytes", ms_show_u64(info->reserved));
    ms_show_set(&s, "left_bytes", ms_show_u64(info->left));
    ms_show_set(&s, "standard_bytes", ms_show_u64(u->standard));
    ms_show_set(&s, "produced_free_bytes", ms_show_u64(u->produced_free));
    ms_show_set(&s, "produced_bytes", ms_show_u64(u->produced));
    ms_show_set(&s, "excluded_bytes", ms_show_u64(u->excluded));
    ms_show_set(&s, "finished_assets",
                json_string(info->tenant.start_unactived ? "UNACTIVED" : "ACTIVED"));
    ms_show_set(&s, "pay_per_use", json_boolean(info->tenant.pay_per_use));
    ms_show_set(&s, "bin_bytes", ms_show_u64(u->binned_bytes));
    ms_show_set(&s, "bin_assets", ms_show_u64(u->binned_assets));
    ms_show_set(&s, "assets", ms_show_u64(u->assets));
    ms_show_set(&s, "inodes", ms_show_u64(u->inodes));
    show_state(&s, info);
    return ms_show_end(&s);
}

static enum ms_code no_memory(struct ms_error *reterr) {
    return ms_fail(reterr, MS_NO_MEMORY, "no memory for a JSON text");
}

/* Into memory that is there: json_dumps() forgets a key when it cannot grow. */
static enum ms_code dump(const json_t *value, struct ms_buf *buf, struct ms_error *reterr) {
    const size_t flags = JSON_INDENT(2) | JSON_ENSURE_ASCII;
    size_t n = json_dumpb(value, NULL, 0, flags);
    if (n == 0)
        return no_memory(reterr);
    enum ms_code code = ms_buf_reserve(buf, n + 1, reterr);
    if (code != MS_OK)
        return code;
    if (json_dumpb(value, (char *)buf->data + buf->len, n, flags) != n) {
        buf->data[buf->len] = '\0';
        return no_memory(reterr);
    }
    buf->len += n;
    return ms_buf_add(buf, "\n", 1, reterr);
}

enum ms_code ms_show_text(json_t *value, struct ms_buf *buf, struct ms_error *reterr) {
    if (!value)
        return no_memory(reterr);
    enum ms_code code = dump(value, buf, reterr);
    json_decref(value);
    return code;
}
