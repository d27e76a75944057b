/* The seal: what the rules say of a content, and the one commit that makes it the file. */
#include "service/file_image.h"
#include "service/hash_rows.h"
#include "service/held.h"
#include "service/package.h"
#include "service/produce.h"
#include "service/writeback.h"

#include "base/checked.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- judging --------------------------------------------------------------------------------- */

/* Types of the platform's products and of models follow no name. */
static bool follows_name(const struct ms_asset_record *asset) {
    return asset->origin == MS_ORIGIN_UPLOADED &&
           !ms_asset_type_is_model((enum ms_asset_type)asset->type);
}

static bool had_bytes(const struct ms_file_record *file) {
    return !ms_version_id_is_none((struct ms_version_id){file->version});
}

static enum ms_code check(const struct ms_limits *limits, const struct ms_content *content,
                          const char *media_type, struct ms_error *reterr) {
    enum ms_asset_type type = content->type;
    uint64_t size = content->size;
    uint64_t max = ms_asset_type_bytes_max(type, true);
    char suffix[16];

    if (size > max)
        return ms_fail(reterr, MS_TOO_LARGE,
                       "the file has %" PRIu64 " bytes; as %s it may have %" PRIu64
                       ": choose another name or split it",
                       size, ms_asset_type_name(type), max);
    if (!media_type)
        return MS_OK;
    ms_name_suffix(content->name, suffix);
    MS_TRY(ms_asset_type_fits(type, suffix, media_type, reterr));
    return ms_content_accept(limits, content, reterr);
}

/* An empty new file is a finished COMMON_FILE, not judged; an old one that was cut to nothing keeps
 * its type. */
static void judge(const struct ms_tree *t, struct ms_judging *j, const struct ms_named *named,
                  uint64_t size, const char *media_type, const struct ms_facts_record *facts) {
    const struct ms_asset_record *asset = &j->asset.rec;
    struct ms_content content = {.facts = facts, .name = named->name, .size = size};

    j->creation = (!had_bytes(&j->file) && !ms_held_any(&j->held)) ||
                  (asset->rest == MS_STATE_FAILED && asset->fail == MS_FAIL_CONTENT);
    content.type = j->type = (enum ms_asset_type)asset->type;
    if (asset->produced == MS_PRODUCING)
        j->verdict = check(t->limits, &content, media_type, &j->why);
    if (!follows_name(asset) || (size == 0 && had_bytes(&j->file)))
        return;
    content.type = j->type = ms_asset_type_of_name(named->name, named->top, size == 0);
    if (size > 0)
        j->verdict = check(t->limits, &content, media_type, &j->why);
}

/* A finished one that had bytes, or of which a case is open: its first bytes are no edit. */
static bool waits(const struct ms_tree *t, const struct ms_judging *j) {
    return ms_held_waits(t, &j->asset.life, &j->held) &&
           (had_bytes(&j->file) || j->asset.life.in_review);
}

enum ms_code ms_seal_judge(const struct ms_tree *t, uint64_t ino, uint64_t size,
                           const char *media_type, const struct ms_facts_record *facts,
                           struct ms_judging *ret_judging, struct ms_error *reterr) {
    struct ms_judging *j = ret_judging;
    struct ms_named named;
    enum ms_code code;

    j->gone = false;
    j->verdict = MS_OK;
    code = ms_tree_inode(t, ino, &j->inode, reterr);
    j->gone = code == MS_NOT_FOUND ||
              (code == MS_OK && (j->inode.orphan || !ms_inode_has_asset(&j->inode)));
    if (j->gone || code != MS_OK)
        return j->gone ? ms_no_error(MS_NOT_FOUND, reterr) : code;
    MS_TRY(ms_tree_asset(t, &j->inode, &j->asset, &j->gone, reterr));
    if (j->gone)
        return MS_OK;
    MS_TRY(ms_tree_may(t, &j->asset, MS_RIGHT_WRITE, "write", reterr));
    MS_TRY(ms_row_get_file(t->txn,
                           ms_key_file(t->id, (struct ms_asset_id){j->asset.rec.id},
                                       (struct ms_file_id){j->asset.rec.main_file}),
                           &j->file, reterr));
    MS_TRY(ms_held_of(t, &j->asset.rec, &j->held, reterr));
    MS_TRY(ms_image_named(t, ino, &named, reterr));
    judge(t, j, &named, size, media_type, facts);
    j->waits = j->verdict == MS_OK && waits(t, j);
    return MS_OK;
}

