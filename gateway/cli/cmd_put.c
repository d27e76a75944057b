#include "cli/out.h"
#include "service/catalogue.h"

#include <fcntl.h>
#include <libgen.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPT_REPLACE, OPT_WRITEBACK };

/* Where a file goes: DEST itself, or DEST/<its name> when DEST is a folder or ends with "/". */
static enum ms_code destination(struct ms_cli *cli, const char *dest, const char *file,
                                bool must_be_folder, char ret_path[8192], struct ms_error *reterr) {
    struct ms_node node;
    size_t len = strlen(dest);
    bool slash = len > 0 && dest[len - 1] == '/';
    enum ms_code code = ms_tree_walk(cli->svc, &cli->ctx, dest, &node, reterr);
    bool folder = code == MS_OK && S_ISDIR(node.inode.mode);
    if (code != MS_OK && (code != MS_NOT_FOUND || slash || must_be_folder))
        return code;
    if ((slash || must_be_folder) && !folder)
        return ms_fail(reterr, MS_NOT_DIR, "\"%s\" is not a folder", dest);
    char copy[4096];
    (void)snprintf(copy, sizeof copy, "%s", file);
    int n = folder ? snprintf(ret_path, 8192, "%s/%s", dest, basename(copy))
                   : snprintf(ret_path, 8192, "%s", dest);
    return n < 8192 ? MS_OK : ms_fail(reterr, MS_USAGE, "the path is longer than 8191 bytes");
}

static enum ms_code open_input(const char *file, int *ret_fd, struct stat *ret_st,
                               struct ms_error *reterr) {
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, ret_st) != 0) {
        int err = errno;
        if (fd >= 0)
            close(fd);
        return ms_fail(reterr, MS_NO_INPUT, "%s cannot be read: %s", file, strerror(err));
    }
    if (!S_ISREG(ret_st->st_mode)) {
        close(fd);
        return ms_fail(reterr, MS_NO_INPUT, "%s is not a regular file", file);
    }
    *ret_fd = fd;
    return MS_OK;
}

static enum ms_code put_one(struct ms_cli *cli, const char *file, const char *path, json_t *results,
                            struct ms_error *reterr) {
    int fd = -1;
    struct stat st;
    struct ms_progress progress;
    struct ms_asset_info info;
    enum ms_code code = open_input(file, &fd, &st, reterr);
    if (code != MS_OK)
        return code;
    ms_progress_begin(&progress, cli, file);
    struct ms_put put = {.fd = fd,
                         .path = path,
                         .mode = st.st_mode & 0777,
                         .replace = cli->given[OPT_REPLACE] != NULL,
                         .mtime = st.st_mtim,
                         .progress = ms_progress_update,
                         .priv = &progress};
    code = ms_asset_put(cli->svc, &cli->ctx, &put, &info, reterr);
    ms_progress_end(&progress);
    close(fd);
    if (code != MS_OK)
        return code;
    if (cli->json)
        ms_out_add(results, ms_out_asset_json(&info));
    else if (!cli->quiet)
        printf("%s  %s  %s  %s\n", ms_id_text(info.asset.id).s, ms_asset_type_name(info.asset.type),
               ms_out_size(info.size).s, info.path);
    return MS_OK;
}

static enum ms_code each(struct ms_cli *cli, const char *file, json_t *results,
                         struct ms_error *reterr) {
    char path[8192];
    const char *dest = cli->args[cli->args_n]; /* run() took it off the list */
    enum ms_code code = destination(cli, dest, file, cli->args_n > 1, path, reterr);
    return code == MS_OK ? put_one(cli, file, path, results, reterr) : code;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    bool writeback = cli->given[OPT_WRITEBACK] != NULL;
    enum ms_code code = ms_cli_open(
        cli, MS_NEED_STORE | MS_NEED_TENANT | (writeback ? MS_NEED_NO_OBJECTS : 0), reterr);
    if (code == MS_OK)
        cli->svc->writeback = writeback;
    cli->args_n--;
    if (code != MS_OK)
        return code;
    code = ms_cli_each(cli, each, reterr);
    ms_catalogue_tend(cli->svc);
    return code;
}

const struct ms_cmd ms_cmd_put = {
    .name = "put",
    .args = "FILE... DEST",
    .summary = "upload local files into the tree",
    .help = "DEST is a folder of the tree, or the path of the new file. The file is there, whole "
            "and durable, when the\n"
            "command ends, or not at all. Exit status 65: the content does not fit its suffix or "
            "is too large; 6: the\n"
            "quota does not hold it.\n\nExamples:\n  msasset put film.mp4 videos/\n"
            "  msasset put a.mp4 b.mp4 videos/ --tenant media\n",
    .opts = {{"replace", 0, NULL, "overwrite a file that is there; its asset keeps its id"},
             {"writeback", 0, NULL,
              "end once the bytes are on the local disk: a mount, or msasset pending --wait, uploads "
              "them"}},
    .args_min = 2,
    .args_max = -1,
    .run = run,
};
