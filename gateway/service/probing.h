/* probing.h — have an object of the store examined: facts for whoever seals without a live file (recovery, the
 * confirmation of an upload). What follows from facts: model/content_rules.h.
 *
 * Blocks: for the object's bytes, a few ranges of it, and for the prober. Never inside a transaction.
 */
#ifndef MS_SERVICE_PROBING_H
#define MS_SERVICE_PROBING_H

#include "service/service.h"

struct ms_probed {
    bool there; /* the content is one that is examined, and contents are */
    struct ms_facts_record facts;
};
/* media_type: what libmagic says of the first bytes. obj: the store that has the key. Errors: what the store
 * says; MS_UNAVAILABLE there is nobody to examine it. */
MS_NODISCARD enum ms_code ms_probe_object(struct ms_svc *svc, struct ms_obj *obj, const char *key,
                                          uint64_t size, const char *media_type,
                                          struct ms_probed *ret_probed, struct ms_error *reterr);

#endif
