/* program.h — ask a program that an operator has configured: a text on its standard input, its exit
 * status, and what it says until it closes its output.
 *
 * It lives in real time and gets a limit; over that it is killed with all that it has started. It may read
 * its input or not. Needs: no transaction open.
 *
 * Threads: any.
 */
#ifndef MS_SERVICE_PROGRAM_H
#define MS_SERVICE_PROGRAM_H

#include "base/buf.h"
#include "base/error.h"

#define MS_PROGRAM_SAID_MAX 4095

struct ms_program {
    const char *path;
    const char *what;     /* for messages: "reviewer" */
    const char *argument; /* argv[1]; NULL: none */
    const char *const *words; /* all of argv, NULL behind the last; NULL: path and argument */
    bool hears_errors;        /* what it says on its standard error, too */
    bool ends_group;          /* what it has started is killed when it ends, too */
    struct ms_view input;
    int64_t timeout_ms;
    bool (*goes_on)(void *priv); /* asked some 20 times a second while it runs: false ends it; NULL */
    void *priv;
};
struct ms_program_answer {
    int status; /* of its exit, 0..255 */
    char said[MS_PROGRAM_SAID_MAX + 1];
};
/* Errors: it gave no answer: MS_TIMEOUT, MS_PROTOCOL a signal ended it, MS_CANCELLED it does not go on, or
 * what starting it says. */
MS_NODISCARD enum ms_code ms_program_ask(const struct ms_program *program,
                                         struct ms_program_answer *ret_answer,
                                         struct ms_error *reterr);

#endif
