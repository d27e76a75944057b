# The disk cache on real mounts: served without the store, kept over restarts and kills, one mount at a time, refused
# folders, its limit, a disk that is full, removed, or harmed.
. "$(dirname "$0")/lib.sh"

new_store
mnt=$work/mnt cache=$work/cache objects=$MSASSET_STORE/objects

stat_of() { sed -n "s/^disk_cache_$1 //p" "$mnt/.msasset/stats"; }
taken() { du -s --block-size=1 "$cache" | cut -f1; } # what the disk gives to it
is() { [ "$(stat_of "$1")" "$2" "$3" ]; }
# A mount whose memory and kernel caches are cold; its log goes to a file.
cold_mount() { # [OPTIONS]
    mkdir -p "$mnt"
    drop_caches
    "$MSASSET" mount media "$mnt" --cache-dir "$cache" "$@" 2>"$work/err"
    mounts+=("$mnt")
}

head -c 20000000 /dev/urandom >"$work/a.bin"
head -c 3000001 /dev/urandom >"$work/b.bin"
cold_mount --cache-size 128M
mkdir "$mnt/d"
cp "$work/a.bin" "$work/b.bin" "$mnt/d/"
umount_from "$mnt"
equals "nothing is said when all is well" "" "$(cat "$work/err")"
equals "the folder is its owner's" 700 "$(stat -c %a "$cache")"

# Read once, and then again from a mount whose store is gone.
# A block is not cached when the disk is slower than the store: read until all are.
for try in $(seq 30); do
    cold_mount --cache-size 128M
    check "read $try" cmp "$work/a.bin" "$mnt/d/a.bin"
    check "read $try of the other" cmp "$work/b.bin" "$mnt/d/b.bin"
    misses=$(stat_of misses)
    umount_from "$mnt"
    [ "$misses" -gt 0 ] || break
done
cold_mount --cache-size 128M
mv "$objects" "$objects.away"
check "read without the store" cmp "$work/a.bin" "$mnt/d/a.bin"
check "the other one, too" cmp "$work/b.bin" "$mnt/d/b.bin"
equals "all of it came from the disk" 0 "$(stat_of misses)"
comes "hits are counted" is hit_bytes -ge 23000001
mv "$objects.away" "$objects"

# A second mount with the same folder goes on without it and says so.
mkdir "$work/second"
check "the second mount starts" "$MSASSET" mount media "$work/second" --cache-dir "$cache"
mounts+=("$work/second")
equals "and says so" 1 "$(grep -c "another mount uses the disk cache" "$work/check.out")"
check "and reads" cmp "$work/a.bin" "$work/second/d/a.bin"
equals "without the cache" "disk_cache_on 0" "$(grep disk_cache_on "$work/second/.msasset/stats")"
umount_from "$work/second"

# kill -9: what is there is there.
kill_mount "$mnt"
cold_mount --cache-size 128M
mv "$objects" "$objects.away"
check "read without the store after a kill" cmp "$work/a.bin" "$mnt/d/a.bin"
mv "$objects.away" "$objects"
umount_from "$mnt"

# Harmed files: never a wrong byte.
python3 - "$cache" <<'PY'
import os, random, sys
for name, harm in (("blocks", 2000), ("index", 50)):
    with open(os.path.join(sys.argv[1], name), "r+b", buffering=0) as f:
        size = os.fstat(f.fileno()).st_size
        at = 0
        for _ in range(harm):
            # Only where there are data: the file is sparse.
            try:
                at = os.lseek(f.fileno(), random.randrange(size), os.SEEK_DATA)
            except OSError:
                continue
            f.seek(at)
            byte = f.read(1)
            f.seek(at)
            f.write(bytes([byte[0] ^ 64]))
PY
cold_mount --cache-size 128M
check "read over a harmed cache" cmp "$work/a.bin" "$mnt/d/a.bin"
check "the harm was seen" is misses -gt 0
truncate -s 5M "$cache/blocks"
truncate -s 100 "$cache/index"
drop_caches
check "read over a cache cut short" cmp "$work/b.bin" "$mnt/d/b.bin"

