#!/usr/bin/env bash
# Stands in for DevStack's stack.sh, which needs a node, a network and half an hour. It keeps what our commands rely on:
# it reads local.conf, writes LOGFILE, its summary, error.log, clouds.yaml and tempest.conf, runs the plug-ins' phases
# and the post-config sections, traces as DevStack does, dumps the world when it fails, and leaves services running.
#
# STANDIN_FAULT of local.conf: words of die, pip, async, hang, kill, unloaded, moved, unstack. STANDIN_START: a program that brings a
# real OpenStack up instead of tools/services.py. CLOUDS_YAML: where DevStack has /etc/openstack/clouds.yaml.
umask 022
[[ -z ${VIRTUAL_ENV:-} ]] || { echo "You appear to be running under a python virtualenv."; exit 1; }
cd "$(dirname "$0")" || exit 1
source ./stackrc
PS4='+ ${BASH_SOURCE#"$TOP_DIR"/}:${FUNCNAME[0]:-main}:${LINENO}           :   '
mkdir -p "$DEST/logs" "$DEST/status" "$DEST/data"
stamp=$(date +%F-%H%M%S)
exec > >(tee -a "$LOGFILE.$stamp") 2>&1 6> "$LOGFILE.$stamp.summary"
ln -sf "$LOGFILE.$stamp" "$LOGFILE"

function exit_trap {
    local r=$?
    if [[ $r -ne 0 ]]; then
        echo "Error on exit"
        python3 "$TOP_DIR/tools/worlddump.py" -d "$DEST/logs"
    fi
    exit $r
}
function err_trap {
    local r=$?
    set +o xtrace
    echo "${0##*/} failed: full log in $LOGFILE"
    exit $r
}
trap exit_trap EXIT
trap err_trap ERR
set -o errexit
set -o xtrace

for plugin in $PLUGINS; do
    [[ -d $DEST/$plugin ]] || die $LINENO "The $DEST/$plugin project was not found"
done
python3 -m venv --without-pip "$DEST/data/venv"
echo_summary "Installing OpenStack project source"
if fault die; then die $LINENO "git call failed: [git clone https://git.example.org/openstack/requirements]"; fi
if fault pip; then python3 tools/fail.py pip; fi
if fault kill; then kill -KILL $$; fi
if fault hang; then
    # One in a session of its own: no signal to a process group reaches it.
    setsid sleep 600 &
    sleep 600 &
    touch "$DEST/status/hangs"
    wait
fi
is_service_enabled q-svc
run_phase stack install
echo_summary "Configuring Neutron"
mkdir -p "$DEST/etc/neutron"
iniset "$NEUTRON_CONF" DEFAULT core_plugin ml2
iniset "/$Q_PLUGIN_CONF_FILE" ml2 mechanism_drivers "${Q_ML2_PLUGIN_MECHANISM_DRIVERS:-}"
if fault async; then
    echo "[$$ Async init_neutron:$$]: FAILED with rc 1"
    python3 tools/fail.py traceback || true
    echo "[$$ Async init_neutron:$$]: finished init_neutron with result 1 in 3 seconds"
    (exit 1)
fi
run_phase stack post-config
merge_post_config
if fault unloaded; then
    iniset "/$Q_PLUGIN_CONF_FILE" ml2 mechanism_drivers logger
fi
echo_summary "Starting Neutron"
python3 "${STANDIN_START:-$TOP_DIR/tools/services.py}" "$DEST" "$CLOUDS_YAML" "$ADMIN_PASSWORD"
run_phase stack extra
if fault moved; then
    git -C "$DEST/${PLUGINS##* }" -c user.name=x -c user.email=x@example.org commit -q --allow-empty -m moved
fi
set +o xtrace
echo "stack.sh completed in $SECONDS seconds."
