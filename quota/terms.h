/* terms.h — the terms of a package: when each begins and ends, what a renewal adds; and minutes of
 * produced video, taken from packages (bill.md sections 1, 4 and 5).
 *
 * Terms follow each other. Term k lies between the package's first start + k and + k + 1 times its
 * months, always counted from that first start, so that clamped month ends do not drift. A package
 * of 0 months is one term without end. Whoever keeps a package tells it when its due instant has
 * come.
 *
 * Invariants: 1 current < bought. 2 running: current is the term that contains now. 3 not running:
 * all terms bought are over.
 * Threads: pure.
 */
#ifndef MS_QUOTA_TERMS_H
#define MS_QUOTA_TERMS_H

#include "base/time.h"
#include "quota/wide.h"

#define MS_TERM_MONTHS_MAX 120 /* of one term */
#define MS_TERMS_MAX 1200      /* bought at once */

struct ms_terms {
    struct ms_instant first; /* the package's first start */
    uint32_t months;         /* of one term; 0: one term, no end */
    uint32_t bought;         /* the last term bought is bought - 1; those skipped are counted too */
    uint32_t current;        /* the term that runs, or ran last */
    bool running;
};
#define MS_TERMS_NO_END ((struct ms_instant){INT64_MAX})

/* A package begins: its first term runs. Errors: MS_RANGE its last term would end after the year
 * 9999. Needs: terms 1 when months is 0. */
MS_NODISCARD enum ms_code ms_terms_begin(struct ms_instant at, uint32_t months, uint32_t terms,
                                         struct ms_terms *ret_terms, struct ms_error *reterr);
/* Add terms at an instant with nothing due before it. While a term runs they are put behind the
 * last one. Late, those wholly passed are skipped, and the one that contains at runs from at on:
 * *ret_late, for it is charged and counts from now. Errors: MS_WRONG_STATE a package without end;
 * MS_RANGE as above; terms untouched. */
MS_NODISCARD enum ms_code ms_terms_renew(struct ms_terms *terms, struct ms_instant at,
                                         uint32_t more, bool *ret_late, struct ms_error *reterr);

/* The end of the last term bought so far; MS_TERMS_NO_END. */
struct ms_instant ms_terms_end(const struct ms_terms *terms);
/* The end of the term that runs; MS_TERMS_NO_END, also when none runs. */
struct ms_instant ms_terms_due(const struct ms_terms *terms);
/* The term that runs has ended, at ms_terms_due(): true when the next one begins there (a fee, a
 * new amount), false when that was the last one. */
bool ms_terms_pass(struct ms_terms *terms);

/* ---- minutes -----------------------------------------------------------------------------------
 */

/* Hundredths of a minute of a video of so many seconds, half up; below 2^64. */
ms_u128 ms_minutes_of_seconds(uint64_t seconds);

/* A running package of minutes. */
struct ms_minutes {
    struct ms_instant end; /* ms_terms_end() */
    const char *id;
    size_t id_len;
    uint64_t left; /* hundredths of the running term */
    uint32_t key;  /* the caller's, kept */
};
/* Take hundredths from packs: from the one that ends first, then by id in byte order. Returns what
 * they do not hold. Sorts packs. */
ms_u128 ms_minutes_draw(struct ms_minutes *packs, size_t n, ms_u128 hundredths);

#endif
