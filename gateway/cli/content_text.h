/* content_text.h — facts of a content and where it is usable, in words for a terminal. */
#ifndef MS_CLI_CONTENT_TEXT_H
#define MS_CLI_CONTENT_TEXT_H

#include "model/content_rules.h"

/* Pairs as of msasset show: "content", "picture", "sound", "usable in". facts may be NULL: not examined. */
void ms_content_print(const struct ms_limits *limits, const struct ms_content *content);

#endif
