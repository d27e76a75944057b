#include "service/replica.h"

#include <inttypes.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 1

static void drop_json(json_t **json) { json_decref(*json); }

void ms_replica_fini(struct ms_replica *replica) {
    for (size_t i = 0; i < replica->n; i++)
        if (replica->files[i].url) {
            OPENSSL_cleanse(replica->files[i].url, strlen(replica->files[i].url));
            free(replica->files[i].url);
        }
    free(replica->files);
    *replica = (struct ms_replica){.n = 0};
}

/* ---- telling --------------------------------------------------------------------------------- */

static json_t *hex(const uint8_t bytes[16]) {
    struct ms_id id;
    memcpy(id.b, bytes, sizeof id.b);
    return json_string(ms_id_text(id).s);
}

/* Members that there is nothing to say of are left out. */
static json_t *tell_file(const struct ms_replica_file *f) {
    return json_pack("{s:o, s:o, s:s, s:s, s:I, s:i, s:o, s:o*, s:s*}", "file", hex(f->id.id.b),
                     "file_version", hex(f->version.id.b), "category",
                     ms_category_name(f->category), "name", f->name, "size", (json_int_t)f->size,
                     "block_log2", f->block_log2, "root", hex(f->root), "md5",
                     f->has_md5 ? hex(f->md5) : NULL, "url", f->url);
}

static json_t *tell_files(const struct ms_replica *r) {
    json_t *files = json_array();
    for (size_t i = 0; i < r->n; i++)
        if (json_array_append_new(files, tell_file(&r->files[i])) != 0) {
            json_decref(files);
            return NULL;
        }
    return files;
}

enum ms_code ms_replica_tell(const struct ms_replica *r, struct ms_buf *buf,
                             struct ms_error *reterr) {
    MS_AUTO(drop_json)
    json_t *json =
        json_pack("{s:i, s:o, s:o, s:o, s:s, s:s, s:s, s:s, s:s, s:o}", "version", VERSION, "store",
                  hex(r->store.b), "tenant", hex(r->tenant.id.b), "asset", hex(r->asset.id.b),
                  "type", ms_asset_type_name(r->type), "origin", ms_origin_name(r->origin), "name",
                  r->name, "description", r->description, "tags", r->tags, "files", tell_files(r));
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    if (!text)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory to tell of an asset");
    enum ms_code code = ms_buf_add(buf, text, strlen(text), reterr);
    OPENSSL_cleanse(text, strlen(text)); /* it has the URLs */
    free(text);
    return code;
}

/* ---- reading --------------------------------------------------------------------------------- */

static enum ms_code wrong(const char *member, struct ms_error *reterr) {
    return ms_fail(reterr, MS_INVALID,
                   "the replication blob says nothing usable as %s: the gateway that made it is "
                   "another version, or damaged",
                   member);
}

/* size: of ret_text, with its NUL. */
static enum ms_code take_text(const json_t *from, const char *member, char *ret_text, size_t size,
                              struct ms_error *reterr) {
    const json_t *value = json_object_get(from, member);
    size_t n = json_string_length(value);
    if (!json_is_string(value) || n >= size || memchr(json_string_value(value), '\0', n))
        return wrong(member, reterr);
    memcpy(ret_text, json_string_value(value), n + 1);
    return MS_OK;
}

static enum ms_code take_hex(const json_t *from, const char *member, uint8_t ret_bytes[16],
                             struct ms_error *reterr) {
    const char *text = json_string_value(json_object_get(from, member));
    struct ms_id id;
    if (!text || ms_id_parse(text, &id, NULL) != MS_OK)
        return wrong(member, reterr);
    memcpy(ret_bytes, id.b, sizeof id.b);
    return MS_OK;
}

static enum ms_code take_number(const json_t *from, const char *member, uint64_t least,
                                uint64_t most, uint64_t *ret_n, struct ms_error *reterr) {
    const json_t *value = json_object_get(from, member);
    json_int_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < 0 || (uint64_t)n < least || (uint64_t)n > most)
        return wrong(member, reterr);
    *ret_n = (uint64_t)n;
    return MS_OK;
}

static bool category_of(const char *name, enum ms_category *ret_category) {
    for (unsigned c = 0; name && c < MS_CATEGORY_COUNT; c++)
        if (c != MS_CATEGORY_TEMPORARY && strcmp(ms_category_name((enum ms_category)c), name) == 0) {
            *ret_category = (enum ms_category)c;
            return true;
        }
    return false;
}

