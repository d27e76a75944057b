/* words.h — a list of words that texts may not hold, looked for in one pass.
 *
 * Aho-Corasick over folded text: compatibility forms (full-width letters and digits) become plain
 * ones, case is folded, and what nobody sees (zero-width characters, soft hyphens) is left out, in
 * words and texts alike: NFKC with case folding, utf8proc's. So the time to look is that of the
 * text, whatever the number of words.
 *
 * A word that begins or ends with a letter or digit of a script that puts blanks between words counts
 * only where no such character stands next to it: "ass" is not in "class". Scripts from U+2E80 on
 * (Chinese, Japanese, Korean) have no such rule.
 *
 * Pure. Threads: a list may be used by any number of threads.
 */
#ifndef MS_MODEL_WORDS_H
#define MS_MODEL_WORDS_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define MS_WORDS_BYTES_MAX ((size_t)16 << 20) /* of a list */

struct ms_words;

/* text: UTF-8, a word or phrase a line; blanks around it, empty lines and lines that begin with '#'
 * are nothing. Errors: MS_INVALID not UTF-8, or a word that folds to nothing, with the line; MS_RANGE
 * too long; MS_NO_MEMORY. */
MS_NODISCARD enum ms_code ms_words_new(struct ms_view text, struct ms_words **ret_words,
                                       struct ms_error *reterr);
void ms_words_free(struct ms_words *words); /* NULL is fine */
size_t ms_words_count(const struct ms_words *words);

/* *ret_word: the word that ends first in the text, as it stands in the list (the longest, when several
 * end there), or NULL when there is none. It lives as long as the list. Errors: MS_INVALID the text is
 * not UTF-8; MS_NO_MEMORY. */
MS_NODISCARD enum ms_code ms_words_find(const struct ms_words *words, const char *text,
                                        const char **ret_word, struct ms_error *reterr);

#endif
