#include "cli/out.h"
#include "quota/price.h"
#include "service/catalogue.h"
#include "service/produce.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPT_DURATION };

/* Seconds with at most three digits behind the point. */
static enum ms_code duration(const struct ms_cli *cli, uint64_t *ret_ms, struct ms_error *reterr) {
    const char *text = cli->given[OPT_DURATION];
    uint64_t nano;
    if (!text)
        return ms_fail(reterr, MS_USAGE, "--duration SECONDS is needed: minutes are metered by it");
    if (!ms_decimal_parse(text, strlen(text), &nano) || nano % (MS_NANO / 1000) != 0)
        return ms_fail(reterr, MS_USAGE,
                       "--duration wants seconds with at most three decimals, as 754 or 12.345, not "
                       "\"%.64s\"",
                       text);
    *ret_ms = nano / (MS_NANO / 1000);
    return MS_OK;
}

static enum ms_code open_input(const char *file, int *ret_fd, struct stat *ret_st,
                               struct ms_error *reterr) {
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, ret_st) != 0 || !S_ISREG(ret_st->st_mode)) {
        int err = fd < 0 ? errno : EINVAL;
        if (fd >= 0)
            close(fd);
        return ms_fail(reterr, MS_NO_INPUT, "%s cannot be read as a regular file: %s", file,
                       strerror(err));
    }
    *ret_fd = fd;
    return MS_OK;
}

/* DEST itself, or below it when it is a folder. */
static enum ms_code destination(struct ms_cli *cli, char ret_path[8192], struct ms_error *reterr) {
    const char *dest = cli->args[1], *slash = strrchr(cli->args[0], '/');
    struct ms_node node;
    struct ms_error err;
    bool folder = ms_tree_walk(cli->svc, &cli->ctx, dest, &node, &err) == MS_OK &&
                  S_ISDIR(node.inode.mode);
    int n = folder ? snprintf(ret_path, 8192, "%s/%s", dest, slash ? slash + 1 : cli->args[0])
                   : snprintf(ret_path, 8192, "%s", dest);
    return n < 8192 ? MS_OK : ms_fail(reterr, MS_USAGE, "the path is longer than 8191 bytes");
}

static enum ms_code produce(struct ms_cli *cli, struct ms_asset_info *ret_info,
                            struct ms_error *reterr) {
    char path[8192];
    struct stat st;
    struct ms_progress progress;
    struct ms_produce p = {.fd = -1,
                           .path = path,
                           .progress = ms_progress_update,
                           .priv = &progress};
    enum ms_code code = duration(cli, &p.duration_ms, reterr);
    if (code == MS_OK)
        code = destination(cli, path, reterr);
    if (code == MS_OK)
        code = open_input(cli->args[0], &p.fd, &st, reterr);
    if (code != MS_OK)
        return code;
    p.mode = st.st_mode & 0777;
    p.mtime = st.st_mtim;
    ms_progress_begin(&progress, cli, cli->args[0]);
    code = ms_produce(cli->svc, &cli->ctx, &p, ret_info, reterr);
    ms_progress_end(&progress);
    close(p.fd);
    return code;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_asset_info info;
    enum ms_code code = ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr);
    if (code == MS_OK)
        code = produce(cli, &info, reterr);
    if (code != MS_OK)
        return code;
    ms_catalogue_tend(cli->svc);
    if (cli->json)
        return ms_out_json(ms_out_asset_json(&info), reterr);
    if (!cli->quiet)
        printf("%s  %s  %s  %s\n", ms_id_text(info.asset.id).s, ms_asset_type_name(info.asset.type),
               ms_out_size(info.size).s, info.path);
    return MS_OK;
}

const struct ms_cmd ms_cmd_produce = {
    .name = "produce",
    .args = "FILE DEST",
    .summary = "register a video that the platform composited",
    .help = "The file becomes an asset of origin CUSTOMIZED; its tenant can read and delete it, not "
            "change it. Its bytes are not\n"
            "counted for six calendar months. Its minutes (seconds to hundredths of a minute, half "
            "up) are metered in the same\n"
            "commit, and charged whatever becomes of it. With pay-per-use off (quota set) a video "
            "that no package holds is\n"
            "refused with exit status 6: nothing is produced and nothing charged. For "
            "administrators and service principals.\n\n"
            "Example:\n"
            "  msasset produce out.mp4 videos/ --duration 754.2 --tenant media\n",
    .opts = {{"duration", 0, "SECONDS", "how long it lasts, to the millisecond; needed"}},
    .args_min = 2,
    .args_max = 2,
    .run = run,
};
