/* again.h — a store as text, to compare with the one that was rebuilt from its objects. */
#ifndef MS_TESTS_SERVICE_AGAIN_H
#define MS_TESTS_SERVICE_AGAIN_H

#include "keep.h"

#include "service/catalogue.h"
#include "service/rebuild.h"

/* Every path with what can be seen of it, sorted by folder and name; every asset with its states.
 * To be freed. */
char *text_of(struct ms_svc *svc, struct ms_tenant_id tenant);
/* Prints the first lines that differ, and fails. */
void check_same_text(const char *was, const char *is);

struct ms_catalogue_result flush_now(struct world *w, bool snapshot);
uint64_t marks_of(struct ms_svc *svc);

/* Notes of a rebuild, by kind. */
struct heard {
    unsigned n;
    char all[16384]; /* "kind: text\n" each */
};
/* From the world's objects into <tmp>/again; the store that is there is removed first. */
enum ms_code rebuild_again(struct world *w, bool dry_run, struct ms_rebuild_result *ret_result,
                           struct heard *ret_heard, struct ms_error *reterr);
/* The same over a store that fails by a script (wrap_fault.h), and is asked once. NULL: none. */
enum ms_code rebuild_with_faults(struct world *w, const char *faults, bool dry_run,
                                 struct ms_rebuild_result *ret_result, struct heard *ret_heard,
                                 struct ms_error *reterr);
struct ms_svc *open_again(struct world *w); /* ms_svc_close() */
/* Rebuild, compare, fsck with every byte. */
struct ms_rebuild_result check_rebuild(struct world *w);

/* The path of the i-th file below .catalogue, by name; NULL: there are not so many. To be freed. */
char *segment_path(struct world *w, unsigned i);
void remove_segments(struct world *w);

#endif
