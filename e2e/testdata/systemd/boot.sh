#!/bin/sh
# Boots the real systemd as the first process of namespaces of its own, over a throwaway copy of this machine's files.
#   boot.sh DIR: DIR has greenroom (the program), greenroom.service and greenroom.yaml; what runs in it keeps nothing outside of DIR
#   boot.sh DIR inside: what the first call runs
set -eu
dir=$1
if [ $# -eq 1 ]; then
  mount --make-rprivate /
  mkdir "$dir/cgroup"
  mount -t cgroup2 none "$dir/cgroup"
  mkdir "$dir/cgroup/greenroom-test-$$"
  echo $$ >"$dir/cgroup/greenroom-test-$$/cgroup.procs"
  exec unshare --mount --pid --fork --kill-child --cgroup --uts --ipc sh "$0" "$dir" inside
fi
mkdir "$dir/disk"
mount -t tmpfs -o size=2g none "$dir/disk"
mkdir "$dir/disk/upper" "$dir/disk/work" "$dir/disk/root"
mount -t overlay -o "lowerdir=/,upperdir=$dir/disk/upper,workdir=$dir/disk/work" none "$dir/disk/root"
root=$dir/disk/root
mount -t proc none "$root/proc"
mount -t sysfs -o ro none "$root/sys"
mount -t tmpfs none "$root/run"
mount -t tmpfs -o mode=1777 none "$root/tmp"
mount --rbind /dev "$root/dev"
mount -t tmpfs none "$root/sys/fs"
mkdir "$root/sys/fs/cgroup" "$root/etc/greenroom" "$root/oldroot"
mount -t cgroup2 none "$root/sys/fs/cgroup"
install -m 755 "$dir/greenroom" "$root/usr/local/bin/greenroom"
install -m 644 "$dir/greenroom.yaml" "$root/etc/greenroom/greenroom.yaml"
install -m 644 "$dir/greenroom.service" "$root/etc/systemd/system/greenroom.service"
printf '[Unit]\nDescription=greenroom alone\n' >"$root/etc/systemd/system/greenroom-alone.target"
cd "$root"
pivot_root . oldroot
umount -l /oldroot
exec env -i container=unshare PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /usr/lib/systemd/systemd --system --unit=greenroom-alone.target --log-target=console --show-status=no
