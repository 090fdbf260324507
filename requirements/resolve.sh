#!/usr/bin/env bash
# Resolve requirements/<profile>.lock anew from pyproject.toml, keeping the versions it holds where they still fit.
#
#   requirements/resolve.sh cpu|gpu [options for uv, e.g. --upgrade or --upgrade-package dvc]
#
# Needs uv. Do cpu first: gpu prefers its versions, so that both profiles run the same code.
set -euo pipefail
cd "$(dirname "$0")"

profile=${1:?usage: requirements/resolve.sh cpu|gpu [options for uv]}
shift
lock=$profile.lock
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

case $profile in
cpu)
    # vLLM names them all. The first two are built for CUDA and fail to import beside a CPU torch; the others
    # (1.2 GB) serve GPU kernels and n-gram speculation, which a CPU server does not run.
    options=(--no-emit-package torchaudio --no-emit-package torchcodec
             --no-emit-package triton --no-emit-package numba --no-emit-package llvmlite)
    note="Left out on purpose: torchaudio, torchcodec (CUDA builds); triton, numba, llvmlite (unused without a GPU)."
    ;;
gpu)
    # Left alone, the resolver pairs CUDA 13 bindings with the CUDA 12 release of their metapackage.
    echo "cuda-python>=13" > "$work/constraints"
    options=(--constraint "$work/constraints")
    note="CUDA 13: NVIDIA driver 580 or newer. Resolved, but not yet run on a GPU."
    ;;
*)
    echo "unknown profile '$profile': cpu or gpu" >&2
    exit 2
    ;;
esac

# uv takes the pins in its output file as preferences. torch's differ by build, so they are no preference.
cat cpu.lock "$lock" 2>/dev/null | grep -v -E '^(#|torch==)' | awk -F== '!seen[$1]++' > "$work/$lock" || true

compile() {
    uv pip compile ../pyproject.toml --extra "$profile" --extra dev --quiet --no-header --no-annotate \
        --python-version 3.11 --python-platform x86_64-manylinux_2_31 \
        --only-binary :all: --no-binary antlr4-python3-runtime \
        "${options[@]}" --output-file "$work/$lock" "$@" > /dev/null
}

# A CPU torch is on PyTorch's own index, unless a mirror or a folder of wheels has it.
if [ "$profile" = gpu ]; then
    compile "$@"
elif ! compile "$@" 2> /dev/null; then
    compile --extra-index-url https://download.pytorch.org/whl/cpu --index-strategy unsafe-best-match "$@"
fi

{
    echo "# Linux x86-64, CPython 3.11, profile $profile; installed whole, with --no-deps, by \`make setup PROFILE=$profile\`."
    echo "# Made by requirements/resolve.sh from pyproject.toml: run it again to refresh, do not edit."
    echo "# $note"
    cat "$work/$lock"
} > "$work/done"
mv "$work/done" "$lock"
