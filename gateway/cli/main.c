/* msasset — dispatch over the generated command table; everything a command shares: options, store,
 * errors, signals. */
#include "cli/cmd.h"
#include "cli/help.h"
#include "model/names.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#define MS_COMMAND(name) extern const struct ms_cmd ms_cmd_##name;
#include "cli/commands.def"
#undef MS_COMMAND

const struct ms_cmd *const ms_commands[] = {
#define MS_COMMAND(name) &ms_cmd_##name,
#include "cli/commands.def"
#undef MS_COMMAND
    NULL,
};

/* ---- command line ---------------------------------------------------------------------------- */

/* Words of the command's name at the start of args: 0 when they differ. */
static int words_matched(const struct ms_cmd *cmd, int n, char **args) {
    const char *name = cmd->name;
    int words = 0;
    while (*name && words < n) {
        size_t len = strcspn(name, " ");
        if (strlen(args[words]) != len || strncmp(args[words], name, len) != 0)
            return 0;
        words++;
        name += len + (name[len] == ' ');
    }
    return *name ? 0 : words;
}

static const struct ms_cmd *find_command(int n, char **args, int *ret_words) {
    const struct ms_cmd *best = NULL;
    *ret_words = 0;
    for (size_t i = 0; ms_commands[i]; i++) {
        int words = words_matched(ms_commands[i], n, args);
        if (words > *ret_words) {
            best = ms_commands[i];
            *ret_words = words;
        }
    }
    return best;
}

/* Global options; each may stand anywhere. */
enum global {
    G_STORE,
    G_TENANT,
    G_CONFIG,
    G_AS,
    G_JSON,
    G_QUIET,
    G_VERBOSE,
    G_YES,
    G_PROGRESS,
    G_HELP,
    G_COUNT
};
const struct ms_opt ms_global_opts[] = {
    {"store", 's', "DIR", "folder of the store"},
    {"tenant", 't', "NAME", "tenant to work for; with only one tenant that one"},
    {"config", 0, "FILE", "configuration file, instead of the usual two"},
    {"as", 0, "TENANT/USER", "act as this user, without an administrator's rights"},
    {"json", 0, NULL, "print JSON"},
    {"quiet", 'q', NULL, "print no notes and no progress"},
    {"verbose", 'v', NULL, "log more; twice: one line per request to the object store"},
    {"yes", 'y', NULL, "do not ask"},
    {"progress", 0, "WHEN", "auto, always or never"},
    {"help", 'h', NULL, "show help"},
    {NULL, 0, NULL, NULL},
};

struct line {
    struct ms_cli *cli;
    const char *global[G_COUNT];
    const char *config_file;
    unsigned verbose;
};

static const struct ms_opt *find_opt(const struct ms_opt *opts, const char *name, size_t len,
                                     char letter, size_t *ret_place) {
    for (size_t i = 0; opts[i].name; i++) {
        bool match = letter ? opts[i].letter == letter
                            : strlen(opts[i].name) == len && strncmp(opts[i].name, name, len) == 0;
        if (match) {
            *ret_place = i;
            return &opts[i];
        }
    }
    return NULL;
}

/* Take one option at argv[*at]; *at moves on when its value is the next word. */
static enum ms_code take_option(struct line *line, const struct ms_opt *opts, int argc, char **argv,
                                int *at, struct ms_error *reterr) {
    const char *word = argv[*at];
    bool is_long = word[1] == '-';
    const char *name = word + 1 + is_long;
    size_t len = is_long ? strcspn(name, "=") : 1;
    size_t place = 0;
    const char **into = line->cli->given;
    const struct ms_opt *opt =
        opts ? find_opt(opts, name, len, is_long ? 0 : name[0], &place) : NULL;
    if (!opt) {
        into = line->global;
        opt = find_opt(ms_global_opts, name, len, is_long ? 0 : name[0], &place);
    }
    if (!opt)
        return ms_fail(reterr, MS_USAGE, "there is no option \"%s\"; msasset help%s%s shows them",
                       word, line->cli->cmd ? " " : "", line->cli->cmd ? line->cli->cmd->name : "");
    const char *value = name[len] == 0 ? NULL : is_long ? name + len + 1 : name + 1;
    if (!opt->value && value)
        return ms_fail(reterr, MS_USAGE, "option \"%s\" takes no value (write switches one by one)",
                       word);
    if (opt->value && !value) {
        if (*at + 1 >= argc)
            return ms_fail(reterr, MS_USAGE, "option --%s wants a value: %s", opt->name,
                           opt->value);
        value = argv[++*at];
    }
    into[place] = opt->value ? value : "";
    if (into == line->global && place == G_VERBOSE)
        line->verbose++;
    return MS_OK;
}

