#!/bin/bash
# Stands in for devstack-gate's second half: local.conf, then DevStack. The file "stack" in $CONTROL runs before it.

set -o errexit

source $(dirname "$0")/functions.sh
echo $PPID > $WORKSPACE/gate.pid

cd $BASE/new/devstack
{
    echo "[[local|localrc]]"
    echo "DEST=$BASE/new"
    echo "LOGFILE=$BASE/new/devstacklog.txt"
    echo "ADMIN_PASSWORD=secretadmin"
    echo "enable_service q-svc"
    echo "LIBS_FROM_GIT=$DEVSTACK_PROJECT_FROM_GIT"
    echo "$DEVSTACK_LOCAL_CONFIG"
    echo "$DEVSTACK_LOCALCONF"
} > local.conf

at_this_point stack
./stack.sh &> "$WORKSPACE/logs/devstack-early.txt"

# Tempest itself is run by somebody else.
[[ "$DEVSTACK_GATE_TEMPEST" -eq "1" && "$DEVSTACK_GATE_TEMPEST_NOTESTS" -eq "1" ]]
