"""Judges manifests by the schemas that Kubernetes, KServe and the Prometheus operator published.

Reads a JSON list of manifests and writes a JSON list of what is wrong with them. The schemas are in
packages that are not installed with the tests: published_schemas.txt beside this names them, and
PYTHONPATH must name their folder.

    python published_schemas.py 1.30 < manifests.json

The argument is the oldest Kubernetes that must take the manifests.
"""

import importlib
import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import kubernetes_validate
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

Schema = dict[str, Any]

SCALARS = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "object": {},
}
"""How OpenAPI's generator for Python writes types, and what they are in a schema."""

CORE = "https://kubernetes.io/api/_definitions.json"


def judge(manifest: dict[str, Any], oldest: str) -> Iterator[str]:
    """What is wrong with one manifest."""
    group = manifest["apiVersion"].partition("/")[0]
    if group == "serving.kserve.io":
        schema = kserve_schema(manifest["kind"])
        yield from problems(Draft202012Validator(schema, registry=core()), manifest)
    elif group == "monitoring.coreos.com":
        yield from problems(Draft202012Validator(operator_schema(manifest["kind"])), manifest)
    else:
        for version in kubernetes_versions(oldest):
            try:
                kubernetes_validate.validate(manifest, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"Kubernetes {version}: {error.json_path}: {error.message}"
            except kubernetes_validate.SchemaNotFoundError as error:
                yield error.message


def problems(validator: Draft202012Validator, manifest: dict[str, Any]) -> Iterator[str]:
    """What a schema finds."""
    for error in validator.iter_errors(manifest):
        yield f"{error.json_path}: {error.message}"


def kubernetes_versions(oldest: str) -> list[str]:
    """From the oldest to the newest that is published."""
    versions = kubernetes_validate.utils.all_versions()
    known = dict.fromkeys(version.removesuffix(".0") for version in versions)
    return [it for it in known if number(it) >= number(oldest)]


def number(version: str) -> tuple[int, ...]:
    """For comparing."""
    return tuple(map(int, version.split(".")))


@cache
def core() -> Registry[Schema]:
    """Kubernetes's own types, which KServe's are made of; unknown fields are none of theirs."""
    newest = kubernetes_versions("1.0")[-1]
    folder = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    types = json.loads((folder / f"v{newest}.0-local-strict" / "_definitions.json").read_text())
    return Registry().with_resource(CORE, Resource.from_contents(types))


def kserve_schema(kind: str) -> Schema:
    """Made of the types in KServe's SDK, which KServe generates from its own definitions."""
    models = import_kserve()
    types: Schema = {}
    (root,) = (name for name in dir(models) if re.fullmatch(rf"V\d(alpha|beta)?\d?{kind}", name))
    describe(models, root, types)
    return {"$ref": f"#/$defs/{root}", "$defs": types}


def import_kserve() -> ModuleType:
    """Its models alone: the rest wants a hundred packages."""
    kserve = ModuleType("kserve")
    kserve.__path__ = [f"{folder}/kserve" for folder in sys.path]
    sys.modules["kserve"] = kserve
    return importlib.import_module("kserve.models")


def describe(models: ModuleType, name: str, types: Schema) -> Schema:
    """A reference to a type, which is added to `types`."""
    if (scalar := SCALARS.get(name)) is not None:
        return scalar
    if found := re.fullmatch(r"list\[(.*)\]", name):
        return {"type": "array", "items": describe(models, found[1], types)}
    if found := re.fullmatch(r"dict\(str, (.*)\)", name):
        return {"type": "object", "additionalProperties": describe(models, found[1], types)}
    kind = getattr(models, name, None)
    if kind is None:
        return describe_core(name)
    if name not in types:
        types[name] = {}  # a type may have itself in it
        types[name] = {
            "type": "object",
            "properties": {
                kind.attribute_map[field]: describe(models, type_name, types)
                for field, type_name in kind.openapi_types.items()
            },
            "required": [kind.attribute_map[field] for field in find_required(kind)],
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{name}"}


def describe_core(name: str) -> Schema:
    """One of Kubernetes's own, such as V1Container; anything, where it has none of that name."""
    types = core().contents(CORE)["$defs"]
    for package in ("io.k8s.api.core.v1", "io.k8s.apimachinery.pkg.apis.meta.v1"):
        if (full := f"{package}.{name.removeprefix('V1')}") in types:
            return {"$ref": f"{CORE}#/$defs/{full}"}
    return {}


def find_required(kind: type) -> Iterator[str]:
    """The fields that its setters want a value for."""
    configuration = importlib.import_module("kserve.configuration").Configuration()
    made = object.__new__(kind)
    made.local_vars_configuration = configuration
    for field in kind.openapi_types:  # type: ignore[attr-defined]
        try:
            setattr(made, field, None)
        except ValueError:
            yield field


def operator_schema(kind: str) -> Schema:
    """Of one of the Prometheus operator's, version 1."""
    models = importlib.import_module("cloudcoil.models.prometheus_operator.v1")
    schema: Schema = getattr(models, kind).model_json_schema(by_alias=True)
    for each in (schema, *schema["$defs"].values()):
        if "properties" in each:
            each["additionalProperties"] = False
    return schema


def main() -> None:
    """Reads, judges, writes."""
    oldest = sys.argv[1]
    found = [
        f"{manifest['kind']} {manifest['metadata']['name']}: {problem}"
        for manifest in json.load(sys.stdin)
        for problem in judge(manifest, oldest)
    ]
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
