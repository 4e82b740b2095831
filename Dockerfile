# docker build -t hfi .                                     torch for the CPU
# docker build -t hfi --build-arg TORCH_INDEX= .            torch with CUDA, as it comes by default
FROM python:3.11-slim

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

# The servers write below its home, so the folders that volumes are laid over are its own.
RUN apt-get update \
    && apt-get install --no-install-recommends -y git \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 hfi \
    && install -d -o hfi -g hfi /home/hfi/mlflow /home/hfi/.prefect /project

WORKDIR /opt/hfi
COPY pyproject.toml constraints.txt params.yaml README.md LICENSE ./
COPY hfi_core hfi_core
COPY flows flows
RUN pip install --no-cache-dir -c constraints.txt ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} .

USER hfi
WORKDIR /project
ENV DO_NOT_TRACK=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    PREFECT_SERVER_ANALYTICS_ENABLED=false
ENTRYPOINT ["hfi"]
CMD ["--help"]
