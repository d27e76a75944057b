#include "cli/derive.h"
#include "service/catalogue.h"

enum { OPT_AGAIN };

static bool goes_on(void *priv) {
    (void)priv;
    return !ms_cli_stopped();
}

static enum ms_code print(const struct ms_cli *cli, const struct ms_derive_result *r, struct ms_error *reterr) {
    if (cli->json) {
        json_t *o = json_object();
        ms_out_set(o, "assets", ms_out_json_u64(r->looked));
        ms_out_set(o, "made", ms_out_json_u64(r->made));
        ms_out_set(o, "failed", ms_out_json_u64(r->failed));
        ms_out_set(o, "removed_files", ms_out_json_u64(r->removed));
        ms_out_set(o, "waiting", ms_out_json_u64(r->waiting));
        ms_out_set(o, "put_off", ms_out_json_u64(r->put_off));
        ms_out_set(o, "busy", json_boolean(r->busy));
        return ms_out_json(o, reterr);
    }
    if (r->busy)
        printf("Another run is at work.\n");
    else if (!cli->quiet)
        printf("Looked at %llu assets: made %llu, failed %llu, waiting for a converter %llu\n",
               (unsigned long long)r->looked, (unsigned long long)r->made, (unsigned long long)r->failed,
               (unsigned long long)r->waiting);
    return MS_OK;
}

enum ms_code ms_cli_derive(struct ms_cli *cli, bool again, int64_t pause_ms, struct ms_derive_result *ret_result,
                           struct ms_error *reterr) {
    ms_cli_catch_signals();
    const struct ms_derive_options options = {
        .confine = cli->probe,
        .ffmpeg = ms_config_text(&cli->config, MS_CONFIG_DERIVE_FFMPEG),
        .pdf = ms_config_text(&cli->config, MS_CONFIG_DERIVE_PDFTOCAIRO),
        .office = ms_config_text(&cli->config, MS_CONFIG_DERIVE_SOFFICE),
        .free_bytes = ms_config_bytes(&cli->config, MS_CONFIG_DERIVE_FREE),
        .timeout_ms = ms_config_duration_ms(&cli->config, MS_CONFIG_DERIVE_TIMEOUT),
        .pause_ms = pause_ms,
        .again = again,
        .goes_on = goes_on};
    return ms_derive_run(cli->svc, &options, ret_result, reterr);
}

enum ms_code ms_cli_derive_put_off(const struct ms_derive_result *result, struct ms_error *reterr) {
    if (result->put_off == 0)
        return MS_OK;
    return ms_fail(reterr, MS_CONFLICT, "%llu assets are put off to the next run; the first: %.170s",
                   (unsigned long long)result->put_off, result->why.message);
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_derive_result result = {.looked = 0};
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE, reterr));
    enum ms_code code = ms_cli_derive(cli, cli->given[OPT_AGAIN] != NULL, 0, &result, reterr);
    ms_catalogue_tend(cli->svc);
    MS_TRY(code == MS_OK ? print(cli, &result, reterr) : code);
    return ms_cli_derive_put_off(&result, reterr);
}

const struct ms_cmd ms_cmd_derive_run = {
    .name = "derive run",
    .args = "",
    .summary = "make covers, WebMs of MOVs with alpha, and pages of decks",
    .help = "Of every finished asset whose content was examined, what is not there yet: a cover of a video or\n"
            "an image that has none, a WebM (VP9 with alpha) of a MOV with alpha channel, by which video\n"
            "production judges it, an image of each of the first 50 pages of a PDF, pptx or ppt. They are files\n"
            "of the asset, named \"derived-...\", and count. One that cannot be made, or that the quota does\n"
            "not hold, is a file in FAILED with its reason, and is tried again with --again only; nothing else\n"
            "fails by it. What was made of bytes replaced since is removed. Converters (derive_ffmpeg,\n"
            "derive_pdftocairo, derive_soffice, msasset.conf(5)) run shut in: another user, no network, no\n"
            "files but their own, limits of time, memory and disk. What would leave less than derive_free on\n"
            "the store's disk is put off, and the exit status is 75. One run at a time; a killed one is taken\n"
            "up by the next. \"sweep\" does the same in its end, ten minutes after the last run, unless\n"
            "derive_in_sweep says no.\n\n"
            "Example:\n"
            "  msasset derive run\n",
    .opts = {{"again", 0, NULL, "what failed, too"}},
    .run = run,
};
