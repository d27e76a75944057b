#include "cli/out.h"

enum { OPT_OBJECTS };

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    char dir[4096];
    struct ms_svc_options options;
    enum ms_code code = ms_cli_svc_options(cli, dir, &options, reterr);
    if (code != MS_OK)
        return code;
    const char *url = ms_config_text(&cli->config, MS_CONFIG_OBJECT_URL);
    options.object_url = cli->given[OPT_OBJECTS] ? cli->given[OPT_OBJECTS] : url[0] ? url : NULL;
    options.free_bytes = ms_config_bytes(&cli->config, MS_CONFIG_FREE_QUOTA_BYTES);
    options.retention_ms = ms_config_duration_ms(&cli->config, MS_CONFIG_BIN_RETENTION);
    code = ms_svc_init(&options, reterr);
    if (code != MS_OK)
        return code;
    if (cli->json)
        return ms_out_json(json_pack("{s:s}", "store", dir), reterr);
    if (!cli->quiet)
        printf("Made a store in %s.\nNext: msasset tenant add NAME\n", dir);
    return MS_OK;
}

const struct ms_cmd ms_cmd_init = {
    .name = "init",
    .args = "",
    .summary = "make a store in an empty or missing folder",
    .help = "Makes the metadata store and, unless --objects names another place, a folder for the "
            "objects\n"
            "inside it. A store that is there already is left alone and reported.\n\n"
            "On S3 (libs3: Signature V2): "
            "s3://BUCKET[/PREFIX][?endpoint=URL&region=NAME&style=path|virtual\n"
            "&payload=sha256|unsigned&connections=N&multipart=yes|no&ca=FILE&keys=FILE]. The keys come\n"
            "from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or are the lines of FILE\n"
            "(mode 0600). N (64) bounds how many transfers run at once; multipart=no is for a store that has\n"
            "no uploads in parts.\n\n"
            "Examples:\n  msasset init --store /srv/msasset\n"
            "  msasset init --objects 's3://media/assets?endpoint=https://rgw.example.org'\n",
    .opts = {{"objects", 0, "URL",
              "where the objects go: dir:/absolute/path, s3://bucket/prefix, libs3://..."}},
    .run = run,
};
