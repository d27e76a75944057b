#include "cli/quota_text.h"

#include "service/show.h"

#include <inttypes.h>

json_t *ms_quota_json(const struct ms_quota_info *info) { return ms_show_quota(info); }

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
    ms_out_pair("pay-per-use", "%19s", info->tenant.pay_per_use ? "on" : "off");
    ms_out_pair("assets", "%19" PRIu64, u->assets);
    ms_warning warning;
    ms_tenant_warning(&info->tenant, info->now, warning);
    if (warning[0])
        ms_out_pair("warning", "%s", warning);
}
