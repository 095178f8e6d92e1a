# The image of New API Monitor: newapi-exporter, newapi-breaker, newapi-monitor, newapi-demo, and
# promtool, with which a backfill writes Prometheus's blocks.
#   docker build -t newapi-monitor .
# IMAGE_REGISTRY takes base images from a mirror, PIP_INDEX_URL Python packages.
ARG IMAGE_REGISTRY=

FROM ${IMAGE_REGISTRY:+${IMAGE_REGISTRY}/}prom/prometheus:v3.5.0 AS prometheus

FROM ${IMAGE_REGISTRY:+${IMAGE_REGISTRY}/}library/python:3.13.9-slim AS python

FROM python AS build
ARG PIP_INDEX_URL=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements/runtime.txt requirements/build.txt requirements/
RUN python -m venv --without-pip /opt/newapi-monitor \
    && pip install --require-hashes --only-binary :all: -r requirements/build.txt \
    && pip --python /opt/newapi-monitor/bin/python install \
        --require-hashes --only-binary :all: -r requirements/runtime.txt
COPY . .
RUN pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /dist . \
    && pip --python /opt/newapi-monitor/bin/python install --no-deps --no-index /dist/*.whl

FROM python
RUN pip uninstall --yes --quiet pip \
    && for folder in /state /prometheus /gateway /alerts \
        /config /config/prometheus /config/alertmanager /config/grafana; \
        do install -d -o 65534 -g 65534 "$folder"; done
COPY --from=prometheus /bin/promtool /usr/local/bin/promtool
COPY --from=build /opt/newapi-monitor /opt/newapi-monitor
ENV PATH=/opt/newapi-monitor/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# nobody: as Prometheus's and Alertmanager's own images, so that all share files without a root.
USER 65534:65534
CMD ["newapi-exporter"]
