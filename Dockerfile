# fig, and Pinnacle beside it for docker-compose.yml. Every dependency is one that requirements.lock pins, by its hash.

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements.lock ./
# The lock also pins what builds and tests fig; all of it is fetched and checked, only what fig needs is installed.
RUN python -m pip wheel --require-hashes --wheel-dir /wheels -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY rules rules
COPY shadow shadow
COPY canary canary
COPY proxy proxy
COPY examples examples
RUN python -m venv /opt/fig \
    && /opt/fig/bin/python -m pip install --no-index --find-links /wheels ".[otel]"

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin fig \
    && mkdir -p /etc/fig /var/lib/fig /var/lib/pinnacle \
    && chown fig /var/lib/fig /var/lib/pinnacle
COPY --from=build /opt/fig /opt/fig
COPY examples/pinnacle /opt/pinnacle
COPY examples/pinnacle/fig.yaml /etc/fig/fig.yaml
ENV PATH=/opt/fig/bin:$PATH PYTHONUNBUFFERED=1 \
    FIG_CONFIG=/etc/fig/fig.yaml FIG_STATE=/var/lib/fig FIG_LISTEN=0.0.0.0:8080 FIG_ADMIN=127.0.0.1:9900
USER fig
VOLUME ["/var/lib/fig", "/var/lib/pinnacle"]
EXPOSE 8080 9900
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9900/readyz', timeout=2)"]
STOPSIGNAL SIGTERM
CMD ["fig", "serve"]
