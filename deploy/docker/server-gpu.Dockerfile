# The server with TensorFlow and CUDA, for the jit engine on an NVIDIA GPU. The driver is the host's.
#   docker build -f deploy/docker/server-gpu.Dockerfile -t flatdense-server-gpu .

ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS install
ENV PIP_BUILD_CONSTRAINT=/src/constraints.txt \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY constraints.txt ./
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --constraint constraints.txt pip
RUN python -m venv --without-pip /opt/flatdense
COPY proto proto
COPY artifact artifact
COPY server server
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /opt/flatdense/bin/python install --constraint constraints.txt \
        ./proto ./artifact './server[jit-gpu]'

FROM ${PYTHON_IMAGE} AS serving
COPY --from=install /opt/flatdense /opt/flatdense
COPY deploy/docker/probe.py /opt/flatdense/bin/probe
COPY --chown=10001:10001 exported_model /models
ENV PATH=/opt/flatdense/bin:${PATH} \
    FLATDENSE_CACHE_DIR=/tmp/flatdense \
    FLATDENSE_DEVICE=gpu \
    FLATDENSE_ENGINE=jit \
    FLATDENSE_HOST=0.0.0.0 \
    FLATDENSE_LOG_FORMAT=json \
    FLATDENSE_MODEL_DIR=/models \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    NVIDIA_VISIBLE_DEVICES=all
WORKDIR /
USER 10001:10001
EXPOSE 8500 8501
HEALTHCHECK --interval=10s --timeout=5s --start-period=180s --retries=3 CMD ["probe"]
ENTRYPOINT ["flatdense-server"]
