#!/usr/bin/env bash
# Stands in for DevStack's clean.sh: unstacks, then deletes data and logs.
cd "$(dirname "$0")" || exit 1
source ./openrc > /dev/null 2>&1
echo "clean" >> "$DEST/calls"
./unstack.sh --all > /dev/null
rm -rf "$DEST/data" "$DEST/status" "$DEST/logs" "$TOP_DIR/.localrc.auto"
