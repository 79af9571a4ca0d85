"""The embedded platform: the documented API on loopback, with simulated or real learners."""

from toolkit.extras import extra

with extra("sandbox"):
    import fastapi as _fastapi  # noqa: F401
    import uvicorn as _uvicorn  # noqa: F401
