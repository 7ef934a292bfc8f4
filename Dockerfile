# syntax=docker/dockerfile:1
# The service as an image; docs/operations.md#containers says how it is run. Any base will do that has Python 3.11 or newer with
# its venv, the certificates of public authorities, and the name `python3`: `--build-arg BASE=…`, by digest where it is
# to stay the same.
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
# The wheel's bytes depend on what is built and not on when: hatchling takes this time.
ARG SOURCE_DATE_EPOCH=315532800
ENV SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
WORKDIR /build
# /opt/cwconnect is all that the second stage takes, without pip. Each package is one whose hash is listed, and only such as
# are built already: nothing is compiled here.
RUN python3 -m venv tools && python3 -m venv --without-pip /opt/cwconnect
COPY cwconnect/deploy/requirements-build.txt cwconnect/deploy/requirements.txt ./
RUN tools/bin/pip install --require-hashes --only-binary :all: -r requirements-build.txt
RUN tools/bin/pip --python /opt/cwconnect/bin/python install --no-compile --require-hashes --only-binary :all: \
      -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY cwconnect cwconnect
COPY instances instances
COPY polling polling
COPY templates templates
COPY docs docs
RUN tools/bin/python -m build --no-isolation --wheel --outdir dist . \
 && tools/bin/pip --python /opt/cwconnect/bin/python install --no-compile --no-deps --no-index dist/*.whl
# Compiled once, since the root is read-only where it runs; checked by no time stamp, which copying would change.
RUN /opt/cwconnect/bin/python -m compileall -q -f --invalidation-mode unchecked-hash /opt/cwconnect/lib

FROM ${BASE}
ARG VERSION=0.2.0
ARG REVISION=unknown
ARG CREATED=1980-01-01T00:00:00Z
LABEL org.opencontainers.image.title="cwconnect" \
      org.opencontainers.image.description="Watches ConnectWise PSA and notifies your programs of every change." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/cwconnect /opt/cwconnect
RUN mkdir -m 0700 /data && chown 10001:10001 /data
# What stands in the folder where it is started is never imported. No home, so the data's place is said.
ENV PATH=/opt/cwconnect/bin:${PATH} PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    HOME=/tmp CWCONNECT_DATA_DIR=/data
WORKDIR /opt/cwconnect
USER 10001:10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
# /readyz finds a worker that is gone within 90 s, so there is no use in asking more often.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-m", "cwconnect.core.ask_readyz"]
# The first process passes signals on, and takes leave of processes whose parent has died.
ENTRYPOINT ["python", "-m", "cwconnect.core.init", "cwconnect"]
CMD ["up", "--host", "0.0.0.0"]