/* Split the words behind the command into options and arguments; "--" ends the options, "-" is an
 * argument. */
static enum ms_code take_words(struct line *line, int argc, char **argv, struct ms_error *reterr) {
    const struct ms_opt *opts = line->cli->cmd ? line->cli->cmd->opts : NULL;
    bool only_args = false;
    for (int i = 0; i < argc; i++) {
        if (!only_args && strcmp(argv[i], "--") == 0) {
            only_args = true;
        } else if (!only_args && argv[i][0] == '-' && argv[i][1] != 0) {
            enum ms_code code = take_option(line, opts, argc, argv, &i, reterr);
            if (code != MS_OK)
                return code;
        } else {
            line->cli->args[line->cli->args_n++] = argv[i];
        }
    }
    return MS_OK;
}

static enum ms_code set_config(struct ms_cli *cli, enum ms_config_key key, const char *text,
                               const char *flag, struct ms_error *reterr) {
    struct ms_config_place place = {MS_CONFIG_FROM_FLAG, flag};
    return text ? ms_config_set(&cli->config, key, &place, text, reterr) : MS_OK;
}

enum ms_code ms_cli_absolute(const char *path, char ret_path[4096], struct ms_error *reterr) {
    char here[4096] = "";
    if (path[0] != '/' && !getcwd(here, sizeof here))
        return ms_fail_errno(reterr, errno, "the current folder cannot be found");
    int n = snprintf(ret_path, 4096, "%s%s%s", here, path[0] == '/' ? "" : "/", path);
    return n < 4096 ? MS_OK : ms_fail(reterr, MS_USAGE, "the path \"%.60s...\" is too long", path);
}

static enum ms_code apply_globals(struct line *line, struct ms_error *reterr) {
    struct ms_cli *cli = line->cli;
    char store[4096];
    struct ms_config_sources sources = {.file = line->global[G_CONFIG]};
    enum ms_code code = ms_config_load(&cli->config, &sources, reterr);
    if (code == MS_OK && line->global[G_STORE]) {
        code = ms_cli_absolute(line->global[G_STORE], store, reterr);
        if (code == MS_OK)
            code = set_config(cli, MS_CONFIG_STORE, store, "--store", reterr);
    }
    if (code == MS_OK)
        code = set_config(cli, MS_CONFIG_TENANT, line->global[G_TENANT], "--tenant", reterr);
    if (code == MS_OK)
        code = set_config(cli, MS_CONFIG_PROGRESS, line->global[G_PROGRESS], "--progress", reterr);
    if (code != MS_OK)
        return code;
    cli->json = line->global[G_JSON] != NULL;
    cli->quiet = line->global[G_QUIET] != NULL;
    cli->yes = line->global[G_YES] != NULL;
    cli->as = line->global[G_AS];
    cli->verbose = line->verbose;
    unsigned level = ms_config_choice(&cli->config, MS_CONFIG_LOG_LEVEL) + cli->verbose;
    ms_log_init_fd(&cli->log, STDERR_FILENO,
                   level > MS_LOG_DEBUG ? MS_LOG_DEBUG : (enum ms_log_level)level,
                   getenv("JOURNAL_STREAM") != NULL);
    return MS_OK;
}

static enum ms_code check_args(const struct ms_cli *cli, struct ms_error *reterr) {
    const struct ms_cmd *cmd = cli->cmd;
    bool few = cli->args_n < cmd->args_min;
    if (!few && (cmd->args_max < 0 || cli->args_n <= cmd->args_max))
        return MS_OK;
    int limit = few ? cmd->args_min : cmd->args_max;
    return ms_fail(reterr, MS_USAGE,
                   "%d argument%s given, %s takes %s%d; usage: msasset %s%s%s [options]; "
                   "msasset help %s tells more",
                   cli->args_n, cli->args_n == 1 ? "" : "s", cmd->name,
                   cmd->args_min == cmd->args_max ? "" : few ? "at least " : "at most ", limit,
                   cmd->name, cmd->args[0] ? " " : "", cmd->args, cmd->name);
}