/* ---- rows of the new version ----------------------------------------------------------------- */

static enum ms_code put_object(const struct ms_tree *t, const struct ms_sealing *s,
                               struct ms_error *reterr) {
    struct ms_object_record object = {.id = s->object.id,
                                      .size = s->size,
                                      .refs = 1,
                                      .block_log2 = MS_BLOCK_LOG2_DEFAULT,
                                      .created = t->now};

    memcpy(object.key, s->key, sizeof object.key);
    memcpy(object.etag, s->etag, sizeof object.etag);
    if (s->local)
        MS_TRY(ms_local_begin(t->txn, &object, t->id, s->ino, reterr));
    MS_TRY(ms_row_put_object(t->txn, ms_key_object(s->object), &object, reterr));
    return ms_hash_rows_put(t->txn, s->object, s->hashes, reterr);
}

static enum ms_code put_version(const struct ms_tree *t, const struct ms_sealing *s,
                                const struct ms_judging *j, struct ms_error *reterr) {
    struct ms_version_record version = {
        .id = s->version.id,
        .asset = j->asset.rec.id,
        .file = j->file.id,
        .size = s->size,
        .block_log2 = MS_BLOCK_LOG2_DEFAULT,
        .hashed = 1,
        .committed = t->now,
    };

    if (s->size > 0) {
        version.object = s->object.id;
        memcpy(version.root, s->root, sizeof version.root);
        MS_TRY(put_object(t, s, reterr));
    } else {
        ms_hashes_root(&(struct ms_hashes){0}, 0, version.root);
    }
    if (s->facts)
        MS_TRY(ms_row_put_facts(t->txn, ms_key_facts(t->id, s->version), s->facts, reterr));
    return ms_row_put_version(t->txn, ms_key_version(t->id, s->version), &version, reterr);
}

/* ---- what follows from it -------------------------------------------------------------------- */

/* The lease pays for the growth. Only when another process made the file shorter meanwhile it may
 * not suffice. */
static enum ms_code settle_lease(const struct ms_tree *t, const struct ms_sealing *s,
                                 const struct ms_judging *j, uint64_t before,
                                 struct ms_error *reterr) {
    bool metered = j->asset.rec.produced != MS_PRODUCING;
    uint64_t growth = s->size > before ? s->size - before : 0, granted = 0;
    struct ms_lease_record lease = {.bytes = 0};
    enum ms_code code =
        ms_row_get_lease(t->txn, ms_key_lease(t->id, s->ino, t->instance), &lease, NULL);

    if (code != MS_OK && code != MS_NOT_FOUND)
        return ms_fail(reterr, code, "the quota lease of inode %" PRIu64 " cannot be read", s->ino);
    if (metered && growth > lease.bytes) {
        uint64_t more = growth - lease.bytes;

        MS_TRY(ms_change_reserve(t->txn, t->id, t->instance, s->ino, more, more, t->unasked,
                                 &granted, reterr));
        if (granted < more)
            return ms_fail(
                reterr, MS_QUOTA,
                "the file would grow from %" PRIu64 " to %" PRIu64 " bytes: %" PRIu64
                " more than the tenant's quota has left; another process made it shorter meanwhile",
                before, s->size, more);
    }
    return ms_change_unreserve(t->txn, t->id, t->instance, s->ino, 0, reterr);
}

/* An empty file was finished without being judged: its first bytes are judged as at creation. */
static struct ms_life as_at_creation(const struct ms_life *life) {
    struct ms_life creating = *life;

    if (life->rest != MS_STATE_FAILED) {
        creating.rest = MS_STATE_CREATING;
        creating.sealed = creating.in_review = 0;
    }
    return creating;
}

