#include "cli/out.h"
#include "service/writeback.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OPT_LAZY, OPT_WAIT };

#define WAIT_STEP_NS (20 * 1000 * 1000)
#define WAIT_STEPS 3000 /* one minute */

static enum ms_code run_fusermount(const char *dir, bool lazy, struct ms_error *reterr) {
    pid_t child = fork();
    if (child < 0)
        return ms_fail_errno(reterr, errno, "a process cannot be started");
    if (child == 0) {
        execlp("fusermount3", "fusermount3", lazy ? "-uz" : "-u", dir, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    if (waitpid(child, &status, 0) < 0)
        return ms_fail_errno(reterr, errno, "fusermount3 cannot be waited for");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return MS_OK;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return ms_fail(reterr, MS_UNSUPPORTED, "fusermount3 is not installed (package fuse3)");
    return ms_fail(reterr, MS_BUSY,
                   "%s was not unmounted: it is no mount of msasset, or a program still uses it",
                   dir);
}

/* Whether a mount process of this folder still lives. */
static bool still_served(struct ms_cli *cli, const char *dir) {
    char label[4200];
    struct ms_process_info *list = NULL;
    size_t n = 0;
    bool found = false;
    (void)snprintf(label, sizeof label, "mount %s", dir);
    if (ms_store_processes(cli->svc->store, &list, &n, NULL) != MS_OK)
        return false;
    for (size_t i = 0; i < n; i++)
        found = found ||
                (list[i].alive && strncmp(list[i].label, label, sizeof list[i].label - 1) == 0);
    free(list);
    return found;
}

static bool go_on(void *priv, const struct ms_pending_sum *left) {
    (void)priv, (void)left;
    return !ms_cli_stopped();
}

static enum ms_code upload_all(struct ms_cli *cli, struct ms_error *reterr) {
    const struct ms_drain how = {.for_ever = true, .others = true, .go_on = go_on};
    return ms_writeback_drain(cli->svc, &how, reterr);
}

/* What a mount in writeback mode leaves behind is safe, and somebody should know of it. */
static enum ms_code tell_pending(struct ms_cli *cli) {
    struct ms_pending_sum sum;
    if (!cli->quiet && ms_pending(cli->svc, NULL, NULL, &sum, NULL) == MS_OK && sum.files > 0)
        fprintf(stderr,
                "%llu files, %s, are on the local disk only: the next mount uploads them, or "
                "msasset pending --wait\n",
                (unsigned long long)sum.files, ms_out_size(sum.bytes).s);
    return MS_OK;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    char dir[4096];
    if (!realpath(cli->args[0], dir))
        (void)snprintf(dir, sizeof dir, "%s", cli->args[0]); /* a dead mount cannot be resolved */
    enum ms_code code = run_fusermount(dir, cli->given[OPT_LAZY], reterr);
    if (code != MS_OK || cli->given[OPT_LAZY])
        return code;
    struct ms_error ignored;
    if (ms_cli_open(cli, MS_NEED_STORE | MS_NEED_NO_OBJECTS, &ignored) != MS_OK)
        return MS_OK;
    for (int i = 0; i < WAIT_STEPS && !ms_cli_stopped() && still_served(cli, dir); i++)
        ms_clock_sleep_ns(WAIT_STEP_NS);
    return cli->given[OPT_WAIT] ? upload_all(cli, reterr) : tell_pending(cli);
}

const struct ms_cmd ms_cmd_umount = {
    .name = "umount",
    .args = "DIR",
    .summary = "end a mount",
    .help = "Returns when the mount's process has ended, so that the store is free. Files still "
            "open keep the folder\n"
            "busy; --lazy detaches it at once and lets them finish.\n\nExample:\n  msasset umount "
            "/mnt/media\n",
    .opts = {{"lazy", 'l', NULL, "detach now, end when nobody uses it"},
             {"wait", 0, NULL, "upload what is acknowledged from the local disk before returning"}},
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
