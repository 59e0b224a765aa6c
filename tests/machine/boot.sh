# Boots the systemd of this machine as process 1 of a machine of its own: boot.sh FOLDER BINARIES
#
# Processes, mounts, control groups and names are its own; the network is this machine's. Its root is a file system in memory: of
# the real one it sees programs, libraries and devices, and can write nothing but FOLDER/shared. What systemd would do to a real
# machine at boot (clean /tmp, set up devices) is masked, and would hit the memory alone.
set -e
folder=$1 binaries=$2 root=$1/root groups=/sys/fs/cgroup
mkdir -p "$root" "$folder/shared"
name=$(basename "$folder")
join() {
    mkdir -p "$1/$name"
    echo $$ >"$1/$name/cgroup.procs"
}
if [ -d $groups/systemd ]; then
    join $groups/systemd
    [ ! -d $groups/unified ] || join $groups/unified
else
    join $groups
fi
export folder binaries root groups
exec unshare --mount --pid --cgroup --uts --ipc --fork --kill-child=KILL sh -c '
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$root"
cd "$root"
mkdir -p usr etc proc sys run tmp var/lib var/log var/tmp dev home root srv old ".$folder/shared" ".$binaries"
chmod 1777 tmp var/tmp
ln -s ../run var/run
for link in bin sbin lib lib32 lib64 libx32; do
    if [ -L /$link ]; then cp -P /$link .; elif [ -d /$link ]; then mkdir $link; mount --rbind /$link $link; fi
done
mount --rbind /usr usr
mount -o remount,bind,ro usr
mount --bind "$folder/shared" ".$folder/shared"
mount --bind "$binaries" ".$binaries"
mount -o remount,bind,ro ".$binaries"
mount -t proc proc proc
for file in passwd group shadow nsswitch.conf ld.so.cache ld.so.conf ld.so.conf.d pam.d security login.defs dbus-1 hosts \
    services protocols localtime alternatives; do
    [ ! -e /etc/$file ] || cp -a /etc/$file etc/
done
echo 0123456789abcdef0123456789abcdef >etc/machine-id
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
    : >dev/$device
    mount --bind /dev/$device dev/$device
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount --rbind /sys sys
umount -R sys/fs/cgroup || umount -l sys/fs/cgroup
mount -o remount,bind,ro sys
if [ -d $groups/systemd ]; then
    mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
    mkdir sys/fs/cgroup/systemd
    mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
    if [ -d $groups/unified ]; then
        mkdir sys/fs/cgroup/unified
        mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
    fi
else
    mount -t cgroup2 cgroup2 sys/fs/cgroup
fi
mount -t tmpfs -o mode=755 tmpfs run
units=etc/systemd/system
mkdir -p $units etc/systemd/user
mask() { ln -sf /dev/null "$units/$1"; }
for unit in usr/lib/systemd/system/*.target.wants/*; do
    case ${unit##*/} in
        dbus.* | systemd-journald* | systemd-logind.service | systemd-user-sessions.service) ;;
        *.target | *\*) ;;
        *) mask "${unit##*/}" ;;
    esac
done
for unit in systemd-tmpfiles-setup systemd-tmpfiles-setup-dev systemd-tmpfiles-clean systemd-remount-fs systemd-udevd \
    systemd-random-seed systemd-journal-flush systemd-sysusers systemd-update-utmp console-getty; do
    mask $unit.service
done
pivot_root . old
umount -l /old
# As every machine is that is no container: systemd hands credentials on through it.
mount --make-rshared /
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --unit=multi-user.target --log-target=journal --show-status=no
'
