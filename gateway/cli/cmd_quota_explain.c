#include "cli/quota_text.h"

#include "service/usage.h"

#include <inttypes.h>
#include <stdlib.h>

static void exact(const char *name, uint64_t bytes) {
    ms_out_pair(name, "%s bytes  (%s)", ms_out_exact(bytes).s, ms_out_size(bytes).s);
}

/* Per mille of the allowance, as "12.5 %"; of none: nothing to say. */
static void share(const struct ms_usage_why *w) {
    const struct ms_quota_info *q = &w->quota;
    ms_out_pair("tenant", "%s: %s of %s bytes used, %s reserved, %s left", q->tenant.name,
                ms_out_exact(q->metered).s, ms_out_exact(q->allowance).s,
                ms_out_exact(q->reserved).s, ms_out_exact(q->left).s);
    if (!w->metered || q->allowance == 0)
        return;
    uint64_t mille = (uint64_t)((unsigned __int128)w->bytes * 1000 / q->allowance);
    ms_out_pair("of allowance", "%" PRIu64 ".%" PRIu64 " %%", mille / 10, mille % 10);
}

static void print(const struct ms_usage_why *w) {
    const struct ms_asset_record *a = &w->info.asset;
    ms_out_pair("asset", "%s  %s", ms_id_text(a->id).s, a->name);
    ms_out_pair("type", "%s, %s, %s", ms_asset_type_name((enum ms_asset_type)a->type),
                ms_origin_name(a->origin), ms_state_name(w->info.state));
    ms_out_pair("created", "%s", ms_out_time(a->created).s);
    ms_out_pair("class", "%s", ms_class_name(w->class));
    ms_out_pair("counts", "%s: %s", w->metered && w->bytes > 0 ? "yes" : "no", w->why);
    ms_out_pair("since", "%s", ms_out_time(w->since).s);
    ms_out_pair("until", "%s%s", ms_out_time(w->until).s,
                ms_instant_is_none(w->until) ? ""
                : w->until_deleted           ? "  (deleted for good)"
                                             : "  (counts from then on)");
    exact("bytes", w->bytes);
    if (w->info.version.size > 0 || w->bytes > 0)
        ms_out_pair("version", "%s  of %s: %s bytes%s", ms_id_text(w->info.version.id).s,
                    ms_out_time(w->info.version.committed).s, ms_out_exact(w->main_bytes).s,
                    w->bytes > w->main_bytes ? "; the rest are its other files" : "");
    if (w->reserved > 0)
        exact("reserved", w->reserved);
    share(w);
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_usage_why *w = calloc(1, sizeof *w); /* too large for a stack */
    if (!w)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for an asset");
    enum ms_code code =
        ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT | MS_NEED_READ_ONLY, reterr);
    if (code == MS_OK)
        code = ms_usage_explain(cli->svc, &cli->ctx, cli->args[0], w, reterr);
    if (code == MS_OK && cli->json)
        code = ms_out_json(ms_usage_why_json(w), reterr);
    else if (code == MS_OK)
        print(w);
    free(w);
    return code;
}

const struct ms_cmd ms_cmd_quota_explain = {
    .name = "quota explain",
    .args = "PATH|ID",
    .summary = "show why an asset counts against the quota, or does not",
    .help = "Its class (standard; produced, inside or after its six months; excluded), since when "
            "and until when it is in it, how\n"
            "many bytes of which version, and what that is of the tenant's allowance. The ledger is "
            "looked through for the\n"
            "instant since when: that takes seconds for a tenant with millions of changes.\n\n"
            "Example:\n"
            "  msasset quota explain videos/film.mp4\n",
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
