/* prober.h — facts of a content, read in another process: the gateway's side.
 *
 * A prober has a few threads, each with one waiting msasset-probe, started when the first content
 * comes. The program gives up its rights (shut.h) and forks for each content, so that a content can
 * neither reach anything nor the examination of the next one. It gets no file: it asks for ranges of
 * bytes, so a large video in a store is examined by a few ranged reads. What it answers is checked field
 * by field (model/facts.h).
 *
 * A content over which the examiner crashes, hangs, passes its limits or answers nonsense is examined
 * once more by a fresh program, and then its facts say GIVEN_UP with the reason: that asset fails, and
 * nothing else. A program that is missing or cannot be started is no fact about a content: that is an
 * error, MS_UNAVAILABLE, and whoever asked decides.
 *
 * Threads: any. Lifecycle: ms_prober_new() -> ms_prober_submit()* -> ms_prober_free().
 */
#ifndef MS_PROBE_PROBER_H
#define MS_PROBE_PROBER_H

#include "model/facts.h"

struct ms_prober;

struct ms_prober_options {
    const char *program;   /* absolute path of msasset-probe */
    const char *argument;  /* tests: the liar's part; NULL: none */
    unsigned threads;      /* 0: 2 */
    unsigned contents_max; /* examined by one program before a fresh one; 0: 1000 */
    uint64_t reads_max;    /* of one content; 0: 20000 */
    int64_t wait_ms;       /* for the program over one content, reads not counted; 0: 60 s */
};
MS_NODISCARD enum ms_code ms_prober_new(const struct ms_prober_options *options,
                                        struct ms_prober **ret_prober, struct ms_error *reterr);
/* Needs: no request outstanding. NULL is fine. */
void ms_prober_free(struct ms_prober *prober);

struct ms_probe_request {
    /* the caller's */
    uint64_t size;
    /* Exactly n bytes at offset, offset + n <= size, on a thread of the prober; may wait. */
    enum ms_code (*read)(struct ms_probe_request *request, uint64_t offset, void *into, size_t n,
                         struct ms_error *reterr);
    void (*done)(struct ms_probe_request *request); /* on a thread of the prober */
    void *priv;
    /* filled in. Errors: what read said; MS_UNAVAILABLE the program cannot be started; MS_NO_MEMORY. */
    enum ms_code code;
    struct ms_error error;
    struct ms_facts_record facts; /* MS_OK: whole, whatever its outcome */
    uint64_t reads;               /* how many ranges it took */
    /* the prober's */
    struct ms_probe_request *next;
    struct ms_probe_gate *gate; /* of ms_prober_run */
};
void ms_prober_submit(struct ms_prober *prober, struct ms_probe_request *request);
/* The blocking form; done is its own. request->code. */
MS_NODISCARD enum ms_code ms_prober_run(struct ms_prober *prober, struct ms_probe_request *request,
                                        struct ms_error *reterr);

/* Where msasset-probe lies: beside the running program, else where it is installed. */
void ms_prober_program(char ret_path[4096]);

#endif
