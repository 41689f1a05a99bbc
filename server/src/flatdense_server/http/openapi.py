"""What the HTTP port answers, in OpenAPI's words: for programs that read such a description."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version as library_version
from typing import Any, Final, TypeAlias

from flatdense_server.http.gate import scope_of
from flatdense_server.http.schemas import SCHEMAS

Json: TypeAlias = dict[str, Any]

MODEL: Final = "model"
VERSION: Final = "version"
LABEL: Final = "label"
FILE: Final = "file"

ERRORS: Final = {
    400: "The request is not what the model takes; the message names what was expected.",
    403: "Not allowed on this server.",
    404: "No such model, version or label; the message names those that there are.",
    408: "The body did not arrive in time.",
    413: "The body is bigger than that of the biggest request.",
    415: "The body is neither JSON nor compressed by gzip or deflate.",
    429: "More work is waiting than the server takes on.",
    503: "Loading, or stopping.",
    504: "Not answered in time.",
}
"""Each of them has the same body."""

ASKED: Final = (400, 404, 429, 503, 504)
"""The errors of whatever a worker is asked."""

BODILY: Final = (*ASKED, 408, 413, 415)
"""And those of a body."""

BINARY: Final = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}

HEADER_LENGTH: Final = {
    "name": "Inference-Header-Content-Length",
    "in": "header",
    "description": "Bytes of JSON at the start of the body. Binary tensors follow it.",
    "schema": {"type": "integer", "minimum": 0},
}


def describe_api(model_name: str, *, has_page: bool = False, wants_tokens: bool = False) -> Json:
    """The description, an OpenAPI 3.1 document. `model_name` is the example of a model."""
    v2, v1 = f"/v2/models/{{{MODEL}}}", f"/v1/models/{{{MODEL}}}"
    paths: Json = {**describe_probes(), **describe_server()}
    if has_page:
        paths |= describe_page(f"{v1}/versions/{{{VERSION}}}")
    for prefix in (v2, f"{v2}/versions/{{{VERSION}}}"):
        paths |= describe_open_inference(prefix)
    for prefix in (v1, f"{v1}/versions/{{{VERSION}}}", f"{v1}/labels/{{{LABEL}}}"):
        paths |= describe_tf_serving(prefix) | describe_native(prefix)
    for path, item in paths.items():
        item["parameters"] = describe_parameters(path, model_name)
    described: Json = {
        "openapi": "3.1.0",
        "info": {
            "title": "flatdense",
            "version": library_version("flatdense-server"),
            "description": "Classifies images: the Open Inference Protocol (/v2) and TensorFlow "
            "Serving's REST (/v1), with KServe's :explain.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": SCHEMAS},
    }
    return add_tokens(described) if wants_tokens else described


def add_tokens(described: Json) -> Json:
    """The same description, of a server that wants tokens."""
    forbidden = {"description": ERRORS[403], "content": json("Error")}
    refused = {"description": "No valid token was sent.", "content": json("Error")}
    for path, item in described["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            if scope_of(path):
                operation["responses"] = {
                    **operation["responses"],
                    "401": refused,
                    "403": forbidden,
                }
            else:
                operation["security"] = []
    schemes = {"token": {"type": "http", "scheme": "bearer"}}
    components = {**described["components"], "securitySchemes": schemes}
    return {**described, "components": components, "security": [{"token": []}]}


def describe_parameters(path: str, model_name: str) -> list[Json]:
    """The parts of a path that vary."""
    name: Json = {"type": "string", "minLength": 1, "maxLength": 1024, "pattern": "^[^/:]+$"}
    v1 = path.startswith("/v1")
    number: Json = {"type": "integer", "minimum": 0, "maximum": (1 << 63) - 1}
    known: dict[str, Json] = {
        MODEL: {"schema": name, "example": model_name},
        VERSION: {"schema": number if v1 else name, "example": 1 if v1 else "1"},
        LABEL: {"schema": name, "example": "stable"},
        FILE: {"schema": name, "example": "neurons.png" if v1 else "main.js"},
    }
    return [
        {"name": part, "in": "path", "required": True, **described}
        for part, described in known.items()
        if f"{{{part}}}" in path
    ]


def describe_page(version: str) -> Json:
    """What people ask for, and what the page asks for beside what callers do."""
    page = {"text/html": {"schema": {"type": "string"}}}
    parts = {
        kind: {"schema": {"type": "string"}}
        for kind in ("text/css", "text/javascript", "image/svg+xml")
    }
    picture: Json = {"image/png": {"schema": {"type": "string", "format": "binary"}}}
    weights = describe_operation("The weights, as a safetensors file", BINARY, errors=ASKED)
    told: Json = {"application/json": {"schema": {"type": "object"}}}
    report = describe_operation("The report of the training", told, errors=ASKED)
    drawn = describe_operation("The report, or a picture of it", {**told, **picture}, errors=ASKED)
    for operation in (weights, report, drawn):
        operation["responses"]["204"] = {"description": "The version came without it."}
    return {
        "/": {"get": describe_operation("The page, for people", page)},
        f"/page/{{{FILE}}}": {"get": describe_operation("A part of it", parts, errors=(404,))},
        f"{version}/weights": {"get": weights},
        f"{version}/report": {"get": report},
        f"{version}/report/{{{FILE}}}": {"get": drawn},
    }


def describe_probes() -> Json:
    """What probes and scrapers ask for."""
    metrics = {
        kind: {"schema": {"type": "string"}}
        for kind in ("text/plain", "application/openmetrics-text")
    }
    return {
        "/healthz": {"get": describe_operation("Live", json("Live"))},
        "/readyz": {"get": describe_ready("Ready")},
        "/metrics": {"get": describe_operation("The metrics, for Prometheus", metrics)},
        "/openapi.json": {
            "get": describe_operation(
                "This description", {"application/json": {"schema": {"type": "object"}}}
            )
        },
    }


def describe_server() -> Json:
    """What of /v2 is about no model, or about all."""
    load = describe_operation(
        "Look at the model's folder, and serve it again where it was unloaded",
        json("Nothing"),
        errors=(*BODILY, 403),
        body=json("RepositoryRequest"),
        body_required=False,
    )
    unload = {**load, "summary": "Serve a model no more"}
    index = describe_operation(
        "Every version and its state",
        json("RepositoryIndex"),
        errors=(*BODILY, 403),
        body=json("IndexRequest"),
        body_required=False,
    )
    statistics = describe_operation("Calls and batches", json("Statistics"), errors=ASKED)
    server = describe_operation("The server and its extensions", json("Server"), errors=ASKED)
    return {
        "/v2": {"get": server},
        "/v2/health/live": {"get": describe_operation("Live", json("Live"))},
        "/v2/health/ready": {"get": describe_ready("Ready", errors=(429, 504))},
        "/v2/models/stats": {"get": statistics},
        "/v2/repository/index": {"post": index},
        f"/v2/repository/models/{{{MODEL}}}/load": {"post": load},
        f"/v2/repository/models/{{{MODEL}}}/unload": {"post": unload},
    }


def describe_open_inference(prefix: str) -> Json:
    """What of /v2 is about a model."""
    infer = describe_operation(
        "Classify images",
        {**json("InferResponse"), **BINARY},
        errors=BODILY,
        body={**json("InferRequest"), **BINARY},
    )
    infer["parameters"] = [HEADER_LENGTH]
    return {
        prefix: {"get": describe_operation("Versions and tensors", json("Model"), errors=ASKED)},
        f"{prefix}/ready": {"get": describe_ready("ModelReady", errors=(400, 404, 429, 504))},
        f"{prefix}/config": {
            "get": describe_operation("How it is served", json("ModelConfig"), errors=ASKED)
        },
        f"{prefix}/stats": {
            "get": describe_operation("Calls and batches", json("Statistics"), errors=ASKED)
        },
        f"{prefix}/infer": {"post": infer},
    }


def describe_tf_serving(prefix: str) -> Json:
    """What of /v1 is about a model."""
    return {
        prefix: {"get": describe_operation("Versions, states", json("ModelStatus"), errors=ASKED)},
        f"{prefix}/metadata": {
            "get": describe_operation("Signatures", json("ModelMetadata"), errors=ASKED)
        },
        f"{prefix}:predict": {
            "post": describe_operation(
                "Classify images: tensors in, tensors out",
                json("PredictResponse"),
                errors=BODILY,
                body=json("PredictRequest"),
            )
        },
        f"{prefix}:classify": {
            "post": describe_operation(
                "Classify images: examples in, classes and scores out",
                json("ClassifyResponse"),
                errors=BODILY,
                body=json("ClassifyRequest"),
            )
        },
    }


def describe_native(prefix: str) -> Json:
    """What of /v1 is of neither, about a model."""
    explain = describe_operation(
        "Where the logits of images come from: hidden activations, and each pixel's contribution",
        json("ExplainResponse"),
        errors=BODILY,
        body=json("ExplainRequest"),
    )
    summary = describe_operation("Layers, training, versions", json("Summary"), errors=ASKED)
    return {f"{prefix}:explain": {"post": explain}, f"{prefix}/summary": {"get": summary}}


def describe_ready(schema: str, errors: Sequence[int] = ()) -> Json:
    """An operation that is also answered by a 503 of its own."""
    operation = describe_operation("Ready: a call would be taken", json(schema), errors=errors)
    operation["responses"]["503"] = {"description": ERRORS[503], "content": json("NotReady")}
    return operation


def describe_operation(
    summary: str,
    content: Mapping[str, Json],
    *,
    errors: Sequence[int] = (),
    body: Mapping[str, Json] | None = None,
    body_required: bool = True,
) -> Json:
    """One method of one path."""
    operation: Json = {
        "summary": summary,
        "responses": {
            "200": {"description": summary, "content": {**content}},
            **{
                str(status): {"description": ERRORS[status], "content": json("Error")}
                for status in sorted(errors)
            },
        },
    }
    if body:
        operation["requestBody"] = {"required": body_required, "content": {**body}}
    return operation


def json(schema: str) -> Json:
    """A body of one of the schemas."""
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
