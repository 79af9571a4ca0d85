"""The platform's API as an ASGI application over a source of records."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from toolkit.sandbox.http.docs import docs_page
from toolkit.sandbox.http.framing import Framing, body
from toolkit.sandbox.http.models import (
    Completion,
    Enrollment,
    EnrollmentFilters,
    Grade,
    OneCourseOrLearner,
    Refusal,
)
from toolkit.sandbox.learners.records import Filters, Source, created_since, lines, rows

API = "/api/so2/v1"
_ABOUT = (
    "A stand-in for the hosting platform's read-only API, for trials and tests. "
    "Its learners are simulated, or real ones from the Open University dataset. Every request "
    "must carry the header `Content-Type: application/json`, which OpenAPI cannot express."
)
_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {
        "model": Refusal,
        "description": "A parameter or header is wrong; the body says which and why",
    },
    401: {"model": Refusal, "description": "The bearer token is missing or wrong"},
}
_bearer = HTTPBearer(auto_error=False, description="The token the sandbox printed at start.")


def create_app(source: Source, token: str, framing: Framing) -> FastAPI:
    """Build the API over this source, for clients with the token."""

    async def authorized(
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> None:
        given = credentials.credentials if credentials else ""
        if not secrets.compare_digest(given.encode(), token.encode()):
            raise HTTPException(
                401, "the bearer token is missing or wrong", {"WWW-Authenticate": "Bearer"}
            )

    app = FastAPI(
        title="SO2 API sandbox",
        version="1",
        description=_ABOUT,
        exception_handlers={RequestValidationError: _bad_request},
        docs_url=None,  # FastAPI's own page loads its scripts from the network
        redoc_url=None,
    )

    api = APIRouter(
        prefix=API,
        dependencies=[Depends(authorized), Depends(_documented_headers), Depends(_each_once)],
        responses=_REFUSALS,
    )

    def answer(resource: str, filters: Filters) -> StreamingResponse:
        pieces = (lines(frame) for frame in rows(source, resource, filters))
        return StreamingResponse(body(pieces, framing), media_type=framing.media_type)

    @api.get("/grades", response_model=list[Grade])
    async def grades(asked: Annotated[OneCourseOrLearner, Query()]) -> StreamingResponse:
        """Every learner's grade in every course."""
        return answer("grades", Filters(asked.course_id, asked.username))

    @api.get("/enrollments", response_model=list[Enrollment])
    async def enrollments(asked: Annotated[EnrollmentFilters, Query()]) -> StreamingResponse:
        """Every learner's enrollments."""
        since = created_since(source.clock, asked.days)
        return answer("enrollments", Filters(asked.course_id, asked.username, since))

    @api.get("/completion", response_model=list[Completion])
    async def completion(asked: Annotated[OneCourseOrLearner, Query()]) -> StreamingResponse:
        """The share of each course's content that each learner completed."""
        return answer("completion", Filters(asked.course_id, asked.username))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi()))

    app.include_router(api)
    app.state.clock = source.clock
    app.openapi = partial(_openapi, app)  # type: ignore[method-assign]
    return app


async def _documented_headers(
    request: Request,
    access_control_request_headers: Annotated[Literal["authorization"], Header()],  # noqa: ARG001
) -> None:
    """Require the two headers that the platform documents for every request."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise HTTPException(400, "the header `Content-Type: application/json` is required")


async def _each_once(request: Request) -> None:
    """Refuse a filter given twice, because either value could be meant."""
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if names.count(name) > 1:
            raise HTTPException(400, f"{name}: given more than once")


async def _bad_request(_request: Request, error: RequestValidationError) -> JSONResponse:
    reasons = (f"{e['loc'][-1]}: {e['msg']}" for e in error.errors())
    return JSONResponse({"detail": "; ".join(reasons)}, status_code=400)


def _openapi(app: FastAPI) -> dict[str, Any]:
    """Return the document without FastAPI's 422, since the platform responds with 400."""
    document = FastAPI.openapi(app)
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
    for unused in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(unused, None)
    return document
