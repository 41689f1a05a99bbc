# The server, the network compiled ahead of time, one digit classifier; no TensorFlow, no compiler.
#   docker build -f deploy/docker/server.Dockerfile -t flatdense-server .

ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS tools
ENV PIP_BUILD_CONSTRAINT=/src/constraints.txt \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY constraints.txt ./
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --constraint constraints.txt pip

FROM tools AS compile
# Debian's archive keeps no older version for a pin to name; the base image's tag fixes the release.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
COPY artifact artifact
COPY training training
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --constraint constraints.txt --no-compile \
        ./artifact './training[cpu]'
# For a network with another hidden layer; `portable` leaves out the library for AVX-512, `native` is
# for the processor that builds.
ARG HIDDEN=256
ARG TARGET=auto
# The runtime depends on TensorFlow and the target alone: the next build has it already.
RUN --mount=type=cache,target=/cache/aot-runtime \
    flatdense-compile --cache-dir /cache --hidden "${HIDDEN}" --target "${TARGET}"

FROM tools AS install
RUN python -m venv --without-pip /opt/flatdense
COPY proto proto
COPY artifact artifact
COPY server server
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /opt/flatdense/bin/python install --constraint constraints.txt \
        ./proto ./artifact ./server

FROM ${PYTHON_IMAGE} AS serving
COPY --from=install /opt/flatdense /opt/flatdense
COPY --from=compile /cache/aot /opt/flatdense/cache/aot
COPY deploy/docker/probe.py /opt/flatdense/bin/probe
# A new volume begins with this, and the train image, the same user, writes there.
COPY --chown=10001:10001 exported_model /models
ENV PATH=/opt/flatdense/bin:${PATH} \
    FLATDENSE_CACHE_DIR=/opt/flatdense/cache \
    FLATDENSE_ENGINE=aot \
    FLATDENSE_HOST=0.0.0.0 \
    FLATDENSE_LOG_FORMAT=json \
    FLATDENSE_MODEL_DIR=/models
WORKDIR /
USER 10001:10001
EXPOSE 8500 8501
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["probe"]
ENTRYPOINT ["flatdense-server"]
