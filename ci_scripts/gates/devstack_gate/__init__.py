"""The gate of kind devstack-gate: the classic wrapper of OpenStack's CI, on a node that is thrown away."""
