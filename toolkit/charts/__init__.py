"""Charts: each turns a released result into an `alt.Chart`. None computes a statistic."""

import sys

import lazy_loader


def _import_jsonschema_at_once() -> None:
    """Import jsonschema for Altair without its IRI parser, whose import takes a second.

    JupyterLab installs that parser; Altair's schema contains no IRI.
    """
    parser = "rfc3987_syntax"
    if parser in sys.modules:
        return
    sys.modules[parser] = None  # type: ignore[assignment]  # an import of it raises ImportError
    try:
        import jsonschema  # noqa: F401
    finally:
        del sys.modules[parser]


_import_jsonschema_at_once()
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
