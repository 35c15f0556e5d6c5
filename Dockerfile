# The gateway in an image of its own: compose.yaml starts it beside a broker and a database (docs/broker.md).

FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/dmp-gateway
WORKDIR /src
# What it stands on, by hash; it changes seldom, and is a layer of its own.
COPY requirements.lock ./
RUN /opt/dmp-gateway/bin/pip install --require-hashes -r requirements.lock
COPY pyproject.toml hatch_build.py LICENSE ./
COPY gateway gateway
COPY samples samples
COPY schemas schemas
RUN /opt/dmp-gateway/bin/pip install --no-deps --no-build-isolation . \
 && /opt/dmp-gateway/bin/python -m compileall -q /opt/dmp-gateway

FROM python:3.11-slim
COPY --from=build /opt/dmp-gateway /opt/dmp-gateway
# A user without a name on any machine, and its folders: a volume that is empty takes over their owner and mode.
RUN groupadd --gid 10001 dmp-gateway \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin dmp-gateway \
 && install -d -m 0700 -o 10001 -g 10001 /var/lib/dmp-gateway /var/lib/dmp-gateway/keys
ENV PATH=/opt/dmp-gateway/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DMP_GATEWAY_DATA=/var/lib/dmp-gateway
USER 10001:10001
WORKDIR /var/lib/dmp-gateway
VOLUME ["/var/lib/dmp-gateway", "/var/lib/dmp-gateway/keys"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --retries=3 CMD ["dmp-gateway", "doctor"]
ENTRYPOINT ["dmp-gateway"]
CMD ["serve"]
