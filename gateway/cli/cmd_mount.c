#include "cli/out.h"
#include "fuse/mount.h"
#include "service/catalogue.h"
#include "service/writeback.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

enum {
    OPT_FOREGROUND,
    OPT_READ_ONLY,
    OPT_ALLOW_OTHER,
    OPT_NONEMPTY,
    OPT_CACHE_DIR,
    OPT_CACHE_SIZE,
    OPT_OPTIONS,
    OPT_WRITEBACK,
    OPT_DEBUG
};

#define TREE_INTERVAL_MS MS_MINUTE_MS /* how soon a mount takes up what another process left */

struct starting {
    struct ms_cli *cli;
    const char *dir;
    int fd; /* to the waiting parent; -1 in the foreground and once it was told */
    bool is_child, writeback;
    char fuse_options[1024]; /* what of -o is for FUSE */
};

/* -o writeback is ours, as in the mounts of others; the rest goes to FUSE. */
static enum ms_code split_options(struct starting *s, const char *list, struct ms_error *reterr) {
    size_t n = 0;
    if (list && strlen(list) >= sizeof s->fuse_options)
        return ms_fail(reterr, MS_USAGE, "the mount options have %zu bytes", strlen(list));
    while (list && *list) {
        size_t len = strcspn(list, ",");
        if (len == strlen("writeback") && strncmp(list, "writeback", len) == 0) {
            s->writeback = true;
        } else if (len > 0) {
            if (n > 0)
                s->fuse_options[n++] = ',';
            memcpy(s->fuse_options + n, list, len);
            n += len;
        }
        list += len + (list[len] == ',');
    }
    s->fuse_options[n] = '\0';
    return MS_OK;
}

/* What the parent reads: the code and the message of the start. */
static void tell_parent(struct starting *s, enum ms_code code, const struct ms_error *err) {
    struct ms_error note = {.code = code};
    if (s->fd < 0)
        return;
    if (err)
        note = *err;
    ssize_t n = write(s->fd, &note, sizeof note);
    (void)n; /* a parent that is gone needs no answer */
    close(s->fd);
    s->fd = -1;
}

static void to_syslog(struct ms_log *log, enum ms_log_level level, const char *line) {
    (void)log;
    static const int priority[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
    syslog(priority[level], "%s", line);
}

/* From here on nobody looks at our standard streams. */
static void detach(struct ms_cli *cli) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        (void)dup2(null, STDIN_FILENO);
        (void)dup2(null, STDOUT_FILENO);
        (void)dup2(null, STDERR_FILENO);
        close(null);
    }
    openlog("msasset", LOG_PID, LOG_DAEMON);
    cli->log.write = to_syslog;
}

static void on_ready(void *priv) {
    struct starting *s = priv;
    if (s->fd < 0) {
        if (!s->cli->quiet)
            fprintf(stderr, "%s is mounted; end with msasset umount %s or Ctrl-C\n", s->dir,
                    s->dir);
        return;
    }
    tell_parent(s, MS_OK, NULL);
    detach(s->cli);
}

static enum ms_code serve(struct starting *s, const char *tenant, struct ms_error *reterr) {
    struct ms_cli *cli = s->cli;
    char store[4096], label[4200];
    struct ms_svc_options options;
    enum ms_code code = ms_cli_svc_options(cli, store, &options, reterr);
    (void)snprintf(label, sizeof label, "mount %s", s->dir);
    const char *cache_dir = ms_config_text(&cli->config, MS_CONFIG_CACHE_DIR);
    options.label = label;
    options.store_may_be_down = options.writeback = cli->given[OPT_WRITEBACK] != NULL || s->writeback;
    options.cache_dir = cache_dir[0] ? cache_dir : NULL;
    options.cache_disk_bytes = ms_config_bytes(&cli->config, MS_CONFIG_CACHE_DISK_BYTES);
    ms_signals_block();
    if (code == MS_OK)
        code = ms_svc_open(&options, &cli->svc, reterr);
    if (code == MS_OK)
        code = ms_writeback_start(cli->svc, reterr); /* also what others left */
    if (code != MS_OK)
        return code;
    char who[MS_WHO_MAX + 1];
    (void)snprintf(who, sizeof who, "uid %u@mount", (unsigned)getuid());
    struct ms_mount_options mount = {.dir = s->dir,
                                     .tenant = tenant,
                                     .who = cli->as ? cli->as : who,
                                     .fuse_options = s->fuse_options[0] ? s->fuse_options : NULL,
                                     .read_only = cli->given[OPT_READ_ONLY] != NULL,
                                     .allow_other = cli->given[OPT_ALLOW_OTHER] != NULL,
                                     .debug = cli->given[OPT_DEBUG] != NULL};
    struct ms_catalogue_keeper *keeper = NULL;
    if (!cli->svc->read_only &&
        (code = ms_catalogue_start(cli->svc, MS_CATALOGUE_INTERVAL_MS, &keeper, reterr)) != MS_OK)
        return code;
    if (!cli->svc->read_only)
        code = ms_tree_worker_start(cli->svc, TREE_INTERVAL_MS, reterr);
    if (code == MS_OK)
        code = ms_mount_run(cli->svc, &mount, on_ready, s, reterr);
    ms_tree_worker_stop(cli->svc);
    ms_catalogue_stop(keeper);
    return code;
}

