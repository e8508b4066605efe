#!/bin/sh
# A machine to try entries on that is thrown away: this one, with everything that is written kept in memory (an overlay
# over /), in namespaces of its own. Nothing of it is left, and nothing here is touched.
#
#   machine.sh FOLDER COMMAND...     FOLDER is empty; the command runs as root, with / being the copy
set -eu
if [ "${1:-}" != within ]; then
    exec unshare --mount --pid --fork --kill-child --propagation private "$0" within "$@"
fi
shift
folder=$1
shift
mount -t tmpfs tmpfs "$folder"
mkdir "$folder/new" "$folder/work" "$folder/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/new,workdir=$folder/work" "$folder/root"
root=$folder/root
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"

# A service with a script and no systemd.
cat > "$root/etc/init.d/chiffon-trial" <<'END'
#!/bin/sh
### BEGIN INIT INFO
# Provides:          chiffon-trial
# Required-Start:
# Required-Stop:
# Default-Start:     2 3 4 5
# Default-Stop:
# Short-Description: Sleeps
### END INIT INFO
pid=/run/chiffon-trial.pid
runs() { [ -e $pid ] && kill -0 "$(cat $pid)" 2>/dev/null; }
case $1 in
    start) runs || { sleep 1000 > /dev/null 2>&1 < /dev/null & echo $! > $pid; } ;;
    stop) ! runs || { kill "$(cat $pid)"; rm -f $pid; } ;;
    restart) $0 stop; $0 start ;;
    status) if runs; then echo "chiffon-trial runs"; else echo "chiffon-trial is stopped"; exit 3; fi ;;
    *) exit 2 ;;
esac
END
chmod 755 "$root/etc/init.d/chiffon-trial"

# A user with a home.
echo 'chiffon-trial:x:23456:23456::/home/chiffon-trial:/bin/sh' >> "$root/etc/passwd"
echo 'chiffon-trial:x:23456:' >> "$root/etc/group"
mkdir -p "$root/home/chiffon-trial"
chown 23456:23456 "$root/home/chiffon-trial"

# Something that stands for cron: the entry writes its table, and looks only whether there is one.
[ -e "$root/usr/sbin/cron" ] || cp "$root/bin/true" "$root/usr/sbin/cron"

# A package in two versions, from an archive in a folder: no network.
rm -rf "$root/etc/apt/sources.list" "$root/etc/apt/sources.list.d" "$root"/var/lib/apt/lists/*
mkdir -p "$root/etc/apt/sources.list.d" "$root/srv/archive" "$root/var/lib/apt/lists/partial"
# Old lists, so that the new ones are fetched.
rm -f "$root/var/lib/apt/periodic/update-success-stamp"
touch --date '3 days ago' "$root/var/lib/apt/lists"
for version in 1 2; do
    build=$root/srv/build-$version
    mkdir -p "$build/DEBIAN" "$build/usr/share/chiffon-trial"
    echo "$version" > "$build/usr/share/chiffon-trial/version"
    printf 'Package: chiffon-trial\nVersion: %s\nArchitecture: all\nMaintainer: Chiffon <chiffon@example.org>\nDescription: For a trial\n' \
        "$version" > "$build/DEBIAN/control"
    dpkg-deb --root-owner-group --build "$build" "$root/srv/archive/chiffon-trial_$version.deb" > /dev/null
    (
        cat "$build/DEBIAN/control"
        echo "Filename: ./chiffon-trial_$version.deb"
        echo "Size: $(stat -c %s "$root/srv/archive/chiffon-trial_$version.deb")"
        echo "SHA256: $(sha256sum < "$root/srv/archive/chiffon-trial_$version.deb" | cut -d' ' -f1)"
        echo
    ) >> "$root/srv/archive/Packages"
done
echo 'deb [trusted=yes] file:/srv/archive ./' > "$root/etc/apt/sources.list.d/trial.list"
chroot "$root" dpkg --install /srv/archive/chiffon-trial_1.deb > /dev/null

exec chroot "$root" "$@"
