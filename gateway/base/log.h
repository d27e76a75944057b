/* log.h — lines "level event key=value ..." to an injected sink.
 *
 * Libraries log nothing above debug except what nobody else could report (damage found in the
 * background); programs log each failure once, at the outermost layer. Secrets are struct
 * ms_secret, which has no printer. Values are quoted when they hold blanks; control characters and
 * bidi overrides are escaped, so a name cannot forge a line. Threads: any.
 */
#ifndef MS_BASE_LOG_H
#define MS_BASE_LOG_H

#include "base/error.h"

#include <stdbool.h>

enum ms_log_level { MS_LOG_ERROR, MS_LOG_WARN, MS_LOG_INFO, MS_LOG_DEBUG };

struct ms_log {
    void (*write)(struct ms_log *log, enum ms_log_level level,
                  const char *line); /* line without newline */
    enum ms_log_level level;         /* lines above it are dropped before they are made */
    void *priv;
};

/* pairs: key, value, key, value, ..., NULL; all const char *. log may be NULL: nothing happens. */
void ms_log_event(struct ms_log *log, enum ms_log_level level, const char *event, ...)
    __attribute__((sentinel));
/* The same with code and message of an error as code= and msg=. */
void ms_log_failure(struct ms_log *log, enum ms_log_level level, const char *event,
                    const struct ms_error *err, ...) __attribute__((sentinel));

/* One line per call to a file descriptor with "<3>" style priority when prefix is true (journald).
 */
void ms_log_init_fd(struct ms_log *log, int fd, enum ms_log_level level, bool prefix);

struct ms_secret {
    char text[256]; /* cleared by ms_secret_fini */
};
void ms_secret_fini(struct ms_secret *secret);

#endif
