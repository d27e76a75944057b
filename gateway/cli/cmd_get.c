#include "cli/share_text.h"

#include "model/names.h"
#include "service/confirm.h"
#include "service/fetch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPT_FORCE, OPT_SHARED, OPT_FILE };

/* What is fetched: of the tenant's own, or shared with it. */
struct wanted {
    bool shared;
    bool beside; /* `file` of it */
    struct ms_asset_info own;
    struct ms_file_record file;
    struct ms_shared_info others;
};

static const struct ms_asset_record *asset_of(const struct wanted *w) {
    return w->shared ? &w->others.asset : &w->own.asset;
}

static bool count(void *priv, uint64_t done, uint64_t total) {
    return ms_progress_update(priv, done, total);
}

static enum ms_code fetch(struct ms_cli *cli, const struct wanted *w, int fd,
                          struct ms_error *reterr) {
    struct ms_progress progress;
    ms_progress_begin(&progress, cli, asset_of(w)->name);
    struct ms_get get = {.id = {asset_of(w)->id}, .fd = fd, .progress = count, .priv = &progress};
    enum ms_code code =
        w->shared   ? ms_shared_fetch(cli->svc, &cli->ctx, &get, reterr)
        : w->beside ? ms_file_fetch(cli->svc, &cli->ctx, (struct ms_file_id){w->file.id}, &get, reterr)
                    : ms_asset_fetch(cli->svc, &cli->ctx, &get, reterr);
    ms_progress_end(&progress);
    return code;
}

/* The file appears under its name only when all its bytes are there. */
static enum ms_code fetch_to_file(struct ms_cli *cli, const struct wanted *w,
                                  const char *dest, struct ms_error *reterr) {
    char part[4096 + 16];
    (void)snprintf(part, sizeof part, "%s.msasset-part", dest);
    if (!cli->given[OPT_FORCE] && access(dest, F_OK) == 0)
        return ms_fail(reterr, MS_CANT_CREATE, "%s is there already; --force overwrites it", dest);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return ms_fail(reterr, MS_CANT_CREATE, "%s cannot be made: %s", part, strerror(errno));
    enum ms_code code = fetch(cli, w, fd, reterr);
    if (close(fd) != 0 && code == MS_OK)
        code = ms_fail(reterr, MS_CANT_CREATE, "%s cannot be written: %s", part, strerror(errno));
    if (code == MS_OK && rename(part, dest) != 0)
        code = ms_fail(reterr, MS_CANT_CREATE, "%s cannot be made: %s", dest, strerror(errno));
    if (code != MS_OK)
        (void)unlink(part);
    return code;
}

/* The name of a local file: one, whatever somebody called the asset. */
static void local_name(const struct wanted *w, char ret_name[MS_NAME_BYTES_MAX + 1]) {
    const char *slash = strrchr(w->own.path, '/');
    if (w->beside)
        ms_name_from_text(w->file.name, ret_name);
    else if (!w->shared && slash)
        ms_name_from_text(slash + 1, ret_name);
    else if (w->shared && w->others.main.name[0])
        ms_name_from_text(w->others.main.name, ret_name);
    else
        ms_name_from_text(asset_of(w)->name, ret_name);
}

static enum ms_code destination(struct ms_cli *cli, const struct wanted *w,
                                char ret_dest[4096], struct ms_error *reterr) {
    char base[MS_NAME_BYTES_MAX + 1];
    local_name(w, base);
    const char *given = cli->args_n > 1 ? cli->args[1] : base;
    struct stat st;
    bool folder = stat(given, &st) == 0 && S_ISDIR(st.st_mode);
    int n = folder ? snprintf(ret_dest, 4096, "%s/%s", given, base)
                   : snprintf(ret_dest, 4096, "%s", given);
    return n < 4096 ? MS_OK : ms_fail(reterr, MS_USAGE, "the path is longer than 4095 bytes");
}

