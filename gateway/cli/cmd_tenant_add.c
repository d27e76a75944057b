#include "cli/out.h"

enum { OPT_QUOTA, OPT_RETENTION, OPT_UID, OPT_GID };

static enum ms_code number_of(const char *text, const char *flag, uint32_t *ret_n,
                              struct ms_error *reterr) {
    char *end = NULL;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (errno || end == text || *end || n > UINT32_MAX)
        return ms_fail(reterr, MS_USAGE, "%s wants a number, not \"%s\"", flag, text);
    *ret_n = (uint32_t)n;
    return MS_OK;
}

static enum ms_code options_of(struct ms_cli *cli, struct ms_tenant_options *o,
                               struct ms_error *reterr) {
    enum ms_code code = MS_OK;
    if (cli->given[OPT_QUOTA])
        code = ms_bytes_parse(cli->given[OPT_QUOTA], &o->free_bytes, reterr);
    if (code == MS_OK && cli->given[OPT_RETENTION])
        code = ms_duration_parse(cli->given[OPT_RETENTION], &o->retention_ms, reterr);
    if (code == MS_OK && cli->given[OPT_UID])
        code = number_of(cli->given[OPT_UID], "--uid", &o->uid, reterr);
    if (code == MS_OK && cli->given[OPT_GID])
        code = number_of(cli->given[OPT_GID], "--gid", &o->gid, reterr);
    return code;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_tenant_record tenant;
    enum ms_code code = ms_cli_open(cli, MS_NEED_STORE, reterr);
    if (code != MS_OK)
        return code;
    struct ms_tenant_options options = {.name = cli->args[0],
                                        .free_bytes = UINT64_MAX,
                                        .retention_ms = -1,
                                        .uid = cli->ctx.uid,
                                        .gid = cli->ctx.gid,
                                        .umask = 022};
    code = options_of(cli, &options, reterr);
    if (code == MS_OK)
        code = ms_tenant_add(cli->svc, cli->ctx.who, &options, &tenant, reterr);
    if (code != MS_OK)
        return code;
    if (cli->json)
        return ms_out_json(
            json_pack("{s:s,s:s}", "tenant_id", ms_id_text(tenant.id).s, "name", tenant.name),
            reterr);
    if (!cli->quiet)
        printf("Made tenant %s (%s), quota %s.\nNext: msasset mount %s /some/empty/folder\n",
               tenant.name, ms_id_text(tenant.id).s, ms_out_size(tenant.free_bytes).s, tenant.name);
    return MS_OK;
}

const struct ms_cmd ms_cmd_tenant_add = {
    .name = "tenant add",
    .args = "NAME",
    .summary = "make a tenant with its folders",
    .help = "Names are 1 to 64 of a-z 0-9 . _ -, beginning with a letter or digit. The quota "
            "defaults to the\n"
            "store's (5 GB); sizes are powers of two.\n\nExample:\n  msasset tenant add media "
            "--quota 20G\n",
    .opts = {{"quota", 0, "SIZE", "free quota, e.g. 5G"},
             {"retention", 0, "TIME",
              "how long deleted assets stay in the bin, e.g. 7d; 0: no bin"},
             {"uid", 0, "N", "owner of its folders and of files made without a mount"},
             {"gid", 0, "N", "their group"}},
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
