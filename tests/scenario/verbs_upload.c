/* Uploads as the API has them: an asset is made, a file of it declared, sent, confirmed. */
#include "scenario.h"

#include "service/confirm.h"
#include "service/tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- bytes ------------------------------------------------------------------------------- */

/* Bytes that libmagic takes for what the suffix says; the same ones for the same words. */
static int bytes_of(const struct scene *s, const char *suffix, size_t n) {
    uint8_t *p = malloc(n + 64);
    int fd = memfd_create("bytes", MFD_CLOEXEC);
    if (!p || fd < 0)
        scene_fail(s, "no memory");
    scene_fill(p, n + 64, suffix);
    if (write(fd, p, n) != (ssize_t)n)
        scene_fail(s, "cannot write %zu bytes", n);
    free(p);
    return fd;
}

static const char *suffix_of(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : "txt";
}

/* ---- asset and file ---------------------------------------------------------------------- */

static enum ms_code verb_new(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const char *name = scene_value(n, words, "name"), *text = scene_value(n, words, "description");
    struct ms_asset_new make = {.name = name ? name : words[1], .description = text};
    struct ms_asset_id id;
    scene_only(s, n, words, "name description");
    MS_TRY(ms_asset_type_parse(words[2], &make.type, reterr));
    MS_TRY(ms_asset_create(s->w->svc, scene_ctx(s), &make, &id, reterr));
    scene_name_asset(s, words[1], id);
    return MS_OK;
}

static enum ms_category category_of(const struct scene *s, const char *text) {
    for (unsigned c = 0; c < MS_CATEGORY_COUNT; c++)
        if (strcmp(ms_category_name((enum ms_category)c), text) == 0)
            return (enum ms_category)c;
    scene_fail(s, "there is no category %s", text);
}

/* The MD5 is that of the bytes that `send` with the same words brings. */
static void md5_of(const struct scene *s, const char *suffix, uint64_t bytes, uint8_t ret_md5[16]) {
    struct ms_send what = {.fd = bytes_of(s, suffix, (size_t)bytes)};
    struct ms_error err;
    uint64_t size;
    if (ms_md5_fd(&what, ret_md5, &size, &err) != MS_OK)
        scene_fail(s, "%s", err.message);
    (void)close(what.fd);
}

static enum ms_code verb_declare(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const char *bytes = scene_value(n, words, "bytes"), *like = scene_value(n, words, "like"),
               *large = scene_value(n, words, "large"), *until = scene_value(n, words, "until");
    struct ms_declare d = {.asset = scene_asset_of(s, words[2])->id,
                           .category = category_of(s, words[3]),
                           .name = words[4],
                           .size = bytes ? scene_bytes(s, bytes) : 1000,
                           .parts = large ? (uint32_t)scene_bytes(s, large) : 1,
                           .large = large != NULL};
    struct ms_declared declared;
    uint8_t md5[16] = {0};
    scene_only(s, n, words, "bytes like large until");
    if (d.size <= MS_MB) /* more is declared only, and never sent */
        md5_of(s, like ? like : suffix_of(words[4]), d.size, md5);
    d.md5 = large ? NULL : md5;
    MS_TRY(ms_file_declare(s->w->svc, scene_ctx(s), &d, &declared, reterr));
    if (until && scene_instant(s, until).ms != declared.until.ms)
        scene_fail(s, "it must be confirmed until %lld", (long long)declared.until.ms);
    scene_name_id(s, words[1], declared.file.id);
    return MS_OK;
}

static enum ms_code verb_send(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const char *bytes = scene_value(n, words, "bytes");
    struct ms_send send = {.file = {*scene_id_of(s, words[1])}};
    scene_only(s, n, words, "bytes");
    send.fd = bytes_of(s, words[2], bytes ? (size_t)scene_bytes(s, bytes) : 1000);
    enum ms_code code = ms_file_send(s->w->svc, scene_ctx(s), &send, reterr);
    (void)close(send.fd);
    return code;
}

static enum ms_code upload_of(const struct scene *s, struct ms_file_id file,
                              struct ms_upload_record *ret_upload, struct ms_error *reterr) {
    struct ms_txn *txn;
    MS_TRY(ms_read_begin(s->w->svc->store, &txn, reterr));
    enum ms_code code =
        ms_row_get_upload(txn, ms_key_upload(s->w->ctx.tenant, file), ret_upload, reterr);
    ms_read_end(txn);
    return code;
}

/* Past the gateway, as a URL would: whatever bytes, as part 1 of the upload. */
static enum ms_code verb_bring(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const char *bytes = scene_value(n, words, "bytes");
    size_t size = bytes ? (size_t)scene_bytes(s, bytes) : 1000;
    struct ms_upload_record upload;
    uint8_t *p = malloc(size);
    int fd = bytes_of(s, words[2], size);
    scene_only(s, n, words, "bytes");
    if (!p || pread(fd, p, size, 0) != (ssize_t)size)
        scene_fail(s, "no memory");
    (void)close(fd);
    enum ms_code code = upload_of(s, (struct ms_file_id){*scene_id_of(s, words[1])}, &upload, reterr);
    struct ms_obj_request put = {.op = MS_OBJ_MP_PUT,
                                 .key = upload.key,
                                 .upload_id = upload.upload_id,
                                 .part_no = 1,
                                 .body = {.memory = ms_view_of(p, size), .length = size}};
    if (code == MS_OK)
        code = ms_obj_run(s->w->svc->obj, &put, reterr);
    free(p);
    return code;
}

