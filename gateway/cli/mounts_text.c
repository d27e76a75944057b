#include "cli/mounts_text.h"

#include "cli/out.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void warn(const struct ms_process_info *p) {
    static const char mount[] = "mount ";
    bool known = p->pid != 0 && strncmp(p->label, mount, strlen(mount)) == 0;
    if (known)
        fprintf(stderr,
                "msasset: warning: the mount on %s (pid %" PRId64 ") has not answered for %d s: handles and mappings "
                "that are open there may go on reading until it does (fuser -m %s names the programs)\n",
                p->label + strlen(mount), p->pid, MS_MOUNTS_WAIT_MS / 1000, p->label + strlen(mount));
    else
        fprintf(stderr,
                "msasset: warning: a process (pid %" PRId64 ", %s) cannot say whether it has seen the freeze: what is "
                "open there may go on reading\n",
                p->pid, p->label[0] ? p->label : "started on a full disk");
}

static void add(json_t *object, const struct ms_mounts_seen *seen) {
    json_t *late = json_array();
    for (size_t i = 0; i < seen->n; i++)
        ms_out_add(late, json_pack("{s:I,s:s}", "pid", (json_int_t)seen->late[i].pid, "label",
                                  seen->late[i].label));
    (void)json_object_set_new(object, "mounts_ms", json_integer((json_int_t)seen->took_ms));
    (void)json_object_set_new(object, "late_mounts", late);
}

void ms_mounts_tell(struct ms_cli *cli, json_t *object) {
    struct ms_mounts_seen seen;
    struct ms_error err = {0};
    if (ms_svc_await_mounts(cli->svc, &seen, &err) != MS_OK) {
        fprintf(stderr, "msasset: warning: whether the mounts have seen it is not known: %s\n", err.message);
        return;
    }
    for (size_t i = 0; i < seen.n; i++)
        warn(&seen.late[i]);
    if (object)
        add(object, &seen);
    else if (seen.n == 0 && !cli->quiet && !cli->json)
        printf("No mount of this host reads it any longer (%" PRId64 " ms).\n", seen.took_ms);
    free(seen.late);
}
