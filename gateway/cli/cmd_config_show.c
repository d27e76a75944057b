#include "cli/out.h"

enum { OPT_ORIGIN };

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    static const char *const heads[] = {"KEY", "VALUE", "FROM", NULL};
    bool origin = cli->given[OPT_ORIGIN] != NULL;
    struct ms_table *table = ms_table_new(heads);
    json_t *o = json_object();
    enum ms_code code = MS_OK;
    for (int k = 0; k < MS_CONFIG_KEY_COUNT && code == MS_OK; k++) {
        MS_AUTO(ms_buf_fini) struct ms_buf text = {0};
        const struct ms_config_row *row = ms_config_row((enum ms_config_key)k);
        code = ms_config_format(&cli->config, row->key, &text, reterr);
        const char *value = text.data ? (const char *)text.data : "";
        if (code == MS_OK && cli->json)
            ms_out_set(o, row->name, json_string(value));
        if (code == MS_OK)
            ms_table_row(table, (const char *const[]){
                                    row->name, value,
                                    origin ? ms_config_where(&cli->config, row->key) : row->help});
    }
    if (cli->json || code != MS_OK)
        ms_table_drop(table);
    else
        ms_table_print(table, stdout);
    if (code == MS_OK && cli->json)
        return ms_out_json(o, reterr);
    json_decref(o);
    return code;
}

const struct ms_cmd ms_cmd_config_show = {
    .name = "config show",
    .args = "",
    .summary = "show every setting",
    .help = "Flags win over the environment (MSASSET_<KEY>), that over the configuration file, "
            "that over defaults.\n",
    .opts = {{"origin", 0, NULL, "tell where each value came from"}},
    .run = run,
};