static enum ms_code take_url(const json_t *from, struct ms_replica_file *f,
                             struct ms_error *reterr) {
    const json_t *value = json_object_get(from, "url");
    if (!value)
        return MS_OK;
    if (!json_is_string(value) || json_string_length(value) > MS_URL_MAX)
        return wrong("url", reterr);
    f->url = strdup(json_string_value(value));
    return f->url ? MS_OK : ms_fail(reterr, MS_NO_MEMORY, "no memory for a URL");
}

static enum ms_code take_file(const json_t *from, struct ms_replica_file *f,
                              struct ms_error *reterr) {
    uint64_t log2;
    MS_TRY(take_hex(from, "file", f->id.id.b, reterr));
    MS_TRY(take_hex(from, "file_version", f->version.id.b, reterr));
    if (!category_of(json_string_value(json_object_get(from, "category")), &f->category))
        return wrong("category", reterr);
    MS_TRY(take_text(from, "name", f->name, sizeof f->name, reterr));
    MS_TRY(take_number(from, "size", 1, MS_FILE_BYTES_MAX, &f->size, reterr));
    MS_TRY(take_number(from, "block_log2", MS_BLOCK_LOG2_MIN, MS_BLOCK_LOG2_MAX, &log2, reterr));
    f->block_log2 = (uint8_t)log2;
    MS_TRY(take_hex(from, "root", f->root, reterr));
    f->has_md5 = json_object_get(from, "md5") != NULL;
    if (f->has_md5)
        MS_TRY(take_hex(from, "md5", f->md5, reterr));
    return take_url(from, f, reterr);
}

static enum ms_code take_files(const json_t *from, struct ms_replica *r, struct ms_error *reterr) {
    const json_t *files = json_object_get(from, "files");
    size_t n = json_array_size(files);
    if (n < 1 || n > MS_FILES_MAX)
        return wrong("files", reterr);
    r->files = calloc(n, sizeof *r->files);
    if (!r->files)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for the files of an asset");
    for (size_t i = 0; i < n; i++) {
        r->n = i + 1; /* what it has of the last one is freed too */
        MS_TRY(take_file(json_array_get(files, i), &r->files[i], reterr));
        if ((r->files[i].category == MS_CATEGORY_MAIN) != (i + 1 == n))
            return wrong("files: MAIN is the last one", reterr);
    }
    return MS_OK;
}

static enum ms_code take_asset(const json_t *from, struct ms_replica *r, struct ms_error *reterr) {
    const char *type = json_string_value(json_object_get(from, "type"));
    const char *origin = json_string_value(json_object_get(from, "origin"));
    MS_TRY(take_hex(from, "store", r->store.b, reterr));
    MS_TRY(take_hex(from, "tenant", r->tenant.id.b, reterr));
    MS_TRY(take_hex(from, "asset", r->asset.id.b, reterr));
    if (!type || ms_asset_type_parse(type, &r->type, NULL) != MS_OK)
        return wrong("type", reterr);
    if (!origin || !ms_origin_parse(origin, &r->origin))
        return wrong("origin", reterr);
    MS_TRY(take_text(from, "name", r->name, sizeof r->name, reterr));
    MS_TRY(take_text(from, "description", r->description, sizeof r->description, reterr));
    MS_TRY(take_text(from, "tags", r->tags, sizeof r->tags, reterr));
    return take_files(from, r, reterr);
}

enum ms_code ms_replica_read(struct ms_view text, struct ms_replica *ret_replica,
                             struct ms_error *reterr) {
    MS_AUTO(ms_replica_fini) struct ms_replica r = {.n = 0};
    json_error_t why;
    MS_AUTO(drop_json) json_t *json = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &why);
    const json_t *version = json_object_get(json, "version");
    if (!json_is_integer(version))
        return wrong("version", reterr);
    if (json_integer_value(version) != VERSION)
        return ms_fail(reterr, MS_UNSUPPORTED,
                       "the replication blob is of version %" JSON_INTEGER_FORMAT
                       "; this gateway reads version %d",
                       json_integer_value(version), VERSION);
    MS_TRY(take_asset(json, &r, reterr));
    *ret_replica = r;
    r = (struct ms_replica){.n = 0};
    return MS_OK;
}
