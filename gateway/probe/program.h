/* program.h — one waiting msasset-probe, as one thread of the prober has it; private to probe/.
 *
 * Threads: one at a time.
 */
#ifndef MS_PROBE_PROGRAM_H
#define MS_PROBE_PROGRAM_H

#include "probe/prober.h"

#include <sys/types.h>

struct ms_probe_program {
    pid_t pid; /* also its group's; 0: not running */
    int control;
    unsigned contents; /* examined so far */
};
#define MS_PROBE_PROGRAM_NONE                                                                      \
    { .control = -1 }

/* Running and ready when it returns; a worn-out one is replaced. Errors: MS_UNAVAILABLE. */
MS_NODISCARD enum ms_code ms_probe_program_start(struct ms_probe_program *program,
                                                 const struct ms_prober_options *options,
                                                 struct ms_error *reterr);
/* It and whatever it has started. */
void ms_probe_program_end(struct ms_probe_program *program);

enum ms_probe_end {
    MS_PROBE_END_ANSWERED, /* request->facts */
    MS_PROBE_END_FAILED,   /* request->code, error: the caller's read failed */
    MS_PROBE_END_GAVE_UP   /* reason; the program was ended */
};
enum ms_probe_end ms_probe_program_examine(struct ms_probe_program *program,
                                           const struct ms_prober_options *options,
                                           struct ms_probe_request *request, char *ret_reason,
                                           size_t reason_size);

#endif