/* ---- what commands share --------------------------------------------------------------------- */

static enum ms_code default_store(char dir[4096], struct ms_error *reterr) {
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    int n = 0;
    if (data && data[0] == '/')
        n = snprintf(dir, 4096, "%s/msasset", data);
    else if (home && home[0] == '/')
        n = snprintf(dir, 4096, "%s/.local/share/msasset", home);
    if (n > 0 && n < 4096)
        return MS_OK;
    return ms_fail(reterr, MS_CONFIG,
                   "no store is named: use --store DIR, MSASSET_STORE or \"store\" in the "
                   "configuration file");
}

void ms_cli_limits(const struct ms_cli *cli, struct ms_limits *ret_limits) {
    const struct ms_config *c = &cli->config;
    *ret_limits = (struct ms_limits){
        .of = {
            [MS_LIMIT_SLIDES] = ms_config_int(c, MS_CONFIG_LIMIT_SLIDES),
            [MS_LIMIT_SHORT_SIDE] = ms_config_int(c, MS_CONFIG_LIMIT_SHORT_SIDE),
            [MS_LIMIT_LONG_SIDE] = ms_config_int(c, MS_CONFIG_LIMIT_LONG_SIDE),
            [MS_LIMIT_FRAME_RATE] = ms_config_int(c, MS_CONFIG_LIMIT_FRAME_RATE),
            [MS_LIMIT_VIDEO_BYTES] = ms_config_bytes(c, MS_CONFIG_LIMIT_VIDEO_BYTES),
            [MS_LIMIT_VIDEO_MS] = (uint64_t)ms_config_duration_ms(c, MS_CONFIG_LIMIT_VIDEO_LENGTH),
            [MS_LIMIT_AUDIO_BYTES] = ms_config_bytes(c, MS_CONFIG_LIMIT_AUDIO_BYTES),
            [MS_LIMIT_IMAGE_BYTES] = ms_config_bytes(c, MS_CONFIG_LIMIT_IMAGE_BYTES),
        }};
}

enum ms_code ms_cli_svc_options(struct ms_cli *cli, char dir[4096],
                                struct ms_svc_options *ret_options, struct ms_error *reterr) {
    const char *named = ms_config_text(&cli->config, MS_CONFIG_STORE);
    enum ms_code code = named[0] ? ms_cli_absolute(named, dir, reterr) : default_store(dir, reterr);
    if (code != MS_OK)
        return code;
    *ret_options = (struct ms_svc_options){
        .dir = dir,
        .log = &cli->log,
        .label = cli->cmd->name,
        .engine_threads = ms_config_int(&cli->config, MS_CONFIG_ENGINE_THREADS),
        .tries_max = ms_config_int(&cli->config, MS_CONFIG_RETRY_TRIES),
        .cache_bytes = ms_config_bytes(&cli->config, MS_CONFIG_CACHE_BYTES),
        .journal_bytes_max = ms_config_bytes(&cli->config, MS_CONFIG_JOURNAL_BYTES_MAX),
        .map_bytes = ms_config_bytes(&cli->config, MS_CONFIG_MAP_BYTES),
        .review_words = ms_config_text(&cli->config, MS_CONFIG_REVIEW_WORDS),
        .review_command = ms_config_text(&cli->config, MS_CONFIG_REVIEW_COMMAND),
        .review_webhook = ms_config_text(&cli->config, MS_CONFIG_REVIEW_WEBHOOK),
        .review_webhook_secret = ms_config_text(&cli->config, MS_CONFIG_REVIEW_WEBHOOK_SECRET),
        .review_timeout_ms = ms_config_duration_ms(&cli->config, MS_CONFIG_REVIEW_TIMEOUT),
        .payment_command = ms_config_text(&cli->config, MS_CONFIG_PAYMENT_COMMAND),
        .payment_timeout_ms = ms_config_duration_ms(&cli->config, MS_CONFIG_PAYMENT_TIMEOUT),
        .replication_keys = ms_config_text(&cli->config, MS_CONFIG_REPLICATION_KEYS),
        .trace = cli->verbose > 1 || ms_config_bool(&cli->config, MS_CONFIG_TRACE),
#ifdef MS_TESTING
        .faults = getenv("MS_TEST_FAULTS"),
#endif
    };
    ms_prober_program(cli->probe);
    if (ms_config_choice(&cli->config, MS_CONFIG_PROBE) == 0)
        ret_options->probe_program = cli->probe;
    ms_cli_limits(cli, &ret_options->limits);
    return MS_OK;
}

