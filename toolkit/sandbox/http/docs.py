"""The documentation page: the OpenAPI document as plain HTML that needs no network."""

from __future__ import annotations

from html import escape
from typing import Any

_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
    "code{font-size:.95em}td,th{padding:.2rem 1rem .2rem 0;text-align:left;vertical-align:top}"
)
_HEADERS = (
    "Authorization: Bearer <token>",
    "Content-Type: application/json",
    "Access-Control-Request-Headers: authorization",
)


def docs_page(document: dict[str, Any]) -> str:
    """Return the page for an OpenAPI document whose operations are all GET."""
    info = document["info"]
    operations = "".join(
        _operation(path, methods["get"], document) for path, methods in document["paths"].items()
    )
    headers = "".join(f"<li><code>{escape(header)}</code></li>" for header in _HEADERS)
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}'
        f"</title><style>{_STYLE}</style></head><body><h1>{escape(info['title'])}</h1>"
        f"<p>{escape(info['description'])}</p>"
        f"<p>Every request carries these headers:</p><ul>{headers}</ul>{operations}"
        '<p>For programs: <a href="openapi.json">openapi.json</a></p></body></html>'
    )


def _operation(path: str, operation: dict[str, Any], document: dict[str, Any]) -> str:
    filters = [
        (f"<code>{escape(p['name'])}</code>", escape(p.get("description", "")))
        for p in operation["parameters"]
        if p["in"] == "query"
    ]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    record = document["components"]["schemas"][schema["items"]["$ref"].rpartition("/")[2]]
    fields = ", ".join(f"<code>{escape(name)}</code>" for name in record["properties"])
    answers = [
        (escape(status), escape(answer["description"]))
        for status, answer in operation["responses"].items()
    ]
    return (
        f"<h2><code>GET {escape(path)}</code></h2><p>{escape(operation['description'])} "
        f"Each record has {fields}.</p>{_table('Filter', filters)}{_table('Status', answers)}"
    )


def _table(heading: str, rows: list[tuple[str, str]]) -> str:
    body = "".join(f"<tr><td>{name}</td><td>{meaning}</td></tr>" for name, meaning in rows)
    return f"<table><tr><th>{heading}</th><th>Meaning</th></tr>{body}</table>"
