#include "cli/quota_text.h"

#include <inttypes.h>

json_t *ms_quota_json(const struct ms_quota_info *info) {
    const struct ms_usage_record *u = &info->usage;
    json_t *o = json_object();
    ms_out_set(o, "tenant_id", json_string(ms_id_text(info->tenant.id).s));
    ms_out_set(o, "name", json_string(info->tenant.name));
    ms_out_set(o, "allowance_bytes", ms_out_json_u64(info->allowance));
    ms_out_set(o, "metered_bytes", ms_out_json_u64(info->metered));
    ms_out_set(o, "reserved_bytes", ms_out_json_u64(info->reserved));
    ms_out_set(o, "left_bytes", ms_out_json_u64(info->left));
    ms_out_set(o, "standard_bytes", ms_out_json_u64(u->standard));
    ms_out_set(o, "produced_free_bytes", ms_out_json_u64(u->produced_free));
    ms_out_set(o, "produced_bytes", ms_out_json_u64(u->produced));
    ms_out_set(o, "excluded_bytes", ms_out_json_u64(u->excluded));
    ms_out_set(o, "bin_bytes", ms_out_json_u64(u->binned_bytes));
    ms_out_set(o, "bin_assets", ms_out_json_u64(u->binned_assets));
    ms_out_set(o, "assets", ms_out_json_u64(u->assets));
    ms_out_set(o, "inodes", ms_out_json_u64(u->inodes));
    return o;
}

static void line(const char *name, uint64_t bytes) {
    struct ms_out_text exact = ms_out_exact(bytes), size = ms_out_size(bytes);
    ms_out_pair(name, "%19s bytes  %10s", exact.s, size.s);
}

void ms_quota_print(const struct ms_quota_info *info) {
    const struct ms_usage_record *u = &info->usage;
    line("allowance", info->allowance);
    line("used", info->metered);
    line("reserved", info->reserved);
    line("left", info->left);
    if (u->produced_free)
        line("free videos", u->produced_free);
    if (u->excluded)
        line("not counted", u->excluded);
    if (u->binned_assets)
        ms_out_pair("in the bin", "%19s bytes  %" PRIu64 " assets (counted until deleted for good)",
                    ms_out_exact(u->binned_bytes).s, u->binned_assets);
    ms_out_pair("assets", "%19" PRIu64, u->assets);
}
