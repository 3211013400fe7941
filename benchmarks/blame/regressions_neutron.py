"""Regressions in Neutron: what a change to it may break for a driver that is held fixed, as edits on its master."""

from __future__ import annotations

from benchmarks.blame.case import NEUTRON
from benchmarks.blame.example_site import Edit, Regression
from benchmarks.blame.selections import ADDRESS_PAIRS, FEW, FEW_PORTS

_PLUGIN = "neutron/plugins/ml2/plugin.py"
_CONTEXT = "neutron/plugins/ml2/driver_context.py"
_MANAGERS = "neutron/plugins/ml2/managers.py"
_ADDRESS_PAIRS = "neutron/db/allowedaddresspairs_db.py"
_AFTER_SUBNET = """\
        try:
            self.mechanism_manager.create_subnet_postcommit(mech_context)
"""
_SCOPE = """\
        self.create_address_scope(
            context.elevated(),
            {'address_scope': {'name': 'of %s' % result['id'],
                               'project_id': result['project_id'],
                               'shared': False,
                               'ip_version': result['ip_version']}})
"""
_FOR_DRIVERS = """\
    def for_drivers(self):
        shown = copy.copy(self)
        shown._port = {key: value for key, value in self._port.items()
                       if key != 'mac_address'}
        return shown

"""
_CONTEXT_IMPORTS = "from neutron_lib.api.definitions import portbindings\n"
_STATUS = "    status = sa.Column(sa.String(16))\n    admin_state_up = sa.Column(sa.Boolean)\n    vlan"
_PLUGIN_API = "    # The following methods are for use by the ML2 plugin and are not\n"
_PORT_POSTCOMMIT = '        self._call_on_drivers("create_port_postcommit", context)\n'


def _neutron(name: str, what: str, regex: str, *edits: tuple[str, str, str]) -> Regression:
    return Regression(name, what, NEUTRON, tuple(Edit(*edit) for edit in edits), regex)


REGRESSIONS = (
    _neutron(
        "neutron-requirement",
        "an oslo.config that nobody has is required",
        FEW,
        ("requirements.txt", "tooz>=1.58.0 # Apache-2.0\n", "tooz>=1.58.0 # Apache-2.0\noslo.config>=999.0\n"),
    ),
    _neutron(
        "neutron-model",
        "a table has a column of a type that is not there",
        FEW,
        ("neutron/db/models_v2.py", _STATUS, _STATUS.replace("String", "Strnig")),
    ),
    _neutron(
        "neutron-option",
        "the option mechanism_drivers has another name",
        FEW,
        ("neutron/conf/plugins/ml2/config.py", "cfg.ListOpt('mechanism_drivers'", "cfg.ListOpt('mech_drivers'"),
    ),
    _neutron(
        "neutron-status",
        "created resources are answered with 200 instead of 201",
        FEW,
        ("neutron/pecan_wsgi/controllers/resource.py", "pecan.response.status = 201", "pecan.response.status = 200"),
    ),
    _neutron(
        "neutron-data",
        "drivers are not told a port's MAC address",
        FEW_PORTS,
        (_CONTEXT, _CONTEXT_IMPORTS, f"import copy\n\n{_CONTEXT_IMPORTS}"),
        (_CONTEXT, _PLUGIN_API, f"{_FOR_DRIVERS}{_PLUGIN_API}"),
        (_MANAGERS, _PORT_POSTCOMMIT, _PORT_POSTCOMMIT.replace("context)", "context.for_drivers())")),
    ),
    _neutron(
        "neutron-missing-call",
        "drivers are not told of new subnets",
        FEW,
        (_MANAGERS, 'self._call_on_drivers("create_subnet_postcommit", context)\n', "LOG.debug('created')\n"),
    ),
    _neutron(
        "neutron-leak",
        "each subnet leaves an address scope",
        FEW,
        (_PLUGIN, _AFTER_SUBNET, f"{_SCOPE}{_AFTER_SUBNET}"),
    ),
    _neutron(
        "neutron-crash",
        "Neutron ends at a port with address pairs",
        ADDRESS_PAIRS,
        (_ADDRESS_PAIRS, "import collections\n", "import collections\nimport os\n"),
        (_ADDRESS_PAIRS, "        desired_state = {\n", "        os._exit(1)\n        desired_state = {\n"),
    ),
)
