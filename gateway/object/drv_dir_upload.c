/* drv_dir_upload.c — multipart uploads of the directory driver: parts in place, and a log of the durable ones.
 *
 * The log begins with key and metadata; each line behind them is one part with a hash over itself, so a line torn
 * by a crash is skipped. The last line of a part counts. Before a part that is there is overwritten, a line with a
 * new ETag is made durable: whatever happens then, nobody completes a mixture as what it was.
 *
 * Locks (flock on the log, so they die with their process): shared while a part is written, exclusive to complete.
 * Without that a late write would land in a finished object.
 */
#include "base/assert.h"
#include "object/drv_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <xxhash.h>

#define HEAD "msasset upload 1\n"
#define LOG_MAX ((size_t)64 << 20)
#define ETAG_SIZE 40
#define CREATE_TRIES 8

struct part {
    bool present;
    char etag[ETAG_SIZE];
    uint64_t offset, size;
};

struct upload {
    int folder, log, data;
    struct ms_buf text;
    char key[MS_OBJECT_KEY_MAX + 1];
    const char *meta; /* in text */
    bool has_parts;
    struct part *parts; /* by number */
};

static void upload_fini(struct upload *u) {
    ms_fd_close(&u->data);
    ms_fd_close(&u->log); /* the lock goes with it */
    ms_fd_close(&u->folder);
    ms_buf_fini(&u->text);
    free(u->parts);
}

static bool is_id(const char *s) {
    return strspn(s, "0123456789abcdef") == MS_ID_TEXT_LEN && s[MS_ID_TEXT_LEN] == '\0';
}

static enum ms_code fail_no_upload(const char *id, const char *key, struct ms_error *reterr) {
    return ms_fail(reterr, MS_NOT_FOUND,
                   "no upload %s of %s: it was completed or aborted, or "
                   "never made",
                   id, key);
}

/* ---- the log --------------------------------------------------------------------------------- */

static uint64_t hash_of(const char *line, size_t n) { return XXH3_64bits(line, n); }

static enum ms_code append_part(const struct upload *u, uint32_t part_no, const struct part *part,
                                struct ms_error *reterr) {
    char line[160], text[200];
    ssize_t n, done;

    n = snprintf(line, sizeof line, "part %" PRIu32 " %" PRIu64 " %" PRIu64 " %s", part_no,
                 part->offset, part->size, part->etag);
    MS_ASSERT(n > 0 && n < (ssize_t)sizeof line);
    /* A newline on both sides: a torn line before it spoils only itself. */
    n = snprintf(text, sizeof text, "\n%s %016" PRIx64 "\n", line, hash_of(line, (size_t)n));
    do
        done = write(u->log, text, (size_t)n);
    while (done < 0 && errno == EINTR);
    if (done < 0 || (done == n && fdatasync(u->log) != 0))
        return ms_fail_errno(reterr, errno, "cannot note part %" PRIu32 " of %s", part_no, u->key);
    if (done < n)
        return ms_fail(reterr, MS_NO_SPACE, "no space to note part %" PRIu32 " of %s", part_no,
                       u->key);
    return MS_OK;
}

/* Digits and one blank. Overflow cannot pass: the line's hash was ours. */
static bool take_number(const char **p, uint64_t max, uint64_t *ret_v) {
    const char *start = *p;
    uint64_t v = 0;

    for (; **p >= '0' && **p <= '9' && v <= (UINT64_MAX - 9) / 10; (*p)++)
        v = v * 10 + (uint64_t)(**p - '0');
    if (*p == start || **p != ' ' || v > max)
        return false;
    (*p)++;
    *ret_v = v;
    return true;
}

/* "part NO OFFSET SIZE ETAG HASH", the hash over what stands before it. */
static bool parse_line(const char *line, size_t n, uint64_t *ret_no, struct part *ret_part) {
    const char *p = line + 5;
    char hash[17];
    size_t etag_n;

    if (n < 5 + 17 || strncmp(line, "part ", 5) != 0)
        return false;
    snprintf(hash, sizeof hash, "%016" PRIx64, hash_of(line, n - 17));
    if (memcmp(hash, line + n - 16, 16) != 0 || line[n - 17] != ' ')
        return false;
    if (!take_number(&p, MS_PARTS_MAX, ret_no) || *ret_no < 1 ||
        !take_number(&p, INT64_MAX, &ret_part->offset) ||
        !take_number(&p, INT64_MAX, &ret_part->size))
        return false;
    etag_n = strcspn(p, " ");
    if (etag_n == 0 || etag_n >= ETAG_SIZE || p + etag_n != line + n - 17)
        return false;
    memcpy(ret_part->etag, p, etag_n);
    ret_part->etag[etag_n] = '\0';
    return true;
}

