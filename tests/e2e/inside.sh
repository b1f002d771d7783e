#!/bin/sh
# Runs a command on a ground of its own, for a real node: inside.sh FOLDER PACKAGES COMMAND...
#
# To be started by `unshare --mount --net --pid --fork --mount-proc`. Whatever the node does to mounts, network and
# processes then ends with this script, however it ends, and port 443 and the bridge disturb nobody. This shell is
# process 1 there, so that it also buries what containerd leaves behind.
set -eu

folder=$1 packages=$2
shift 2

# The memory of the machine holds what the node stores.
mkdir -p "$folder/node"
mount -t tmpfs tmpfs "$folder/node"
mount -t tmpfs tmpfs /run
# Kubelet and plugins also write below /var, at places that no flag changes.
mkdir "$folder/node/var" "$folder/node/work"
mount -t overlay -o "lowerdir=/var,upperdir=$folder/node/var,workdir=$folder/node/work" overlay /var

# The kubelet sets these for the whole machine. Here it finds files that have its values already.
for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
    kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
    path=/proc/sys/${setting%=*}
    [ -e "$path" ] || continue
    file=$folder/node/$(basename "$path")
    echo "${setting#*=}" >"$file"
    mount --bind "$file" "$path"
done

export PATH="$packages/usr/sbin:$packages/usr/bin:$packages/bin:$PATH"
LD_LIBRARY_PATH=$(dirname "$(find "$packages/usr/lib" -name 'libseccomp.so.2')")
export LD_LIBRARY_PATH

# The first address of the services, where pods look for the API server, and the address of the node.
busybox ip link set lo up
busybox ip address add 10.0.0.1/32 dev lo
busybox ip address add 10.0.1.1/32 dev lo
# What the network plugin is going to do.
busybox ip link add trial type bridge
busybox ip link delete trial

"$@"
exit
