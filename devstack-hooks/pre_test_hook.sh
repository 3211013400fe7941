#!/usr/bin/env bash
# Called by devstack-gate's wrapper, or by ci-run-gate, before OpenStack is brought up.
# WORKSPACE names the run's folder; ci-prepare-gate has been there.
set -euo pipefail

# What ci-run-gate gives the stages past the wrapper, which writes its own environment to a file that all can read.
if [[ -r ${CI_HOOK_ENVIRONMENT:-} ]]; then
    # shellcheck source=/dev/null
    . "$CI_HOOK_ENVIRONMENT"
fi

exec ci-install-driver --workspace "$WORKSPACE"