# Its limit holds, whatever is read; the limit can be changed.
umount_from "$mnt"
cold_mount --cache-size 64M
for i in 1 2 3 4; do head -c 20000000 /dev/urandom >"$mnt/d/$i.bin"; done
for i in 1 2 3 4; do
    cat "$mnt/d/$i.bin" >/dev/null
    checks=$((checks + 1))
    [ "$(taken)" -le $((64 << 20)) ] || { failures=$((failures + 1)); echo "FAILED: the cache takes $(taken) bytes"; }
done
comes "blocks were stored" is stored -gt 0

# The folder goes away underneath: reads go on, and it is made again.
rm -rf "$cache"
drop_caches
check "read without the folder" cmp "$work/a.bin" "$mnt/d/a.bin"
comes "the cache is off" is on -eq 0
check "read while it is off" cmp "$work/b.bin" "$mnt/d/b.bin"
umount_from "$mnt"

# A disk too small for it: tmpfs of 24 MiB, limit 1 GiB. It keeps its reserve, and shrinks for others.
if mkdir -p "$work/tiny" && mount -t tmpfs -o size=24m tmpfs "$work/tiny" 2>/dev/null; then
    trap 'umount -l "$work/tiny" 2>/dev/null; cleanup' EXIT
    cache=$work/tiny/cache
    cold_mount --cache-size 1G
    for i in 1 2 3; do check "read over a small disk" cmp <(cat "$mnt/d/$i.bin") "$mnt/d/$i.bin"; done
    comes "some was stored" is stored -gt 4
    check "5 % are left" [ "$(df --output=avail -B1 "$work/tiny" | tail -n 1)" -ge 1200000 ]
    before=$(taken)
    head -c $(($(df --output=avail -B1 "$work/tiny" | tail -n 1) - 600000)) /dev/zero >"$work/tiny/others"
    comes "it gives back what others need" sh -c \
        "[ \$(df --output=avail -B1 '$work/tiny' | tail -n 1) -ge 1200000 ] && [ \$(du -s --block-size=1 '$cache' | cut -f1) -lt $before ]"
    check "and goes on" cmp "$work/a.bin" "$mnt/d/a.bin"
    # Full to the last byte.
    cat /dev/zero >"$work/tiny/others" 2>/dev/null || true
    check "read with a full disk" cmp "$work/b.bin" "$mnt/d/b.bin"
    comes "the cache is all gone" sh -c "[ \$(du -s --block-size=1 '$cache' | cut -f1) -lt 300000 ]"
    umount_from "$mnt"
    cache=$work/cache
fi

# What is refused, and why.
mkdir -p "$work/photos" && touch "$work/photos/one.jpg"
refuses "a folder with other things" "one.jpg.*folder of its own" "$MSASSET" mount media "$mnt" --cache-dir "$work/photos"
refuses "a folder in the mount itself" "lies in the mount" "$MSASSET" mount media "$mnt" --cache-dir "$mnt/cache"
refuses "a size below the least" "cache-size.*64M" "$MSASSET" mount media "$mnt" --cache-dir "$cache" --cache-size 1M
cold_mount && umount_from "$mnt"
MSASSET_STORE=$work/store2 "$MSASSET" init -q
MSASSET_STORE=$work/store2 "$MSASSET" tenant add media -q
refuses "the cache of another store" "another store" env MSASSET_STORE="$work/store2" "$MSASSET" mount media "$mnt" \
    --cache-dir "$cache"
check "a folder that cannot be made is no reason not to mount" "$MSASSET" mount media "$mnt" --cache-dir "$work/no/such"
equals "it is said" 1 "$(grep -c "cannot make the disk cache" "$work/check.out")"
mounts+=("$mnt")
check "and reads go on" cmp "$work/a.bin" "$mnt/d/a.bin"
umount_from "$mnt"

# From the environment, and a path relative to where the user is.
cd "$work"
check "relative" "$MSASSET" mount media "$mnt" --cache-dir cache
check "it is on" is on -eq 1
umount_from "$mnt"
MSASSET_CACHE_DIR=$cache check "from the environment" "$MSASSET" mount media "$mnt"
check "it is on" is on -eq 1
umount_from "$mnt"
store_is_whole
