#include "cli/out.h"
#include "service/tree.h"
#include "service/writeback.h"

#include <inttypes.h>

enum { OPT_WAIT, OPT_WATCH, OPT_LIMIT };

#define WATCH_STEP_NS (1000 * 1000 * 1000)
#define LIMIT 20

struct listing {
    struct ms_cli *cli;
    struct ms_table *table;
    json_t *files;
    uint64_t shown, limit;
    struct ms_local_record *row; /* of one listing: limit of them */
};

/* The walk holds a read of the store: paths are looked up behind it. */
static bool collect(void *priv, const struct ms_local_record *row) {
    struct listing *l = priv;
    if (l->shown < l->limit)
        l->row[l->shown++] = *row;
    return true;
}

static void path_of(struct ms_cli *cli, const struct ms_local_record *row, struct ms_buf *buf) {
    struct ms_ctx ctx = {.tenant = {row->tenant}, .who = "msasset", .admin = true};
    if (ms_tree_path(cli->svc, &ctx, row->ino, buf, NULL) != MS_OK) {
        buf->len = 0;
        (void)!ms_buf_addf(buf, NULL, "(%s)", row->key);
    }
}

static void show_json(struct listing *l, const struct ms_local_record *row, const char *path) {
    json_t *o = json_object();
    ms_out_set(o, "path", json_string(path));
    ms_out_set(o, "tenant_id", json_string(ms_id_text(row->tenant).s));
    ms_out_set(o, "key", json_string(row->key));
    ms_out_set(o, "size_bytes", ms_out_json_u64(row->size));
    ms_out_set(o, "acknowledged", ms_out_json_time(row->since));
    ms_out_set(o, "failed_tries", ms_out_json_u64(row->tries));
    ms_out_set(o, "retry_at", row->tries ? ms_out_json_time(row->retry_at) : json_null());
    ms_out_set(o, "reason", row->tries ? json_string(row->reason) : json_null());
    ms_out_add(l->files, o);
}

static void show_rows(struct listing *l) {
    for (uint64_t i = 0; i < l->shown; i++) {
        const struct ms_local_record *row = &l->row[i];
        MS_AUTO(ms_buf_fini) struct ms_buf path = {0};
        path_of(l->cli, row, &path);
        const char *text = path.data ? (const char *)path.data : row->key;
        struct ms_out_text size = ms_out_size(row->size), since = ms_out_time(row->since);
        if (l->files)
            show_json(l, row, text);
        else
            ms_table_row(l->table, (const char *[]){size.s, since.s, text, row->reason});
    }
}

/* Seconds at the speed that the uploader had lately; -1: nobody knows. */
static int64_t estimate_s(const struct ms_pending_sum *sum) {
    return sum->moving && sum->bytes_per_s > 0 ? (int64_t)(sum->bytes / sum->bytes_per_s) + 1 : -1;
}

static void print_sum(const struct ms_pending_sum *sum) {
    int64_t s = estimate_s(sum);
    if (sum->files == 0) {
        puts("nothing is pending");
        return;
    }
    printf("%" PRIu64 " files, %s to be uploaded, the oldest acknowledged %s\n", sum->files,
           ms_out_size(sum->bytes).s, ms_out_time(sum->oldest).s);
    if (s >= 0)
        printf("%s/s: about %" PRId64 " s left\n", ms_out_size(sum->bytes_per_s).s, s);
    else if (!sum->moving)
        puts("no process uploads them now: a mount does, or msasset pending --wait");
    if (sum->failing > 0)
        printf("%" PRIu64 " failed at their last try: %s\n", sum->failing, sum->failure.message);
}

static json_t *sum_json(const struct ms_pending_sum *sum) {
    int64_t s = estimate_s(sum);
    json_t *o = json_object();
    ms_out_set(o, "files", ms_out_json_u64(sum->files));
    ms_out_set(o, "bytes", ms_out_json_u64(sum->bytes));
    ms_out_set(o, "oldest", ms_out_json_time(sum->oldest));
    ms_out_set(o, "failing", ms_out_json_u64(sum->failing));
    ms_out_set(o, "reason", sum->failing ? json_string(sum->failure.message) : json_null());
    ms_out_set(o, "uploading", json_boolean(sum->moving));
    ms_out_set(o, "bytes_per_second", ms_out_json_u64(sum->bytes_per_s));
    ms_out_set(o, "estimated_seconds", s >= 0 ? json_integer(s) : json_null());
    return o;
}

