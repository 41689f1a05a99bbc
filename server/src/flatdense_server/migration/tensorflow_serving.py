"""TensorFlow Serving: the files that its flags name."""

from pathlib import Path
from typing import Final

from flatdense_proto.twin.tensorflow_serving_config_pb2 import (
    BatchingParameters,
    ModelConfig,
    ModelServerConfig,
)

from flatdense_server.migration.answer import Answer, merge, one_each
from flatdense_server.migration.flags import Flags, Given, OtherServer, join
from flatdense_server.migration.textproto import read_textproto
from flatdense_server.migration.versions import carry_policy

DEFAULT_MODEL_NAME: Final = "default"
DEFAULT_BATCH_ROWS: Final = 1000
"""Its max_batch_size where the file does not say."""

NEVER_S: Final = "1000000"
"""Stands for no look after the first."""

MODELS_EXAMPLE: Final = 'model_config_list { config { name: "mnist" base_path: "/models/mnist" } }'
BATCHING_EXAMPLE: Final = "max_batch_size { value: 128 }"

REMOTE: Final = ("gs:/", "s3:/", "hdfs:/", "as:/")
"""Where it can read models, and this server cannot."""

NEEDLESS: Final = (
    "num_batch_threads",
    "thread_pool_name",
    "allowed_batch_sizes",
    "pad_variable_length_inputs",
)
"""Batching parameters that nothing here depends on."""


def carry_name(value: str, given: Given) -> Answer:
    """--model_name, at which it does not look where a file has the names."""
    return Answer() if "model_config_file" in given else Answer(options=(("--model-name", value),))


def carry_base_path(value: str, given: Given) -> Answer:
    """--model_base_path, and the name that a model has which got none."""
    if "model_config_file" in given:
        return Answer()
    named = given.keys() & {"model_name", "model-name"}
    name = () if named else (("--model-name", DEFAULT_MODEL_NAME),)
    return Answer(options=(("--model-dir", value), *name), remarks=judge_path(value))


def judge_path(path: str) -> tuple[str, ...]:
    """What is to be said of the folder of a model."""
    if not path.startswith(REMOTE):
        return ()
    return (f"The folder must be local or mounted, and {path} is neither: copy it",)


def carry_models(value: str, _: Given) -> Answer:
    """--model_config_file: its model, or each of its models."""
    config = read_textproto(Path(value), ModelServerConfig(), MODELS_EXAMPLE)
    models = config.model_config_list.config
    if not models:
        return Answer(remarks=(f"{value} names no model: expected {MODELS_EXAMPLE}",))
    return one_each(value, [carry_model(model) for model in models])


def carry_model(model: ModelConfig) -> Answer:
    """One `config` of a models.config."""
    remarks = [*judge_path(model.base_path)]
    if model.model_platform not in ("", "tensorflow"):
        remarks.append(f"The platform {model.model_platform} is not offered, only SavedModels")
    if model.HasField("logging_config"):
        remarks.append("logging_config is not offered: requests are not logged")
    options = (("--model-dir", model.base_path), ("--model-name", model.name))
    return merge(
        [
            Answer(options=options, remarks=remarks),
            carry_policy(model.base_path, model.model_version_policy, model.version_labels),
        ]
    )


def carry_batching(value: str, _: Given) -> Answer:
    """--batching_parameters_file."""
    parameters = read_textproto(Path(value), BatchingParameters(), BATCHING_EXAMPLE)
    given = {field.name for field, _ in parameters.ListFields()}
    request_rows = parameters.max_batch_size.value or DEFAULT_BATCH_ROWS
    batch_rows = request_rows
    if parameters.enable_large_batch_splitting.value:
        batch_rows = parameters.max_execution_batch_size.value or request_rows
    options: list[tuple[str, str]] = []
    if given & {"max_batch_size", "max_execution_batch_size"}:
        options.append(("--max-batch-rows", str(batch_rows)))
        options.append(("--max-request-rows", str(request_rows)))
    if "batch_timeout_micros" in given:
        options.append(("--batch-wait-us", str(parameters.batch_timeout_micros.value)))
    if "max_enqueued_batches" in given:
        rows = parameters.max_enqueued_batches.value * batch_rows
        options.append(("--max-queued-rows", str(rows)))
    remarks = []
    if needless := [name for name in NEEDLESS if name in given]:
        remarks.append(f"{join(needless)} {'is' if len(needless) == 1 else 'are'} not needed")
    return Answer(options=options, remarks=remarks)


def carry_http_port(value: str, _: Given) -> Answer:
    """--rest_api_port, where 0 is none."""
    if value == "0":
        return Answer(remarks=("HTTP is always on: the metrics and the probes are there",))
    return Answer(options=(("--http-port", value),))


def carry_poll(value: str, _: Given) -> Answer:
    """--file_system_poll_wait_seconds, where 0 is one look and no other."""
    seconds = NEVER_S if value.startswith(("0", "-")) else value
    return Answer(options=(("--poll-interval-s", seconds),))