static enum ms_code confirm(const struct ms_tree *t, struct ms_judging *j, bool reviewed,
                            struct ms_error *reterr) {
    struct ms_lc_facts facts = ms_tree_facts(t, &j->asset.rec);
    struct ms_life life = j->asset.life;
    enum ms_event event = reviewed ? MS_EVENT_CONFIRM_REVIEW : MS_EVENT_CONFIRM;
    struct ms_lc_verdict step;

    if (j->verdict != MS_OK)
        event = MS_EVENT_CONTENT_FAIL;
    if (event != MS_EVENT_CONFIRM)
        life = as_at_creation(&life);
    facts.now = t->now;
    step = ms_lc_step(&life, event, &facts);
    if (step.rule != MS_LC_ALLOWED)
        return ms_tree_refused(t, &j->asset, step.rule, "write", reterr);
    return ms_change_life(t->txn, t->id, t->who, &j->asset.rec, &step.next, event, t->now,
                          j->verdict ? j->why.message : "", reterr);
}

static void give_reason(struct ms_asset_record *asset, const struct ms_judging *j) {
    asset->reason[0] = asset->reason_code[0] = '\0';
    if (j->verdict == MS_OK)
        return;
    ms_reason_cut(j->why.message, asset->reason);
    (void)snprintf(asset->reason_code, sizeof asset->reason_code, "%s", ms_code_name(j->verdict));
}

/* It waits beside the live one. */
static enum ms_code hold(const struct ms_tree *t, const struct ms_sealing *s, struct ms_judging *j,
                         struct ms_error *reterr) {
    struct ms_held held = {.version = s->version, .bytes = s->size};

    (void)snprintf(held.media_type, sizeof held.media_type, "%s", s->media_type);
    return ms_held_put(t, &j->asset, &held, reterr);
}

/* What was finished once stays as it is, whatever its new bytes are, and a failed one that was cut
 * to nothing is not finished by that; the others are confirmed or fail now. Nobody reviews an empty
 * file; its first bytes are reviewed as at creation, and so it is not finished any more. */
static enum ms_code settle_asset(const struct ms_tree *t, const struct ms_sealing *s,
                                 struct ms_judging *j, uint64_t before, struct ms_error *reterr) {
    struct ms_asset_record *asset = &j->asset.rec;
    bool reviewed = t->tenant.review && s->size > 0;
    bool first = reviewed && !had_bytes(&j->file) && !j->waits;
    bool finished = (asset->rest != MS_STATE_CREATING && asset->rest != MS_STATE_FAILED && !first) ||
                    (s->size == 0 && had_bytes(&j->file));
    uint64_t bytes = asset->bytes;

    if (ms_sub_u64(bytes, before, &bytes) || ms_add_u64(bytes, s->size, &bytes))
        return ms_fail(reterr, MS_CORRUPT,
                       "asset %s counts %" PRIu64 " bytes, its MAIN %" PRIu64 ": run msasset fsck",
                       ms_id_text(asset->id).s, asset->bytes, before);
    asset->type = (uint8_t)j->type;
    asset->updated = t->now;
    if (asset->produced == MS_PRODUCING)
        MS_TRY(ms_produce_settle(t, asset, bytes, reterr));
    else
        MS_TRY(ms_change_bytes(t->txn, t->id, asset, bytes, MS_WHY_SEAL, t->now, reterr));
    if (j->waits) {
        MS_TRY(hold(t, s, j, reterr));
        return j->creation && s->size > 0 ? ms_package_register(t, asset, reterr) : MS_OK;
    }
    if (finished && j->verdict == MS_OK) {
        MS_TRY(ms_row_put_asset(t->txn, ms_key_asset(t->id, (struct ms_asset_id){asset->id}), asset,
                                reterr));
    } else {
        give_reason(asset, j);
        MS_TRY(confirm(t, j, reviewed, reterr));
    }
    if (!j->creation || s->size == 0 || j->verdict != MS_OK)
        return MS_OK;
    return ms_package_register(t, asset, reterr); /* of a model or voice: its first bytes */
}

