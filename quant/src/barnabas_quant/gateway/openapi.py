"""The OpenAPI document, made from the table of routes and the types of the answers, and a page that shows it."""

from __future__ import annotations

import html
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import msgspec

from barnabas_quant.gateway.answers import Failure


@dataclass(frozen=True, slots=True)
class Parameter:
    """Describe a parameter of a route; `kind` is string or integer."""

    name: str
    text: str
    kind: str = "string"
    required: bool = False
    default: str | int | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """Describe a route: path, what it answers, what it takes."""

    path: str
    summary: str
    answer: type[msgspec.Struct]
    parameters: tuple[Parameter, ...] = ()


def document(operations: tuple[Operation, ...]) -> dict[str, Any]:
    """Make the OpenAPI 3.1 document."""
    answers = [operation.answer for operation in operations]
    schemas, components = msgspec.json.schema_components(
        [*answers, Failure], ref_template="#/components/schemas/{name}"
    )
    failure = {"application/json": {"schema": schemas[-1]}}
    paths = {}
    for operation, schema in zip(operations, schemas, strict=False):
        paths[operation.path] = {
            "get": {
                "summary": operation.summary,
                "parameters": [_parameter(parameter, operation.path) for parameter in operation.parameters],
                "responses": {
                    "200": {"description": "the answer", "content": {"application/json": {"schema": schema}}},
                    "400": {"description": "a parameter is wrong", "content": failure},
                    "404": {"description": "nobody knows the symbol", "content": failure},
                    "503": {"description": "the stores that know do not answer", "content": failure},
                },
            }
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": "barnabas-quant", "version": version("barnabas-quant")},
        "paths": paths,
        "components": {"schemas": components},
    }


def _parameter(parameter: Parameter, path: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": parameter.kind}
    if parameter.default is not None:
        schema["default"] = parameter.default
    inside = f"{{{parameter.name}}}" in path
    return {
        "name": parameter.name,
        "in": "path" if inside else "query",
        "required": inside or parameter.required,
        "description": parameter.text,
        "schema": schema,
    }


def page(operations: tuple[Operation, ...]) -> str:
    """Write a page that lists the routes; it loads nothing from anywhere."""
    rows = []
    for operation in operations:
        parameters = "".join(
            f"<li><code>{html.escape(p.name)}</code> {html.escape(p.text)}"
            f"{'' if p.default is None else f' (default {html.escape(str(p.default))})'}</li>"
            for p in operation.parameters
        )
        fields = ", ".join(operation.answer.__struct_fields__)
        rows.append(
            f"<section><h2>GET {html.escape(operation.path)}</h2><p>{html.escape(operation.summary)}</p>"
            f"<ul>{parameters}</ul><p>Answers <b>{operation.answer.__name__}</b>: {html.escape(fields)}</p></section>"
        )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>barnabas-quant API</title>"
        "<meta name=viewport content='width=device-width'>"
        "<style>body{font:16px/1.5 system-ui;max-width:50rem;margin:2rem auto;padding:0 1rem}"
        "h2{font:600 1rem ui-monospace,monospace;margin-top:2rem}code{font-size:.95em}</style>"
        f"<h1>barnabas-quant API</h1><p><a href=/api/v1/openapi.json>OpenAPI document</a></p>{''.join(rows)}</html>"
    )