/* The verdict is what fails the file; without the word it must be none. */
static enum ms_code verb_confirm(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const char *as = scene_value(n, words, "as"), *verdict = scene_value(n, words, "verdict"),
               *says = scene_value(n, words, "says");
    struct ms_confirm confirm = {.file = {*scene_id_of(s, words[1])}};
    struct ms_confirmed done;
    scene_only(s, n, words, "as verdict says");
    if (as && strcmp(as, "FAILED") == 0)
        confirm.as = MS_CONFIRM_FAILED;
    else if (as && strcmp(as, "CANCELLED") == 0)
        confirm.as = MS_CONFIRM_CANCELLED;
    else if (as && strcmp(as, "CREATED") != 0)
        scene_fail(s, "a file is confirmed as CREATED, FAILED or CANCELLED, not %s", as);
    MS_TRY(ms_file_confirm(s->w->svc, scene_ctx(s), &confirm, &done, reterr));
    if (strcmp(verdict ? verdict : "OK", ms_code_name(done.verdict)) != 0)
        scene_fail(s, "the verdict is %s: %s", ms_code_name(done.verdict), done.reason);
    if (says && !strstr(done.reason, says))
        scene_fail(s, "the reason is \"%s\"", done.reason);
    return MS_OK;
}

static enum ms_code verb_drop_file(struct scene *s, int n, char **words, struct ms_error *reterr) {
    (void)n;
    return ms_file_remove(s->w->svc, scene_ctx(s), (struct ms_file_id){*scene_id_of(s, words[1])},
                          reterr);
}

/* ---- what must be so --------------------------------------------------------------------- */

static enum ms_code file_of(struct scene *s, const char *asset, const char *file,
                            struct ms_file_record *ret_file, struct ms_error *reterr) {
    struct ms_file_record *files = calloc(MS_FILES_MAX, sizeof *files);
    struct ms_id id = *scene_id_of(s, file);
    size_t n = 0, i = 0;
    if (!files)
        scene_fail(s, "no memory");
    enum ms_code code = ms_file_list(s->w->svc, scene_ctx(s), scene_asset_of(s, asset)->id, files,
                                     MS_FILES_MAX, &n, reterr);
    while (code == MS_OK && i < n && memcmp(files[i].id.b, id.b, MS_ID_BYTES) != 0)
        i++;
    if (code == MS_OK && i < n)
        *ret_file = files[i];
    free(files);
    if (code == MS_OK && i == n)
        return ms_fail(reterr, MS_NOT_FOUND, "%s has no file %s", asset, file);
    return code;
}

static enum ms_code verb_file(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const char *state = scene_value(n, words, "state"), *size = scene_value(n, words, "bytes"),
               *category = scene_value(n, words, "category"), *says = scene_value(n, words, "says");
    struct ms_file_record f;
    scene_only(s, n, words, "state bytes category says");
    MS_TRY(file_of(s, words[1], words[2], &f, reterr));
    const char *is = ms_file_state_name((enum ms_file_state)f.state);
    if (state && strcmp(state, is) != 0)
        scene_fail(s, "the file is %s: %s", is, f.reason);
    if (category && category_of(s, category) != f.category)
        scene_fail(s, "the file is %s", ms_category_name((enum ms_category)f.category));
    if (size && scene_bytes(s, size) != f.size)
        scene_fail(s, "the file has %llu bytes", (unsigned long long)f.size);
    if (says && !strstr(f.reason, says))
        scene_fail(s, "its reason is \"%s\"", f.reason);
    return MS_OK;
}

static enum ms_code verb_quota(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const char *used = scene_value(n, words, "used"), *reserved = scene_value(n, words, "reserved");
    struct ms_quota_info info;
    scene_only(s, n, words, "used reserved");
    MS_TRY(ms_tenant_quota(s->w->svc, scene_ctx(s), &info, reterr));
    if ((used && scene_bytes(s, used) != info.metered) ||
        (reserved && scene_bytes(s, reserved) != info.reserved))
        scene_fail(s, "%llu bytes are used, %llu reserved", (unsigned long long)info.metered,
                   (unsigned long long)info.reserved);
    return MS_OK;
}

/* What a finished asset becomes. */
static enum ms_code verb_finished(struct scene *s, int n, char **words, struct ms_error *reterr) {
    (void)n;
    return ms_tenant_set_start(s->w->svc, scene_ctx(s), strcmp(words[1], "UNACTIVED") == 0, reterr);
}

static const struct scene_verb verbs[] = {
    {"new", 2, 4, verb_new, "LABEL TYPE [name=TEXT] [description=TEXT]: as the API makes an asset"},
    {"declare", 4, 8, verb_declare,
     "FILE LABEL CATEGORY NAME [bytes=N] [like=SUFFIX] [large=PARTS] [until=INSTANT]"},
    {"send", 2, 3, verb_send, "FILE SUFFIX [bytes=N]: bytes of that kind go to the store"},
    {"bring", 2, 3, verb_bring, "FILE SUFFIX [bytes=N]: the same past the gateway, whatever was declared"},
    {"confirm", 1, 4, verb_confirm, "FILE [as=CREATED|FAILED|CANCELLED] [verdict=CODE] [says=WORDS]"},
    {"drop-file", 1, 1, verb_drop_file, "FILE: removed from its asset"},
    {"file", 2, 6, verb_file, "LABEL FILE [state=S] [bytes=N] [category=C] [says=WORDS]: so it is"},
    {"quota", 1, 2, verb_quota, "[used=BYTES] [reserved=BYTES]: of the tenant"},
    {"finished", 1, 1, verb_finished, "ACTIVED|UNACTIVED: what assets of the tenant become"},
};
const struct scene_verbs scene_verbs_upload = {verbs, MS_ARRAY_LEN(verbs)};
