/* msasset-probe: examines contents for msasset, which starts it and speaks to it over descriptor 3. */
#include "probe/confine.h"
#include "probe/examine.h"
#include "probe/shut.h"
#include "probe/wait.h"
#include "probe/wire.h"

#include <libavutil/log.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A picture of one grey pixel. */
static const uint8_t pixel[] = {
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48,
    0x44, 0x52, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00, 0x00, 0x00,
    0x00, 0x3a, 0x7e, 0x9b, 0x55, 0x00, 0x00, 0x00, 0x0a, 0x49, 0x44, 0x41, 0x54, 0x78,
    0x9c, 0x63, 0x60, 0x00, 0x00, 0x00, 0x02, 0x00, 0x01, 0x48, 0xaf, 0xa4, 0x71, 0x00,
    0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};

/* What an examination does for the first time (symbols, tables) is done before the forks, so that they
 * need not do it again each. */
static void warm_up(void) {
    struct ms_probe_source source = {.fd = -1, .memory = pixel, .size = sizeof pixel};
    struct ms_facts_record facts;

    ms_examine(&source, &facts);
    ms_probe_source_fini(&source);
}

static bool ready(void *priv) {
    struct ms_shut **shut = priv;

    av_log_set_level(AV_LOG_QUIET);
    warm_up();
    *shut = ms_shut_in();
    return *shut != NULL && ms_shut_holds(*shut);
}

static bool answer(int fd, const struct ms_facts_record *facts) {
    uint8_t record[MS_PROBE_FACTS_MAX], head[MS_PROBE_HEAD_BYTES];
    struct ms_writer w = ms_writer_on(record, sizeof record);

    ms_facts_encode(facts, &w);
    ms_probe_head_encode(&(struct ms_probe_head){MS_PROBE_FACTS, 0, (uint32_t)w.len}, head);
    return !w.failed && ms_probe_put(fd, head, sizeof head) && ms_probe_put(fd, record, w.len);
}

static void examine(void *priv, int fd) {
    struct ms_shut **shut = priv;
    struct ms_facts_record facts;
    uint8_t size[8];
    struct ms_probe_source source = {.fd = fd};

    if (!ms_shut_in_examiner(*shut) || !ms_probe_get(fd, size, sizeof size))
        _exit(2);
    source.size = ms_probe_u64_decode(size);
    ms_examine(&source, &facts);
    if (!answer(fd, &facts))
        _exit(3);
}

int main(int argc, char **argv) {
    struct ms_shut *shut = NULL;
    const struct ms_probe_waiter waiter = {ready, examine, &shut};
    int type = 0;
    socklen_t n = sizeof type;

    if (argc > 2 && strcmp(argv[1], MS_CONFINE_WORD) == 0)
        return ms_confine(argc - 2, argv + 2, false);
    if (argc > 2 && strcmp(argv[1], MS_CONFINE_OFFICE_WORD) == 0)
        return ms_confine(argc - 2, argv + 2, true);
    if (argc > 1 || getsockopt(MS_PROBE_CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &n) != 0) {
        fprintf(stderr,
                "msasset-probe examines contents for msasset, which starts it by itself.\n");
        return 64;
    }
    return ms_probe_wait(MS_PROBE_CONTROL_FD, &waiter);
}
