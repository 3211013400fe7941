#!/usr/bin/env bash
# Called by devstack-gate's wrapper, or by ci-run-gate, when OpenStack is up: the tests and the vendor's checks.
# Exit code 1 means that tests failed; who is to blame is said by ci-summarize-results alone.
set -euo pipefail

exec ci-run-tempest --workspace "$WORKSPACE"
