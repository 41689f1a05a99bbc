# The SDK and the `flatdense` command, with two digits to classify.
#   docker build -f deploy/docker/client.Dockerfile -t flatdense-client .

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
COPY client client
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /opt/flatdense/bin/python install --constraint constraints.txt \
        ./proto './client[images]'

FROM ${PYTHON_IMAGE} AS calling
COPY --from=install /opt/flatdense /opt/flatdense
COPY examples/replicas.py examples/seven.png examples/photo_of_a_three.png /examples/
ENV PATH=/opt/flatdense/bin:${PATH}
WORKDIR /examples
USER 10001:10001
ENTRYPOINT ["flatdense"]
