/* Listing an object store into a nameless file, and the keys that rows know. */
#include "service/upkeep_list.h"

#include "content/hash.h"
#include "service/tree_rows.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define LIST_MAX 1000
#define LITTLE_ROOM_BYTES (64 * MS_MB)

/* ---- whose key ------------------------------------------------------------------------------- */

/* 32 hex digits; the rest behind them, or NULL. */
static const char *behind_id(const char *p) {
    return p && strspn(p, "0123456789abcdef") == MS_ID_TEXT_LEN ? p + MS_ID_TEXT_LEN : NULL;
}

static const char *behind_char(const char *p, char c) { return p && *p == c ? p + 1 : NULL; }

bool ms_stored_is_ours(const char *key) {
    const char *p = behind_char(behind_id(key), '/');
    size_t n;
    p = behind_char(behind_id(p), '.');
    n = p ? strspn(p, "0123456789") : 0;
    p = n > 0 && n <= 10 ? behind_char(p + n, '.') : NULL;
    n = p ? strspn(p, "0123456789abcdefghijklmnopqrstuvwxyz") : 0;
    if (n == 0 || n > 15)
        return false;
    return p[n] == '\0' || strcmp(p + n, MS_FSYNC_SUFFIX) == 0;
}

/* ---- the list -------------------------------------------------------------------------------- */

