#include "model/record.h"

#include "base/assert.h"
#include "model/asset_type.h"
#include "model/facts.h"
#include "model/names.h"
#include "model/record_codec.h"

#include <string.h>
#include <sys/stat.h>

void ms_record_write_hashes(struct ms_writer *w, const uint64_t *hash, size_t count, size_t max) {
    if (count > max) {
        w->failed = true;
        return;
    }
    for (size_t i = 0; i < count; i++)
        ms_write_u64(w, hash[i]);
}

void ms_record_read_hashes(struct ms_reader *r, uint64_t *ret_hash, size_t count, size_t max) {
    if (count > max)
        r->failed = true;
    for (size_t i = 0; i < count && !r->failed; i++)
        ret_hash[i] = ms_read_u64(r);
}

void ms_record_write_schedule(struct ms_writer *w, const struct ms_scheduled *row, size_t count,
                              size_t max) {
    if (count > max) {
        w->failed = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        ms_write_i64(w, row[i].at.ms);
        ms_write_u8(w, row[i].op);
    }
}

void ms_record_read_schedule(struct ms_reader *r, struct ms_scheduled *ret_row, size_t count,
                             size_t max) {
    if (count > max)
        r->failed = true;
    for (size_t i = 0; i < count && !r->failed; i++) {
        ret_row[i].at.ms = ms_read_i64(r);
        ret_row[i].op = ms_read_u8(r);
    }
}

/* A record that breaks its invariant must not reach the store: whoever made it has gone wrong. */
void ms_record_own(const char *broken, const char *name) {
    if (broken)
        ms_assert_failed(broken, name, 0, "encode");
}

enum ms_code ms_record_version(struct ms_reader *r, const char *name, unsigned newest,
                               unsigned *ret_version, struct ms_error *reterr) {
    unsigned version = ms_read_u8(r);

    if (r->failed)
        return ms_fail(reterr, MS_CORRUPT, "%s record is damaged: it is empty", name);
    if (version < 1 || version > newest)
        return ms_fail(reterr, MS_CORRUPT, "%s record has version %u, known are 1 to %u", name,
                       version, newest);
    *ret_version = version;
    return MS_OK;
}

enum ms_code ms_record_check(const struct ms_reader *r, const char *name, const char *broken,
                             struct ms_error *reterr) {
    if (r->failed)
        return ms_fail(reterr, MS_CORRUPT,
                       "%s record is damaged: short, or a value out of range, at byte %zu of %zu",
                       name, r->at, r->n);
    if (r->at != r->n)
        return ms_fail(reterr, MS_CORRUPT, "%s record is damaged: %zu bytes too many", name,
                       r->n - r->at);
    if (broken)
        return ms_fail(reterr, MS_CORRUPT, "%s record is damaged: %s", name, broken);
    return MS_OK;
}

/* Invariants of single records, each as a text for the message. What needs a second record is
 * fsck's. */

static bool is_none(struct ms_id id) {
    static const struct ms_id none;

    return memcmp(id.b, none.b, MS_ID_BYTES) == 0;
}

static bool is_flag(uint8_t v) { return v <= 1; }

/* Names were judged when they came in; here only what would break the tree. */
static bool is_entry_name(const char *name) {
    return name[0] != '\0' && !strchr(name, '/') && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

static bool is_file_mode(uint32_t mode) {
    return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode) || S_ISFIFO(mode) || S_ISSOCK(mode) ||
           S_ISCHR(mode) || S_ISBLK(mode);
}

static bool is_block_log2(uint8_t log2) {
    return log2 >= MS_BLOCK_LOG2_MIN && log2 <= MS_BLOCK_LOG2_MAX;
}

/* Records whose every combination of values is possible. */
#define ANYTHING_GOES(name)                                                                        \
    static const char *broken_##name(const struct ms_##name##_record *r) {                         \
        (void)r;                                                                                   \
        return NULL;                                                                               \
    }
ANYTHING_GOES(usage) /* a drift of counters is fsck's finding, and must stay readable for it */
ANYTHING_GOES(chain)
ANYTHING_GOES(ratemonth)
ANYTHING_GOES(catalogue)

