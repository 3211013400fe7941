#!/usr/bin/env bash
# Called by devstack-gate's wrapper, or by ci-run-gate, before OpenStack is brought up.
# WORKSPACE names the run's folder; ci-prepare-gate has been there.
set -euo pipefail

exec ci-install-driver --workspace "$WORKSPACE"