static enum ms_code who_am_i(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_ctx *ctx = &cli->ctx;
    ctx->uid = getuid();
    ctx->gid = getgid();
    ctx->admin = cli->as == NULL;
    const struct passwd *user = getpwuid(ctx->uid);
    if (cli->as)
        MS_TRY(ms_line_check("--as", cli->as, sizeof ctx->who - 1, reterr));
    if (cli->as)
        (void)snprintf(ctx->who, sizeof ctx->who, "%s", cli->as);
    else if (user)
        (void)snprintf(ctx->who, sizeof ctx->who, "%s@cli", user->pw_name);
    else
        (void)snprintf(ctx->who, sizeof ctx->who, "uid %u@cli", ctx->uid);
    return MS_OK;
}

/* Without --tenant: the only one. */
static enum ms_code only_tenant(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_tenant_record *list = NULL;
    size_t n = 0;
    enum ms_code code = ms_tenant_list(cli->svc, &list, &n, reterr);
    if (code != MS_OK)
        return code;
    if (n == 1)
        cli->tenant = list[0];
    else if (n == 0)
        code =
            ms_fail(reterr, MS_NO_TENANT, "the store has no tenant yet: msasset tenant add NAME");
    else
        code = ms_fail(reterr, MS_USAGE,
                       "the store has %zu tenants (%s, %s, ...): say which with --tenant NAME", n,
                       list[0].name, list[1].name);
    free(list);
    return code;
}

static enum ms_code open_tenant(struct ms_cli *cli, struct ms_error *reterr) {
    const char *name = ms_config_text(&cli->config, MS_CONFIG_TENANT);
    char from_as[MS_TENANT_NAME_MAX + 1];
    if (cli->as && strchr(cli->as, '/')) {
        (void)snprintf(from_as, sizeof from_as, "%.*s", (int)strcspn(cli->as, "/"), cli->as);
        if (name[0] && strcmp(name, from_as) != 0)
            return ms_fail(reterr, MS_USAGE, "--as names tenant \"%s\" but --tenant names \"%s\"",
                           from_as, name);
        name = from_as;
    }
    enum ms_code code =
        name[0] ? ms_tenant_find(cli->svc, name, &cli->tenant, reterr) : only_tenant(cli, reterr);
    if (code == MS_OK)
        cli->ctx.tenant = (struct ms_tenant_id){cli->tenant.id};
    return code;
}

enum ms_code ms_cli_open(struct ms_cli *cli, unsigned need, struct ms_error *reterr) {
    char dir[4096];
    struct ms_svc_options options;
    enum ms_code code = ms_cli_svc_options(cli, dir, &options, reterr);
    options.read_only = need & MS_NEED_READ_ONLY;
    options.store_unasked = need & MS_NEED_NO_OBJECTS;
    if (code == MS_OK)
        code = ms_svc_open(&options, &cli->svc, reterr);
    if (code != MS_OK)
        return code;
    cli->ctx.now = ms_clock_now(ms_clock_system());
    MS_TRY(who_am_i(cli, reterr));
    return need & MS_NEED_TENANT ? open_tenant(cli, reterr) : MS_OK;
}

