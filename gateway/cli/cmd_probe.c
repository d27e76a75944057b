#include "cli/content_text.h"
#include "cli/out.h"

#include "probe/prober.h"
#include "service/show.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

static enum ms_code read_local(struct ms_probe_request *r, uint64_t offset, void *into, size_t n,
                               struct ms_error *reterr) {
    const int *fd = r->priv;

    for (size_t at = 0; at < n;) {
        ssize_t got = pread(*fd, (char *)into + at, n - at, (off_t)(offset + at));

        if (got <= 0)
            return ms_fail(reterr, MS_NO_INPUT, "the file cannot be read at byte %" PRIu64 ": %s",
                           offset + at, got < 0 ? strerror(errno) : "it became shorter");
        at += (size_t)got;
    }
    return MS_OK;
}

static enum ms_code examine(struct ms_prober *prober, int fd, uint64_t size,
                            struct ms_probe_request *ret_request, struct ms_error *reterr) {
    *ret_request = (struct ms_probe_request){.size = size, .read = read_local, .priv = &fd};
    return ms_prober_run(prober, ret_request, reterr);
}

static json_t *show(const char *file, const struct ms_content *content,
                    const struct ms_limits *limits, enum ms_code verdict,
                    const struct ms_error *why, uint64_t reads) {
    struct ms_show s = ms_show_begin();

    ms_show_set(&s, "file", json_string(file));
    ms_show_set(&s, "size_bytes", ms_show_u64(content->size));
    ms_show_set(&s, "asset_type", json_string(ms_asset_type_name(content->type)));
    ms_show_set(&s, "reads", ms_show_u64(reads));
    ms_show_set(&s, "facts", ms_show_facts(content->facts));
    ms_show_set(&s, "accepted", json_boolean(verdict == MS_OK));
    ms_show_set(&s, "refused", verdict ? json_string(why->message) : json_null());
    ms_show_set(&s, "usable", ms_show_uses(limits, content));
    return ms_show_end(&s);
}

static void print(const char *file, const struct ms_content *content,
                  const struct ms_limits *limits, enum ms_code verdict,
                  const struct ms_error *why) {
    ms_out_pair("file", "%s", file);
    ms_out_pair("type", "%s", ms_asset_type_name(content->type));
    if (verdict != MS_OK)
        ms_out_pair("refused", "%s", why->message);
    ms_content_print(limits, content);
}

static void tell(struct ms_cli *cli, const char *file, const struct ms_content *content,
                 uint64_t reads, json_t *results) {
    struct ms_limits limits;
    struct ms_error why = {0};
    enum ms_code verdict;

    ms_cli_limits(cli, &limits);
    verdict = ms_content_accept(&limits, content, &why);
    if (cli->json)
        ms_out_add(results, show(file, content, &limits, verdict, &why, reads));
    else
        print(file, content, &limits, verdict, &why);
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static enum ms_code each(struct ms_cli *cli, const char *file, json_t *results,
                         struct ms_error *reterr) {
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    struct ms_probe_request request;
    struct stat st;
    enum ms_code code;

    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        code = ms_fail(reterr, MS_NO_INPUT, "%s cannot be read: %s", file,
                       fd < 0 ? strerror(errno) : "it is no regular file");
    else
        code = examine(cli->own, fd, (uint64_t)st.st_size, &request, reterr);
    if (fd >= 0)
        close(fd);
    if (code != MS_OK)
        return code;
    struct ms_content content = {&request.facts, base_name(file), MS_TYPE_COMMON_FILE,
                                 (uint64_t)st.st_size};
    content.type = ms_asset_type_of_name(content.name, MS_SPECIAL_NONE, st.st_size == 0);
    tell(cli, file, &content, request.reads, results);
    return MS_OK;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    char program[4096];
    struct ms_prober_options options = {.program = program, .threads = 1};
    struct ms_prober *prober;
    enum ms_code code;

    ms_prober_program(program);
    MS_TRY(ms_prober_new(&options, &prober, reterr));
    cli->own = prober;
    code = ms_cli_each(cli, each, reterr);
    ms_prober_free(prober);
    return code;
}

const struct ms_cmd ms_cmd_probe = {
    .name = "probe",
    .args = "FILE...",
    .summary = "examine local files: what is in them, and where they would be usable",
    .help =
        "Container, tracks, size of the picture, frame rate, length, slides, as an upload would be "
        "examined, by the\nprogram msasset-probe, which can reach nothing while it reads. Says "
        "whether "
        "the content would be accepted under\nits name, and where it would be usable, with the "
        "reason "
        "where not. Needs no store.\n\nExample:\n  msasset probe film.mov deck.pptx\n  msasset "
        "probe "
        "--json film.mov\n",
    .args_min = 1,
    .args_max = -1,
    .run = run,
};
