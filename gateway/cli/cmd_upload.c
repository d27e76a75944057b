#include "cli/parcel.h"
#include "service/catalogue.h"

#include <libgen.h>
#include <unistd.h>

enum { OPT_TYPE, OPT_NAME, OPT_DESCRIPTION, OPT_TAGS, OPT_ASSET, OPT_CATEGORY };

/* The file's own name; an asset of its own unless --asset names one. */
struct job {
    const char *name;
    enum ms_category category;
    struct ms_asset_id asset;
    struct ms_send send;
    uint8_t md5[16];
    uint64_t size;
};

static enum ms_code asset_for(struct ms_cli *cli, struct job *job, struct ms_error *reterr) {
    const char *type = cli->given[OPT_TYPE];
    struct ms_asset_new make = {
        .type = ms_asset_type_of_name(job->name, MS_SPECIAL_NONE, false),
        .name = cli->given[OPT_NAME] ? cli->given[OPT_NAME] : job->name,
        .description = cli->given[OPT_DESCRIPTION],
        .tags = cli->given[OPT_TAGS],
    };
    struct ms_asset_info info;
    if (cli->given[OPT_ASSET]) {
        MS_TRY(ms_asset_find(cli->svc, &cli->ctx, cli->given[OPT_ASSET], &info, reterr));
        job->asset.id = info.asset.id;
        return MS_OK;
    }
    if (type)
        MS_TRY(ms_cli_type(type, &make.type, reterr));
    return ms_asset_create(cli->svc, &cli->ctx, &make, &job->asset, reterr);
}

static enum ms_code declare(struct ms_cli *cli, struct job *job, struct ms_error *reterr) {
    bool large = job->size > 5 * MS_GB;
    const struct ms_declare declare = {.asset = job->asset,
                                       .category = job->category,
                                       .name = job->name,
                                       .md5 = large ? NULL : job->md5,
                                       .size = job->size,
                                       .parts = 1,
                                       .large = large};
    struct ms_declared declared;
    MS_TRY(ms_file_declare(cli->svc, &cli->ctx, &declare, &declared, reterr));
    job->send.file = declared.file;
    return MS_OK;
}

/* An upload that fails is given up, so that its reservation does not wait for a day. */
static void give_up(struct ms_cli *cli, const struct job *job) {
    const struct ms_confirm confirm = {.file = job->send.file, .as = MS_CONFIRM_FAILED};
    struct ms_confirmed confirmed;
    struct ms_error err;
    if (ms_file_confirm(cli->svc, &cli->ctx, &confirm, &confirmed, &err) != MS_OK)
        ms_log_failure(&cli->log, MS_LOG_DEBUG, "upload-not-given-up", &err, NULL);
}

static enum ms_code bring(struct ms_cli *cli, struct job *job, struct ms_confirmed *confirmed,
                          struct ms_error *reterr) {
    const struct ms_confirm confirm = {.file = job->send.file, .as = MS_CONFIRM_CREATED};
    enum ms_code code = ms_file_send(cli->svc, &cli->ctx, &job->send, reterr);
    if (code == MS_OK)
        code = ms_file_confirm(cli->svc, &cli->ctx, &confirm, confirmed, reterr);
    if (code != MS_OK)
        give_up(cli, job);
    return code;
}

static enum ms_code upload(struct ms_cli *cli, struct job *job, json_t *results,
                           struct ms_error *reterr) {
    struct ms_confirmed confirmed;
    MS_TRY(ms_md5_fd(&job->send, job->md5, &job->size, reterr));
    MS_TRY(asset_for(cli, job, reterr));
    MS_TRY(declare(cli, job, reterr));
    MS_TRY(bring(cli, job, &confirmed, reterr));
    return ms_cli_confirmed(cli, &confirmed, results, reterr);
}

static enum ms_code each(struct ms_cli *cli, const char *file, json_t *results,
                         struct ms_error *reterr) {
    char copy[4096];
    struct ms_progress progress;
    (void)snprintf(copy, sizeof copy, "%s", file);
    struct job job = {.name = basename(copy), .category = MS_CATEGORY_MAIN};
    job.send.progress = ms_progress_update;
    job.send.priv = &progress;
    if (cli->given[OPT_CATEGORY])
        MS_TRY(ms_cli_category(cli->given[OPT_CATEGORY], &job.category, reterr));
    MS_TRY(ms_cli_open_upload(file, &job.send.fd, reterr));
    ms_progress_begin(&progress, cli, file);
    enum ms_code code = upload(cli, &job, results, reterr);
    ms_progress_end(&progress);
    close(job.send.fd);
    return code;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    if (cli->given[OPT_CATEGORY] && !cli->given[OPT_ASSET])
        return ms_fail(reterr, MS_USAGE, "--category needs --asset: a new asset begins with MAIN");
    enum ms_code code = ms_cli_each(cli, each, reterr);
    ms_catalogue_tend(cli->svc);
    return code;
}

const struct ms_cmd ms_cmd_upload = {
    .name = "upload",
    .args = "FILE...",
    .summary = "make assets of local files, the way the API does",
    .help = "Each file becomes the MAIN file of a new asset: created, declared with size and MD5, "
            "sent, confirmed. It\n"
            "appears in its type's folder; the type comes from the suffix unless --type names it. "
            "With --asset the\n"
            "file is added to an asset: a COVER, or as TEMPORARY in the place of its MAIN. Over 5 "
            "GB it is a large\n"
            "file. Exit status 65: it is not what was declared, or breaks a rule for its content "
            "(the asset is FAILED\n"
            "with the reason); 6: the quota does not hold it.\n\nExamples:\n"
            "  msasset upload film.mp4 --name 'The film' --tags news,2026\n"
            "  msasset upload cover.png --asset videos/film.mp4 --category COVER\n",
    .opts = {{"type", 0, "TYPE", "asset type, e.g. VIDEO, COMMON_FILE"},
             {"name", 0, "TEXT", "name of the asset; its file's name otherwise"},
             {"description", 0, "TEXT", "at most 4096 characters"},
             {"tags", 0, "LIST", "comma-separated, at most 50"},
             {"asset", 0, "PATH|ID", "add the file to this asset"},
             {"category", 0, "NAME", "MAIN, COVER, PAGE, SAMPLE, OTHER, TEMPORARY or PACKAGE"}},
    .args_min = 1,
    .args_max = -1,
    .run = run,
};