static void parse_part(struct upload *u, const char *line, size_t n) {
    struct part part = {.present = true};
    uint64_t no;
    char text[200];

    if (n >= sizeof text)
        return;
    memcpy(text, line, n);
    text[n] = '\0';
    if (!parse_line(text, n, &no, &part))
        return;
    u->parts[no] = part;
    u->has_parts = true;
}

/* False when the head is not whole: a maker was killed, or the power went. */
static bool parse_head(struct upload *u, char **ret_parts) {
    char *p = (char *)u->text.data, *end = p ? strstr(p, "\n\n") : NULL;
    size_t n;

    if (!end || strncmp(p, HEAD "key=", strlen(HEAD "key=")) != 0)
        return false;
    p += strlen(HEAD "key=");
    n = strcspn(p, "\n");
    if (n == 0 || n > MS_OBJECT_KEY_MAX)
        return false;
    memcpy(u->key, p, n);
    u->key[n] = '\0';
    u->meta = p + n + 1;
    end[1] = '\0'; /* the metadata ends here */
    *ret_parts = end + 2;
    return true;
}

static enum ms_code parse_log(struct upload *u, bool *ret_whole, struct ms_error *reterr) {
    char *p, *end, *newline;

    *ret_whole = parse_head(u, &p);
    if (!*ret_whole)
        return MS_OK;
    u->parts = calloc(MS_PARTS_MAX + 1, sizeof *u->parts);
    if (!u->parts)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for the parts of %s", u->key);
    end = (char *)u->text.data + u->text.len;
    for (; p < end; p = newline + 1) {
        /* By length: a torn line may hold NULs. */
        newline = memchr(p, '\n', (size_t)(end - p));
        if (!newline)
            newline = end;
        parse_part(u, p, (size_t)(newline - p));
    }
    return MS_OK;
}

/* ---- opening --------------------------------------------------------------------------------- */

static enum ms_code lock_log(int fd, int how, struct ms_error *reterr) {
    int err;

    do
        err = flock(fd, how) == 0 ? 0 : errno;
    while (err == EINTR);
    return err == 0 ? MS_OK : ms_fail_errno(reterr, err, "cannot lock an upload");
}

