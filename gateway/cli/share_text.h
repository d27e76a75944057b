/* share_text.h — shares on the command line: with whom and until when, and how they are shown. */
#ifndef MS_CLI_SHARE_TEXT_H
#define MS_CLI_SHARE_TEXT_H

#include "cli/out.h"
#include "service/share.h"

/* --days N, --until DATE (its last day), or neither: none, the default. Errors: MS_USAGE naming the option. */
MS_NODISCARD enum ms_code ms_share_end_given(struct ms_cli *cli, const char *days, const char *until,
                                             struct ms_instant *ret_until, struct ms_error *reterr);
/* Names or ids. Errors: MS_NO_TENANT; MS_USAGE more than an asset may be shared with. */
MS_NODISCARD enum ms_code ms_share_tenants_given(struct ms_cli *cli, char *const *names, size_t n,
                                                 struct ms_tenant_id ret_ids[MS_SHARE_TENANTS_MAX],
                                                 struct ms_error *reterr);

struct ms_out_text ms_share_end_text(struct ms_instant until); /* "2026-01-31 23:59:59Z" */
/* project_id and project_name: the other tenant. */
json_t *ms_share_json(const struct ms_share_info *info);
json_t *ms_shared_json(const struct ms_shared_info *info);
/* The root hash of its MAIN; "-" when it has none yet. */
void ms_shared_root(const struct ms_shared_info *info, char ret_text[33]);

/* Each of what is shared with the tenant. Errors: of each; MS_NO_MEMORY. */
typedef void ms_shared_each_fn(void *priv, const struct ms_shared_info *info);
MS_NODISCARD enum ms_code ms_shared_each(struct ms_cli *cli, ms_shared_each_fn *each, void *priv,
                                         struct ms_error *reterr);

#endif
