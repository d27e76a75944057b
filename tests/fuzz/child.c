/* child.c — mutated contents through the child process: whatever they are, the gateway's side gets facts that hold, and
 * lives.
 *
 *   fuzz_child PROGRAM ROUNDS SEED-FILE...    MS_TEST_SEED repeats a run */
#include "support/test.h"

#include "base/scope.h"
#include "probe/prober.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct content {
    uint8_t *bytes;
    size_t n;
};

static enum ms_code read_content(struct ms_probe_request *r, uint64_t offset, void *into, size_t n,
                                 struct ms_error *reterr) {
    const struct content *c = r->priv;

    (void)reterr;
    if (offset > c->n || n > c->n - offset)
        abort();
    memcpy(into, c->bytes + offset, n);
    return MS_OK;
}

static size_t below(struct ms_random *rnd, size_t n) { return (size_t)ms_random_below(rnd, n); }

/* A piece of one content at a place of another. */
static void splice(struct ms_random *rnd, struct content *c, const struct content *other) {
    size_t n = 1 + below(rnd, other->n < c->n ? other->n : c->n);

    memmove(c->bytes + below(rnd, c->n - n + 1), other->bytes + below(rnd, other->n - n + 1), n);
}

static void one_change(struct ms_random *rnd, struct content *c, const struct content *other) {
    static const uint8_t odd[] = {0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff};
    size_t at =
        below(rnd, below(rnd, 3) ? (c->n < 1024 ? c->n : 1024) : c->n); /* heads more often */

    switch (below(rnd, 6)) {
    case 0:
        c->bytes[at] ^= (uint8_t)(1u << below(rnd, 8));
        break;
    case 1:
        c->bytes[at] = odd[below(rnd, MS_ARRAY_LEN(odd))];
        break;
    case 2:
        for (size_t i = at; i < c->n && i < at + 4; i++)
            c->bytes[i] = odd[below(rnd, MS_ARRAY_LEN(odd))];
        break;
    case 3:
        c->n = 1 + below(rnd, c->n);
        break;
    case 4:
        splice(rnd, c, other);
        break;
    default:
        ms_random_fill(rnd, c->bytes + at, c->n - at < 16 ? c->n - at : 16);
        break;
    }
}

static struct content load(const char *path) {
    struct content c;

    c.bytes = (uint8_t *)ms_test_read_file(path, &c.n);
    return c;
}

int main(int argc, char **argv) {
    struct ms_prober_options options = {.program = argc > 3 ? argv[1] : "", .threads = 1};
    unsigned rounds = argc > 3 ? ms_test_rounds((unsigned)strtoul(argv[2], NULL, 10)) : 0;
    unsigned outcomes[MS_FACTS_OUTCOME_COUNT] = {0};
    struct ms_random_seeded rnd;
    struct ms_prober *prober;
    struct ms_error err;

    if (rounds == 0 || ms_prober_new(&options, &prober, &err) != MS_OK)
        return 2;
    ms_random_seeded_init(&rnd, ms_test_seed());
    for (unsigned i = 0; i < rounds; i++) {
        struct content c = load(argv[3 + below(&rnd.random, (size_t)argc - 3)]);
        struct content other = load(argv[3 + below(&rnd.random, (size_t)argc - 3)]);
        struct ms_probe_request request = {.read = read_content, .priv = &c};

        for (size_t k = 1 + below(&rnd.random, 12); k > 0; k--)
            one_change(&rnd.random, &c, &other);
        request.size = c.n;
        if (ms_prober_run(prober, &request, &err) != MS_OK || ms_facts_broken(&request.facts)) {
            fprintf(stderr, "round %u: %s\n", i,
                    request.code ? err.message : ms_facts_broken(&request.facts));
            return 1;
        }
        outcomes[request.facts.outcome]++;
        if (request.facts.outcome == MS_FACTS_GIVEN_UP)
            printf("round %u: %s\n", i, request.facts.reason);
        free(c.bytes);
        free(other.bytes);
    }
    printf("%u contents: %u read, %u unreadable, %u given up\n", rounds, outcomes[MS_FACTS_READ],
           outcomes[MS_FACTS_UNREADABLE], outcomes[MS_FACTS_GIVEN_UP]);
    ms_prober_free(prober);
    ms_random_seeded_fini(&rnd);
    return 0;
}
