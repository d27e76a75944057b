#!/bin/bash
# two.sh DIR OPERATIONS THREADS: two processes write to one store at once; both must end well.
bin=$MS_BINARY_DIR/tests/crash
"$bin/store_run" "$1" "$2" "$3" &
"$bin/store_run" "$1" "$2" "$3" && wait $!
