# The training job: reads or downloads the digits, exports the next version into /models, and ends.
#   docker build -f deploy/docker/train.Dockerfile -t flatdense-train .

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
COPY artifact artifact
COPY training training
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /opt/flatdense/bin/python install --constraint constraints.txt \
        ./artifact './training[cpu]'

FROM ${PYTHON_IMAGE} AS training
COPY --from=install /opt/flatdense /opt/flatdense
# Where the volumes go: a new one has the owner that it finds here.
RUN install -d -o 10001 -g 10001 /data /models
# The serving image has its own library: nothing is compiled here.
ENV PATH=/opt/flatdense/bin:${PATH} \
    FLATDENSE_CACHE_DIR=/data \
    FLATDENSE_COMPILE=no \
    FLATDENSE_MODEL_DIR=/models
WORKDIR /
USER 10001:10001
ENTRYPOINT ["flatdense-train"]
