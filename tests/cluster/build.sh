#!/bin/sh
# Provides the programs of a real control plane and prints the folder that holds them.
#
# A program is taken from KUBEBUILDER_ASSETS where it is there, else from the PATH where its version is the one
# that go.mod names, else it is built from source with Go. The folder is named after what it was made from,
# so that a second run has nothing to do and a changed go.mod starts a new folder.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
assets=${KUBEBUILDER_ASSETS:-}
key=$({ cat "$here/go.mod" "$here/go.sum"; printf %s "$assets"; } | cksum | tr ' ' -)
tools=${TASKBATCH_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/taskbatch/$key}
# The oracle is our own and changes more often: its source is not in the name of the folder.
oracle_key=$(cat "$here"/oracle/*.go | cksum)
complete() {
    [ "$(cat "$tools/.complete" 2>/dev/null)" = "$key" ] && [ "$(cat "$tools/.oracle" 2>/dev/null)" = "$oracle_key" ]
}
if complete; then
    echo "$tools"
    exit
fi

say() { echo "tests/cluster/build.sh: $*" >&2; }

# The version of a module in go.mod, with its v.
version_of() { awk -v module="$1" '$1 == module && $2 ~ /^v/ { print $2; exit }' "$here/go.mod"; }
kubernetes=$(version_of k8s.io/kubernetes)
helm=$(version_of helm.sh/helm/v4)
kwok=$(version_of sigs.k8s.io/kwok)
etcd=$(version_of go.etcd.io/etcd/server/v3)

# What the program on the PATH has to say about itself: the same minor version for Kubernetes, whose parts
# are tested together, and the same major version for the others.
on_path() {
    command -v "$1" >/dev/null 2>&1 || return 1
    case $1 in
    kubectl) said=$(kubectl version --client 2>/dev/null) wanted="${kubernetes%.*}." ;;
    kube*r | kubelet) said=$("$1" --version 2>/dev/null) wanted="${kubernetes%.*}." ;;
    etcd) said=$(etcd --version 2>/dev/null) etcd_minor=${etcd#v} wanted="Version: ${etcd_minor%.*}." ;;
    helm) said=$(helm version --short 2>/dev/null) wanted="${helm%%.*}." ;;
    kwok) said=$(kwok --version 2>/dev/null) wanted=${kwok#v} ;;
    *) return 1 ;;
    esac
    case $said in *"$wanted"*) return 0 ;; *) return 1 ;; esac
}

mkdir -p "$tools"
# One builder at a time: two would compile the same 3,000 packages twice.
if command -v flock >/dev/null 2>&1; then
    exec 9>"$tools/.lock"
    flock 9
    if complete; then
        echo "$tools"
        exit
    fi
fi

missing=
for package in $(awk '/^tool \(/ { inside = 1; next } /^\)/ { inside = 0 } inside { print $1 }' "$here/go.mod"); do
    program=${package##*/}
    [ "$program" != v3 ] || program=etcd
    if [ -x "$tools/$program" ] && [ "$(cat "$tools/.complete" 2>/dev/null)" = "$key" ]; then
        :
    elif [ -n "$assets" ] && [ -x "$assets/$program" ]; then
        ln -sf "$assets/$program" "$tools/$program"
    elif on_path "$program"; then
        ln -sf "$(command -v "$program")" "$tools/$program"
    else
        missing="$missing $package"
    fi
done

if [ -n "$missing" ]; then
    if ! command -v go >/dev/null 2>&1; then
        say "needs Go $(awk '$1 == "go" { print $2 }' "$here/go.mod") or newer to build$missing."
        say "Install it from https://go.dev/dl, or name a folder of ready programs in KUBEBUILDER_ASSETS."
        exit 1
    fi
    say "building$missing (once; up to ten minutes on two cores)"
    # Without a version, the API server calls itself v0.0.0-master, which clients cannot parse.
    stamp=k8s.io/component-base/version
    minor=${kubernetes#v1.}
    flags="-s -w -X $stamp.gitVersion=$kubernetes -X $stamp.gitMajor=1 -X $stamp.gitMinor=${minor%%.*}"
    flags="$flags -X helm.sh/helm/v4/internal/version.version=$helm"
    # shellcheck disable=SC2086 # The packages are separate words.
    (cd "$here" && GOFLAGS= GOBIN="$tools" go install -buildvcs=false -trimpath -ldflags "$flags" $missing) >&2
    # Go names a program after its folder, and etcd lives in one called server.
    [ ! -e "$tools/server" ] || mv "$tools/server" "$tools/etcd"
fi

echo "$key" >"$tools/.complete"

if command -v go >/dev/null 2>&1; then
    say "building the oracle"
    (cd "$here" && GOFLAGS= go build -buildvcs=false -trimpath -o "$tools/oracle" ./oracle) >&2
    echo "$oracle_key" >"$tools/.oracle"
else
    say "without Go there is no oracle, and the tests that ask it fail"
fi
echo "$tools"
