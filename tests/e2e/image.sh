#!/bin/sh
# Builds the image of the Dockerfile with docker or buildah, whichever works, and saves it as the archive $1.
set -eu

archive=$1
cd "$(dirname "$0")/../.."
image=taskbatch/taskbatch:$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

say() { echo "tests/e2e/image.sh: $*" >&2; }

mkdir -p "$(dirname "$archive")"
if docker info >/dev/null 2>&1; then
    say "docker builds $image"
    docker build --tag "$image" . >&2
    docker save --output "$archive" "$image"
elif command -v buildah >/dev/null 2>&1; then
    say "buildah builds $image"
    buildah build --tag "$image" . >&2
    rm -f "$archive" # buildah does not write over an archive.
    buildah push "$image" "docker-archive:$archive:docker.io/$image" >&2
else
    say "there is neither a docker that answers nor buildah"
    exit 1
fi