static const char *broken_meta(const struct ms_meta_record *r) {
    if (is_none(r->store_id))
        return "the store has no id";
    return r->retention_ms < 0 ? "the retention is negative" : NULL;
}

static const char *broken_tenant(const struct ms_tenant_record *r) {
    const struct ms_mask mask = {r->mask_holds, r->mask_since, r->mask_lifted,
                                 r->mask_lifted_before};

    if (is_none(r->id))
        return "the tenant has no id";
    if (ms_tenant_name_check(r->name, NULL) != MS_OK)
        return "the tenant's name is not allowed";
    if (r->retention_ms < 0 || r->retention_ms > MS_RETENTION_MS_MAX)
        return "the retention is out of range";
    if (!is_flag(r->start_unactived) || !is_flag(r->review) || !is_flag(r->pay_per_use))
        return "a flag is neither 0 nor 1";
    if (r->may_transfer > 2)
        return "what it may transfer is out of range";
    if (r->umask > 0777)
        return "the umask has more than nine bits";
    if (r->arrears > 3 || ms_instant_is_none(r->arrears_since) != (r->arrears == 0))
        return "its arrears are out of range, or without an instant";
    if (r->arrears > 1 && !(r->mask_holds & MS_HOLD_ARREARS))
        return "the grace period of its arrears is over without a hold";
    return ms_mask_broken(&mask);
}

static const char *broken_asset(const struct ms_asset_record *r) {
    struct ms_life life = ms_asset_life(r);

    if (is_none(r->id))
        return "the asset has no id";
    if (r->type >= MS_TYPE_COUNT)
        return "there is no such asset type";
    if (r->origin >= MS_ORIGIN_COUNT)
        return "there is no such origin";
    if (!is_flag(r->named) || !is_flag(r->from_mount))
        return "a flag is neither 0 nor 1";
    if (r->produced > MS_PRODUCED)
        return "it is neither produced, nor being produced, nor neither";
    return ms_life_broken(&life);
}

static const char *broken_file(const struct ms_file_record *r) {
    if (is_none(r->id))
        return "the file has no id";
    if (r->category >= MS_CATEGORY_COUNT)
        return "there is no such file category";
    if (r->state >= MS_FILE_STATE_COUNT)
        return "there is no such file state";
    if (!is_flag(r->has_md5))
        return "a flag is neither 0 nor 1";
    return r->size > MS_FILE_BYTES_MAX ? "the file is larger than any may be" : NULL;
}

static const char *broken_version(const struct ms_version_record *r) {
    if (is_none(r->id))
        return "the version has no id";
    if (r->size > MS_FILE_BYTES_MAX)
        return "the version is larger than any may be";
    if (r->size == 0 && !is_none(r->object))
        return "an empty version has an object";
    if (r->size > 0 && !r->local && is_none(r->object))
        return "a version with bytes has neither an object nor a journal";
    if (r->size > 0 && !is_block_log2(r->block_log2))
        return "the block size is out of range";
    return is_flag(r->hashed) && is_flag(r->local) ? NULL : "a flag is neither 0 nor 1";
}

static const char *broken_object(const struct ms_object_record *r) {
    if (is_none(r->id))
        return "the object has no id";
    if (r->key[0] == '\0')
        return "the object has no key";
    if (r->size == 0 || r->size > MS_FILE_BYTES_MAX)
        return "the object's size is out of range";
    return is_block_log2(r->block_log2) ? NULL : "the block size is out of range";
}

static const char *broken_hashes(const struct ms_hashes_record *r) {
    return r->count < 1 || r->count > MS_HASHES_PER_ROW ? "the number of hashes is out of range"
                                                        : NULL;
}

static const char *broken_tombstone(const struct ms_tombstone_record *r) {
    if (is_none(r->object))
        return "the tombstone names no object";
    return r->key[0] == '\0' ? "the tombstone has no key" : NULL;
}

static bool are_times(const struct ms_inode_record *r) {
    const uint32_t second = 1000000000;

    return r->atime_ns < second && r->mtime_ns < second && r->ctime_ns < second &&
           r->btime_ns < second;
}

