/* config.h — typed settings: a row per key (config_keys.def), values that know their origin.
 *
 * A value comes from a flag, else the environment (MSASSET_<KEY>), else the user's file
 * ($XDG_CONFIG_HOME/msasset/config, or ~/.config/msasset/config), else /etc/msasset/msasset.conf,
 * else its default. A file named with --config or MSASSET_CONFIG stands in for both files and must
 * exist. A file holds lines "key = value", "#" begins a comment. Unknown keys, keys set twice in
 * one file and bad values are errors that name the place, the key, the value and what is allowed: a
 * setting that is silently not obeyed is worse than none.
 *
 * Threads: set up by one thread; afterwards any may read.
 * Lifecycle: ms_config_init() -> ms_config_load(), ms_config_set() in any order -> read ->
 * ms_config_fini().
 */
#ifndef MS_BASE_CONFIG_H
#define MS_BASE_CONFIG_H

#include "base/buf.h"

#include <stdint.h>

enum ms_config_key {
#define MS_CONFIG_KEY(ID, name, TYPE, least, most, initial, choices, help) MS_CONFIG_##ID,
#include "base/config_keys.def"
#undef MS_CONFIG_KEY
    MS_CONFIG_KEY_COUNT
};

enum ms_config_type {
    MS_CONFIG_BYTES,    /* "64G", "512KiB", "1000": K M G T, also KB or KiB, are powers of two */
    MS_CONFIG_DURATION, /* "90s", "15m", "24h", "7d", "1500ms", or seconds */
    MS_CONFIG_INT,
    MS_CONFIG_BOOL,   /* yes no, true false, on off, 1 0 */
    MS_CONFIG_TEXT,   /* without control characters */
    MS_CONFIG_PATH,   /* absolute, or empty */
    MS_CONFIG_CHOICE, /* one of a few words */
};

struct ms_config_row {
    enum ms_config_key key;
    const char *name; /* in the file */
    const char *env;  /* in the environment */
    enum ms_config_type type;
    uint64_t least, most;
    const char *initial, *choices, *help;
};

/* In ascending rank: a value gives way to one of the same or a higher rank. */
enum ms_config_origin {
    MS_CONFIG_FROM_DEFAULT,
    MS_CONFIG_FROM_SYSTEM_FILE,
    MS_CONFIG_FROM_USER_FILE, /* also the one named with --config */
    MS_CONFIG_FROM_ENVIRONMENT,
    MS_CONFIG_FROM_FLAG,
};

struct ms_config_value {
    enum ms_config_origin origin;
    uint64_t number; /* bytes, milliseconds, number, 0 or 1, place of the word */
    char *text;      /* TEXT and PATH: never NULL; else NULL */
    char *where; /* "/etc/msasset/msasset.conf:3", "MSASSET_STORE", "--store"; NULL for a default */
};

struct ms_config {
    struct ms_config_value values[MS_CONFIG_KEY_COUNT];
};

/* Every value is its default. Errors: MS_NO_MEMORY. */
MS_NODISCARD enum ms_code ms_config_init(struct ms_config *config, struct ms_error *reterr);
void ms_config_fini(struct ms_config *config);

struct ms_config_sources {
    const char *file;         /* of --config; NULL: MSASSET_CONFIG, else the usual two */
    const char *system_file;  /* NULL: /etc/msasset/msasset.conf; tests name another */
    char *const *environment; /* NULL: the process's */
};

/* Read file and environment. On failure some values may have been taken over: give up the start.
 * Errors: MS_CONFIG for what is written there; MS_NO_INPUT a named file cannot be read. */
MS_NODISCARD enum ms_code ms_config_load(struct ms_config *config,
                                         const struct ms_config_sources *sources,
                                         struct ms_error *reterr);

/* Where a text was found: where is how messages call it ("--store", "/etc/x:3", "MSASSET_STORE").
 */
struct ms_config_place {
    enum ms_config_origin origin;
    const char *where;
};

/* Take a value over, unless the key has one of higher rank; a bad text is an error either way.
 * Errors: MS_USAGE from a flag, else MS_CONFIG; MS_NO_MEMORY. */
MS_NODISCARD enum ms_code ms_config_set(struct ms_config *config, enum ms_config_key key,
                                        const struct ms_config_place *place, const char *text,
                                        struct ms_error *reterr);

/* Each asserts that the key has that type. Texts live as long as the configuration. */
uint64_t ms_config_bytes(const struct ms_config *config, enum ms_config_key key);
int64_t ms_config_duration_ms(const struct ms_config *config, enum ms_config_key key);
unsigned ms_config_int(const struct ms_config *config, enum ms_config_key key);
bool ms_config_bool(const struct ms_config *config, enum ms_config_key key);
const char *ms_config_text(const struct ms_config *config, enum ms_config_key key); /* PATH too */
unsigned ms_config_choice(const struct ms_config *config, enum ms_config_key key);
enum ms_config_origin ms_config_origin(const struct ms_config *config, enum ms_config_key key);

const struct ms_config_row *ms_config_row(enum ms_config_key key);
/* The row of a name as in the file ("-" may stand for "_"), or NULL. */
const struct ms_config_row *ms_config_find(const char *name);

/* A value as one would write it in the file: sizes and durations in the largest unit that is exact.
 */
MS_NODISCARD enum ms_code ms_config_format(const struct ms_config *config, enum ms_config_key key,
                                           struct ms_buf *buf, struct ms_error *reterr);
/* Where it came from: "default", or the place. */
const char *ms_config_where(const struct ms_config *config, enum ms_config_key key);
/* What is allowed: "16M to 16T", "auto, always or never". */
MS_NODISCARD enum ms_code ms_config_format_range(enum ms_config_key key, struct ms_buf *buf,
                                                 struct ms_error *reterr);

/* A size by the rules of BYTES, for command-line arguments that are no settings. Errors:
 * MS_INVALID. */
MS_NODISCARD enum ms_code ms_bytes_parse(const char *text, uint64_t *ret_bytes,
                                         struct ms_error *reterr);
/* "5G", "1536K", "1000": exact, in the largest unit. */
void ms_bytes_format(uint64_t bytes, char ret_text[24]);

#endif