static enum ms_code settle_file(const struct ms_tree *t, const struct ms_sealing *s,
                                struct ms_judging *j, struct ms_version_id version,
                                struct ms_error *reterr) {
    struct ms_version_id old = {j->file.version};

    if (had_bytes(&j->file))
        MS_TRY(ms_change_version_drop(t->txn, t->id, old, reterr));
    j->file.version = version.id;
    j->file.size = s->size;
    bool waits = j->asset.rec.rest == MS_STATE_CREATING && j->asset.rec.in_review;
    j->file.state = j->verdict ? MS_FILE_FAILED : waits ? MS_FILE_UPLOADED : MS_FILE_CREATED;
    j->file.has_md5 = 0;
    memset(j->file.md5, 0, sizeof j->file.md5);
    (void)snprintf(j->file.media_type, sizeof j->file.media_type, "%s", s->media_type);
    return ms_row_put_file(
        t->txn,
        ms_key_file(t->id, (struct ms_asset_id){j->asset.rec.id}, (struct ms_file_id){j->file.id}),
        &j->file, reterr);
}

static enum ms_code settle_inode(const struct ms_tree *t, const struct ms_sealing *s,
                                 struct ms_judging *j, struct ms_version_id version,
                                 struct ms_error *reterr) {
    const struct ms_feed_row row = {.kind = MS_FEED_CONTENT, .tenant = t->id, .ino = s->ino};

    j->inode.version = version.id;
    j->inode.size = s->size;
    j->inode.generation++;
    j->inode.unsealed = 0;
    memset(&j->inode.opener, 0, sizeof j->inode.opener);
    ms_image_fold(&j->inode, &s->attr);
    MS_TRY(ms_tree_put(t, &j->inode, reterr));
    MS_TRY(ms_row_del(t->txn, ms_key_orphan(t->id, s->ino), reterr));
    return ms_change_feed(t->txn, &row, reterr);
}

/* ---- the commit ------------------------------------------------------------------------------ */

static enum ms_code seal(const struct ms_tree *t, const struct ms_sealing *s, struct ms_judging *j,
                         struct ms_sealed *o, struct ms_error *reterr) {
    uint64_t before = ms_held_base(j->waits, &j->held, had_bytes(&j->file) ? j->file.size : 0);
    struct ms_version_id version = {{{0}}};

    if (s->size > 0 || had_bytes(&j->file) || j->waits) {
        version = s->version;
        MS_TRY(put_version(t, s, j, reterr));
    }
    MS_TRY(settle_lease(t, s, j, before, reterr));
    MS_TRY(settle_asset(t, s, j, before, reterr));
    if (!j->waits)
        MS_TRY(settle_file(t, s, j, version, reterr));
    MS_TRY(settle_inode(t, s, j, version, reterr));
    o->verdict = j->verdict;
    if (j->verdict)
        ms_reason_cut(j->why.message, o->reason);
    o->generation = j->inode.generation;
    o->version = version;
    return ms_intent_end(t, s->intents, s->intents_n, reterr);
}

enum ms_code ms_seal_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const struct ms_sealing *s = in;
    struct ms_sealed *o = out;
    struct ms_tree t;
    struct ms_judging j = {0};

    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_seal_judge(&t, s->ino, s->size, s->media_type, s->facts, &j, reterr));
    if (j.gone) {
        o->gone = true;
        MS_TRY(ms_change_unreserve(txn, t.id, t.instance, s->ino, 0, reterr));
        return ms_intent_end(&t, s->intents, s->intents_n, reterr);
    }
    if (!s->replaces && !ms_version_id_equal((struct ms_version_id){j.inode.version}, s->basis))
        return ms_fail(reterr, MS_CONFLICT,
                       "another process has sealed inode %" PRIu64 " meanwhile", s->ino);
    if (j.verdict != MS_OK && (!j.creation || j.asset.rec.produced == MS_PRODUCING)) {
        if (reterr)
            *reterr = j.why;
        return j.verdict;
    }
    return seal(&t, s, &j, o, reterr);
}
