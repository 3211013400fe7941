#!/usr/bin/env bash
# Called by devstack-gate's wrapper, or by ci-run-gate, when OpenStack is up: the tests and the vendor's checks.
# Exit code 1 means that tests failed; who is to blame is said by ci-summarize-results alone.
set -euo pipefail

# What ci-run-gate gives the stages past the wrapper, which writes its own environment to a file that all can read.
if [[ -r ${CI_HOOK_ENVIRONMENT:-} ]]; then
    # shellcheck source=/dev/null
    . "$CI_HOOK_ENVIRONMENT"
fi

# The wrapper kills this hook REMAINING_TIME minutes after it began, with SIGKILL. The tests end 5 minutes earlier, so
# that what they said is kept and the reason is written down.
if [[ ${REMAINING_TIME:-} =~ ^[0-9]{1,6}$ ]]; then
    minutes=$((10#$REMAINING_TIME > 5 ? 10#$REMAINING_TIME - 5 : 1))
    if ((minutes < ${CI_TEMPEST_TIMEOUT_MINUTES:-minutes + 1})); then
        export CI_TEMPEST_TIMEOUT_MINUTES=$minutes
    fi
fi

exec ci-run-tempest --workspace "$WORKSPACE"
