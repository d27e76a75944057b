#include "service/derive_part.h"

#include "service/confirm_part.h"
#include "service/tenant.h"
#include "service/upkeep_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define WHO "msasset"
#define PAGE 16
#define FINISHED (1u << MS_STATE_ACTIVED | 1u << MS_STATE_UNACTIVED | 1u << MS_STATE_WAITING_DELETE)

/* A run at work. */
struct run {
    struct ms_svc *svc;
    const struct ms_derive_options *options;
    struct ms_ctx ctx;
    int lock;
    struct ms_derive_result done;
};

/* One asset at work. */
struct one {
    struct run *run;
    const struct ms_asset_info *info;
    struct ms_content content;
    struct ms_asset_id asset;
    struct ms_version_id main;
    struct ms_file_record *files; /* MS_FILES_MAX */
    size_t n;
};

/* ---- the lock -------------------------------------------------------------------------------- */

/* What is at work, for ms_derive_look: the lock's file says it, and counts while the lock is held. */
struct at_work {
    struct ms_id asset;
    uint32_t kind;
};

static int open_lock(const struct ms_svc *svc, int how) {
    char path[4096 + 16];
    (void)snprintf(path, sizeof path, "%s/derive.lock", svc->dir);
    return open(path, how | O_CLOEXEC, 0600);
}

static void say_at_work(const struct run *run, const struct one *one, enum ms_derived_kind kind) {
    struct at_work what = {.kind = kind};
    if (one)
        what.asset = one->asset.id;
    (void)!pwrite(run->lock, &what, sizeof what, 0);
}

/* Two locks: of flock the run has one that shuts out others, also those of older versions; whether the second one
 * is held can be asked without taking it, so that who looks makes no run think that another is at it. */
static bool take_lock(int fd) {
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return flock(fd, LOCK_EX | LOCK_NB) == 0 && fcntl(fd, F_OFD_SETLK, &whole) == 0;
}

static bool is_at_work(const struct ms_svc *svc, struct at_work *ret_what) {
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open_lock(svc, O_RDONLY);
    bool busy = fd >= 0 && fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK &&
                pread(fd, ret_what, sizeof *ret_what, 0) == sizeof *ret_what;
    if (fd >= 0)
        close(fd);
    return busy;
}

