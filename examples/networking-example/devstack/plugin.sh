# shellcheck shell=bash
# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

# Sourced by DevStack in each of its phases: install the driver, and add it to Neutron's mechanism drivers.
# DevStack's own variables and functions (DEST, iniset, setup_develop, ...) are there already.

NETWORKING_EXAMPLE_DIR=${DEST:?}/networking-example

function configure_networking_example {
    local conf=/${NEUTRON_CORE_PLUGIN_CONF:-${Q_PLUGIN_CONF_FILE:?}}
    local drivers
    drivers=$(iniget "$conf" ml2 mechanism_drivers)
    if [[ ",$drivers," != *,example,* ]]; then
        iniset "$conf" ml2 mechanism_drivers "${drivers:+$drivers,}example"
    fi
    iniset "$conf" ml2_example url "${ML2_EXAMPLE_URL:?}"
    iniset "$conf" ml2_example timeout "${ML2_EXAMPLE_TIMEOUT:?}"
}

if is_service_enabled q-svc neutron-api; then
    case "$1 ${2:-}" in
        "stack install")
            setup_develop "$NETWORKING_EXAMPLE_DIR"
            ;;
        "stack post-config")
            configure_networking_example
            ;;
        "clean ")
            rm -rf "$NETWORKING_EXAMPLE_DIR"/*.egg-info
            ;;
    esac
fi
