"""The OpenAPI document as a page for people, without a script and without another file's help.

Swagger's page is 1.5 MB of scripts that FastAPI loads from elsewhere; a browser that opened it
would tell a stranger that a daemon runs here (decision 0333).
"""

from collections.abc import Iterator
from html import escape
from typing import Any, Final

STYLE: Final = """\
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, h3 { font-family: ui-monospace, monospace }
h3 { margin: 2rem 0 0; font-size: 1rem }
table { border-collapse: collapse }
td { padding: .1rem 1rem .1rem 0; vertical-align: top }
summary { cursor: pointer }
"""
_HEAD: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<link rel="stylesheet" href="/docs.css">
<h1>{title}</h1>
<p>{text} <a href="/openapi.json">openapi.json</a></p>
"""


def render(document: dict[str, Any]) -> str:
    """Return the page of an OpenAPI document."""
    info = document["info"]
    parts = [_HEAD.format(title=escape(info["title"]), text=escape(info["description"]))]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts += _operation(f"{method.upper()} {path}", operation)
    parts.append("<h2>Shapes</h2>\n")
    for name, schema in document["components"]["schemas"].items():
        parts += _schema(name, schema)
    return "".join(parts)


def _operation(place: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"<h3>{escape(place)}</h3>\n<p>{escape(operation.get('description', ''))}</p>\n"
    body = operation.get("requestBody")
    if body is not None:
        yield f"<p>takes {_type(_content(body))}</p>\n"
    yield "<details><summary>answers</summary><table>\n"
    for status, answer in operation["responses"].items():
        shape = _type(_content(answer)) if status == "200" else ""
        text = escape(answer["description"])
        yield f"<tr><td><code>{status}</code><td>{text}<td>{shape}\n"
    yield "</table></details>\n"


def _schema(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f'<h3 id="{escape(name)}">{escape(name)}</h3>\n'
    yield f"<p>{escape(schema.get('description', ''))}</p>\n<table>\n"
    for field, shape in schema.get("properties", {}).items():
        yield f"<tr><td><code>{escape(field)}</code><td>{_type(shape)}\n"
    yield "</table>\n"


def _content(part: dict[str, Any]) -> dict[str, Any]:
    for shape in part.get("content", {}).values():
        found: dict[str, Any] = shape.get("schema", {})
        return found
    return {}


def _type(schema: dict[str, Any]) -> str:
    """Return a schema in words, with links to what it names."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return ", ".join(escape(str(v)) for v in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return escape(str(schema.get("type", "text")))
