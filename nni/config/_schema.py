"""JSON Schema of configuration files, for editors that complete and check YAML."""

from __future__ import annotations

import logging
import re
from typing import Any

from pydantic.json_schema import models_json_schema

from nni.config._errors import ConfigError
from nni.config._experiment import ExperimentConfig
from nni.config._model import ConfigModel
from nni.config._shared_storage import AzureBlobConfig, NfsConfig
from nni.config._training_service import HYBRID_PLATFORMS, TrainingServiceConfig, platforms, service_class

_ROW_IDS = re.compile(r" \(PLT-[^)]*\)")
_logger = logging.getLogger(__name__)
_TITLE = "NNI experiment configuration"


def json_schema() -> dict[str, Any]:
    """
    Return a JSON Schema (draft 2020-12) of experiment configuration files.

    It has every key in camelCase with a description, and refuses unknown keys. It knows less than `load`: neither
    the snake_case spelling nor most rules between keys.
    """
    services_by_name = _service_classes()
    classes: list[type[ConfigModel]] = [*services_by_name.values(), NfsConfig, AzureBlobConfig, ExperimentConfig]
    refs, document = models_json_schema([(cls, "validation") for cls in classes], ref_template="#/$defs/{model}")
    definitions: dict[str, Any] = document["$defs"]
    for cls in _all_models(ConfigModel):
        if (definition := definitions.get(cls.__name__)) is not None:
            _finish(definition)
    names = {cls: refs[cls, "validation"]["$ref"].rpartition("/")[2] for cls in classes}
    services = {platform: {"$ref": f"#/$defs/{names[cls]}"} for platform, cls in services_by_name.items()}
    root = definitions.pop(names[ExperimentConfig])
    _complete_root(root, services, [{"$ref": f"#/$defs/{names[cls]}"} for cls in (NfsConfig, AzureBlobConfig)])
    _alias_openpai(definitions["OpenpaiConfig"])
    used = {name: definition for name, definition in definitions.items() if name not in _BASES}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **root, "title": _TITLE, "$defs": used}


def _service_classes() -> dict[str, type[TrainingServiceConfig]]:
    """Return the classes by platform; a package that is broken is told of, and left out."""
    found = {}
    for platform in platforms():
        try:
            found[platform] = service_class(platform)
        except ConfigError as error:
            _logger.warning("%s", error)
    return found


_BASES = ("TrainingServiceConfig", "SharedStorageConfig")


def _all_models(cls: type[ConfigModel]) -> list[type[ConfigModel]]:
    return [cls, *(model for subclass in cls.__subclasses__() for model in _all_models(subclass))]


def _finish(definition: dict[str, Any]) -> None:
    """Turn the marks of `required` and `secret` into JSON Schema; drop pydantic's titles and Python's defaults."""
    definition.pop("title", None)
    if "description" in definition:
        definition["description"] = _ROW_IDS.sub("", definition["description"].strip().split("\n\n")[0])
    needed = []
    for name, schema in definition.get("properties", {}).items():
        schema.pop("title", None)
        if schema.pop("x-required", False) or name in {"platform", "storageType"}:
            needed.append(name)
        if schema.pop("x-secret", False):
            schema["writeOnly"] = True
        if schema.get("default", 0) in (None, {}):
            del schema["default"]
    if needed:
        definition["required"] = needed


def _complete_root(root: dict[str, Any], services: dict[str, Any], storages: list[dict[str, Any]]) -> None:
    properties = root["properties"]
    hybrid = {"type": "array", "minItems": 1, "items": {"oneOf": [services[name] for name in HYBRID_PLATFORMS]}}
    _describe(properties, "trainingService", oneOf=[*services.values(), hybrid])
    _describe(properties, "sharedStorage", oneOf=[*storages, {"type": "null"}])
    root["allOf"] = [_not_both("searchSpace", "searchSpaceFile"), *(_not_both("advisor", name) for name in _PARTS)]


_PARTS = ("tuner", "assessor")


def _describe(properties: dict[str, Any], name: str, **schema: Any) -> None:
    properties[name] = {"description": properties[name]["description"], **schema}


def _not_both(one: str, other: str) -> dict[str, Any]:
    """Forbid two keys at once; null counts as absent (PLT-072)."""
    given = {"not": {"type": "null"}}
    return {"not": {"required": [one, other], "properties": {one: given, other: given}}}


def _alias_openpai(definition: dict[str, Any]) -> None:
    platform = definition["properties"]["platform"]
    platform.pop("const", None)
    platform["enum"] = ["openpai", "pai"]
