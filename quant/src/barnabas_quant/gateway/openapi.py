"""The OpenAPI document, made from the table of routes and the types of the answers, and a page that shows it."""

from __future__ import annotations

import html
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

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
    """Describe a route: path, what it answers (None: nothing), what it takes, how it may fail."""

    path: str
    summary: str
    answer: type[msgspec.Struct] | None
    parameters: tuple[Parameter, ...] = ()
    method: Literal["get", "post", "put", "delete"] = "get"
    body: type[msgspec.Struct] | None = None
    status: int = 200
    failures: tuple[int, ...] = (400, 404, 503)


_FAILURES = {
    400: "a parameter or the body is wrong",
    401: "it is not known who asks",
    403: "who asks may not, or not in this way",
    404: "nobody knows it",
    409: "it is taken",
    429: "tried too often",
    503: "the stores that know do not answer, or another gateway writes this",
}


def document(operations: tuple[Operation, ...]) -> dict[str, Any]:
    """Make the OpenAPI 3.1 document."""
    kinds = {kind for operation in operations for kind in (operation.answer, operation.body) if kind is not None}
    ordered = [*sorted(kinds, key=lambda kind: kind.__name__), Failure]
    made, components = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    content = {kind: {"application/json": {"schema": schema}} for kind, schema in zip(ordered, made, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        told: dict[str, Any] = {"description": "the answer"}
        if operation.answer is not None:
            told["content"] = content[operation.answer]
        described: dict[str, Any] = {
            "summary": operation.summary,
            "parameters": [_parameter(parameter, operation.path) for parameter in operation.parameters],
            "responses": {
                str(operation.status): told,
                **{
                    str(status): {"description": _FAILURES[status], "content": content[Failure]}
                    for status in sorted(operation.failures)
                },
            },
        }
        if operation.body is not None:
            described["requestBody"] = {"required": True, "content": content[operation.body]}
        paths.setdefault(operation.path, {})[operation.method] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "barnabas-quant", "version": version("barnabas-quant")},
        "paths": paths,
        "security": [{}, {"bearer": []}, {"session": []}],
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "barnabas_session"},
            },
        },
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
        taken = "" if operation.body is None else f"<p>Takes {_fields(operation.body)}</p>"
        given = "<p>Answers nothing</p>" if operation.answer is None else f"<p>Answers {_fields(operation.answer)}</p>"
        rows.append(
            f"<section><h2>{operation.method.upper()} {html.escape(operation.path)}</h2>"
            f"<p>{html.escape(operation.summary)}</p><ul>{parameters}</ul>{taken}{given}</section>"
        )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>barnabas-quant API</title>"
        "<meta name=viewport content='width=device-width'>"
        "<style>body{font:16px/1.5 system-ui;max-width:50rem;margin:2rem auto;padding:0 1rem}"
        "h2{font:600 1rem ui-monospace,monospace;margin-top:2rem}code{font-size:.95em}</style>"
        f"<h1>barnabas-quant API</h1><p><a href=/api/v1/openapi.json>OpenAPI document</a></p>{''.join(rows)}</html>"
    )


def _fields(kind: type[msgspec.Struct]) -> str:
    return f"<b>{kind.__name__}</b>: {html.escape(', '.join(kind.__struct_fields__))}"
