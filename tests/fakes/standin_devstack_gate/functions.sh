# Stands in for devstack-gate's functions.sh. Our own text; it keeps what the gate relies on: names, messages, codes.
#
# Files in $BUILD_FAKE_OPENSTACK/devstack-gate change what happens:
#   setup_host, setup_workspace, cleanup_host   bash that runs at that point; it may say something, fail or hang
#   minutes-are-seconds                         the time limits of the hooks are that many seconds
#   started-minutes-ago                         so many minutes are over already

CONTROL=${BUILD_FAKE_OPENSTACK:-/nonexistent}/devstack-gate

function at_this_point {
    if [ -f "$CONTROL/$1" ]; then
        source "$CONTROL/$1"
    fi
}

function function_exists {
    type $1 2>/dev/null | grep -q 'is a function'
}

function start_timer {
    START_TIME=$(date +%s)
    if [ -f "$CONTROL/started-minutes-ago" ]; then
        START_TIME=$((START_TIME - 60 * $(cat "$CONTROL/started-minutes-ago")))
    fi
}

function remaining_time {
    local elapsed=$((($(date +%s) - START_TIME) / 60))
    export REMAINING_TIME=$((DEVSTACK_GATE_TIMEOUT - elapsed - 5))
    echo "Job timeout set to: $REMAINING_TIME minutes"
    if [ $REMAINING_TIME -le 0 ]; then
        echo "Already timed out."
        exit 1
    fi
}

function with_timeout {
    local cmd=$@ unit=m
    remaining_time
    if [ -f "$CONTROL/minutes-are-seconds" ]; then
        unit=s
    fi
    timeout -s 9 ${REMAINING_TIME}$unit bash -c "source $WORKSPACE/devstack-gate/functions.sh && $cmd"
}

# The time before each line, both streams in one; the code is the command's.
function tsfilter {
    $@ 2>&1 | awk '{ "date +%T" | getline now; close("date +%T"); print now " | " $0; fflush() }'
    return ${PIPESTATUS[0]}
}

function call_hook_if_defined {
    local name=$1 file=$WORKSPACE/devstack-gate-$1.txt code
    if ! function_exists $name; then
        return 0
    fi
    echo "Running $name"
    set -o xtrace -o pipefail
    tsfilter $name | tee $file
    code=$?
    mv $file $BASE/logs/
    set +o xtrace +o pipefail
    return $code
}

# The variable part of OVERRIDE_..._GIT_BASE: the first character that is no capital, dash or underscore goes.
function variable_part {
    basename $1 | tr '[:lower:]' '[:upper:]' | tr '-' '_' | sed 's/[^A-Z_]//'
}

function fetch_ref {
    [ -n "$2" ] && git fetch --quiet $ZUUL_URL/$1 $2
}

# The merged ref of the branch, else the branch, else master: never a word when the ref is not to be had.
function setup_project {
    local project=$1 branch=$2 short part base ref fallback=
    short=$(basename $project)
    part=$(variable_part $project)
    base=OVERRIDE_${part}_GIT_BASE
    base=${!base:-${GIT_BASE:-https://opendev.org}}
    ref=OVERRIDE_${part}_PROJECT_BRANCH
    branch=${!ref:-$branch}
    echo "Setting up $project @ $branch"
    if [ ! -e $short ]; then
        git clone --quiet $base/$project
    fi
    cd $short
    git remote update
    ref=$(echo $ZUUL_REF | sed -e "s,$ZUUL_BRANCH,$branch,")
    if ! git branch -a | grep -q remotes/origin/$branch; then
        fallback=$(echo $ZUUL_REF | sed -e "s,$branch,master,")
    fi
    if fetch_ref $project "$ref" || fetch_ref $project "$fallback"; then
        branch=FETCH_HEAD
    elif ! git branch -a | grep -q remotes/origin/$branch; then
        branch=master
    fi
    git checkout --quiet $branch
    git reset --hard $([ $branch = FETCH_HEAD ] || echo remotes/origin/)$branch
}

function setup_workspace {
    mkdir -p $2
    at_this_point setup_workspace
    for PROJECT in $PROJECTS; do
        cd $2
        setup_project $PROJECT $1
    done
}

function setup_host {
    mkdir -p $BASE
    at_this_point setup_host
}

function cleanup_host {
    at_this_point cleanup_host
    if [ -f $BASE/new/devstack/local.conf ]; then
        cp $BASE/new/devstack/local.conf $BASE/logs/local.conf.txt
    fi
}
