/* json.h — what the two inputs of the bill share: JSON read strictly, with the offending text at
 * hand for messages.
 *
 * Only history.c and rates.c parse; everything else here computes. jansson reads integers of 64
 * bits and refuses larger numbers with the whole text, but a member that nobody knows may hold any
 * number: such a number is read as a fraction, which no member of ours takes.
 *
 * Threads: a reader belongs to its caller.
 */
#ifndef MS_QUOTA_JSON_H
#define MS_QUOTA_JSON_H

#include "base/buf.h"

#include <jansson.h>

/* One text being read; {0} before the first. Strings of root live until the next read. */
struct ms_json {
    json_t *root;
    struct ms_view text; /* borrowed from the caller, for messages */
    struct ms_buf copy;  /* of the text, when a number had to be replaced */
};
void ms_json_fini(struct ms_json *json);

/* Read an object. Errors: MS_INVALID no JSON, or no object, or a member twice, and where;
 * MS_NO_MEMORY. */
MS_NODISCARD enum ms_code ms_json_read(struct ms_json *json, const char *text, size_t n,
                                       struct ms_error *reterr);

/* A string's bytes, borrowed; NULs may be among them. */
struct ms_view ms_json_view(const json_t *string);

/* A value as it stands in a text, or as it would, for messages: one line, cut to fit. */
struct ms_json_text {
    char s[64];
};
struct ms_json_text ms_json_excerpt(struct ms_view value);
struct ms_json_text ms_json_value(const json_t *value);
/* The value of a member of the root as it was written: huge numbers keep their digits. */
struct ms_json_text ms_json_written(const struct ms_json *json, const char *member);

#endif
