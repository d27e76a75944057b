/* show.h — assets and usage as JSON: the one form in which commands and the mount's .msasset folder
 * show them.
 *
 * Exact bytes are integers, instants RFC 3339 with milliseconds, what is not there is null; members
 * are only ever added. Threads: pure.
 */
#ifndef MS_SERVICE_SHOW_H
#define MS_SERVICE_SHOW_H

#include "model/content_rules.h"
#include "service/asset.h"
#include "service/tenant.h"

#include <jansson.h>

/* An object that is whole or not at all: a member for which there was no memory makes the end NULL.
 */
struct ms_show {
    json_t *o;
    bool failed;
};
static inline struct ms_show ms_show_begin(void) { return (struct ms_show){.o = json_object()}; }
void ms_show_set(struct ms_show *show, const char *member, json_t *value); /* takes value */
/* Values are the caller's: json_decref(). NULL: no memory. */
json_t *ms_show_end(struct ms_show *show);
json_t *ms_show_time(struct ms_instant at);
json_t *ms_show_u64(uint64_t n);
json_t *ms_show_asset(const struct ms_asset_info *info);
/* What is acknowledged from the local disk and not uploaded yet, of ctx's tenant. Errors: MS_CORRUPT, MS_NO_MEMORY. */
MS_NODISCARD enum ms_code ms_writeback_show(struct ms_svc *svc, const struct ms_ctx *ctx,
                                            json_t **ret_json, struct ms_error *reterr);
/* What a probe found, and where the content is usable: {"video_production": {"usable": "no", "reason":
 * "3840x2160 (at most 1920x1080)"}, ...}; null where a type has no such use. */
/* video_meta, audio_meta, image_meta or ppt_meta as the API has them, by the asset's type. */
void ms_show_meta(struct ms_show *show, const struct ms_asset_info *info);
json_t *ms_show_facts(const struct ms_facts_record *facts);
json_t *ms_show_uses(const struct ms_limits *limits, const struct ms_content *content);
void ms_facts_rate(const struct ms_facts_record *facts, char ret_text[33]); /* "30", "30000/1001", "" */
json_t *ms_show_quota(const struct ms_quota_info *info);

/* Text of a value for people and programs: indented, a line feed at its end. The value is freed.
 * Errors: MS_NO_MEMORY, also for a NULL value; MS_RANGE longer than the buffer's maximum. */
MS_NODISCARD enum ms_code ms_show_text(json_t *value, struct ms_buf *buf, struct ms_error *reterr);

#endif
