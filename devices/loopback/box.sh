#!/bin/sh
# Turns fresh mount, PID, network, UTS and IPC namespaces into a phone; runs as their first process.
#
#   box.sh ROOT DATA IDENTITY HOSTNAME ANDROID MARKER
#
# ANDROID is a folder (installation.py) on a phone that follows a scenario, else '-'.
# Nothing mounted here is seen outside: the namespace's mounts are private and go with it.
set -eu
root=$1 data=$2 identity=$3 hostname=$4 android=$5 marker=$6

echo "$hostname" >/proc/sys/kernel/hostname
mount --bind "$root" "$root"
mount --bind -o nosuid,nodev "$data" "$root/data"
mount -o remount,bind,nosuid,nodev "$root/data"
mount --bind "$identity" "$root/etc/pocketnas-loopback"
mount -o remount,bind,ro "$root/etc/pocketnas-loopback"
# Debian's su would wait for a password; a phone without root has none.
mount --bind /dev/null "$root/usr/bin/su"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t tmpfs -o nosuid,mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o nosuid,mode=755 tmpfs "$root/run"
if [ "$android" != - ]; then
  mkdir "$root/run/android"
  mount --bind "$android" "$root/run/android"
  mount -o remount,bind,ro,nosuid,nodev "$root/run/android"
fi
mount -t tmpfs -o nosuid,noexec,mode=755 tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o nosuid,noexec,newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
mount -t tmpfs -o nosuid,nodev,noexec,mode=1777 tmpfs "$root/dev/shm"
for device in null zero full random urandom tty; do
  : > "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -o remount,bind,ro "$root"

# The old root goes away altogether, so that no path leads back to this computer's files.
cd "$root"
pivot_root . mnt
umount -l /mnt

# With a scenario, its Android is the phone's root: it mounts the nodes that are simulated and starts
# adbd, without privileges just as below. No path to it is open to the shell but its commands.
if [ "$android" != - ]; then
  exec env -i PATH=/usr/sbin:/usr/bin /bin/sh -c '/usr/bin/python3 -IS -c "
import sys
sys.path.insert(0, \"/run/android/lib\")
from devices.loopback.android_daemon import main
sys.exit(main())" >/data/android.log 2>&1 </dev/null &
    wait $!' "$marker"
fi

# adbd gives an open shell to whoever connects. As on Android it runs as the user 'shell', with no
# privileges and no way to gain any; the filter keeps its sockets in this network namespace. Its
# parent stays to collect orphans, and ends with it.
exec env -i PATH=/usr/sbin:/usr/bin HOME=/data/local/tmp TMPDIR=/data/local/tmp ADBD_PORT=5555 \
  /bin/sh -c 'setpriv --reuid=2000 --regid=2000 --clear-groups --inh-caps=-all \
      --bounding-set=-all --no-new-privs --seccomp-filter=/etc/pocketnas-sockets.bpf \
      /usr/lib/android-sdk/platform-tools/adbd >/data/adbd.log 2>&1 </dev/null &
    wait $!' "$marker"