/* The lock's file was written last when the last run ended. */
static bool is_paused(const struct run *run) {
    struct stat st;
    if (run->options->pause_ms == 0 || fstat(run->lock, &st) != 0 || st.st_size == 0)
        return false;
    int64_t ago_ms = ms_clock_kernel_now().ms - ((int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000);
    return ago_ms >= 0 && ago_ms < run->options->pause_ms;
}

/* ---- MAIN ------------------------------------------------------------------------------------ */

static enum ms_code bring_input(const struct one *one, const char *folder, struct ms_error *reterr) {
    const struct ms_derive_options *o = one->run->options;
    char path[MS_DERIVE_PATH_MAX + 8];
    (void)snprintf(path, sizeof path, "%s/in", folder);
    uint64_t left = ms_derive_folder_free(folder);
    if (left < o->free_bytes || left - o->free_bytes < one->content.size)
        return ms_fail(reterr, MS_NO_SPACE,
                       "the disk of %.100s has %" PRIu64 " bytes left, of which %" PRIu64
                       " stay (derive_free); MAIN has %" PRIu64 ": make room, or lower it",
                       folder, left, o->free_bytes, one->content.size);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return ms_fail(reterr, MS_CANT_CREATE, "%.150s cannot be made: %s", path, strerror(errno));
    const struct ms_get get = {.id = one->asset, .fd = fd};
    enum ms_code code = ms_asset_fetch(one->run->svc, &one->run->ctx, &get, reterr);
    close(fd);
    return code;
}

/* ---- files of the asset ---------------------------------------------------------------------- */

static enum ms_code list(struct one *one, struct ms_error *reterr) {
    return ms_file_list(one->run->svc, &one->run->ctx, one->asset, one->files, MS_FILES_MAX, &one->n, reterr);
}

static enum ms_code drop(const struct one *one, const struct ms_file_record *file, struct ms_error *reterr) {
    MS_TRY(ms_file_remove(one->run->svc, &one->run->ctx, (struct ms_file_id){file->id}, reterr));
    one->run->done.removed++;
    return MS_OK;
}

/* A tenant may call a MAIN as it likes. */
static bool is_derived(const struct ms_file_record *file, struct ms_derived_name *ret_name) {
    return file->category != MS_CATEGORY_MAIN && ms_derived_parse(file->name, ret_name);
}

/* What was made of other bytes. */
static enum ms_code drop_stale(struct one *one, struct ms_error *reterr) {
    struct ms_derived_name name;
    for (size_t i = 0; i < one->n; i++)
        if (is_derived(&one->files[i], &name) && !ms_version_id_equal(name.version, one->main))
            MS_TRY(drop(one, &one->files[i], reterr));
    return MS_OK;
}

/* All of a kind: it begins anew. */
static enum ms_code drop_kind(struct one *one, enum ms_derived_kind kind, struct ms_error *reterr) {
    struct ms_derived_name name;
    MS_TRY(list(one, reterr));
    for (size_t i = 0; i < one->n; i++)
        if (is_derived(&one->files[i], &name) && name.kind == kind)
            MS_TRY(drop(one, &one->files[i], reterr));
    return MS_OK;
}

/* ---- into the asset -------------------------------------------------------------------------- */

static void name_of(const struct one *one, enum ms_derived_kind kind, unsigned page,
                    char ret_name[MS_DERIVED_NAME_MAX + 1]) {
    const struct ms_derived_name name = {kind, one->main, kind == MS_DERIVED_PAGES ? page : 0};
    ms_derived_format(&name, ret_name);
}

static enum ms_code bring(struct one *one, enum ms_derived_kind kind, unsigned page, int fd,
                          uint64_t size, struct ms_error *reterr) {
    struct ms_svc *svc = one->run->svc;
    char name[MS_DERIVED_NAME_MAX + 1];
    name_of(one, kind, page, name);
    const struct ms_declare declare = {.asset = one->asset,
                                       .category = ms_derived_category(kind),
                                       .name = name,
                                       .size = size,
                                       .parts = 1,
                                       .derived = true};
    struct ms_declared declared;
    struct ms_confirmed confirmed;
    MS_TRY(ms_file_declare(svc, &one->run->ctx, &declare, &declared, reterr));
    const struct ms_send send = {.file = declared.file, .fd = fd};
    const struct ms_confirm confirm = {.file = declared.file, .as = MS_CONFIRM_CREATED};
    MS_TRY(ms_file_send(svc, &one->run->ctx, &send, reterr));
    MS_TRY(ms_file_confirm(svc, &one->run->ctx, &confirm, &confirmed, reterr));
    return confirmed.verdict == MS_OK ? MS_OK : ms_fail(reterr, confirmed.verdict, "%s", confirmed.reason);
}

static enum ms_code bring_all(struct one *one, enum ms_derived_kind kind, const struct ms_made_files *made,
                              struct ms_error *reterr) {
    for (unsigned i = 0; i < made->n; i++)
        MS_TRY(bring(one, kind, i + 1, made->fd[i], made->size[i], reterr));
    return MS_OK;
}

/* A verdict on this derivation, or something that another time may not meet? */
static bool is_verdict(enum ms_code code) {
    return code == MS_WRONG_KIND || code == MS_TOO_LARGE || code == MS_QUOTA || code == MS_MISMATCH ||
           code == MS_RANGE || code == MS_CORRUPT;
}

static enum ms_code note_failure(struct one *one, enum ms_derived_kind kind, const struct ms_error *why,
                                 struct ms_error *reterr) {
    struct ms_file_failed failed = {.asset = one->asset, .category = ms_derived_category(kind)};
    name_of(one, kind, 1, failed.name);
    ms_reason_cut(why->message, failed.reason);
    MS_TRY(drop_kind(one, kind, reterr));
    one->run->done.failed++;
    return ms_file_note_failed(one->run->svc, &one->run->ctx, &failed, reterr);
}

/* ---- one derivation -------------------------------------------------------------------------- */

/* A new MAIN that waits for its verdict: nothing is made of it, and what was made of the live one stays. */
static bool is_held(const struct ms_asset_info *info) {
    return info->waits && !ms_version_id_is_none((struct ms_version_id){info->pending.held});
}

/* The bytes that were brought are those of the version that the files are named after. */
static enum ms_code same_main(const struct one *one, struct ms_error *reterr) {
    struct ms_asset_info now;
    MS_TRY(ms_asset_get(one->run->svc, &one->run->ctx, one->asset, &now, reterr));
    if (is_held(&now) || !ms_version_id_equal((struct ms_version_id){now.version.id}, one->main))
        return ms_fail(reterr, MS_CONFLICT, "asset %s was overwritten meanwhile", ms_id_text(one->asset.id).s);
    return MS_OK;
}

static enum ms_code convert(struct one *one, enum ms_derived_kind kind, struct ms_error *reterr) {
    MS_AUTO(ms_made_files_fini) struct ms_made_files made = {.n = 0};
    char folder[MS_DERIVE_PATH_MAX];
    MS_TRY(ms_derive_folder_fresh(one->run->svc, folder, reterr));
    MS_TRY(bring_input(one, folder, reterr));
    MS_TRY(same_main(one, reterr));
    MS_TRY(ms_derive_convert(one->run->options, folder, kind, &one->content, &made, reterr));
    MS_TRY(drop_kind(one, kind, reterr)); /* what a killed run has left */
    return bring_all(one, kind, &made, reterr);
}

static enum ms_code derive(struct one *one, enum ms_derived_kind kind, struct ms_error *reterr) {
    struct ms_error err = {0};
    say_at_work(one->run, one, kind);
    const struct ms_derive_options *o = one->run->options;
    enum ms_code code = convert(one, kind, &err);
    ms_derive_folder_drop(one->run->svc);
    /* Who stops a service stops its converters, too: that says nothing of the content. */
    if (code != MS_OK && o->goes_on && !o->goes_on(o->priv))
        code = ms_fail(&err, MS_CANCELLED, "stopped; what is left waits for the next run");
    if (code == MS_OK)
        one->run->done.made++;
    else if (is_verdict(code))
        code = note_failure(one, kind, &err, &err);
    say_at_work(one->run, NULL, kind);
    return ms_pass_up(code, &err, reterr);
}

static enum ms_code look_at_kind(struct one *one, enum ms_derived_kind kind, struct ms_error *reterr) {
    const struct ms_derive_options *o = one->run->options;
    struct ms_derived d;
    ms_derived_look(&one->content, one->main, one->files, one->n, kind, &d);
    bool wants = d.state == MS_DERIVED_WAITING || (d.state == MS_DERIVED_FAILED && o->again);
    if (!wants)
        return MS_OK;
    bool full = one->n >= MS_FILES_MAX && d.state == MS_DERIVED_WAITING && d.files == 0;
    if (full || !ms_derive_converter(o, kind, &one->content)) {
        one->run->done.waiting++;
        return MS_OK;
    }
    if (o->goes_on && !o->goes_on(o->priv))
        return ms_fail(reterr, MS_CANCELLED, "stopped; what is left waits for the next run");
    return derive(one, kind, reterr);
}

/* ---- one asset ------------------------------------------------------------------------------- */

/* The asset may have changed, or gone, since it was listed: that is for the next run. */
static bool is_of_the_moment(enum ms_code code) {
    return code == MS_NOT_FOUND || code == MS_WRONG_STATE || code == MS_CONFLICT || code == MS_EXISTS ||
           code == MS_NOT_READABLE || code == MS_NOT_PERMITTED;
}

/* The disk had no room for it, or failed: others may be smaller. */
static bool is_put_off(enum ms_code code) {
    return code == MS_NO_SPACE || code == MS_CANT_CREATE || code == MS_IO;
}

static enum ms_code look_at_asset(struct run *run, const struct ms_asset_info *info, struct ms_error *reterr) {
    struct one one = {.run = run,
                      .info = info,
                      .content = ms_asset_content(info),
                      .asset = {info->asset.id},
                      .main = {info->version.id}};
    struct ms_error err = {0};
    run->done.looked++;
    if (!info->probed || !ms_content_is_probed(one.content.type) || is_held(info))
        return MS_OK;
    one.files = calloc(MS_FILES_MAX, sizeof *one.files);
    if (!one.files)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for the files of an asset");
    enum ms_code code = list(&one, &err);
    if (code == MS_OK)
        code = drop_stale(&one, &err);
    for (unsigned kind = 0; code == MS_OK && kind < MS_DERIVED_COUNT; kind++)
        if ((code = list(&one, &err)) == MS_OK)
            code = look_at_kind(&one, (enum ms_derived_kind)kind, &err);
    free(one.files);
    if (is_put_off(code) && run->done.put_off++ == 0)
        run->done.why = err;
    return is_of_the_moment(code) || is_put_off(code) ? MS_OK : ms_pass_up(code, &err, reterr);
}

static enum ms_code look_at_tenant(struct run *run, struct ms_asset_info *infos, struct ms_error *reterr) {
    struct ms_asset_id after = {{{0}}};
    size_t n = PAGE;
    while (n == PAGE) {
        MS_TRY(ms_asset_list(run->svc, &run->ctx, after, FINISHED, infos, PAGE, &n, reterr));
        for (size_t i = 0; i < n; i++)
            MS_TRY(look_at_asset(run, &infos[i], reterr));
        if (n > 0)
            after.id = infos[n - 1].asset.id;
    }
    return MS_OK;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static enum ms_code look_at_all(struct run *run, struct ms_error *reterr) {
    struct ms_tenant_record *tenants = NULL;
    struct ms_asset_info *infos = calloc(PAGE, sizeof *infos);
    size_t n = 0;
    enum ms_code code = infos ? ms_tenant_list(run->svc, &tenants, &n, reterr)
                              : ms_fail(reterr, MS_NO_MEMORY, "no memory for a list of assets");
    for (size_t i = 0; code == MS_OK && i < n; i++) {
        run->ctx = (struct ms_ctx){.tenant = {tenants[i].id}, .who = WHO, .admin = true};
        code = look_at_tenant(run, infos, reterr);
    }
    free(tenants);
    free(infos);
    return code;
}

enum ms_code ms_derive_run(struct ms_svc *svc, const struct ms_derive_options *options,
                           struct ms_derive_result *ret_result, struct ms_error *reterr) {
    struct run run = {.svc = svc, .options = options, .lock = open_lock(svc, O_RDWR | O_CREAT)};
    enum ms_code code = MS_OK;
    if (run.lock < 0)
        return ms_fail_errno(reterr, errno, "%s/derive.lock cannot be opened", svc->dir);
    run.done.busy = !take_lock(run.lock);
    run.done.paused = !run.done.busy && is_paused(&run);
    if (!run.done.busy && !run.done.paused) {
        ms_derive_folder_drop(svc); /* of a run that was killed */
        say_at_work(&run, NULL, MS_DERIVED_COVER);
        code = look_at_all(&run, reterr);
        say_at_work(&run, NULL, MS_DERIVED_COVER); /* the pause counts from here */
    }
    close(run.lock);
    *ret_result = run.done;
    return code;
}

enum ms_code ms_derive_look(struct ms_svc *svc, const struct ms_ctx *ctx, const struct ms_asset_info *info,
                            struct ms_derived_all *ret_all, struct ms_error *reterr) {
    const struct ms_content content = ms_asset_content(info);
    struct ms_file_record *files = calloc(MS_FILES_MAX, sizeof *files);
    struct at_work at;
    size_t n = 0;
    if (!files)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for the files of an asset");
    enum ms_code code = ms_file_list(svc, ctx, (struct ms_asset_id){info->asset.id}, files, MS_FILES_MAX, &n, reterr);
    bool busy = code == MS_OK && is_at_work(svc, &at) && memcmp(at.asset.b, info->asset.id.b, MS_ID_BYTES) == 0;
    for (unsigned kind = 0; code == MS_OK && kind < MS_DERIVED_COUNT; kind++) {
        ms_derived_look(&content, (struct ms_version_id){info->version.id}, files, n, (enum ms_derived_kind)kind,
                        &ret_all->of[kind]);
        ret_all->working[kind] = busy && at.kind == kind;
    }
    free(files);
    return code;
}
