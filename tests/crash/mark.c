/* mark WORDS... — one line on standard output by write(2), for workloads that are scripts: the recorder does not see
 * what a shell's echo writes. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
    char line[1024] = "";
    size_t n = 0;

    for (int i = 1; i < argc && n + strlen(argv[i]) + 2 < sizeof line; i++)
        n += (size_t)snprintf(line + n, sizeof line - n, "%s%s", i > 1 ? " " : "", argv[i]);
    line[n++] = '\n';
    return write(STDOUT_FILENO, line, n) == (ssize_t)n ? 0 : 1;
}
