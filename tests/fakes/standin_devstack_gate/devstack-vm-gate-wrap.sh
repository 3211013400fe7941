#!/bin/bash
# Stands in for devstack-gate's wrapper, where no root, no ansible and no OpenStack can be had. Our own text, which keeps
# what the gate relies on: the variables that are read, the order, the messages, the exit codes, the time limits, and
# what happens to $WORKSPACE/logs.

source $WORKSPACE/devstack-gate/functions.sh

start_timer

JOB_PROJECTS="$PROJECTS"
PROJECTS="openstack/devstack-gate openstack/devstack $PROJECTS"
PROJECTS=$(echo $PROJECTS | tr '[:space:]' '\n' | sort -u)
echo "The PROJECTS list is:"
echo $PROJECTS

export BASE=/opt/stack

export ZUUL_URL=${ZUUL_URL:-http://zuul.openstack.org/p}
export OVERRIDE_ZUUL_BRANCH=${OVERRIDE_ZUUL_BRANCH:-$ZUUL_BRANCH}
export BUILD_TIMEOUT=$(expr ${BUILD_TIMEOUT:-7200000} / 60000)
export DEVSTACK_GATE_TIMEOUT_BUFFER=${DEVSTACK_GATE_TIMEOUT_BUFFER:-10}
export DEVSTACK_GATE_TIMEOUT=$(expr $BUILD_TIMEOUT - $DEVSTACK_GATE_TIMEOUT_BUFFER)

if [ -n "$DEVSTACK_GATE_PROJECTS_OVERRIDE" ]; then
    PROJECTS=$DEVSTACK_GATE_PROJECTS_OVERRIDE
fi

if ! function_exists "gate_hook"; then
    function gate_hook { $BASE/new/devstack-gate/devstack-vm-gate.sh; }
    export -f gate_hook
fi

(export PROJECTS; export > "$WORKSPACE/test_env.sh")
rm -rf $WORKSPACE/logs
mkdir $WORKSPACE/logs
for name in ${!ZUUL_*} ${!DEVSTACK*}; do
    echo "declare -x $name=\"${!name}\"" >> $WORKSPACE/logs/reproduce.sh
done
echo "declare -x PROJECTS=\"$JOB_PROJECTS\"" >> $WORKSPACE/logs/reproduce.sh

function exit_handler {
    if [[ $1 -ne 0 ]]; then
        echo "*** FAILED with status: $1"
    else
        echo "SUCCESSFULLY FINISHED"
    fi
    exit $1
}

# The real one has ansible run it: in a new shell, with the environment from the file.
function on_the_node {
    bash -c "source '$WORKSPACE/test_env.sh'; source '$WORKSPACE/devstack-gate/functions.sh'; set -o errexit; tsfilter $*"
}

rc=0
echo "Setting up the hosts"
on_the_node setup_host &> "$WORKSPACE/logs/devstack-gate-setup-host.txt" || rc=$?
if [[ $rc -ne 0 ]]; then
    exit_handler $rc
fi

echo "Setting up the workspace"
on_the_node setup_workspace "$OVERRIDE_ZUUL_BRANCH" "$BASE/new" \
    &> "$WORKSPACE/logs/devstack-gate-setup-workspace-new.txt" || rc=$?
if [[ $rc -ne 0 ]]; then
    exit_handler $rc
fi

if [ -d "$WORKSPACE/logs" -a ! -e "$BASE/logs" ]; then
    mv "$WORKSPACE/logs" "$BASE/"
    ln -s "$BASE/logs" "$WORKSPACE/"
fi

with_timeout call_hook_if_defined "pre_test_hook"
GATE_RETVAL=$?
if [ $GATE_RETVAL -ne 0 ]; then
    echo "ERROR: the pre-test setup script run by this job failed - exit code: $GATE_RETVAL"
fi

if [ $GATE_RETVAL -eq 0 ]; then
    echo "Running gate_hook"
    with_timeout "gate_hook"
    GATE_RETVAL=$?
    if [ $GATE_RETVAL -ne 0 ]; then
        echo "ERROR: the main setup script run by this job failed - exit code: $GATE_RETVAL"
    fi
fi
RETVAL=$GATE_RETVAL

if [ $GATE_RETVAL -ne 0 ]; then
    echo "Running devstack worlddump.py"
    echo "all that is known of the node" > $BASE/logs/worlddump.txt
fi

if [ $GATE_RETVAL -eq 0 ]; then
    with_timeout call_hook_if_defined "post_test_hook"
    RETVAL=$?
fi

if [ $GATE_RETVAL -eq 137 ] && [ -f $WORKSPACE/gate.pid ]; then
    echo "Job timed out"
    kill -s 9 -$(cat $WORKSPACE/gate.pid)
fi

echo "Cleaning up host"
on_the_node cleanup_host &> "$WORKSPACE/devstack-gate-cleanup-host.txt"
mv $WORKSPACE/devstack-gate-cleanup-host.txt $BASE/logs/

exit_handler $RETVAL
