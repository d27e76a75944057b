/* quota_text.h — a tenant's quota and usage, as tenant show and quota show print it. */
#ifndef MS_CLI_QUOTA_TEXT_H
#define MS_CLI_QUOTA_TEXT_H

#include "cli/out.h"

json_t *ms_quota_json(const struct ms_quota_info *info);
void ms_quota_print(const struct ms_quota_info *info);

#endif
