/* names.h — what a file may be called: the same rules for mount, command and API (product.md
 * section 6); and what a line may hold that somebody writes for somebody else to read: a reason, a memo.
 *
 * Valid UTF-8, 1 to 255 bytes, no '/', NUL, control character or bidi override, not "." or "..".
 * Stored as given; two spellings that are equal under NFC are one name.
 */
#ifndef MS_MODEL_NAMES_H
#define MS_MODEL_NAMES_H

#include "base/error.h"
#include "model/limits.h"

#include <stdbool.h>
#include <stddef.h>

/* NFC of a name, or the rule that it breaks. The NFC form is at most 255 bytes too.
 * Errors: MS_BAD_NAME (EILSEQ; EINVAL is not used so that cp tells why), MS_NAME_TOO_LONG. */
MS_NODISCARD enum ms_code ms_name_check(const char *name, char ret_nfc[MS_NAME_BYTES_MAX + 1],
                                        struct ms_error *reterr);
bool ms_name_is_ascii(const char *name);
/* A legal name made from any text: what is illegal becomes '_'. Never empty. Too long: cut
 * before the suffix, at what a reader sees as one character. */
void ms_name_from_text(const char *text, char ret_name[MS_NAME_BYTES_MAX + 1]);
/* "movie.mp4" -> "movie (2).mp4", n >= 2; name is legal, and so is the result: cut as above
 * where needed. */
void ms_name_numbered(const char *name, unsigned n, char ret_name[MS_NAME_BYTES_MAX + 1]);
/* The suffix behind the last dot, lower case, "" when there is none or it is longer than 15
 * bytes. ".mp4" has none. */
void ms_name_suffix(const char *name, char ret_suffix[16]);
/* Key suffix of an object: as above, only [a-z0-9]; "bin" otherwise. */
void ms_name_key_suffix(const char *name, char ret_suffix[16]);

/* A line that a person writes, of at most MAX bytes: valid UTF-8 without control characters and bidi overrides, so that
 * it makes no other line of a table or log and is text in JSON. WHAT names it in the message.
 * Errors: MS_RANGE too long; MS_INVALID. */
MS_NODISCARD enum ms_code ms_line_check(const char *what, const char *text, size_t max,
                                        struct ms_error *reterr);
/* A reason from a text of any origin, such as a program's answer: what no line may hold becomes '_', what is too long
 * is cut at a character. */
void ms_reason_cut(const char *text, char ret_reason[MS_REASON_MAX + 1]);

MS_NODISCARD enum ms_code ms_tenant_name_check(const char *name, struct ms_error *reterr);

#endif
