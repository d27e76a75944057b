/* Recovery's half of an upload: the listed parts become the object, and the object is read back.
 *
 * Every step may have happened already: the dead process was completing when it died, or another
 * recoverer was. So an upload id that is gone sends us to the key itself.
 */
#include "service/recover_part.h"

#include "content/parts.h"

#include <inttypes.h>
#include <stdlib.h>

#define READ_BYTES ((size_t)8 << 20)
#define COMPLETE_TRIES 4 /* parts of a dead process may still arrive at a remote store */
#define BLOCK ((size_t)1 << MS_BLOCK_LOG2_DEFAULT)

void ms_recovered_fini(struct ms_recovered *recovered) { ms_hashes_fini(&recovered->hashes); }

/* ---- parts ----------------------------------------------------------------------------------- */

static void free_parts(struct ms_obj_part **parts) { free(*parts); }

/* Behind the listed parts, those that a writer sent after its fsync: they count when every byte before them is there.
 * Ceph's RGW completes an upload only by all of its parts. */
static size_t later_parts(const struct ms_obj_part *has, size_t has_n, size_t at, struct ms_obj_part *now, size_t n) {
    while (at < has_n && has[at].part_no == now[n - 1].part_no + 1 &&
           now[n - 1].size == ms_part_no(now[n - 1].part_no).length)
        now[n++] = has[at++];
    return n;
}

/* Each listed part as the store has it now, and later ones. ret_now: with room for n and for all that the store has.
 * Errors: MS_NOT_FOUND one of them is not there. */
static enum ms_code parts_now(const struct ms_obj_request *list, const char *key, const struct ms_obj_part *listed,
                              size_t n, struct ms_obj_part *ret_now, size_t *ret_n, struct ms_error *reterr) {
    const struct ms_obj_part *has = list->ret_parts;
    size_t at = 0;
    for (size_t i = 0; i < n; i++, at++) {
        while (at < list->ret_n && has[at].part_no < listed[i].part_no)
            at++;
        if (at == list->ret_n || has[at].part_no != listed[i].part_no ||
            has[at].size < listed[i].size)
            return ms_fail(reterr, MS_NOT_FOUND,
                           "part %" PRIu32 " of %s, %" PRIu64
                           " bytes that an fsync has promised, is not in the store",
                           listed[i].part_no, key, listed[i].size);
        ret_now[i] = has[at];
    }
    *ret_n = later_parts(has, list->ret_n, at, ret_now, n);
    return MS_OK;
}

static enum ms_code complete_once(struct ms_obj *obj, const struct ms_intent_record *intent,
                                  const struct ms_obj_part *listed, size_t n,
                                  struct ms_error *reterr) {
    struct ms_obj_request list = {
        .op = MS_OBJ_MP_PARTS, .key = intent->key, .upload_id = intent->upload_id};
    MS_TRY(ms_obj_run(obj, &list, reterr));
    MS_AUTO(free_parts) struct ms_obj_part *has = list.ret_parts;
    MS_AUTO(free_parts) struct ms_obj_part *now = calloc(n + list.ret_n, sizeof *now);
    if (!now)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for %zu parts", n);
    size_t now_n = 0;
    MS_TRY(parts_now(&list, intent->key, listed, n, now, &now_n, reterr));
    struct ms_obj_request request = {.op = MS_OBJ_MP_COMPLETE,
                                     .key = intent->key,
                                     .upload_id = intent->upload_id,
                                     .parts = now,
                                     .parts_n = now_n};
    return ms_obj_run(obj, &request, reterr);
}

static enum ms_code complete(struct ms_obj *obj, const struct ms_intent_record *intent,
                             const struct ms_obj_part *listed, size_t n, struct ms_error *reterr) {
    enum ms_code code = MS_CONFLICT;
    for (unsigned tries = 0; code == MS_CONFLICT && tries < COMPLETE_TRIES; tries++)
        code = complete_once(obj, intent, listed, n, reterr);
    return code;
}

/* ---- the object ------------------------------------------------------------------------------ */

