"""/docs: the API reference as one plain page, made from the OpenAPI document; it loads nothing from elsewhere."""

import json
from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

router = APIRouter(include_in_schema=False)

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8882}
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
code,pre{font:13px/1.45 ui-monospace,monospace}
pre{background:var(--soft);padding:.7rem;border-radius:.4rem;overflow-x:auto}
details{border:1px solid var(--line);border-radius:.4rem;margin:.4rem 0;padding:.3rem .8rem}
summary{cursor:pointer}summary b{display:inline-block;width:4.5rem}
table{border-collapse:collapse;width:100%}td,th{border-top:1px solid var(--line);padding:.25rem .5rem;text-align:left;
vertical-align:top}h2{margin-top:2rem}nav a{margin-right:1rem}
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@router.get("/docs")
async def read_reference(request: Request) -> HTMLResponse:
    """The reference as a page."""
    document = request.app.openapi()
    return HTMLResponse("".join(_page(document)), headers={"content-security-policy": _POLICY})


@router.get("/")
async def lead_to_reference() -> RedirectResponse:
    """Whoever opens the bare address finds the reference."""
    return RedirectResponse("/docs", status_code=307)


def _page(document: dict[str, Any]) -> Iterator[str]:
    info = document["info"]
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(info["title"])} API</title>'
    yield f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
    yield f"<h1>{escape(info['title'])} API {escape(info['version'])}</h1><p>{escape(info['description'])}</p>"
    yield '<p>The same for programs: <a href="/openapi.json">openapi.json</a></p><nav>'
    yield "".join(f'<a href="#{tag["name"]}">{tag["name"]}</a>' for tag in document["tags"])
    yield '<a href="#schemas">schemas</a></nav>'
    for tag in document["tags"]:
        yield f'<h2 id="{tag["name"]}">{tag["name"]}</h2><p>{escape(tag["description"])}</p>'
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if tag["name"] in operation["tags"]:
                    yield from _operation(path, method, operation)
    yield '<h2 id="schemas">schemas</h2>'
    for name, schema in document["components"]["schemas"].items():
        yield f'<details id="schema-{name}"><summary><code>{name}</code></summary>{_json(schema)}</details>'


def _operation(path: str, method: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f'<details id="{operation["operationId"]}"><summary><b>{method.upper()}</b> <code>{escape(path)}</code> '
    yield f"{escape(operation['summary'])}</summary><p>{escape(operation['description'])}</p>"
    scopes = [scope for item in operation.get("security", []) for scopes in item.values() for scope in scopes]
    if scopes:
        yield f"<p>Scope: <code>{escape(', '.join(scopes))}</code></p>"
    parameters = operation.get("parameters", [])
    if parameters:
        yield "<table><tr><th>parameter<th>in<th>meaning"
        for item in parameters:
            name = f"<code>{escape(item['name'])}</code>" + (" *" if item.get("required") else "")
            yield f"<tr><td>{name}<td>{item['in']}<td>{escape(item.get('description', ''))}"
        yield "</table>"
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"<p>Body <code>{escape(kind)}</code> {_link(content['schema'])}</p>"
        yield from (_json(example) for example in _examples(content))
    yield "<table><tr><th>status<th>answer<th>meaning"
    for status, response in operation["responses"].items():
        kinds = ", ".join(
            f"<code>{escape(kind)}</code> {_link(content.get('schema', {}))}"
            for kind, content in response.get("content", {}).items()
        )
        yield f"<tr><td>{status}<td>{kinds}<td>{escape(response['description'])}"
    yield "</table></details>"


def _link(schema: dict[str, Any]) -> str:
    name = schema.get("$ref", "").rpartition("/")[2]
    return f'<a href="#schema-{name}">{name}</a>' if name else ""


def _examples(content: dict[str, Any]) -> Iterator[Any]:
    if "example" in content:
        yield content["example"]
    yield from (item["value"] for item in content.get("examples", {}).values())


def _json(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2))}</pre>"
