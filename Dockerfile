# The service as an image: docker build -t pdp .
#
# What is installed comes from requirements/*.txt, by version and hash; the one thing that is not fixed is the
# base. Fix it by its digest, which `docker buildx imagetools inspect python:3.11-slim` shows:
#   docker build --build-arg PYTHON=python:3.11-slim@sha256:... -t pdp .
ARG PYTHON=python:3.11-slim

FROM ${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements/runtime.txt requirements/build.txt requirements/
RUN python -m venv --without-pip /opt/pdp
RUN python -m pip --python /opt/pdp/bin/python install --require-hashes --only-binary :all: -r requirements/runtime.txt
RUN python -m venv /opt/build
RUN /opt/build/bin/python -m pip install --no-compile --require-hashes --only-binary :all: -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY grammar grammar
COPY pdp pdp
RUN /opt/build/bin/python -m pip wheel --no-deps --no-index --no-build-isolation --wheel-dir /opt/wheels .
RUN python -m pip --python /opt/pdp/bin/python install --no-deps --no-index /opt/wheels/pdp-*.whl

# No shell is needed from here on, no package is installed, and nothing is ever written: run it with a
# read-only root file system, without capabilities, and with settings, policies and certificates mounted.
FROM ${PYTHON}
LABEL org.opencontainers.image.title="pdp" \
      org.opencontainers.image.description="A policy decision point for service-to-service calls" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11-slim"
COPY --from=build /opt/pdp /opt/pdp
ENV PATH=/opt/pdp/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1
WORKDIR /
USER 65532:65532
EXPOSE 8443 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["pdp"]
CMD ["serve", "--config", "/etc/pdp/settings/pdp.toml"]
