# Every role is this image: `docker run asl-processor processor --slot 0 --log kafka:broker:9092`.

FROM python:3.12-slim AS build
RUN pip install --no-cache-dir uv==0.13.9
ENV UV_COMPILE_BYTECODE=1
WORKDIR /src
# Dependencies first: a change of the sources alone does not install them again.
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN UV_PROJECT_ENVIRONMENT=/opt/asl uv sync --frozen --no-dev --no-install-project
COPY schemas schemas
COPY processor processor
RUN UV_PROJECT_ENVIRONMENT=/opt/asl uv sync --frozen --no-dev --no-editable

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /app --create-home asl
COPY --from=build /opt/asl /opt/asl
# PYTHONPATH: modules of workers mounted under /app can be named as they are.
ENV PATH=/opt/asl/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1
WORKDIR /app
USER asl
ENTRYPOINT ["asl"]
CMD ["--help"]