static const char *broken_inode(const struct ms_inode_record *r) {
    if (r->ino == 0)
        return "the inode has no number";
    if (!is_file_mode(r->mode))
        return "the inode is of no file type";
    if (!are_times(r))
        return "a time has more than 999999999 nanoseconds";
    if (!is_flag(r->orphan) || !is_flag(r->unsealed) || !is_flag(r->shut))
        return "a flag is neither 0 nor 1";
    if (r->special >= MS_SPECIAL_COUNT || (r->special != MS_SPECIAL_NONE && !S_ISDIR(r->mode)))
        return "there is no such special folder";
    if (!S_ISREG(r->mode) && (!is_none(r->asset) || !is_none(r->version)))
        return "only regular files have an asset";
    if (!is_none(r->asset) && (!is_none(r->was_asset) || r->shut))
        return "what has an asset has not lost one";
    if (!S_ISDIR(r->mode) && r->parent != 0)
        return "only folders have a parent";
    return S_ISDIR(r->mode) && r->next_seq < 3 ? "a folder counts its entries from 3" : NULL;
}

static const char *broken_name(const struct ms_name_record *r) {
    if (r->ino == 0)
        return "the name leads nowhere";
    if (!is_file_mode(r->mode))
        return "the name is of no file type";
    if (r->seq < 3)
        return "entries are counted from 3";
    return is_entry_name(r->spelling) ? NULL : "the spelling is not allowed";
}

static const char *broken_entry(const struct ms_entry_record *r) {
    return is_entry_name(r->nfc) ? NULL : "the name is not allowed";
}

static const char *broken_link(const struct ms_link_record *r) {
    return r->none == 0 ? NULL : "it holds something";
}

/* An asset that has no place in the tree (a failed upload) is binned without a name. */
static const char *broken_bin(const struct ms_bin_record *r) {
    if (is_none(r->id) || is_none(r->asset))
        return "the bin entry has no id or names no asset";
    return r->name[0] == '\0' || is_entry_name(r->name) ? NULL : "the name is not allowed";
}

static const char *broken_request(const struct ms_request_record *r) {
    if (is_none(r->id) || r->at.ms == 0)
        return "the request has no id or no instant";
    if (r->state > 2)
        return "there is no such state of a request";
    return (r->state == 0) == (r->decided_at.ms == 0) ? NULL : "it is decided at no instant";
}

static const char *broken_transfer(const struct ms_transfer_record *r) {
    if (is_none(r->id) || is_none(r->src) || is_none(r->dest))
        return "the transfer has no id or names no tenant";
    if (r->state > 4)
        return "there is no such state of a transfer";
    return is_flag(r->active) ? NULL : "a flag is neither 0 nor 1";
}

static const char *broken_due(const struct ms_due_record *r) {
    return r->kind == 0 ? "nothing is due" : NULL;
}

static const char *broken_ledger(const struct ms_ledger_record *r) {
    if (!is_flag(r->fee))
        return "a flag is neither 0 nor 1";
    if (r->type >= MS_TYPE_COUNT)
        return "there is no such asset type";
    if (r->origin >= MS_ORIGIN_COUNT)
        return "there is no such origin";
    return is_flag(r->pay_per_use) ? NULL : "a flag is neither 0 nor 1";
}

static const char *broken_adjust(const struct ms_adjust_record *r) {
    if (r->seq == 0)
        return "adjustments begin with 1";
    if (r->reason[0] == '\0')
        return "an adjustment has a reason";
    return is_flag(r->credit) ? NULL : "a flag is neither 0 nor 1";
}

static const char *broken_package(const struct ms_package_record *r) {
    if (is_none(r->id))
        return "the package has no id";
    if (!is_flag(r->paid) || !is_flag(r->auto_renew) || !is_flag(r->running))
        return "a flag is neither 0 nor 1";
    if (r->bought == 0 || r->current >= r->bought)
        return "the term that runs was not bought";
    return NULL;
}

static const char *broken_account(const struct ms_account_record *r) {
    if (r->ledger_seq == 0)
        return "ledger rows begin with 1";
    return is_flag(r->parked) ? NULL : "a flag is neither 0 nor 1";
}