static bool is_nearly_full(const char *path) {
    struct statvfs fs;
    return statvfs(path, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < LITTLE_ROOM_BYTES;
}

/* In memory when the disk is full: deleting objects is what makes room on it. */
static enum ms_code open_file(const struct ms_svc *svc, FILE **ret_file, struct ms_error *reterr) {
    char path[sizeof svc->dir + 16];
    (void)snprintf(path, sizeof path, "%s/journal", svc->dir);
    int fd = is_nearly_full(path) ? memfd_create("msasset list", MFD_CLOEXEC)
                                  : open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    FILE *file = fd >= 0 ? fdopen(fd, "w+") : tmpfile(); /* the folder may be read-only */
    int err = errno;
    if (!file && fd >= 0)
        close(fd);
    if (!file)
        return ms_fail_errno(reterr, err, "cannot make a temporary file for the list of objects");
    *ret_file = file;
    return MS_OK;
}

static bool put_text(FILE *file, const char *text) {
    uint16_t n = (uint16_t)strlen(text);
    return fwrite(&n, sizeof n, 1, file) == 1 && fwrite(text, 1, n, file) == n;
}

static bool get_text(FILE *file, char *ret_text, size_t size) {
    uint16_t n;
    if (fread(&n, sizeof n, 1, file) != 1 || n >= size || fread(ret_text, 1, n, file) != n)
        return false;
    ret_text[n] = '\0';
    return true;
}

static enum ms_code keep(struct ms_stored_list *list, const struct ms_obj_entry *entry,
                         struct ms_error *reterr) {
    if (!put_text(list->file, entry->key) || !put_text(list->file, entry->upload_id) ||
        !put_text(list->file, entry->etag) ||
        fwrite(&entry->size, sizeof entry->size, 1, list->file) != 1)
        return ms_fail_errno(reterr, errno, "cannot write the list of objects");
    list->n++;
    return MS_OK;
}

struct page {
    struct ms_obj_request request;
    char after[MS_OBJECT_KEY_MAX + 1], upload_id[MS_UPLOAD_ID_MAX + 1];
    bool more;
};

static void drop_entries(struct ms_obj_entry **entries) { free(*entries); }

static enum ms_code list_page(struct ms_svc *svc, bool uploads, struct ms_instant before,
                              struct page *page, struct ms_stored_list *list,
                              struct ms_error *reterr) {
    page->request =
        (struct ms_obj_request){.op = uploads ? MS_OBJ_MP_LIST : MS_OBJ_LIST,
                                .after = page->after[0] ? page->after : NULL,
                                .upload_id = uploads && page->upload_id[0] ? page->upload_id : NULL,
                                .list_max = LIST_MAX};
    MS_TRY(ms_obj_run(svc->obj, &page->request, reterr));
    MS_AUTO(drop_entries) struct ms_obj_entry *entries = page->request.ret_entries;
    size_t n = page->request.ret_n;
    for (size_t i = 0; i < n; i++) {
        bool old = ms_instant_is_none(before) || entries[i].modified.ms <= before.ms;
        if (old && ms_stored_is_ours(entries[i].key))
            MS_TRY(keep(list, &entries[i], reterr));
    }
    page->more = page->request.ret_more && n > 0;
    if (n > 0) {
        memcpy(page->after, entries[n - 1].key, sizeof page->after);
        memcpy(page->upload_id, entries[n - 1].upload_id, sizeof page->upload_id);
    }
    return MS_OK;
}

enum ms_code ms_stored_list_make(struct ms_svc *svc, bool uploads, struct ms_instant before,
                                 struct ms_stored_list *ret_list, struct ms_error *reterr) {
    struct ms_stored_list list = {NULL, 0};
    struct page page = {.more = !uploads || svc->obj->caps.multipart};
    enum ms_code code = open_file(svc, &list.file, reterr);
    while (code == MS_OK && page.more)
        code = list_page(svc, uploads, before, &page, &list, reterr);
    if (code == MS_OK && fflush(list.file) != 0)
        code = ms_fail_errno(reterr, errno, "cannot write the list of objects");
    if (code != MS_OK) {
        ms_stored_list_fini(&list);
        return code;
    }
    rewind(list.file);
    *ret_list = list;
    return MS_OK;
}

void ms_stored_list_rewind(struct ms_stored_list *list) { rewind(list->file); }

enum ms_code ms_stored_list_next(struct ms_stored_list *list, struct ms_stored *ret_stored,
                                 struct ms_error *reterr) {
    if (get_text(list->file, ret_stored->key, sizeof ret_stored->key) &&
        get_text(list->file, ret_stored->upload_id, sizeof ret_stored->upload_id) &&
        get_text(list->file, ret_stored->etag, sizeof ret_stored->etag) &&
        fread(&ret_stored->size, sizeof ret_stored->size, 1, list->file) == 1)
        return MS_OK;
    if (ferror(list->file))
        return ms_fail_errno(reterr, errno, "cannot read the list of objects");
    return ms_fail(reterr, MS_NOT_FOUND, "no more objects");
}

void ms_stored_list_fini(struct ms_stored_list *list) {
    if (list->file)
        (void)fclose(list->file);
    list->file = NULL;
}

/* ---- requests -------------------------------------------------------------------------------- */

enum ms_code ms_stored_delete(struct ms_svc *svc, const char *key, struct ms_error *reterr) {
    struct ms_obj_request request = {.op = MS_OBJ_DELETE, .key = key};
    return ms_obj_run(svc->obj, &request, reterr);
}

enum ms_code ms_stored_abort(struct ms_svc *svc, const struct ms_stored *upload,
                             struct ms_error *reterr) {
    struct ms_obj_request request = {
        .op = MS_OBJ_MP_ABORT, .key = upload->key, .upload_id = upload->upload_id};
    return ms_obj_run(svc->obj, &request, reterr);
}

bool ms_stored_fails_alone(enum ms_code code) {
    return code == MS_IO || code == MS_UNAVAILABLE || code == MS_TIMEOUT || code == MS_PROTOCOL ||
           code == MS_DENIED || code == MS_NOT_PERMITTED || code == MS_CONFLICT || code == MS_INVALID;
}

enum ms_code ms_stored_head(struct ms_svc *svc, const char *key, uint64_t *ret_size,
                            char ret_etag[MS_ETAG_MAX + 1], struct ms_error *reterr) {
    struct ms_obj_request request = {.op = MS_OBJ_HEAD, .key = key};
    MS_TRY(ms_obj_run(svc->reads, &request, reterr));
    *ret_size = request.ret_size;
    memcpy(ret_etag, request.ret_etag, sizeof request.ret_etag);
    ms_buf_fini(&request.ret_meta);
    return MS_OK;
}

/* ---- what rows know -------------------------------------------------------------------------- */

uint64_t ms_key_hash(const char *key) { return ms_block_hash(key, strlen(key)); }

static enum ms_code know_object(void *priv, struct ms_txn *txn, struct ms_view key,
                                struct ms_view value, struct ms_error *reterr) {
    struct ms_object_record row;
    (void)txn, (void)key;
    MS_TRY(ms_object_decode(value, &row, reterr));
    return ms_numbers_add(priv, ms_key_hash(row.key), reterr);
}

static enum ms_code know_tombstone(void *priv, struct ms_txn *txn, struct ms_view key,
                                   struct ms_view value, struct ms_error *reterr) {
    struct ms_tombstone_record row;
    (void)txn, (void)key;
    MS_TRY(ms_tombstone_decode(value, &row, reterr));
    return ms_numbers_add(priv, ms_key_hash(row.key), reterr);
}

static enum ms_code know_intent(void *priv, struct ms_txn *txn, struct ms_view key,
                                struct ms_view value, struct ms_error *reterr) {
    struct ms_intent_record row;
    char sync_key[sizeof row.key + sizeof MS_FSYNC_SUFFIX];
    (void)txn, (void)key;
    MS_TRY(ms_intent_decode(value, &row, reterr));
    (void)snprintf(sync_key, sizeof sync_key, "%s%s", row.key, MS_FSYNC_SUFFIX);
    MS_TRY(ms_numbers_add(priv, ms_key_hash(row.key), reterr));
    return ms_numbers_add(priv, ms_key_hash(sync_key), reterr);
}

static enum ms_code know_local(void *priv, struct ms_txn *txn, struct ms_view key,
                               struct ms_view value, struct ms_error *reterr) {
    struct ms_local_record row;
    (void)txn, (void)key;
    MS_TRY(ms_local_decode(value, &row, reterr));
    return ms_numbers_add(priv, ms_key_hash(row.key), reterr);
}

/* A declared file's upload belongs to no process: its row is its intent until it is confirmed. */
static enum ms_code know_upload(void *priv, struct ms_txn *txn, struct ms_view key,
                                struct ms_view value, struct ms_error *reterr) {
    struct ms_upload_record row;
    (void)txn, (void)key;
    MS_TRY(ms_upload_decode(value, &row, reterr));
    return ms_numbers_add(priv, ms_key_hash(row.key), reterr);
}

/* A mover's upload has no intent: its key is in LOCAL until it is through. Intents come first: a
 * seal moves a key from its intent to LOCAL or an object row, a release from that to a tombstone,
 * and a walk that follows the way of the key cannot miss it. */
enum ms_code ms_known_keys(struct ms_svc *svc, bool intents_only, struct ms_numbers *ret_hashes,
                           struct ms_error *reterr) {
    struct ms_numbers found = {NULL, 0, 0};
    struct ms_walk intents = {.prefix = ms_key_intents(), .each = know_intent, .priv = &found};
    struct ms_walk uploads = {.prefix = ms_key_uploads(), .each = know_upload, .priv = &found};
    struct ms_walk locals = {.prefix = ms_key_locals(), .each = know_local, .priv = &found};
    struct ms_walk objects = {.prefix = ms_key_objects(), .each = know_object, .priv = &found};
    struct ms_walk tombs = {.prefix = ms_key_tombs(), .each = know_tombstone, .priv = &found};
    enum ms_code code = ms_walk_all(svc, &intents, reterr);
    if (code == MS_OK)
        code = ms_walk_all(svc, &uploads, reterr);
    if (code == MS_OK)
        code = ms_walk_all(svc, &locals, reterr);
    if (code == MS_OK && !intents_only)
        code = ms_walk_all(svc, &objects, reterr);
    if (code == MS_OK && !intents_only)
        code = ms_walk_all(svc, &tombs, reterr);
    if (code != MS_OK) {
        ms_numbers_fini(&found);
        return code;
    }
    ms_numbers_sort(&found);
    *ret_hashes = found;
    return MS_OK;
}
