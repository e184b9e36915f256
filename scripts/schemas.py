"""Makes docs/schemas/result.schema.json and event.schema.json of the types that read those files."""

from __future__ import annotations

import json
import math
import re
import sys
import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.record.events import EVENTS  # noqa: E402
from bench.record.result import SCHEMA, Result  # noqa: E402
from edge.base.paths import write_atomic  # noqa: E402
from edge.model.json_types import hints_of  # noqa: E402

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PLAIN = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null"}


def schemas() -> dict[str, dict[str, Any]]:
    """File name to JSON Schema."""
    result = schema_of(Result)
    result["properties"] = {"schema": {"const": SCHEMA}, **result["properties"], "summary": {"type": "object"}}
    result["required"].insert(0, "schema")
    event = {"type": "object", "oneOf": [schema_of(kind) for kind in EVENTS]}
    documents = {"result": ("Result of bench run", result), "event": ("One line of plate_ocr bench", event)}
    return {
        f"{name}.schema.json": {"$schema": _DIALECT, "$id": f"{name}.schema.json", "title": title, **document}
        for name, (title, document) in documents.items()
    }


def schema_of(kind: Any) -> dict[str, Any]:
    """JSON Schema of a type, see `edge.model.json_types.mistyped`."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return {}
    if kind in _PLAIN:
        return {"type": _PLAIN[kind]}
    if origin is typing.Annotated:
        bounds = parts[1]
        told = {"minimum": bounds.least, "pattern": f"^{bounds.pattern}$", "required": list(bounds.keys)}
        given = {"minimum": bounds.least > -math.inf, "pattern": bounds.pattern, "required": bounds.keys}
        return {**schema_of(parts[0]), **{key: value for key, value in told.items() if given[key]}}
    if origin in (types.UnionType, typing.Union):
        every = [schema_of(part) for part in parts]
        merged = {key: value for one in every for key, value in one.items()}
        return {**merged, "type": [one["type"] for one in every]}
    if origin is typing.Literal:
        return {"enum": list(parts)} if len(parts) > 1 else {"const": parts[0]}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema_of(parts[1])}
    if origin is tuple and parts[-1] is not Ellipsis:
        return {"type": "array", "items": schema_of(parts[0]), "minItems": len(parts), "maxItems": len(parts)}
    if origin in (list, tuple):
        return {"type": "array", "items": schema_of(parts[0])}
    told_of = dict(re.findall(r"^ {8}(\w+): (.+(?:\n {12}.+)*)", kind.__doc__ or "", re.MULTILINE))
    properties = {key: schema_of(part) for key, part in hints_of(kind).items()}
    for key, text in told_of.items():
        properties[key]["description"] = " ".join(text.split())
    if not is_dataclass(kind):
        needed = kind.__required_keys__
        return {"type": "object", "properties": properties, "required": [key for key in properties if key in needed]}
    needed = {item.name for item in fields(kind) if item.default is MISSING and item.default_factory is MISSING}
    required = [key for key in properties if key in needed]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


if __name__ == "__main__":
    for file_name, document in schemas().items():
        write_atomic(ROOT / "docs" / "schemas" / file_name, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