SERVER: Final = OtherServer(
    owner="TensorFlow Serving's",
    table=(
        Flags(
            names=("port",),
            here="--grpc-port",
            remark="The server listens on 127.0.0.1 unless --host 0.0.0.0 is given",
        ),
        Flags(
            names=("rest_api_port",),
            here="--http-port",
            remark="HTTP is always on: the metrics and the probes are there",
            carry=carry_http_port,
        ),
        Flags(names=("model_name",), here="--model-name", carry=carry_name),
        Flags(
            names=("model_base_path",),
            here="--model-dir, --model-name",
            carry=carry_base_path,
        ),
        Flags(
            names=("model_config_file",),
            here="--model-name, --model-dir, versions.toml",
            carry=carry_models,
        ),
        Flags(
            names=("model_config_file_poll_wait_seconds",),
            remark="not needed: versions.toml is read every --poll-interval-s",
        ),
        Flags(names=("file_system_poll_wait_seconds",), here="--poll-interval-s", carry=carry_poll),
        Flags(
            names=("enable_batching",),
            remark="not needed: what is ready together always runs as one batch",
        ),
        Flags(
            names=("batching_parameters_file",),
            here="--max-batch-rows, --max-request-rows, --batch-wait-us, --max-queued-rows",
            remark="Limits of rows are for each worker",
            carry=carry_batching,
        ),
        Flags(
            names=("enable_per_model_batching_parameters",),
            remark="not needed: a server has one model, and its flags are that model's",
        ),
        Flags(
            names=(
                "allow_version_labels_for_unavailable_models",
                "force_allow_any_version_labels_for_unavailable_models",
            ),
            remark="not needed: a label may name a version that comes later",
        ),
        Flags(
            names=("enable_model_warmup", "num_request_iterations_for_warmup"),
            remark="not needed: every batch size has run before the server is ready",
        ),
        Flags(
            names=("xla_cpu_compilation_enabled", "xla_gpu_compilation_enabled"),
            remark="not needed: XLA always compiles the network, before the server is ready",
        ),
        Flags(
            names=("enable_grpc_healthcheck_service",),
            remark="not needed: grpc.health.v1.Health is always on",
        ),
        Flags(
            names=("monitoring_config_file",),
            remark="not needed: /metrics on the HTTP port is always on",
        ),
        Flags(
            names=("enable_serialization_as_tensor_content",),
            remark="not needed: an answer has tensor_content where the request had it",
        ),
        Flags(
            names=("grpc_max_threads", "rest_api_num_threads"),
            remark="not needed: one thread of each worker answers all calls",
        ),
        Flags(
            names=(
                "tensorflow_session_parallelism",
                "tensorflow_intra_op_parallelism",
                "tensorflow_inter_op_parallelism",
            ),
            remark="not needed: the workers share the cores, and --workers says how many there are",
        ),
        Flags(
            names=("num_load_threads", "num_unload_threads"),
            remark="not needed: a version is loaded beside the calls",
        ),
        Flags(
            names=("max_num_load_retries", "load_retry_interval_micros"),
            remark="not needed: a version that failed is tried again when its files change",
        ),
        Flags(
            names=("saved_model_tags", "enable_signature_method_name_check"),
            remark="not needed: a SavedModel has one graph here, and its signatures are found",
        ),
        Flags(
            names=("flush_filesystem_caches", "remove_unused_fields_from_bundle_metagraph"),
            remark="not needed",
        ),
        Flags(
            names=("per_process_gpu_memory_fraction",),
            remark="not needed: the memory of a GPU is taken as it is used",
        ),
        Flags(
            names=("ssl_config_file",),
            remark="not offered: write what is in it to files, for --tls-cert, --tls-key and "
            "--tls-client-ca",
        ),
        Flags(
            names=("use_alts_credentials",),
            remark="not offered: --tls-client-ca lets in those who have a certificate",
        ),
        Flags(
            names=("grpc_socket_path", "grpc_channel_arguments"),
            remark="not offered: gRPC listens on TCP, with the same limits for everybody",
        ),
        Flags(
            names=("rest_api_timeout_in_ms", "rest_api_enable_cors_support"),
            remark="not offered",
        ),
        Flags(
            names=(
                "platform_config_file",
                "tensorflow_session_config_file",
                "thread_pool_factory_config_file",
            ),
            remark="not offered: there is no TensorFlow session to configure",
        ),
        Flags(
            names=("prefer_tflite_model", "num_tflite_pools", "num_tflite_interpreters_per_pool"),
            remark="not offered: only SavedModels are served",
        ),
        Flags(
            names=("enable_profiler", "mixed_precision", "skip_initialize_tpu"),
            remark="not offered",
        ),
        Flags(names=("version",), here="--version", remark="The same"),
    ),
)
