#include "cli/out.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPT_FORCE };

static bool count(void *priv, uint64_t done, uint64_t total) {
    return ms_progress_update(priv, done, total);
}

static enum ms_code fetch(struct ms_cli *cli, const struct ms_asset_info *info, int fd,
                          struct ms_error *reterr) {
    struct ms_progress progress;
    ms_progress_begin(&progress, cli, info->asset.name);
    struct ms_get get = {.id = {info->asset.id}, .fd = fd, .progress = count, .priv = &progress};
    enum ms_code code = ms_asset_fetch(cli->svc, &cli->ctx, &get, reterr);
    ms_progress_end(&progress);
    return code;
}

/* The file appears under its name only when all its bytes are there. */
static enum ms_code fetch_to_file(struct ms_cli *cli, const struct ms_asset_info *info,
                                  const char *dest, struct ms_error *reterr) {
    char part[4096 + 16];
    (void)snprintf(part, sizeof part, "%s.msasset-part", dest);
    if (!cli->given[OPT_FORCE] && access(dest, F_OK) == 0)
        return ms_fail(reterr, MS_CANT_CREATE, "%s is there already; --force overwrites it", dest);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return ms_fail(reterr, MS_CANT_CREATE, "%s cannot be made: %s", part, strerror(errno));
    enum ms_code code = fetch(cli, info, fd, reterr);
    if (close(fd) != 0 && code == MS_OK)
        code = ms_fail(reterr, MS_CANT_CREATE, "%s cannot be written: %s", part, strerror(errno));
    if (code == MS_OK && rename(part, dest) != 0)
        code = ms_fail(reterr, MS_CANT_CREATE, "%s cannot be made: %s", dest, strerror(errno));
    if (code != MS_OK)
        (void)unlink(part);
    return code;
}

static enum ms_code destination(struct ms_cli *cli, const struct ms_asset_info *info,
                                char ret_dest[4096], struct ms_error *reterr) {
    const char *slash = strrchr(info->path, '/');
    const char *base = info->path[0] ? slash + 1 : info->asset.name;
    const char *given = cli->args_n > 1 ? cli->args[1] : base;
    struct stat st;
    bool folder = stat(given, &st) == 0 && S_ISDIR(st.st_mode);
    int n = folder ? snprintf(ret_dest, 4096, "%s/%s", given, base)
                   : snprintf(ret_dest, 4096, "%s", given);
    return n < 4096 ? MS_OK : ms_fail(reterr, MS_USAGE, "the path is longer than 4095 bytes");
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    char dest[4096];
    struct ms_asset_info info;
    enum ms_code code = ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr);
    if (code == MS_OK)
        code = ms_asset_find(cli->svc, &cli->ctx, cli->args[0], &info, reterr);
    if (code != MS_OK)
        return code;
    if (cli->args_n > 1 && strcmp(cli->args[1], "-") == 0)
        return fetch(cli, &info, STDOUT_FILENO, reterr);
    code = destination(cli, &info, dest, reterr);
    if (code == MS_OK)
        code = fetch_to_file(cli, &info, dest, reterr);
    if (code == MS_OK && cli->json)
        return ms_out_json(ms_out_asset_json(&info), reterr);
    if (code == MS_OK && !cli->quiet)
        printf("%s  %s\n", dest, ms_out_size(info.size).s);
    return code;
}

const struct ms_cmd ms_cmd_get = {
    .name = "get",
    .args = "PATH|ID [DEST]",
    .summary = "download the bytes of an asset",
    .help =
        "Every block is compared with its checksum: what is written is what was stored, or the "
        "command fails with\n"
        "exit status 74. DEST is a file or a folder; \"-\" is stdout. The file appears when it is "
        "complete.\n\n"
        "Examples:\n  msasset get videos/film.mp4\n  msasset get videos/film.mp4 - | ffprobe -\n",
    .opts = {{"force", 'f', NULL, "overwrite DEST"}},
    .args_min = 1,
    .args_max = 2,
    .run = run,
};