/* how: LOCK_SH, LOCK_EX, with LOCK_NB perhaps. Errors: MS_NOT_FOUND; MS_CONFLICT LOCK_NB and somebody has it. */
static enum ms_code upload_open(const struct ms_dir *d, const char *id, int how,
                                struct upload *ret_u, struct ms_error *reterr) {
    struct upload *u = ret_u;
    enum ms_code code;
    bool whole;

    *u = (struct upload){-1, -1, -1, .text = MS_BUF_MAX(LOG_MAX)};
    if (d->uploads < 0)
        return ms_fail_errno(reterr, d->uploads_errno, "the object folder %s cannot be written",
                             d->path);
    if (!is_id(id))
        return ms_fail(reterr, MS_NOT_FOUND, "no upload %s", id);
    /* ENOENT gives MS_NOT_FOUND, and nothing else may: the cleaner removes what is not found. */
    u->folder = openat(d->uploads, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (u->folder >= 0)
        u->log = openat(u->folder, "log", O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
    if (u->log < 0)
        return ms_fail_errno(reterr, errno, "cannot open upload %s", id);
    code = lock_log(u->log, how, reterr);
    if (code != MS_OK)
        return code;
    /* Under the lock: completing takes data away, aborting both. */
    u->data = openat(u->folder, "data", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (u->data < 0)
        return ms_fail_errno(reterr, errno, "cannot open the file of upload %s", id);
    code = ms_dir_read_all(u->log, &u->text, reterr);
    if (code == MS_OK)
        code = parse_log(u, &whole, reterr);
    return code == MS_OK && !whole ? ms_fail(reterr, MS_NOT_FOUND, "no upload %s", id) : code;
}

static enum ms_code open_for(const struct ms_dir *d, const struct ms_obj_request *r, int how,
                             struct upload *ret_u, struct ms_error *reterr) {
    enum ms_code code = upload_open(d, r->upload_id, how, ret_u, reterr);

    if (code == MS_NOT_FOUND || (code == MS_OK && strcmp(ret_u->key, r->key) != 0))
        return fail_no_upload(r->upload_id, r->key, reterr);
    return code;
}

/* Without the lock: a list must not wait for parts. The head never changes. */
static bool read_head(const struct ms_dir *d, const char *id, struct upload *u, struct stat *st) {
    char *parts;

    *u = (struct upload){-1, -1, -1, .text = MS_BUF_MAX(LOG_MAX)};
    u->folder = openat(d->uploads, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (u->folder < 0 || faccessat(u->folder, "data", F_OK, 0) != 0)
        return false;
    u->log = openat(u->folder, "log", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return u->log >= 0 && fstat(u->log, st) == 0 &&
           ms_dir_read_all(u->log, &u->text, NULL) == MS_OK && parse_head(u, &parts);
}

/* ---- create ---------------------------------------------------------------------------------- */

static enum ms_code write_log_head(int folder, const struct ms_obj_request *r,
                                   struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf head = MS_BUF_MAX(MS_DIR_META_MAX);
    enum ms_code code = ms_buf_addf(&head, reterr, HEAD "key=%s\n", r->key);
    MS_AUTO_FD log = -1;
    MS_AUTO_FD data = -1;

    if (code == MS_OK)
        code = ms_obj_meta_text(r->meta, &head, reterr);
    if (code == MS_OK)
        code = ms_buf_add(&head, "\n", 1, reterr);
    if (code != MS_OK)
        return code;
    log = openat(folder, "log", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, MS_DIR_FILE_MODE);
    data = openat(folder, "data", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, MS_DIR_FILE_MODE);
    if (log < 0 || data < 0)
        return ms_fail_errno(reterr, errno, "cannot make an upload of %s", r->key);
    return ms_dir_write_all(log, head.data, head.len, 0, reterr);
}

static void remove_upload(const struct ms_dir *d, const char *name) {
    MS_AUTO_FD folder = openat(d->uploads, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (folder < 0)
        return;
    unlinkat(folder, "data", 0);
    unlinkat(folder, "log", 0);
    unlinkat(d->uploads, name, AT_REMOVEDIR);
}

/* Not synced: the first part does that, and an upload without parts may be lost. */
static enum ms_code create_once(const struct ms_dir *d, struct ms_obj_request *r,
                                struct ms_error *reterr) {
    struct ms_id_text id = ms_id_text(ms_id_new(d->random));
    char name[64];
    MS_AUTO_FD folder = -1;
    enum ms_code code;

    snprintf(name, sizeof name, "new-%s", id.s);
    if (mkdirat(d->uploads, name, MS_DIR_FOLDER_MODE) != 0)
        return ms_fail_errno(reterr, errno, "cannot make an upload of %s", r->key);
    folder = openat(d->uploads, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0 || flock(folder, LOCK_SH | LOCK_NB) != 0)
        return ms_fail(reterr, MS_NOT_FOUND, "a cleaner took it");
    code = write_log_head(folder, r, reterr);
    if (code == MS_OK && renameat(d->uploads, name, d->uploads, id.s) != 0)
        code = ms_fail_errno(reterr, errno, "cannot make an upload of %s", r->key);
    if (code != MS_OK) {
        remove_upload(d, name);
        return code;
    }
    snprintf(r->ret_upload_id, sizeof r->ret_upload_id, "%s", id.s);
    return MS_OK;
}

enum ms_code ms_dir_mp_create(struct ms_obj *obj, struct ms_obj_request *r,
                              struct ms_error *reterr) {
    const struct ms_dir *d = ms_dir_of(obj);
    enum ms_code code = MS_NOT_FOUND;

    if (d->uploads < 0)
        return ms_fail_errno(reterr, d->uploads_errno, "the object folder %s cannot be written",
                             d->path);
    for (int i = 0; i < CREATE_TRIES && code == MS_NOT_FOUND; i++)
        code = create_once(d, r, reterr);
    if (code == MS_NOT_FOUND)
        return ms_fail(reterr, MS_IO, "uploads made in %s/" MS_DIR_UPLOADS " vanish", d->path);
    return code;
}

/* ---- parts ----------------------------------------------------------------------------------- */

static enum ms_code check_overlap(const struct upload *u, const struct ms_obj_request *r,
                                  uint64_t length, struct ms_error *reterr) {
    const struct part *p;

    for (uint32_t i = 1; i <= MS_PARTS_MAX; i++) {
        p = &u->parts[i];
        if (i == r->part_no || !p->present || p->size == 0 || length == 0)
            continue;
        if (r->part_offset < p->offset + p->size && p->offset < r->part_offset + length)
            return ms_fail(reterr, MS_INVALID,
                           "part %" PRIu32 " at %" PRIu64 "+%" PRIu64 " overlaps part %" PRIu32
                           " at %" PRIu64 "+%" PRIu64,
                           r->part_no, r->part_offset, length, i, p->offset, p->size);
    }
    return MS_OK;
}

static enum ms_code sync_create(const struct ms_dir *d, const struct upload *u,
                                struct ms_error *reterr) {
    if (fsync(u->log) != 0 || fsync(u->folder) != 0 || fsync(d->uploads) != 0)
        return ms_fail_errno(reterr, errno, "cannot sync the upload of %s", u->key);
    return MS_OK;
}

/* Before the first byte of an overwritten part changes. */
static enum ms_code note_doubt(const struct ms_dir *d, const struct upload *u, uint32_t part_no,
                               struct ms_error *reterr) {
    struct part doubt = u->parts[part_no];

    snprintf(doubt.etag, sizeof doubt.etag, "mixed-%s", ms_id_text(ms_id_new(d->random)).s);
    return append_part(u, part_no, &doubt, reterr);
}

static enum ms_code write_part(const struct ms_dir *d, struct upload *u, struct ms_obj_request *r,
                               const struct ms_obj_body *body, struct ms_error *reterr) {
    struct part part = {.present = true, .offset = r->part_offset, .size = body->length};
    enum ms_code code = check_overlap(u, r, body->length, reterr);
    char etag[MS_ETAG_MAX + 1];

    if (code == MS_OK && !u->has_parts)
        code = sync_create(d, u, reterr);
    if (code == MS_OK && u->parts[r->part_no].present)
        code = note_doubt(d, u, r->part_no, reterr);
    if (code == MS_OK)
        code = ms_dir_write_body(r, body, u->data, r->part_offset, etag, reterr);
    if (code == MS_OK && fdatasync(u->data) != 0)
        code =
            ms_fail_errno(reterr, errno, "cannot sync part %" PRIu32 " of %s", r->part_no, u->key);
    if (code != MS_OK)
        return code;
    if (faccessat(d->uploads, r->upload_id, F_OK, 0) != 0)
        return fail_no_upload(r->upload_id, r->key, reterr); /* aborted meanwhile */
    MS_ASSERT(strlen(etag) < sizeof part.etag);
    memcpy(part.etag, etag, strlen(etag) + 1);
    code = append_part(u, r->part_no, &part, reterr);
    if (code != MS_OK)
        return code;
    snprintf(r->ret_etag, sizeof r->ret_etag, "%s", etag);
    return MS_OK;
}

enum ms_code ms_dir_mp_put(struct ms_obj *obj, struct ms_obj_request *r, struct ms_error *reterr) {
    const struct ms_dir *d = ms_dir_of(obj);
    struct upload u;
    enum ms_code code = open_for(d, r, LOCK_SH, &u, reterr);

    if (code == MS_OK)
        code = write_part(d, &u, r, &r->body, reterr);
    upload_fini(&u);
    return code;
}

enum ms_code ms_dir_mp_copy(struct ms_obj *obj, struct ms_obj_request *r, struct ms_error *reterr) {
    const struct ms_dir *d = ms_dir_of(obj);
    struct ms_obj_body body;
    MS_AUTO_FD fd = -1;
    struct stat st;
    struct upload u;
    enum ms_code code = ms_dir_open_file(d, r->source_key, &fd, &st, reterr);

    if (code != MS_OK)
        return code;
    if (r->offset > (uint64_t)st.st_size || r->length > (uint64_t)st.st_size - r->offset)
        return ms_fail(reterr, MS_RANGE, "bytes %" PRIu64 "+%" PRIu64 " of %s, which has %lld",
                       r->offset, r->length, r->source_key, (long long)st.st_size);
    body = (struct ms_obj_body){.fd = fd, .fd_offset = r->offset, .length = r->length};
    code = open_for(d, r, LOCK_SH, &u, reterr);
    if (code == MS_OK)
        code = write_part(d, &u, r, &body, reterr);
    upload_fini(&u);
    return code;
}

/* ---- complete, abort ------------------------------------------------------------------------- */

static enum ms_code check_named(const struct upload *u, const struct ms_obj_part *named,
                                uint64_t offset, struct ms_error *reterr) {
    const struct part *p = &u->parts[named->part_no];

    if (!p->present)
        return ms_fail(reterr, MS_CONFLICT, "part %" PRIu32 " of %s was never sent", named->part_no,
                       u->key);
    if (strcmp(p->etag, named->etag) != 0)
        return ms_fail(reterr, MS_CONFLICT,
                       "part %" PRIu32 " of %s has ETag %s, not %s: it was "
                       "sent again since",
                       named->part_no, u->key, p->etag, named->etag);
    if (p->size != named->size)
        return ms_fail(reterr, MS_CONFLICT,
                       "part %" PRIu32 " of %s has %" PRIu64 " bytes, not "
                       "%" PRIu64,
                       named->part_no, u->key, p->size, named->size);
    if (p->offset != offset)
        return ms_fail(reterr, MS_CONFLICT,
                       "part %" PRIu32 " of %s lies at %" PRIu64 ", the parts "
                       "before it end at %" PRIu64,
                       named->part_no, u->key, p->offset, offset);
    return MS_OK;
}

static enum ms_code cut_to_parts(const struct upload *u, const struct ms_obj_request *r,
                                 struct ms_error *reterr) {
    enum ms_code code = MS_OK;
    uint64_t total = 0;
    struct stat st;

    for (size_t i = 0; i < r->parts_n && code == MS_OK; i++) {
        code = check_named(u, &r->parts[i], total, reterr);
        total += r->parts[i].size;
    }
    if (code != MS_OK)
        return code;
    if (fstat(u->data, &st) != 0)
        return ms_fail_errno(reterr, errno, "cannot look at the upload of %s", u->key);
    if ((uint64_t)st.st_size < total)
        return ms_fail(reterr, MS_CORRUPT,
                       "the file of upload %s has %lld of %" PRIu64
                       " bytes: another program cut it",
                       r->upload_id, (long long)st.st_size, total);
    if ((uint64_t)st.st_size > total && ftruncate(u->data, (off_t)total) != 0)
        return ms_fail_errno(reterr, errno, "cannot cut the upload of %s", u->key);
    return MS_OK;
}

static enum ms_code complete(const struct ms_dir *d, const struct upload *u,
                             struct ms_obj_request *r, struct ms_error *reterr) {
    MS_AUTO(ms_dir_meta_fini) struct ms_dir_meta meta = {.text = MS_BUF_MAX(MS_DIR_META_MAX)};
    enum ms_code code = cut_to_parts(u, r, reterr);

    if (code == MS_OK)
        code = ms_buf_addf(&meta.text, reterr, "%s", u->meta);
    if (code != MS_OK)
        return code;
    ms_obj_etag_of_parts(r->parts, r->parts_n, meta.etag);
    snprintf(meta.upload_id, sizeof meta.upload_id, "%s", r->upload_id);
    code = ms_dir_meta_write(d, u->data, r->key, &meta, reterr);
    if (code == MS_OK)
        code = ms_dir_place(d->root, u->folder, "data", r->key, reterr);
    if (code != MS_OK)
        return code;
    remove_upload(d, r->upload_id);
    snprintf(r->ret_etag, sizeof r->ret_etag, "%s", meta.etag);
    return MS_OK;
}

/* O6: it was completed before; who did it may have died before his sync. */
static enum ms_code was_completed(const struct ms_dir *d, struct ms_obj_request *r,
                                  struct ms_error *reterr) {
    MS_AUTO(ms_dir_meta_fini) struct ms_dir_meta meta = {0};
    MS_AUTO_FD fd = -1;
    struct stat st;
    enum ms_code code = ms_dir_open_file(d, r->key, &fd, &st, reterr);

    if (code == MS_OK)
        code = ms_dir_meta_read(d, fd, r->key, &st, &meta, reterr);
    if (code == MS_NOT_FOUND || (code == MS_OK && strcmp(meta.upload_id, r->upload_id) != 0))
        return fail_no_upload(r->upload_id, r->key, reterr);
    if (code == MS_OK)
        code = ms_dir_sync_place(d->root, r->key, reterr);
    if (code != MS_OK)
        return code;
    if (is_id(r->upload_id))
        remove_upload(d, r->upload_id);
    snprintf(r->ret_etag, sizeof r->ret_etag, "%s", meta.etag);
    return MS_OK;
}

enum ms_code ms_dir_mp_complete(struct ms_obj *obj, struct ms_obj_request *r,
                                struct ms_error *reterr) {
    const struct ms_dir *d = ms_dir_of(obj);
    struct upload u;
    enum ms_code code = open_for(d, r, LOCK_EX, &u, reterr);

    if (code == MS_OK)
        code = complete(d, &u, r, reterr);
    else if (code == MS_NOT_FOUND)
        code = was_completed(d, r, reterr);
    upload_fini(&u);
    return code;
}

static bool is_of_other_key(const struct ms_dir *d, const struct ms_obj_request *r) {
    struct upload u;
    struct stat st;
    bool other = read_head(d, r->upload_id, &u, &st) && strcmp(u.key, r->key) != 0;

    upload_fini(&u);
    return other;
}

/* A part that is being written now goes into a file without a name, and then finds no upload. */
enum ms_code ms_dir_mp_abort(struct ms_obj *obj, struct ms_obj_request *r,
                             struct ms_error *reterr) {
    const struct ms_dir *d = ms_dir_of(obj);
    char name[64];

    if (d->uploads < 0)
        return ms_fail_errno(reterr, d->uploads_errno, "the object folder %s cannot be written",
                             d->path);
    if (!is_id(r->upload_id) || is_of_other_key(d, r))
        return MS_OK;
    snprintf(name, sizeof name, "gone-%s", r->upload_id);
    if (renameat(d->uploads, r->upload_id, d->uploads, name) != 0)
        return errno == ENOENT
                   ? MS_OK
                   : ms_fail_errno(reterr, errno, "cannot abort an upload of %s", r->key);
    remove_upload(d, name);
    if (fsync(d->uploads) != 0)
        return ms_fail_errno(reterr, errno, "cannot sync the abort of an upload of %s", r->key);
    return MS_OK;
}

/* ---- lists ----------------------------------------------------------------------------------- */

enum ms_code ms_dir_mp_parts(struct ms_obj *obj, struct ms_obj_request *r,
                             struct ms_error *reterr) {
    struct upload u;
    enum ms_code code = open_for(ms_dir_of(obj), r, LOCK_SH, &u, reterr);
    size_t n = 0;

    for (uint32_t i = 1; code == MS_OK && i <= MS_PARTS_MAX; i++)
        n += u.parts[i].present;
    if (code == MS_OK)
        r->ret_parts = calloc(n + 1, sizeof *r->ret_parts);
    if (code == MS_OK && !r->ret_parts)
        code = ms_fail(reterr, MS_NO_MEMORY, "no memory for a list of %zu parts", n);
    for (uint32_t i = 1; code == MS_OK && i <= MS_PARTS_MAX; i++) {
        if (!u.parts[i].present)
            continue;
        r->ret_parts[r->ret_n].part_no = i;
        r->ret_parts[r->ret_n].size = u.parts[i].size;
        snprintf(r->ret_parts[r->ret_n].etag, sizeof r->ret_parts->etag, "%s", u.parts[i].etag);
        r->ret_n++;
    }
    upload_fini(&u);
    return code;
}

struct uploads {
    const struct ms_dir *d;
    const struct ms_obj_request *r;
    struct ms_obj_entry *entries;
    size_t n, cap;
    bool failed;
};

static bool is_listed(const struct ms_obj_request *r, const char *key, const char *id) {
    int order = r->after ? strcmp(key, r->after) : 1;

    if (r->key && strncmp(key, r->key, strlen(r->key)) != 0)
        return false;
    return order > 0 || (order == 0 && r->upload_id && strcmp(id, r->upload_id) > 0);
}

static struct ms_obj_entry *grow_uploads(struct uploads *all) {
    size_t cap = all->cap ? all->cap * 2 : 64;
    struct ms_obj_entry *grown;

    if (all->n < all->cap)
        return &all->entries[all->n];
    grown = realloc(all->entries, cap * sizeof *grown);
    if (!grown)
        return NULL;
    all->entries = grown;
    all->cap = cap;
    return &grown[all->n];
}

static bool add_upload(void *arg, const char *name) {
    struct uploads *all = arg;
    struct ms_obj_entry *e;
    struct upload u;
    struct stat st;

    if (!is_id(name))
        return true;
    if (read_head(all->d, name, &u, &st) && is_listed(all->r, u.key, name)) {
        e = grow_uploads(all);
        all->failed = !e;
        if (e) {
            *e = (struct ms_obj_entry){.modified = ms_instant_of(st.st_mtim.tv_sec * MS_SECOND_MS)};
            snprintf(e->key, sizeof e->key, "%s", u.key);
            snprintf(e->upload_id, sizeof e->upload_id, "%s", name);
            all->n++;
        }
    }
    upload_fini(&u);
    return !all->failed;
}

static int by_key_and_id(const void *a, const void *b) {
    const struct ms_obj_entry *x = a, *y = b;
    int order = strcmp(x->key, y->key);

    return order ? order : strcmp(x->upload_id, y->upload_id);
}

enum ms_code ms_dir_mp_list(struct ms_obj *obj, struct ms_obj_request *r, struct ms_error *reterr) {
    struct uploads all = {.d = ms_dir_of(obj), .r = r};
    enum ms_code code = MS_OK;

    if (all.d->uploads >= 0)
        code = ms_dir_each_name(all.d->uploads, add_upload, &all, reterr);
    if (code == MS_OK && all.failed)
        code = ms_fail(reterr, MS_NO_MEMORY, "no memory for a list of %zu uploads", all.n);
    if (code != MS_OK) {
        free(all.entries);
        return code;
    }
    if (all.n > 0) /* qsort() takes no NULL, not even for nothing */
        qsort(all.entries, all.n, sizeof *all.entries, by_key_and_id);
    r->ret_entries = all.entries;
    r->ret_more = all.n > r->list_max;
    r->ret_n = r->ret_more ? r->list_max : all.n;
    return MS_OK;
}

/* ---- what a kill left ------------------------------------------------------------------------ */

static void clean_temp(const struct ms_dir *d, const char *name) {
    MS_AUTO_FD fd = openat(d->uploads, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        unlinkat(d->uploads, name, 0);
}

static void clean_new(const struct ms_dir *d, const char *name) {
    MS_AUTO_FD fd = openat(d->uploads, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        remove_upload(d, name);
}

/* Completed and not removed, or made and lost to a power cut before its first part. */
static void clean_upload(const struct ms_dir *d, const char *name) {
    struct upload u;

    if (upload_open(d, name, LOCK_EX | LOCK_NB, &u, NULL) == MS_NOT_FOUND)
        remove_upload(d, name);
    upload_fini(&u);
}

static bool clean_name(void *arg, const char *name) {
    const struct ms_dir *d = arg;

    if (strncmp(name, "put-", 4) == 0)
        clean_temp(d, name);
    else if (strncmp(name, "new-", 4) == 0)
        clean_new(d, name);
    else if (strncmp(name, "gone-", 5) == 0)
        remove_upload(d, name);
    else if (is_id(name))
        clean_upload(d, name);
    return true;
}

void ms_dir_clean_uploads(const struct ms_dir *d) {
    /* Best effort: what cannot be removed now is in nobody's way. */
    (void)!ms_dir_each_name(d->uploads, clean_name, (void *)(uintptr_t)d, NULL);
}
