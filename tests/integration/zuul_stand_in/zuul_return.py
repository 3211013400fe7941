"""Stands in for Zuul's own module of this name, which only a Zuul executor has: the data go into a file."""

from __future__ import annotations

import json
import os

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule(argument_spec={"data": {"type": "dict", "required": True}})
    with open(os.environ["ZUUL_STAND_IN_RESULT"], "w", encoding="utf-8") as file:
        json.dump(module.params["data"], file)
    module.exit_json(changed=True)


if __name__ == "__main__":
    main()
