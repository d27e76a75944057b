/* examine.c — the parsing entry of msasset-probe for libFuzzer or AFL: any bytes give facts that hold.
 *
 *   with clang and -DMS_FUZZ=ON   fuzz_examine CORPUS...      libFuzzer with AddressSanitizer and UBSan
 *   else                          fuzz_examine FILE...        each file once: to repeat a finding */
#include "probe/examine.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct ms_probe_source source = {.fd = -1, .memory = data, .size = n};
    struct ms_facts_record facts;

    ms_examine(&source, &facts);
    ms_probe_source_fini(&source);
    if (ms_facts_broken(&facts)) {
        fprintf(stderr, "facts do not hold: %s\n", ms_facts_broken(&facts));
        abort();
    }
    return 0;
}

#ifndef MS_FUZZ
int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        size_t n = 0, room = (size_t)64 << 20;
        uint8_t *bytes = malloc(room);

        if (!file || !bytes)
            return 2;
        n = fread(bytes, 1, room, file);
        fclose(file);
        (void)LLVMFuzzerTestOneInput(bytes, n);
        free(bytes);
    }
    return 0;
}
#endif
