#!/bin/sh
# Provides containerd, runc, the CNI plugins and busybox of a real node and prints the folder that holds them.
#
# They come from the distribution's packages, unpacked and not installed, so that the machine stays as it is.
# The folder is kept: a second run has nothing to do.
set -eu

packages="containerd runc libseccomp2 containernetworking-plugins busybox-static"
key=$( (echo "$packages"; cat /etc/os-release; uname -m) 2>/dev/null | cksum | tr ' ' -)
node=${TASKBATCH_NODE:-${XDG_CACHE_HOME:-$HOME/.cache}/taskbatch/node-$key}
if [ -e "$node/.complete" ]; then
    echo "$node"
    exit
fi

for program in apt-get dpkg; do
    if ! command -v "$program" >/dev/null 2>&1; then
        echo "there is no $program to get containerd and runc with" >&2
        exit 1
    fi
done

mkdir -p "$node"
if command -v flock >/dev/null 2>&1; then
    exec 9>"$node/.lock"
    flock 9
fi
if [ ! -e "$node/.complete" ]; then
    cd "$node"
    # A new machine has no lists of packages yet, an old one has names in them that are gone.
    # shellcheck disable=SC2086 # The packages are separate words.
    apt-get -qq download $packages 2>/dev/null ||
        { apt-get -qq update && apt-get -qq download $packages; } >&2
    for package in *.deb; do
        dpkg -x "$package" .
    done
    rm -f ./*.deb
    touch .complete
fi
echo "$node"
