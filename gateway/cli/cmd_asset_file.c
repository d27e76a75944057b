#include "cli/parcel.h"

#include <unistd.h>

enum { OPT_FROM, OPT_NAME, OPT_SIZE, OPT_MD5, OPT_CATEGORY, OPT_LARGE, OPT_PARTS };

struct facts {
    struct ms_declare declare;
    uint8_t md5[16];
};

static enum ms_code look_at(const char *file, struct facts *f, struct ms_error *reterr) {
    struct ms_send send = {.fd = -1};
    MS_TRY(ms_cli_open_upload(file, &send.fd, reterr));
    enum ms_code code = ms_md5_fd(&send, f->md5, &f->declare.size, reterr);
    close(send.fd);
    f->declare.md5 = f->md5;
    return code;
}

static enum ms_code name_of(struct ms_cli *cli, struct facts *f, struct ms_error *reterr) {
    const char *from = cli->given[OPT_FROM], *slash = from ? strrchr(from, '/') : NULL;
    f->declare.name = cli->given[OPT_NAME] ? cli->given[OPT_NAME] : slash ? slash + 1 : from;
    if (f->declare.name)
        return MS_OK;
    return ms_fail(reterr, MS_USAGE, "--name names the file, or --from has it");
}

static enum ms_code facts_of(struct ms_cli *cli, struct facts *f, struct ms_error *reterr) {
    f->declare.category = MS_CATEGORY_MAIN;
    f->declare.parts = 1;
    f->declare.large = cli->given[OPT_LARGE] != NULL;
    MS_TRY(name_of(cli, f, reterr));
    if (cli->given[OPT_FROM])
        MS_TRY(look_at(cli->given[OPT_FROM], f, reterr));
    if (cli->given[OPT_SIZE])
        MS_TRY(ms_bytes_parse(cli->given[OPT_SIZE], &f->declare.size, reterr));
    if (cli->given[OPT_MD5])
        MS_TRY(ms_cli_md5(cli->given[OPT_MD5], f->md5, reterr));
    if (cli->given[OPT_MD5])
        f->declare.md5 = f->md5;
    if (cli->given[OPT_CATEGORY])
        MS_TRY(ms_cli_category(cli->given[OPT_CATEGORY], &f->declare.category, reterr));
    if (cli->given[OPT_PARTS])
        f->declare.parts = (uint32_t)strtoul(cli->given[OPT_PARTS], NULL, 10);
    return MS_OK;
}

/* All URLs of the file; none where the store signs none. */
static enum ms_code urls_of(struct ms_cli *cli, const struct facts *f, struct ms_file_id file,
                            json_t *urls, json_t *headers, struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf url = {0};
    MS_AUTO(ms_buf_fini) struct ms_buf head = {0};
    for (uint32_t i = 1; i <= f->declare.parts; i++) {
        struct ms_error err;
        enum ms_code code = ms_file_url(cli->svc, &cli->ctx, file, i, &url, &head, &err);
        if (code == MS_UNSUPPORTED) /* its bytes come by "asset send" */
            return MS_OK;
        if (code != MS_OK && reterr)
            *reterr = err;
        if (code != MS_OK)
            return code;
        ms_out_add(urls, json_stringn((const char *)url.data, url.len));
    }
    for (const char *p = (const char *)head.data; p && *p; p += strcspn(p, "\n") + 1)
        ms_out_add(headers, json_stringn(p, strcspn(p, "\n")));
    return MS_OK;
}

static void print(struct ms_file_id file, const struct ms_declared *declared, const json_t *urls,
                  const json_t *headers) {
    size_t i;
    json_t *line;
    ms_out_pair("file", "%s", ms_id_text(file.id).s);
    ms_out_pair("confirm before", "%s", ms_out_time(declared->until).s);
    json_array_foreach(headers, i, line) ms_out_pair("header", "%s", json_string_value(line));
    json_array_foreach(urls, i, line) ms_out_pair("url", "%s", json_string_value(line));
    if (json_array_size(urls) == 0)
        ms_out_pair("send with", "msasset asset send %s FILE", ms_id_text(file.id).s);
}

static enum ms_code declare(struct ms_cli *cli, struct facts *f, json_t *urls, json_t *headers,
                            struct ms_error *reterr) {
    struct ms_declared declared;
    MS_TRY(ms_file_declare(cli->svc, &cli->ctx, &f->declare, &declared, reterr));
    MS_TRY(urls_of(cli, f, declared.file, urls, headers, reterr));
    if (cli->json)
        return ms_out_json(json_pack("{s:s,s:o,s:O,s:O}", "file_id",
                                     ms_id_text(declared.file.id).s, "until_time",
                                     ms_out_json_time(declared.until), "upload_urls", urls,
                                     "headers", headers),
                           reterr);
    print(declared.file, &declared, urls, headers);
    return MS_OK;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct facts f = {.declare = {.size = 0}};
    struct ms_asset_info info;
    MS_TRY(facts_of(cli, &f, reterr));
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    MS_TRY(ms_asset_find(cli->svc, &cli->ctx, cli->args[0], &info, reterr));
    f.declare.asset.id = info.asset.id;
    json_t *urls = json_array(), *headers = json_array();
    enum ms_code code = declare(cli, &f, urls, headers, reterr);
    json_decref(urls);
    json_decref(headers);
    return code;
}

const struct ms_cmd ms_cmd_asset_file = {
    .name = "asset file",
    .args = "PATH|ID",
    .summary = "declare a file of an asset, and get its upload URLs",
    .help = "Name, size and MD5 are compared when the file is confirmed; its bytes are reserved in "
            "the quota now. A URL\n"
            "takes one PUT of exactly those bytes, with the printed headers, for 24 hours, and "
            "none after the\n"
            "confirmation. A large file has 1 to 100 URLs, no MD5, and may have no size. A store "
            "that signs no URLs\n"
            "takes the bytes by \"asset send\". What is not confirmed within 24 hours is "
            "CANCELLED.\n\nExamples:\n"
            "  msasset asset file ID --from film.mp4\n"
            "  msasset asset file ID --name data.tar --large --parts 20\n",
    .opts = {{"from", 0, "FILE", "take name, size and MD5 from this file; it is not sent"},
             {"name", 0, "NAME", "name of the file"},
             {"size", 0, "SIZE", "its bytes"},
             {"md5", 0, "MD5", "base64 or hex"},
             {"category", 0, "NAME", "MAIN (default), COVER, PAGE, SAMPLE, OTHER, TEMPORARY, PACKAGE"},
             {"large", 0, NULL, "a large file: MAIN, OTHER or PACKAGE"},
             {"parts", 0, "N", "URLs of a large file, 1 to 100"}},
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
