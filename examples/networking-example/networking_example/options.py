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

"""The section [ml2_example] of Neutron's configuration."""

from oslo_config import cfg

GROUP = "ml2_example"

OPTIONS = [
    cfg.URIOpt(
        "url",
        schemes=["http", "https"],
        help="Root URL of the controller, for example http://192.0.2.10:8181. There is no default: "
        "Neutron does not start while it is missing.",
    ),
    cfg.FloatOpt(
        "timeout",
        default=10.0,
        min=0.1,
        help="Seconds the controller may take to accept a connection, and then to answer. An API "
        "request of a user waits this long, or twice when the request is repeated.",
    ),
]


def register_options(conf):
    """Make [ml2_example] known to an oslo.config object; calling it again does no harm."""
    conf.register_opts(OPTIONS, group=GROUP)


def list_opts():
    """Entry point `oslo.config.opts`: what oslo-config-generator writes into the sample file."""
    return [(GROUP, OPTIONS)]
