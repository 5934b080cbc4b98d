#!/usr/bin/env bash
# What `make setup` does. Idempotent; the Makefile calls a part only when what it is made from has changed.
#
#   scripts/setup.sh python   .venv with the locked dependencies and this project, editable
#   scripts/setup.sh broker   Java, Maven and Kafka's jars for the integration tests, where they may be installed
#   scripts/setup.sh helm     helm, from its Go module, where there is Go
#   scripts/setup.sh mutation what mutation testing needs besides, in the same .venv
set -euo pipefail
cd "$(dirname "$0")/.."

UV_VERSION=0.13.9

# Arguments: which further groups of dependencies, as uv sync takes them.
setup_python() {
    local uv=.cache/uv/bin/uv
    if ! "$uv" --version 2>/dev/null | grep -qF "uv $UV_VERSION"; then
        local python
        python=$(find_python)
        "$python" -m venv --clear .cache/uv
        .cache/uv/bin/pip install --quiet --disable-pip-version-check "uv==$UV_VERSION"
    fi
    # --frozen: what is locked is installed, and nothing else. The interpreter is named, or uv might download one.
    # Compiled beforehand: a process starts in half the time, and the tests start hundreds.
    UV_PROJECT_ENVIRONMENT=.venv "$uv" sync --quiet --frozen --no-python-downloads --compile-bytecode "$@" \
        --python "$(.cache/uv/bin/python -c 'import sys; print(sys._base_executable)')"
}

find_python() {
    local name
    for name in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "needs Python 3.11 or newer on PATH, or named by PYTHON" >&2
    return 1
}

# Installs Java and Maven where that is possible without asking anybody for a password.
install_java_and_maven() {
    local -a as_root=()
    command -v apt-get >/dev/null || return 1
    if [[ $(id -u) != 0 ]]; then
        sudo -n true 2>/dev/null || return 1
        as_root=(sudo -n)
    fi
    echo "Installing Java and Maven for the integration tests"
    # The bare "${a[@]}" of an empty array is an error in older versions of bash.
    ${as_root[@]+"${as_root[@]}"} apt-get update -qq || return 1
    local java
    for java in openjdk-{21,17,25}-jre-headless; do # whichever this distribution has
        if ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive \
            apt-get install -qq -y --no-install-recommends "$java" maven >/dev/null 2>&1; then
            return 0
        fi
    done
    return 1
}

setup_broker() {
    mkdir -p .cache
    if [[ -n ${KAFKA_BOOTSTRAP_SERVERS:-} ]]; then
        return
    fi
    local why
    if ! why=$(.venv/bin/python -m tests.broker --fetch 2>&1); then
        install_java_and_maven || true
        if ! why=$(.venv/bin/python -m tests.broker --fetch 2>&1); then
            # Not a failure: the unit tests need none of it. No stamp either: the next setup tries again.
            echo "Integration tests will skip. $why"
            return
        fi
    fi
    touch .cache/.broker
}

HELM=helm.sh/helm/v3/cmd/helm@v3.22.0

setup_helm() {
    if ! command -v go >/dev/null; then
        echo "The chart's tests will skip: there is no Go to build helm with"
        return
    fi
    mkdir -p .cache/helm
    GOBIN=$PWD/.cache/helm go install "$HELM"
}

case ${1:-} in
    python) setup_python ;;
    broker) setup_broker ;;
    helm) setup_helm ;;
    mutation) setup_python --group mutation ;;
    *) echo "usage: scripts/setup.sh python|broker|helm|mutation" >&2 && exit 2 ;;
esac