enum ms_code ms_cli_confirm(struct ms_cli *cli, struct ms_error *reterr, const char *fmt, ...) {
    char answer[16] = "";
    if (cli->yes)
        return MS_OK;
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return ms_fail(reterr, MS_USAGE,
                       "this cannot be undone and there is nobody to ask: say --yes");
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputs(" [y/N] ", stderr);
    if (fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
        return MS_OK;
    return ms_fail(reterr, MS_CANCELLED, "not confirmed: nothing was changed");
}

void ms_cli_print_error(const struct ms_cli *cli, enum ms_code code, const struct ms_error *err) {
    const char *text = err->message[0] ? err->message : ms_code_text(code);
    if (!cli->json) {
        fprintf(stderr, "msasset: %s\n", text);
        return;
    }
    bool again =
        code == MS_UNAVAILABLE || code == MS_TIMEOUT || code == MS_THROTTLED || code == MS_CONFLICT;
    json_t *e = json_pack("{s:{s:s,s:s,s:b}}", "error", "code", ms_code_name(code), "message", text,
                          "retryable", again);
    if (e) {
        (void)json_dumpf(e, stderr, JSON_COMPACT | JSON_ENSURE_ASCII);
        fputc('\n', stderr);
        json_decref(e);
    }
}

enum ms_code ms_cli_each(struct ms_cli *cli, ms_cli_each_fn *fn, struct ms_error *reterr) {
    json_t *results = json_array();
    enum ms_code last = MS_OK;
    int failed = 0;
    for (int i = 0; i < cli->args_n && !ms_cli_stopped(); i++) {
        struct ms_error err = {0};
        enum ms_code code = fn(cli, cli->args[i], results, &err);
        if (code == MS_OK)
            continue;
        failed++;
        last = code;
        if (cli->args_n == 1)
            *reterr = err;
        else
            ms_cli_print_error(cli, code, &err);
    }
    if (cli->json && json_array_size(results) > 0) {
        (void)json_dumpf(results, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
        putchar('\n');
    }
    json_decref(results);
    if (ms_cli_stopped())
        return ms_fail(reterr, MS_CANCELLED, "stopped by a signal");
    if (failed == 0)
        return MS_OK;
    return cli->args_n == 1 ? last : MS_CLI_SOME_FAILED;
}

/* ---- main ------------------------------------------------------------------------------------ */

static enum ms_code run(struct ms_cli *cli, struct line *line, int argc, char **argv,
                        struct ms_error *reterr) {
    int words = 0, at = 0;
    enum ms_code code = MS_OK;
    for (; at < argc && argv[at][0] == '-' && argv[at][1] != 0 && code == MS_OK; at++)
        code = take_option(line, NULL, argc, argv, &at, reterr);
    if (code == MS_OK && at < argc)
        cli->cmd = find_command(argc - at, argv + at, &words);
    if (code == MS_OK)
        code = take_words(line, argc - at - words, argv + at + words, reterr);
    if (code != MS_OK)
        return code;
    if (line->global[G_HELP] || at >= argc) {
        ms_help_print(cli->cmd, stdout);
        return MS_OK;
    }
    if (!cli->cmd)
        return ms_help_unknown(cli->args_n, cli->args, reterr);
    code = apply_globals(line, reterr);
    if (code == MS_OK)
        code = check_args(cli, reterr);
    return code == MS_OK ? cli->cmd->run(cli, reterr) : code;
}

static int exit_status(enum ms_code code) {
    return code == MS_CLI_SOME_FAILED ? 1 : ms_code_exit(code);
}

/* glibc gives each thread a heap of its own and lets each keep up to twice the largest block that was freed: with
 * buffers of up to 1 MiB, 30 MiB that nobody uses. A few heaps that keep one such buffer are as fast. Larger ones
 * (parts to be filled) are the system's again when they are freed. */
static void bound_heaps(void) {
#ifdef __GLIBC__
    (void)mallopt(M_ARENA_MAX, 4);
    (void)mallopt(M_TRIM_THRESHOLD, 3 << 19);
    (void)mallopt(M_MMAP_THRESHOLD, 4 << 20);
#endif
}

int main(int argc, char **argv) {
    struct ms_cli cli = {0};
    struct line line = {.cli = &cli};
    struct ms_error err = {0};
    bound_heaps();
    ms_cli_catch_signals();
    ms_log_init_fd(&cli.log, STDERR_FILENO, MS_LOG_WARN, false);
    cli.args = calloc((size_t)argc + 1, sizeof *cli.args);
    enum ms_code code = cli.args ? ms_config_init(&cli.config, &err) : MS_NO_MEMORY;
    if (code == MS_OK)
        code = run(&cli, &line, argc - 1, argv + 1, &err);
    if (code != MS_OK && code != MS_CLI_SOME_FAILED)
        ms_cli_print_error(&cli, code, &err);
    ms_svc_close(cli.svc);
    ms_config_fini(&cli.config);
    free(cli.args);
    if (fflush(stdout) != 0 && code == MS_OK)
        code = MS_CANT_CREATE;
    return exit_status(code);
}
