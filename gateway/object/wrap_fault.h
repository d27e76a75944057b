/* wrap_fault.h — failures on order, for tests: by a script, or held at a gate by the test itself.
 *
 * Script: rules with commas or blanks between them,
 *     OP:WHICH:ACTION        OP     a name of MS_OBJ_OPS, or *
 *                            WHICH  * every call, N the Nth of that OP (from 1), N+ from the Nth on,
 *                                   N-M from the Nth to the Mth, P% a part of them at random
 *     seed=N                 of the random choices; 1 when it is missing
 * Actions:
 *     fail-before[=CODE]     end with CODE (UNAVAILABLE), the store never sees it
 *     fail-after[=CODE]      the store does it, then it ends with CODE: the lost answer
 *     delay=500ms            first wait (a duration as in base/time.h); several add up
 *     hang                   never answer: it ends at its deadline or by a cancel
 *     hold=/path             wait while a file of that name exists: a gate that another process can close
 *     short                  GET: half of the bytes come back, and the length says so
 *     flip                   GET: one bit is another one
 * Of several rules that fit a call, delays and holds all apply, and the first of the other actions.
 *     "PUT:2:fail-before,GET:*:delay=500ms,MP_PUT:3:fail-after,*:5%:fail-before=THROTTLED seed=7"
 *
 * Threads: any.
 */
#ifndef MS_OBJECT_WRAP_FAULT_H
#define MS_OBJECT_WRAP_FAULT_H

#include "object/object.h"

/* The fault wrapper of a store that ms_obj_open() made with options.faults; NULL: it has none. "" is a script
 * without rules, for tests that only need the calls below. */
struct ms_obj *ms_obj_fault_of(struct ms_obj *obj);

/* Replace the script; calls that wait go on as they were told, and the counters start anew.
 * Errors: MS_CONFIG with the rule that cannot be read; the old script stays. */
MS_NODISCARD enum ms_code ms_fault_script(struct ms_obj *fault, const char *script,
                                          struct ms_error *reterr);
/* Close the gate of an operation (MS_OBJ_OP_COUNT: of all): what comes is held, and ends at its deadline or by a
 * cancel. Opening it lets those go that no other gate holds. */
void ms_fault_gate(struct ms_obj *fault, enum ms_obj_op op, bool closed);
/* How many are held at gates now; wait until there are at least n. */
size_t ms_fault_held(struct ms_obj *fault);
void ms_fault_wait_held(struct ms_obj *fault, size_t n);
/* How many calls of an operation (MS_OBJ_OP_COUNT: of all) came since the start or the last script. */
uint64_t ms_fault_calls(struct ms_obj *fault, enum ms_obj_op op);

#endif
