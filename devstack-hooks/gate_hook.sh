#!/usr/bin/env bash
# Called by devstack-gate's wrapper, or by ci-run-gate: bring OpenStack up.
set -euo pipefail

exec ci-start-gate --workspace "$WORKSPACE"
