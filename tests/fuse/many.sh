# Two mounts and the command on one store at once, eight writers: no error, every acknowledged file is right through
# the other mount, and every counter equals its recomputation.
#
#   many.sh [SECONDS]      default 8; the long campaign asks for 60
. "$(dirname "$0")/lib.sh"

seconds=${1:-8}
new_store 20G
a=$work/a b=$work/b
mount_on "$a"
mount_on "$b"
mkdir "$a/work"

# One writer of mixed work in a folder of its own, checked through the other mount.
writer() { # NUMBER OWN OTHER
    local dir=work/w$1 n=0 end=$((SECONDS + seconds))
    mkdir "$2/$dir"
    while ((SECONDS < end)); do
        local f=$dir/f$((n % 40))
        head -c $((RANDOM * 4)) /dev/urandom >"$work/w$1.src"
        cp "$work/w$1.src" "$2/$f" || echo "cp $f" >>"$work/errors"
        cmp -s "$work/w$1.src" "$3/$f" || echo "the other mount differs: $f" >>"$work/errors"
        ln "$2/$f" "$2/$f.link" && mv "$2/$f.link" "$2/$f.moved" && rm "$2/$f.moved" || echo "links $f" >>"$work/errors"
        chmod 640 "$2/$f" && setfattr -n user.note -v "$n" "$2/$f" || echo "attributes $f" >>"$work/errors"
        ((n % 7 == 6)) && { rm "$2/$f" || echo "rm $f" >>"$work/errors"; }
        n=$((n + 1))
    done
    echo "$n" >>"$work/ops"
}
putter() { # NUMBER
    local n=0 end=$((SECONDS + seconds))
    while ((SECONDS < end)); do
        head -c $((RANDOM * 2)) /dev/urandom >"$work/p$1.bin"
        "$MSASSET" put -q --replace "$work/p$1.bin" "files/p$1-$((n % 10)).bin" || echo "put $n" >>"$work/errors"
        cmp -s "$work/p$1.bin" "$a/files/p$1-$((n % 10)).bin" || echo "mount differs after put $n" >>"$work/errors"
        n=$((n + 1))
    done
    echo "$n" >>"$work/ops"
}
touch "$work/errors" "$work/ops"
for w in 1 2 3; do writer $w "$a" "$b" & done
for w in 4 5 6; do writer $w "$b" "$a" & done
putter 7 &
putter 8 &
wait
equals "errors" "" "$(head -n 20 "$work/errors")"
check "the mounts show the same tree" diff -r "$a/work" "$b/work"
echo "$(awk '{n += $1} END {print n}' "$work/ops") rounds of work by 8 writers in $seconds s"
equals "every writer worked" 8 "$(awk '$1 > 0' "$work/ops" | wc -l)"
store_is_whole
umount_from "$a"
umount_from "$b"
store_is_settled
