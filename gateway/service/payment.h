/* payment.h — renewals that packages make by themselves, paid by a program that the operator has
 * configured (payment_command in msasset.conf; product.md section 5).
 *
 * At the end of its last term a package that renews itself waits for an answer: everybody treats it as
 * valid, nobody applies anything. Two ask: msasset sweep, and the nightly run when a day waits (it closes
 * none before). Each does so behind everything that needs no answer, of every tenant, because a program
 * may take its whole time for each question. Nobody else starts it: who must know, because the package
 * is changed or minutes of it are taken, is refused meanwhile. Exit status 0 is paid, any other is not. The
 * outcome is dated with the term's end, whenever it came. A program that cannot be started, takes too
 * long, or is ended by a signal has not answered, and is asked again with the same order id, so it must
 * take an order once. Without a program every renewal is paid, by whoever comes first.
 *
 * One process asks at a time: a lock on <dir>/payment.lock, dropped by the kernel when its holder dies;
 * for the others what waits has no answer yet. A program that gave no answer three times in a row is not
 * asked again in that run: it hangs, and would take its whole time for each question. The next run begins behind the
 * package at which that one ended (noted in <dir>/payment.next), and asks those up to it last: so three packages that
 * never get an answer keep no other from being asked.
 *
 * Its argument is the order id; on its standard input it finds a JSON object: order_id, tenant_id, tenant,
 * package_id, package, kind, amount, months, term (which one it is, from 1), begins.
 *
 * Threads: any. Needs: no transaction open.
 */
#ifndef MS_SERVICE_PAYMENT_H
#define MS_SERVICE_PAYMENT_H

#include "service/package.h"

/* There is no program: nothing waits. */
static inline bool ms_payments_unasked(const struct ms_svc *svc) {
    return svc->payment_command[0] == '\0';
}

struct ms_paid {
    uint64_t renewed, refused; /* answers that were applied */
    uint64_t waiting;          /* packages without an answer */
};
/* One run's questions, in order of tenants and packages. {0} to begin with: from the first on. */
#define MS_ASKED_IN_VAIN_MAX 3u
struct ms_asking_place {
    struct ms_tenant_id tenant; /* none: no place */
    struct ms_package_id package;
};
struct ms_asking {
    unsigned in_vain; /* questions without an answer in a row; at the maximum nobody is asked any more */
    bool (*stopped)(void *priv); /* looked at before each question; may be NULL */
    void *priv;
    struct ms_asking_place from; /* the first round asks those behind it, the second those up to it */
    bool second;
    struct ms_asking_place last; /* that was asked */
};
/* For a run over all tenants: it begins behind where the one before ended. */
void ms_asking_begin(const struct ms_svc *svc, struct ms_asking *asking);
/* Whether a round has to do with a tenant, and whether it is the last one that has. */
bool ms_asking_concerns(const struct ms_asking *asking, struct ms_tenant_id tenant);
bool ms_asking_is_last(const struct ms_asking *asking, struct ms_tenant_id tenant);
/* On to the second round; false: there is none. */
bool ms_asking_again(struct ms_asking *asking);
/* Note where it ended. Who cannot note it begins at the first one again. */
void ms_asking_end(const struct ms_svc *svc, const struct ms_asking *asking);
/* Settle what waits at now. asking NULL: nobody is asked, what needs an answer goes on waiting. A
 * program without an answer is no error. Errors: MS_CANCELLED stopped. */
MS_NODISCARD enum ms_code ms_payments_settle(struct ms_svc *svc, struct ms_tenant_id tenant,
                                             struct ms_instant now, struct ms_asking *asking,
                                             struct ms_paid *ret_paid, struct ms_error *reterr);
/* Only looked at: the due instant of the renewal that has waited longest; INT64_MAX: none waits for the
 * program. */
MS_NODISCARD enum ms_code ms_payments_waiting_since(struct ms_svc *svc, struct ms_tenant_id tenant,
                                                    struct ms_instant now,
                                                    struct ms_instant *ret_since,
                                                    struct ms_error *reterr);

#endif