static enum ms_code show(struct ms_cli *cli, struct listing *l, struct ms_error *reterr) {
    static const char *const heads[] = {">SIZE", "ACKNOWLEDGED", "PATH", "LAST FAILURE", NULL};
    struct ms_pending_sum sum;
    enum ms_code code = ms_pending(cli->svc, collect, l, &sum, reterr);
    if (code != MS_OK)
        return code;
    if (cli->json) {
        json_t *o = sum_json(&sum);
        l->files = json_array();
        show_rows(l);
        ms_out_set(o, "list", l->files);
        return ms_out_json(o, reterr);
    }
    print_sum(&sum);
    if (l->shown == 0 || cli->quiet)
        return MS_OK;
    l->table = ms_table_new(heads);
    show_rows(l);
    ms_table_print(l->table, stdout);
    if (sum.files > l->shown)
        printf("... and %" PRIu64 " more (--limit)\n", sum.files - l->shown);
    return MS_OK;
}

static enum ms_code list(struct ms_cli *cli, struct ms_error *reterr) {
    const char *given = cli->given[OPT_LIMIT];
    struct listing l = {.cli = cli, .limit = given ? strtoull(given, NULL, 10) : LIMIT};
    if (l.limit > 1000000)
        return ms_fail(reterr, MS_USAGE, "--limit is at most 1000000");
    l.row = calloc(l.limit + 1, sizeof *l.row);
    if (!l.row)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for the list");
    enum ms_code code = show(cli, &l, reterr);
    free(l.row);
    return code;
}

/* ---- --watch, --wait ------------------------------------------------------------------------- */

struct waiting {
    struct ms_cli *cli;
    struct ms_progress progress;
    uint64_t most; /* bytes that were pending at once: what the bar counts down from */
};

static bool go_on(void *priv, const struct ms_pending_sum *left) {
    struct waiting *w = priv;
    w->most = left->bytes > w->most ? left->bytes : w->most;
    (void)ms_progress_update(&w->progress, w->most - left->bytes, w->most);
    return !ms_cli_stopped();
}

static enum ms_code wait_for_all(struct ms_cli *cli, struct ms_error *reterr) {
    struct waiting w = {.cli = cli};
    struct ms_drain how = {.for_ever = true, .others = true, .go_on = go_on, .priv = &w};
    ms_progress_begin(&w.progress, cli, "pending");
    enum ms_code code = ms_writeback_drain(cli->svc, &how, reterr);
    ms_progress_end(&w.progress);
    return code;
}

static enum ms_code watch(struct ms_cli *cli, struct ms_error *reterr) {
    enum ms_code code = MS_OK;
    while (code == MS_OK && !ms_cli_stopped()) {
        struct ms_pending_sum sum;
        code = ms_pending(cli->svc, NULL, NULL, &sum, reterr);
        if (code == MS_OK && cli->json)
            code = ms_out_json(sum_json(&sum), reterr);
        else if (code == MS_OK)
            print_sum(&sum);
        (void)fflush(stdout);
        for (int i = 0; i < 10 && !ms_cli_stopped(); i++)
            ms_clock_sleep_ns(WATCH_STEP_NS / 10);
    }
    return code;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    bool waits = cli->given[OPT_WAIT] != NULL;
    enum ms_code code = ms_cli_open(
        cli, MS_NEED_STORE | MS_NEED_NO_OBJECTS | (waits ? 0 : MS_NEED_READ_ONLY), reterr);
    if (code == MS_OK && cli->given[OPT_WATCH])
        return watch(cli, reterr);
    if (code == MS_OK && waits)
        code = wait_for_all(cli, reterr);
    return code == MS_OK ? list(cli, reterr) : code;
}

const struct ms_cmd ms_cmd_pending = {
    .name = "pending",
    .args = "",
    .summary = "show what is acknowledged and not uploaded yet",
    .help = "Files that a mount with --writeback, or put --writeback, has acknowledged from the "
            "local disk and that are not\n"
            "in the object store yet: how many, how much, since when, at what speed they go, and "
            "why they do not. They are\n"
            "uploaded in the order in which they were acknowledged, and tried again for as long as "
            "it takes.\n\n"
            "Examples:\n  msasset pending\n  msasset pending --wait && poweroff\n",
    .opts = {{"wait", 0, NULL, "upload them, unless a mount does it already, and return when none is left"},
             {"watch", 0, NULL, "print one summary a second until Ctrl-C"},
             {"limit", 0, "N", "list at most N files (20)"}},
    .args_min = 0,
    .args_max = 0,
    .run = run,
};
