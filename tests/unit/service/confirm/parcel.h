/* parcel.h — assets made as the API makes them, for tests: created, declared, sent, confirmed. */
#ifndef MS_TESTS_SERVICE_PARCEL_H
#define MS_TESTS_SERVICE_PARCEL_H

#include "upkeep/keep.h"

#include "service/confirm.h"

/* A file and what is said of it. */
struct parcel {
    const char *name;
    enum ms_category category;
    uint8_t *p;
    size_t n;
    uint8_t md5[16];
    struct ms_asset_id asset;
    struct ms_file_id file;
    struct ms_instant until;
};

/* n bytes that fit the name's suffix. parcel_fini. */
void parcel_init(struct parcel *parcel, const char *name, enum ms_category category, size_t n,
                 uint8_t fill);
void parcel_fini(struct parcel *parcel);
struct ms_asset_id create_asset(struct world *w, enum ms_asset_type type, const char *name);
/* The result of the call; on MS_OK parcel->file and until are set. */
enum ms_code declare_parcel(struct world *w, struct ms_asset_id asset, struct parcel *parcel,
                            struct ms_error *reterr);
/* Through ms_file_send. */
enum ms_code send_parcel(struct world *w, const struct parcel *parcel, struct ms_error *reterr);
/* Past the gateway, as a URL would: whatever bytes, as part 1 of the upload. */
enum ms_code send_raw(struct world *w, struct ms_file_id file, const void *p, size_t n,
                      struct ms_error *reterr);
enum ms_code confirm_parcel(struct world *w, struct ms_file_id file, enum ms_confirm_as as,
                            struct ms_confirmed *ret, struct ms_error *reterr);
/* All of it; fails the test when a step does. Returns what the confirmation found. */
struct ms_confirmed bring_parcel(struct world *w, struct ms_asset_id asset, struct parcel *parcel);

struct ms_asset_info info_of(struct world *w, struct ms_asset_id id);
struct ms_upload_record upload_of(struct world *w, struct ms_file_id file);
struct ms_file_record file_of(struct world *w, struct ms_asset_id asset, struct ms_file_id file);
size_t audit_rows(struct world *w, uint8_t event);
struct ms_sweep_result sweep_world(struct world *w);

#endif