static enum ms_code head(struct ms_obj *obj, struct ms_recovered *o, const char *key,
                         struct ms_error *reterr) {
    struct ms_obj_request request = {.op = MS_OBJ_HEAD, .key = key};
    MS_TRY(ms_obj_run(obj, &request, reterr));
    o->key = key;
    o->size = request.ret_size;
    memcpy(o->etag, request.ret_etag, sizeof o->etag);
    ms_buf_fini(&request.ret_meta);
    return MS_OK;
}

/* Without multipart an fsync has put the whole file beside the key; that object is as good as one
 * under the key itself, because rows name keys in full. */
static enum ms_code find_object(struct ms_obj *obj, const struct ms_intent_record *intent,
                                const struct ms_obj_part *listed, size_t n, struct ms_recovered *o,
                                struct ms_error *reterr) {
    struct ms_error missing = {0};
    bool parts = intent->upload_id[0] != '\0' && n > 0;
    enum ms_code code = parts ? complete(obj, intent, listed, n, &missing) : MS_NOT_FOUND;
    if (code != MS_OK && code != MS_NOT_FOUND) {
        if (reterr)
            *reterr = missing;
        return code;
    }
    code = head(obj, o, intent->key, reterr);
    if (code != MS_NOT_FOUND)
        return code;
    if (!parts) {
        int len = snprintf(o->sync_key, sizeof o->sync_key, "%s%s", intent->key, MS_FSYNC_SUFFIX);
        if (len > 0 && (size_t)len < sizeof o->sync_key)
            code = head(obj, o, o->sync_key, reterr);
    } else if (reterr && missing.code != MS_OK) {
        *reterr = missing; /* says more than that there is no such object */
    }
    return code;
}

static enum ms_code sniff(struct ms_recovery *r, const uint8_t *bytes, size_t n,
                          char ret_type[MS_MEDIA_TYPE_MAX + 1], struct ms_error *reterr) {
    if (!r->media)
        MS_TRY(ms_media_new(&r->media, reterr));
    return ms_media_identify(r->media, bytes, n < MS_MEDIA_BYTES ? n : MS_MEDIA_BYTES, ret_type,
                             reterr);
}

static enum ms_code read_back(struct ms_recovery *r, struct ms_obj *obj, struct ms_recovered *o,
                              uint8_t *buffer, struct ms_error *reterr) {
    MS_TRY(ms_hashes_resize(&o->hashes, ms_block_count(o->size, MS_BLOCK_LOG2_DEFAULT), reterr));
    for (uint64_t offset = 0; offset < o->size; offset += READ_BYTES) {
        uint64_t left = o->size - offset;
        size_t n = left < READ_BYTES ? (size_t)left : READ_BYTES;
        struct ms_obj_request request = {
            .op = MS_OBJ_GET, .key = o->key, .offset = offset, .length = n, .into = buffer};
        MS_TRY(ms_obj_run(obj, &request, reterr));
        for (size_t at = 0; at < n; at += BLOCK)
            o->hashes.hash[(offset + at) / BLOCK] =
                ms_block_hash(buffer + at, n - at < BLOCK ? n - at : BLOCK);
        if (offset == 0)
            MS_TRY(sniff(r, buffer, n, o->media_type, reterr));
    }
    ms_hashes_root(&o->hashes, o->size, o->root);
    return MS_OK;
}

static void free_bytes(uint8_t **bytes) { free(*bytes); }

enum ms_code ms_recover_bytes(struct ms_recovery *r, const struct ms_intent_record *intent,
                              const struct ms_obj_part *parts, size_t parts_n,
                              struct ms_recovered *ret_recovered, struct ms_error *reterr) {
    struct ms_recovered *o = ret_recovered;
    if (intent->size == 0) { /* nothing was sent, and nothing is missing */
        o->key = intent->key;
        return MS_OK;
    }
    struct ms_obj *obj = intent->local ? r->svc->near : r->svc->obj;
    MS_TRY(find_object(obj, intent, parts, parts_n, o, reterr));
    MS_AUTO(free_bytes) uint8_t *buffer = malloc(READ_BYTES);
    if (!buffer)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory to read %s back", o->key);
    MS_TRY(read_back(r, obj, o, buffer, reterr));
    return ms_probe_object(r->svc, obj, o->key, o->size, o->media_type, &o->probed, reterr);
}