/* The mount process: it ends as every command does, but whoever waited has had the message. */
static enum ms_code serve_detached(struct starting *s, const char *tenant,
                                   struct ms_error *reterr) {
    struct ms_error err = {0};
    (void)setsid();
    (void)!chdir("/");
    enum ms_code code = serve(s, tenant, &err);
    if (s->fd >= 0) {
        tell_parent(s, code, &err);
        detach(s->cli);
    } else if (code != MS_OK) {
        ms_log_failure(&s->cli->log, MS_LOG_ERROR, "mount", &err, "dir", s->dir, NULL);
    }
    if (code != MS_OK)
        *reterr = err;
    return code;
}

/* False: stopped by a signal, or the process died. */
static bool read_note(int fd, struct ms_error *ret_note) {
    ssize_t n;
    do
        n = read(fd, ret_note, sizeof *ret_note);
    while (n < 0 && errno == EINTR && !ms_cli_stopped());
    return n == (ssize_t)sizeof *ret_note;
}

static enum ms_code wait_for(pid_t child, int fd, struct ms_error *reterr) {
    struct ms_error note;
    bool known = read_note(fd, &note);
    close(fd);
    if (!known && ms_cli_stopped()) {
        (void)kill(child, SIGTERM);
        return ms_fail(reterr, MS_CANCELLED, "stopped by a signal");
    }
    if (!known)
        return ms_fail(reterr, MS_INTERNAL, "the mount process ended before it was ready");
    if (note.code != MS_OK && reterr)
        *reterr = note;
    return note.code;
}

/* The store is opened behind the fork: a metadata environment does not survive one. */
static enum ms_code serve_in_background(struct starting *s, const char *tenant,
                                        struct ms_error *reterr) {
    int pipefd[2];
    if (pipe2(pipefd, O_CLOEXEC) != 0)
        return ms_fail_errno(reterr, errno, "a pipe cannot be made");
    pid_t child = fork();
    if (child < 0)
        return ms_fail_errno(reterr, errno, "a process cannot be started");
    if (child == 0) {
        close(pipefd[0]);
        s->fd = pipefd[1];
        s->is_child = true;
        return serve_detached(s, tenant, reterr);
    }
    close(pipefd[1]);
    return wait_for(child, pipefd[0], reterr);
}

static enum ms_code resolve(const char *given, char ret_dir[4096], struct ms_error *reterr) {
    if (realpath(given, ret_dir))
        return MS_OK;
    if (errno == ENOTCONN)
        return ms_fail(reterr, MS_BUSY,
                       "%s is a mount whose process has died: end it with msasset umount %s", given,
                       given);
    return ms_fail(reterr, MS_NO_INPUT, "%s cannot be mounted on: %s", given, strerror(errno));
}

/* Whether anything is in the folder. Errors: MS_NOT_DIR. */
static enum ms_code has_entries(const char *dir, bool *ret_some, struct ms_error *reterr) {
    DIR *d = opendir(dir);
    bool some = false;
    if (!d)
        return ms_fail_errno(reterr, errno, "%s cannot be mounted on", dir);
    for (struct dirent *e; !some && (e = readdir(d));)
        some = strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    *ret_some = some;
    return MS_OK;
}

/* What lies in the folder would be hidden, and a second mount on the first one is a mistake mostly.
 */
static enum ms_code check_dir(const struct ms_cli *cli, const char *dir, struct ms_error *reterr) {
    bool some = false;
    enum ms_code code = has_entries(dir, &some, reterr);
    if (code == MS_OK && some && !cli->given[OPT_NONEMPTY])
        return ms_fail(
            reterr, MS_NOT_EMPTY,
            "%s is not empty, and what is in it would be hidden: choose an empty folder, "
            "or say --nonempty",
            dir);
    return code;
}

