# One image for all of Duly's processes: duly api, duly relay, duly worker, duly migrate.

FROM python:3.13-slim AS wheel
WORKDIR /source
# The locked development requirements hold the locked build backend.
COPY requirements-dev.txt .
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action ignore \
        --require-hashes --no-deps -r requirements-dev.txt
COPY . .
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheel .

FROM python:3.13-slim
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
RUN useradd --system --uid 10001 --create-home duly \
    # A new volume mounted here takes over this owner.
    && install --directory --owner duly /var/lib/duly/documents /var/lib/duly/keys
COPY requirements.txt /tmp/
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action ignore \
        --require-hashes -r /tmp/requirements.txt
COPY --from=wheel /wheel /tmp/wheel
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action ignore \
        --no-deps /tmp/wheel/*.whl
COPY pyproject.toml /srv/duly/
COPY service /srv/duly/service
COPY actors /srv/duly/actors
COPY migrations /srv/duly/migrations
USER duly
WORKDIR /srv/duly
ENTRYPOINT ["duly"]
