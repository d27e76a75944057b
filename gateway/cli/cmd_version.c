#include "cli/out.h"

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    if (cli->json)
        return ms_out_json(
            json_pack("{s:s,s:i}", "version", MS_VERSION, "store_format", (int)MS_STORE_FORMAT),
            reterr);
    printf("msasset %s, store format %u\n", MS_VERSION, MS_STORE_FORMAT);
    return MS_OK;
}

const struct ms_cmd ms_cmd_version = {
    .name = "version",
    .args = "",
    .summary = "show the program's version and the store format it writes",
    .help = "A store of a newer format is refused; older ones are read.\n",
    .run = run,
};