static const char *broken_day(const struct ms_day_record *r) {
    if (r->seq == 0)
        return "closed days begin with 1";
    return r->midnight.ms % MS_DAY_MS == 0 ? NULL : "the day does not begin at midnight";
}

/* MS_STATE_COUNT stands for no state: creation, and rows about a tenant. */
static const char *broken_audit(const struct ms_audit_record *r) {
    return r->from > MS_STATE_COUNT || r->to > MS_STATE_COUNT ? "there is no such state" : NULL;
}

static const char *broken_lease(const struct ms_lease_record *r) {
    return is_none(r->instance) || r->ino == 0 ? "the lease has no holder" : NULL;
}

static const char *broken_intent(const struct ms_intent_record *r) {
    if (is_none(r->id) || is_none(r->instance))
        return "the intent has no id or no owner";
    return is_flag(r->fsynced) && is_flag(r->local) ? NULL : "a flag is neither 0 nor 1";
}

static const char *broken_part(const struct ms_part_record *r) {
    return r->part_no < 1 || r->part_no > MS_PARTS_MAX ? "the part number is out of range" : NULL;
}

static const char *broken_treeop(const struct ms_treeop_record *r) {
    if (is_none(r->id))
        return "the tree operation has no id";
    if (r->name[0] != '\0' && !is_entry_name(r->name))
        return "the name is not allowed";
    return is_flag(r->done) ? NULL : "a flag is neither 0 nor 1";
}

static const char *broken_review(const struct ms_review_record *r) {
    if (is_none(r->asset))
        return "the review names no asset";
    if (is_none(r->held) && (!is_none(r->held_file) || r->held_bytes != 0 || r->held_media[0]))
        return "facts of a held MAIN without one";
    return is_flag(r->human) && is_flag(r->has_name) && is_flag(r->has_description)
               ? NULL
               : "a flag is neither 0 nor 1";
}

static const char *broken_upload(const struct ms_upload_record *r) {
    if (is_none(r->file) || is_none(r->asset) || is_none(r->object) || r->key[0] == '\0')
        return "the upload has no file, asset, object or key";
    if (!is_flag(r->large))
        return "a flag is neither 0 nor 1";
    if (r->parts < 1 || r->parts > MS_UPLOAD_PARTS_MAX)
        return "the number of parts is out of range";
    return r->size > MS_FILE_BYTES_MAX || r->reserved > r->size
               ? "the size or what is reserved of it is out of range"
               : NULL;
}

static const char *broken_local(const struct ms_local_record *r) {
    if (is_none(r->object) || r->since.ms == 0)
        return "it names no object or no instant";
    return r->key[0] == '\0' || r->size == 0 ? "it has no key or no bytes" : NULL;
}

static const char *broken_share(const struct ms_share_record *r) {
    if (is_none(r->tenant) || is_none(r->asset) || is_none(r->receiver))
        return "the share has no owner, asset or receiver";
    if (memcmp(r->tenant.b, r->receiver.b, MS_ID_BYTES) == 0)
        return "the asset is shared with its own tenant";
    return r->until.ms <= r->since.ms ? "the share ends before it begins" : NULL;
}

static const char *broken_facts(const struct ms_facts_record *r) { return ms_facts_broken(r); }

MS_RECORDS(MS_RECORD_CODEC)

#define LIFE_SCALARS(X)                                                                            \
    X(rest) X(holds) X(binned) X(last) X(fail) X(sealed) X(in_review) X(auto_renew) X(created)     \
    X(confirm_due) X(binned_at) X(retention_ms) X(purge_floor) X(takedown_due) X(scheduled_count)

struct ms_life ms_asset_life(const struct ms_asset_record *asset) {
    struct ms_life life;

    memset(&life, 0, sizeof(life));
#define FROM_ASSET(m) life.m = asset->m;
    LIFE_SCALARS(FROM_ASSET)
    memcpy(life.scheduled, asset->scheduled, sizeof(life.scheduled));
    return life;
}

void ms_asset_set_life(struct ms_asset_record *asset, const struct ms_life *life) {
#define TO_ASSET(m) asset->m = life->m;
    LIFE_SCALARS(TO_ASSET)
    memcpy(asset->scheduled, life->scheduled, sizeof(asset->scheduled));
}
