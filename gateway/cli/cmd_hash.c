#include "cli/out.h"

#include "content/hash.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

static enum ms_code each(struct ms_cli *cli, const char *file, json_t *results,
                         struct ms_error *reterr) {
    int fd = strcmp(file, "-") == 0 ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ms_fail(reterr, MS_NO_INPUT, "%s cannot be read: %s", file, strerror(errno));
    struct ms_hashes hashes = {0};
    uint64_t size = 0;
    uint8_t root[16];
    char text[33];
    struct ms_progress progress;
    ms_progress_begin(&progress, cli, file);
    enum ms_code code = ms_hash_fd(fd, MS_BLOCK_LOG2_DEFAULT, &hashes, &size, root,
                                   ms_progress_count, &progress, reterr);
    ms_progress_end(&progress);
    ms_hashes_fini(&hashes);
    if (fd != STDIN_FILENO)
        close(fd);
    if (code != MS_OK)
        return code;
    ms_root_format(root, text);
    if (cli->json)
        ms_out_add(results, json_pack("{s:s,s:s,s:I}", "file", file, "root", text,
                                     "size_bytes", (json_int_t)size));
    else
        printf("%s  %s\n", text, file);
    return MS_OK;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    return ms_cli_each(cli, each, reterr);
}

const struct ms_cmd ms_cmd_hash = {
    .name = "hash",
    .args = "FILE...",
    .summary = "compute the root hash of local files",
    .help = "The same hash that msasset ls -l, show and the attribute user.msasset.root tell of a "
            "stored file: XXH3-128\n"
            "over the size and the XXH3-64 of each 256 KiB block. Needs no store.\n\nExample:\n  "
            "msasset hash film.mp4\n",
    .args_min = 1,
    .args_max = -1,
    .run = run,
};
