# docker build -t hfi .                                         torch with CUDA, as the package index has it
# docker build -t hfi --build-arg TORCH_INDEX=ADDRESS .         torch for the CPU: ADDRESS is PyTorch's own index of such
ARG PYTHON=python:3.11.14-slim-bookworm

FROM ${PYTHON} AS build
ARG TORCH_INDEX=""
WORKDIR /src
COPY pyproject.toml constraints.txt params.yaml operations.yaml README.md LICENSE ./
COPY prompts prompts
COPY hfi_core hfi_core
COPY flows flows
RUN python -m venv /opt/hfi \
    && /opt/hfi/bin/pip install --no-cache-dir -c constraints.txt \
       ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} ".[postgres]"

FROM ${PYTHON}
RUN apt-get update \
    && apt-get install --no-install-recommends -y git \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --no-create-home --uid 1000 hfi \
    && install -d -o hfi -g hfi /project /var/lib/prefect
COPY --from=build /opt/hfi /opt/hfi
# Whoever the container runs as, Prefect and MLflow may write below their home, and a number without a name has one.
ENV PATH=/opt/hfi/bin:$PATH \
    HOME=/tmp \
    LOGNAME=hfi \
    PYTHONSAFEPATH=1 \
    DO_NOT_TRACK=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    PREFECT_SERVER_ANALYTICS_ENABLED=false
USER hfi
WORKDIR /project
ENTRYPOINT ["hfi"]
CMD ["--help"]
