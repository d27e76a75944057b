/* id.h — 128-bit random identifiers, one type per noun so that they cannot be mixed up.
 *
 * Text form: 32 lower-case hex digits (the API's asset_id). All-zero is "none".
 */
#ifndef MS_BASE_ID_H
#define MS_BASE_ID_H

#include "base/error.h"
#include "base/random.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MS_ID_BYTES 16
#define MS_ID_TEXT_LEN 32

/* The untyped form, for codecs and tables of text; nouns below wrap it. */
struct ms_id {
    uint8_t b[MS_ID_BYTES];
};

struct ms_id ms_id_new(struct ms_random *random); /* never none */
void ms_id_format(struct ms_id id, char ret_text[MS_ID_TEXT_LEN + 1]);
/* Exactly 32 hex digits; upper case and dashes of the UUID form are taken. Errors: MS_INVALID. */
MS_NODISCARD enum ms_code ms_id_parse(const char *text, struct ms_id *ret_id,
                                      struct ms_error *reterr);

/* For messages: text of an id with the life of the full expression. */
struct ms_id_text {
    char s[MS_ID_TEXT_LEN + 1];
};
static inline struct ms_id_text ms_id_text(struct ms_id id) {
    struct ms_id_text t;
    ms_id_format(id, t.s);
    return t;
}

#define MS_NOUNS(X)                                                                                \
    X(tenant) X(asset) X(file) X(version) X(object) X(instance) X(intent) X(bin) X(treeop)       \
    X(request) X(transfer) X(package)

#define MS_ID_TYPE(noun)                                                                           \
    struct ms_##noun##_id {                                                                        \
        struct ms_id id;                                                                           \
    };                                                                                             \
    static inline bool ms_##noun##_id_equal(struct ms_##noun##_id a, struct ms_##noun##_id b) {    \
        return memcmp(a.id.b, b.id.b, MS_ID_BYTES) == 0;                                           \
    }                                                                                              \
    static inline bool ms_##noun##_id_is_none(struct ms_##noun##_id a) {                           \
        static const struct ms_id none;                                                            \
        return memcmp(a.id.b, none.b, MS_ID_BYTES) == 0;                                           \
    }                                                                                              \
    static inline struct ms_##noun##_id ms_##noun##_id_new(struct ms_random *random) {             \
        return (struct ms_##noun##_id){ms_id_new(random)};                                         \
    }
MS_NOUNS(MS_ID_TYPE)

#endif
