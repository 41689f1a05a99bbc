"""The JSON of requests and responses, in JSON Schema's words."""

from typing import Any, Final

from flatdense_server.http.limits import MAX_ENTRIES, MAX_TEXT
from flatdense_server.http.tensors import DATATYPES

Json = dict[str, Any]


def make_object(properties: Json, required: tuple[str, ...] | None = None, **more: object) -> Json:
    """An object; without a list of what is required, all of it is."""
    needed = tuple(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": [*needed], **more}


def make_list(items: Json, **more: object) -> Json:
    """A list of one kind of things."""
    return {"type": "array", "items": items, **more}


def make_map(values: Json) -> Json:
    """An object whose names are not known before."""
    return {"type": "object", "additionalProperties": values}


def refer(name: str) -> Json:
    """Another of the schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


TEXT: Final[Json] = {"type": "string"}
NAME: Final[Json] = {"type": "string", "maxLength": MAX_TEXT}
BOOLEAN: Final[Json] = {"type": "boolean"}
NUMBER: Final[Json] = {"type": "number"}
COUNT: Final[Json] = {"type": "integer", "minimum": 0}
INTEGER: Final[Json] = {"type": "integer", "minimum": -(1 << 63), "maximum": (1 << 63) - 1}
WIDE_TEXT: Final[Json] = {"type": "string", "pattern": "^-?[0-9]+$"}
"""An integer of 64 bits, as protocol buffers have it in JSON."""

NUMBERS: Final[Json] = {
    "description": "A number, or lists of them; flat, or nested row by row.",
    "anyOf": [NUMBER, make_list(refer("Numbers"), minItems=1)],
}

PARAMETERS: Final[Json] = {
    "type": ["object", "null"],
    "additionalProperties": {"type": ["boolean", "number", "string"]},
    "maxProperties": MAX_ENTRIES,
}

TENSOR_METADATA: Final = make_object({"name": TEXT, "datatype": TEXT, "shape": make_list(INTEGER)})

DURATION: Final = make_object({"count": COUNT, "ns": COUNT})

VALUES: Final[Json] = {
    "description": "A number, a text, bytes in base64, or a list of them.",
    "anyOf": [refer("Value"), make_list(refer("Value"))],
}

FEATURES: Final[Json] = {"type": "object", "additionalProperties": VALUES}

SCHEMAS: Final[Json] = {
    "Error": make_object({"error": TEXT}),
    "Nothing": {"type": "object", "maxProperties": 0},
    "Live": make_object({"live": {"const": True}}),
    "Ready": make_object(
        {"ready": {"const": True}, "model": TEXT, "version": COUNT}, required=("ready",)
    ),
    "ModelReady": make_object({"name": TEXT, "ready": {"const": True}}),
    "NotReady": make_object(
        {"ready": {"const": False}, "name": TEXT, "reason": TEXT, "error": TEXT}, required=()
    ),
    "Numbers": NUMBERS,
    "Parameters": PARAMETERS,
    "Server": make_object({"name": TEXT, "version": TEXT, "extensions": make_list(TEXT)}),
    "Model": make_object(
        {
            "name": TEXT,
            "versions": make_list(TEXT),
            "platform": TEXT,
            "inputs": make_list(TENSOR_METADATA),
            "outputs": make_list(TENSOR_METADATA),
            "properties": make_map(TEXT),
        },
        required=("name", "versions", "platform", "inputs", "outputs"),
    ),
    "ModelConfig": make_object({"name": TEXT, "platform": TEXT, "max_batch_size": COUNT}),
    "Statistics": make_object(
        {
            "model_stats": make_list(
                make_object(
                    {
                        "name": TEXT,
                        "version": TEXT,
                        "last_inference": COUNT,
                        "inference_count": COUNT,
                        "execution_count": COUNT,
                        "inference_stats": make_map(DURATION),
                        "batch_stats": make_list({"type": "object"}),
                    },
                    required=("name", "version"),
                )
            )
        }
    ),
    "IndexRequest": make_object({"ready": BOOLEAN}, required=()),
    "RepositoryIndex": make_list(
        make_object({"name": TEXT, "version": TEXT, "state": TEXT, "reason": TEXT})
    ),
    "RepositoryRequest": make_object({"parameters": refer("Parameters")}, required=()),
    "InferRequest": make_object(
        {
            "id": {"type": ["string", "null"], "maxLength": MAX_TEXT},
            "parameters": refer("Parameters"),
            "inputs": make_list(
                make_object(
                    {
                        "name": {**NAME, "example": "images"},
                        "datatype": {"enum": [*DATATYPES]},
                        "shape": make_list(INTEGER, maxItems=MAX_ENTRIES),
                        "parameters": refer("Parameters"),
                        "data": refer("Numbers"),
                    },
                    required=("name", "datatype", "shape"),
                ),
                maxItems=MAX_ENTRIES,
            ),
            "outputs": {
                **make_list(
                    make_object(
                        {"name": NAME, "parameters": refer("Parameters")}, required=("name",)
                    ),
                    maxItems=MAX_ENTRIES,
                ),
                "type": ["array", "null"],
            },
        },
        required=("inputs",),
        example={
            "inputs": [
                {"name": "images", "datatype": "UINT8", "shape": [1, 784], "data": [0] * 784}
            ]
        },
    ),
    "InferResponse": make_object(
        {
            "model_name": TEXT,
            "model_version": TEXT,
            "id": TEXT,
            "parameters": refer("Parameters"),
            "outputs": make_list(
                make_object(
                    {
                        "name": TEXT,
                        "datatype": TEXT,
                        "shape": make_list(COUNT),
                        "parameters": refer("Parameters"),
                        "data": make_list({"type": ["number", "string", "null"]}),
                    },
                    required=("name", "datatype", "shape"),
                )
            ),
        },
        required=("model_name", "model_version", "outputs"),
    ),
    "ModelStatus": make_object(
        {
            "model_version_status": make_list(
                make_object(
                    {
                        "version": WIDE_TEXT,
                        "state": TEXT,
                        "status": make_object({"error_code": TEXT, "error_message": TEXT}),
                    }
                )
            )
        }
    ),
    "ModelMetadata": make_object(
        {
            "model_spec": make_object({"name": TEXT, "signature_name": TEXT, "version": WIDE_TEXT}),
            "metadata": make_object(
                {"signature_def": make_object({"signature_def": {"type": "object"}})}
            ),
        }
    ),
    "PredictRequest": make_object(
        {
            "signature_name": NAME,
            "instances": {
                "description": "One entry for each row.",
                "anyOf": [
                    make_list(refer("Numbers"), minItems=1),
                    make_list(make_map(refer("Numbers")), minItems=1),
                ],
            },
            "inputs": {
                "description": "All rows together.",
                "anyOf": [refer("Numbers"), make_map(refer("Numbers"))],
            },
        },
        required=(),
        oneOf=[{"required": ["instances"]}, {"required": ["inputs"]}],
        example={"instances": [[0.0] * 784]},
    ),
    "PredictResponse": make_object(
        {
            "predictions": make_list({"anyOf": [refer("Numbers"), make_map(refer("Numbers"))]}),
            "outputs": {"anyOf": [refer("Numbers"), make_map(refer("Numbers"))]},
        },
        required=(),
    ),
    "Value": {
        "anyOf": [
            NUMBER,
            TEXT,
            make_object(
                {"b64": {"type": "string", "contentEncoding": "base64"}},
                additionalProperties=False,
            ),
        ]
    },
    "ClassifyRequest": make_object(
        {
            "signature_name": NAME,
            "context": {**FEATURES, "type": ["object", "null"]},
            "examples": make_list(FEATURES),
        },
        required=("examples",),
        example={"examples": [{"images": [0] * 784}]},
    ),
    "ExplainRequest": make_object(
        {
            "signature_name": NAME,
            "instances": {
                "description": "One entry for each row.",
                "anyOf": [
                    make_list(refer("Numbers"), minItems=1),
                    make_list(make_map(refer("Numbers")), minItems=1),
                ],
            },
            "class_index": {
                **INTEGER,
                "type": ["integer", "null"],
                "description": "The class to explain; without it, each row's own.",
            },
        },
        required=("instances",),
        example={"instances": [[0.0] * 784], "class_index": 3},
    ),
    "ExplainResponse": make_object(
        {
            "model_name": TEXT,
            "model_version": TEXT,
            "explanations": make_list(
                make_object(
                    {
                        "class": COUNT,
                        "probabilities": make_list(NUMBER),
                        "logits": make_list(NUMBER),
                        "hidden": make_list(NUMBER),
                        "explained_class": COUNT,
                        "contributions": make_list(NUMBER),
                        "bias_contribution": NUMBER,
                    }
                )
            ),
        }
    ),
    "Summary": make_object(
        {
            "name": TEXT,
            "version": COUNT,
            "available_versions": make_list(COUNT),
            "layers": make_list({"type": "object"}),
            "parameters": COUNT,
            "class_names": make_list(TEXT),
            "inputs": make_list({"type": "object"}),
            "outputs": make_list({"type": "object"}),
            "training": {"type": "object"},
            "serving": {"type": "object"},
            "versions": make_list({"type": "object"}),
            "unchecked": make_list(TEXT),
        },
        required=("name", "version", "available_versions", "layers", "class_names", "versions"),
    ),
    "ClassifyResponse": make_object(
        {
            "results": make_list(
                make_list(make_list({"type": ["string", "number"]}, minItems=2, maxItems=2))
            )
        }
    ),
}
"""By their names, which references use."""
