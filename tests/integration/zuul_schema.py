"""Run by the Python of an environment with the real zuul package: the example's files against Zuul's own schemas.

Arguments: main.yaml, then the YAML files of zuul.d. Prints a line for each problem.
"""

import io
import sys
import types

import voluptuous
from zuul import configloader
from zuul.driver.gerrit import GerritDriver
from zuul.lib import yamlutil

CONNECTIONS = {"opendev": types.SimpleNamespace(driver=GerritDriver())}


def parsers():
    context = types.SimpleNamespace(connections=types.SimpleNamespace(connections=CONNECTIONS))
    return {
        "pipeline": configloader.PipelineParser(context).schema,
        "job": configloader.JobParser.schema,
        "nodeset": configloader.NodeSetParser(context).schema,
        "project": configloader.ProjectParser(context).schema,
        "secret": configloader.SecretParser(context).schema,
        "semaphore": configloader.SemaphoreParser(context).schema,
    }


def problems_of_definitions(path, schemas):
    with open(path, encoding="utf-8") as file:
        entries = yamlutil.encrypted_load(io.StringIO(file.read()))
    for entry in entries:
        ((kind, content),) = entry.items()
        try:
            schemas[kind](content)
        except voluptuous.MultipleInvalid as error:
            yield from (f"{path}: {kind} {content.get('name')}: {each}" for each in error.errors)


def problems_of_tenant(path):
    with open(path, encoding="utf-8") as file:
        entries = yamlutil.safe_load(file)
    sources = types.SimpleNamespace(getSource=lambda name: name)
    schema = configloader.TenantParser(sources, *[None] * 7).getSchema()
    for entry in entries:
        try:
            schema(entry["tenant"])
        except voluptuous.MultipleInvalid as error:
            yield from (f"{path}: {each}" for each in error.errors)


def main(tenant, *definitions):
    found = list(problems_of_tenant(tenant))
    schemas = parsers()
    for path in definitions:
        found += problems_of_definitions(path, schemas)
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
