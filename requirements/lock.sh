#!/bin/sh
# Resolve pyproject.toml again, with hashes and without the address of any index.
set -eu
$PIP install pip-tools
compile() {
    "$BIN/pip-compile" --quiet --generate-hashes --strip-extras --allow-unsafe --no-header \
        --no-emit-index-url --no-emit-find-links --no-emit-trusted-host "$@"
}
for name in runtime install dev; do
    extra=
    [ "$name" = install ] && extra="--extra build"
    [ "$name" = dev ] && extra="--extra dev"
    # shellcheck disable=SC2086
    compile $extra --output-file "requirements/$name.txt" pyproject.toml
done
compile --output-file requirements/client.txt clients/python/pyproject.toml
compile --only-build-deps --build-deps-for wheel --output-file requirements/build.txt pyproject.toml
