/* recover_part.h — what the files of recovery share. Private to service/recover*.c. */
#ifndef MS_SERVICE_RECOVER_PART_H
#define MS_SERVICE_RECOVER_PART_H

#include "content/media.h"
#include "service/probing.h"
#include "service/file_image.h"
#include "service/upkeep.h"
#include "service/upkeep_list.h"

/* A dead process, and how far it is settled. */
struct ms_dead {
    struct ms_instance_id instance;
    bool registered; /* it has a row; else only what it left says that it was */
    bool keeps;      /* something could not be settled: it stays for the next time */
};

struct ms_recovery {
    struct ms_svc *svc;
    struct ms_dead *dead; /* sorted by instance */
    size_t n, cap;
    struct ms_numbers deferred; /* inodes whose fsynced bytes are to be sealed later; sorted */
    struct ms_media *media;     /* made when the first file is judged */
    struct ms_recover_result result;
    struct ms_error first; /* what failed, the rest was done */
};

/* Take note of a failure and go on. */
void ms_recovery_failed(struct ms_recovery *r, const char *event, struct ms_dead *dead,
                        const struct ms_error *err);

/* What the store has of a list: the object under its final key. */
struct ms_recovered {
    const char *key; /* of the intent, or with ".fsync" behind it */
    char sync_key[MS_OBJECT_KEY_MAX + 1];
    uint64_t size;
    char etag[MS_ETAG_MAX + 1];
    char media_type[MS_MEDIA_TYPE_MAX + 1];
    struct ms_hashes hashes;
    uint8_t root[16];
    struct ms_probed probed;
};
void ms_recovered_fini(struct ms_recovered *recovered);
/* recover_bytes.c: complete exactly the listed parts, with the ETags and sizes that the store shows
 * now, and read all of the object to hash it. parts: ascending. Errors: MS_NOT_FOUND the store does
 * not have them (any more); what the store says. */
MS_NODISCARD enum ms_code ms_recover_bytes(struct ms_recovery *r,
                                           const struct ms_intent_record *intent,
                                           const struct ms_obj_part *parts, size_t parts_n,
                                           struct ms_recovered *ret_recovered,
                                           struct ms_error *reterr);

/* recover_files.c: every intent of a dead process. */
MS_NODISCARD enum ms_code ms_recover_intents(struct ms_recovery *r, struct ms_dead *dead,
                                             struct ms_error *reterr);
/* Whether it left anything in the object store that was promised. */
MS_NODISCARD enum ms_code ms_recover_has_fsynced(struct ms_svc *svc, struct ms_instance_id dead,
                                                 bool *ret_has, struct ms_error *reterr);

#endif
