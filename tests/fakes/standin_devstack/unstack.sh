#!/usr/bin/env bash
# Stands in for DevStack's unstack.sh: ends what stack.sh started. With the fault "unstack" it fails.
cd "$(dirname "$0")" || exit 1
source ./openrc > /dev/null 2>&1
echo "unstack ${1:-}" >> "$DEST/calls"
for file in "$DEST"/status/*.pid; do
    [[ -f $file ]] && kill -TERM "$(cat "$file")" 2> /dev/null
    rm -f "$file"
done
if fault unstack; then
    echo "ovs-vsctl: no such bridge"
    exit 1
fi
exit 0
