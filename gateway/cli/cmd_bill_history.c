#include "cli/bill_common.h"
#include "cli/out.h"

#include "service/bill.h"

#include <errno.h>

struct writing {
    enum ms_code code;
    struct ms_error error;
};

static bool write_event(void *priv, const struct ms_history_event *event) {
    struct writing *w = priv;
    MS_AUTO(ms_buf_fini) struct ms_buf line = {0};
    w->code = ms_history_format(event, &line, &w->error);
    if (w->code == MS_OK && fwrite(line.data, 1, line.len, stdout) != line.len)
        w->code = ms_fail(&w->error, MS_CANT_CREATE, "the history cannot be written: %s",
                          strerror(errno));
    if (w->code == MS_OK && ms_cli_stopped())
        w->code = ms_fail(&w->error, MS_CANCELLED, "stopped by a signal");
    return w->code == MS_OK;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct writing w = {0};
    struct ms_tenant_id tenant;
    enum ms_code code = ms_cli_open(cli, MS_NEED_STORE | MS_NEED_READ_ONLY, reterr);
    if (code == MS_OK)
        code = ms_cli_tenant_or_all(cli, &tenant, reterr);
    if (code == MS_OK)
        code = ms_bill_history(cli->svc, tenant, write_event, &w, reterr);
    if (code == MS_OK && w.code != MS_OK) {
        *reterr = w.error;
        return w.code;
    }
    if (code == MS_OK && fflush(stdout) != 0)
        return ms_fail(reterr, MS_CANT_CREATE, "the history cannot be written: %s",
                       strerror(errno));
    return code;
}

const struct ms_cmd ms_cmd_bill_history = {
    .name = "bill history",
    .args = "",
    .summary = "write what happened, for bill simulate",
    .help = "Writes the ledger from its beginning in the format of msasset-bill(5), in order of "
            "instant: bill simulate on\n"
            "it gives the closed days, so that anyone can check them. Without --tenant on the "
            "command line: every tenant.\n\n"
            "Example:\n"
            "  msasset bill history --tenant media | msasset bill simulate --history - --rates "
            "rates.json\n",
    .run = run,
};