/* --file: by id, or by a name that one file of the asset has. */
static enum ms_code choose(struct ms_cli *cli, struct wanted *w, const struct ms_file_record *files,
                           size_t n, struct ms_error *reterr) {
    const char *named = cli->given[OPT_FILE];
    unsigned found = 0;
    for (size_t i = 0; i < n; i++)
        if (strcmp(files[i].name, named) == 0 || strcmp(ms_id_text(files[i].id).s, named) == 0) {
            w->file = files[i];
            found++;
        }
    if (found > 1)
        return ms_fail(reterr, MS_INVALID, "%u files of the asset are called %.100s: give an id (msasset asset files)",
                       found, named);
    if (found == 0)
        return ms_fail(reterr, MS_NOT_FOUND, "the asset has no file %.100s: see msasset asset files", named);
    w->beside = w->file.category != MS_CATEGORY_MAIN;
    return MS_OK;
}

static enum ms_code find_file(struct ms_cli *cli, struct wanted *w, struct ms_error *reterr) {
    struct ms_file_record *files = calloc(MS_FILES_MAX, sizeof *files);
    size_t n;
    if (!files)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a list of files");
    enum ms_code code = ms_file_list(cli->svc, &cli->ctx, (struct ms_asset_id){w->own.asset.id},
                                     files, MS_FILES_MAX, &n, reterr);
    if (code == MS_OK)
        code = choose(cli, w, files, n, reterr);
    free(files);
    return code;
}

static enum ms_code find(struct ms_cli *cli, struct wanted *w, struct ms_error *reterr) {
    w->shared = cli->given[OPT_SHARED] != NULL;
    if (w->shared && cli->given[OPT_FILE])
        return ms_fail(reterr, MS_USAGE, "of what is shared only MAIN can be read: leave --file out");
    if (w->shared)
        return ms_shared_find(cli->svc, &cli->ctx, cli->args[0], &w->others, reterr);
    MS_TRY(ms_asset_find(cli->svc, &cli->ctx, cli->args[0], &w->own, reterr));
    return cli->given[OPT_FILE] ? find_file(cli, w, reterr) : MS_OK;
}

static enum ms_code run_with(struct ms_cli *cli, struct wanted *w, struct ms_error *reterr) {
    char dest[4096];
    MS_TRY(find(cli, w, reterr));
    if (cli->args_n > 1 && strcmp(cli->args[1], "-") == 0)
        return fetch(cli, w, STDOUT_FILENO, reterr);
    MS_TRY(destination(cli, w, dest, reterr));
    MS_TRY(fetch_to_file(cli, w, dest, reterr));
    if (cli->json)
        return ms_out_json(w->shared ? ms_shared_json(&w->others) : ms_out_asset_json(&w->own), reterr);
    if (!cli->quiet)
        printf("%s  %s\n", dest, ms_out_size(w->shared   ? w->others.main.size
                                               : w->beside ? w->file.size
                                                           : w->own.size)
                                       .s);
    return MS_OK;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    struct wanted *w = calloc(1, sizeof *w);
    if (!w)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory to look at an asset");
    enum ms_code code = run_with(cli, w, reterr);
    free(w);
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
        "complete. With\n"
        "--shared, what another tenant shares with this one: an id, or TENANT/NAME, its owner and its name.\n\n"
        "Examples:\n  msasset get videos/film.mp4\n  msasset get videos/film.mp4 - | ffprobe -\n"
        "  msasset get --shared media/film.mp4 /tmp/\n"
        "  msasset get videos/film.mp4 --file cover.jpg\n",
    .opts = {{"force", 'f', NULL, "overwrite DEST"},
             {"shared", 's', NULL, "what is shared with the tenant"},
             {"file", 0, "NAME|ID", "a file beside MAIN: a cover, a page (msasset asset files names them)"}},
    .args_min = 1,
    .args_max = 2,
    .run = run,
};