/* --cache-dir and --cache-size become settings while the current folder is still the user's. */
static enum ms_code take_cache(struct ms_cli *cli, const char *mount_dir, struct ms_error *reterr) {
    static const struct ms_config_place dir = {MS_CONFIG_FROM_FLAG, "--cache-dir"},
                                        size = {MS_CONFIG_FROM_FLAG, "--cache-size"};
    const char *given = cli->given[OPT_CACHE_DIR], *cache;
    char path[4096];
    size_t n = strlen(mount_dir);
    enum ms_code code = MS_OK;
    if (given)
        code = ms_cli_absolute(given, path, reterr);
    if (code == MS_OK && given)
        code = ms_config_set(&cli->config, MS_CONFIG_CACHE_DIR, &dir, path, reterr);
    if (code == MS_OK && cli->given[OPT_CACHE_SIZE])
        code = ms_config_set(&cli->config, MS_CONFIG_CACHE_DISK_BYTES, &size,
                             cli->given[OPT_CACHE_SIZE], reterr);
    if (code != MS_OK)
        return code;
    cache = ms_config_text(&cli->config, MS_CONFIG_CACHE_DIR);
    if (strncmp(cache, mount_dir, n) == 0 && (cache[n] == '/' || cache[n] == '\0'))
        return ms_fail(reterr, MS_USAGE,
                       "the disk cache %s lies in the mount that it is for: give another folder",
                       cache);
    return MS_OK;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    char dir[4096];
    const char *given = cli->args[cli->args_n - 1];
    const char *tenant =
        cli->args_n == 2 ? cli->args[0] : ms_config_text(&cli->config, MS_CONFIG_TENANT);
    if (!tenant[0])
        return ms_fail(reterr, MS_USAGE, "say which tenant: msasset mount TENANT %s", given);
    enum ms_code code = resolve(given, dir, reterr);
    if (code == MS_OK)
        code = check_dir(cli, dir, reterr);
    if (code == MS_OK)
        code = take_cache(cli, dir, reterr);
    if (code != MS_OK)
        return code;
    struct starting s = {.cli = cli, .dir = dir, .fd = -1};
    code = split_options(&s, cli->given[OPT_OPTIONS], reterr);
    if (code != MS_OK)
        return code;
    if (cli->given[OPT_FOREGROUND])
        return serve(&s, tenant, reterr);
    code = serve_in_background(&s, tenant, reterr);
    if (code == MS_OK && cli->json && !s.is_child)
        return ms_out_json(json_pack("{s:s,s:s}", "mounted", dir, "tenant", tenant), reterr);
    return code;
}

const struct ms_cmd ms_cmd_mount = {
    .name = "mount",
    .args = "[TENANT] DIR",
    .summary = "show a tenant's assets as a file system",
    .help = "Returns once the file system answers and goes on in the background; msasset umount "
            "DIR ends it. close()\n"
            "returns when the bytes are in the object store and the metadata is committed: its "
            "result is the upload's.\n\n"
            "With --writeback close() and fsync() return when the bytes and their record are on the "
            "local disk. They are\n"
            "uploaded in the background, after a crash or a reboot too, by this mount or the next "
            "one, by msasset pending\n"
            "--wait or by msasset recover; msasset pending shows what is left. umount does not wait "
            "for it. A machine that\n"
            "loses its disk loses what is pending. When the disk is nearly full files go straight to "
            "the object store.\n\n"
            "Examples:\n  msasset mount media /mnt/media\n  msasset mount media /mnt/media "
            "--allow-other\n",
    .opts = {{"foreground", 'f', NULL, "stay in the foreground and log to stderr"},
             {"read-only", 'r', NULL, "refuse changes"},
             {"allow-other", 0, NULL,
              "let other users of the machine in (permissions are checked)"},
             {"nonempty", 0, NULL,
              "mount although DIR is not empty: what is in it is hidden meanwhile"},
             {"cache-dir", 0, "DIR",
              "keep what was read in DIR too: verified, and there again after a restart"},
             {"cache-size", 0, "SIZE", "most that --cache-dir takes of its disk (10G)"},
             {"options", 'o', "LIST", "further mount options for FUSE, comma-separated"},
             {"writeback", 0, NULL,
              "close() waits for the local disk only; uploads follow (also: -o writeback)"},
             {"debug", 0, NULL, "print every FUSE request (with --foreground)"}},
    .args_min = 1,
    .args_max = 2,
    .run = run,
};
