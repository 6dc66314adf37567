# genmodels in a container.
#
#   docker build -t genmodels .                                   CUDA (default)
#   docker build -t genmodels --build-arg DEVICE=cpu .            CPU only, a quarter of the size
#   docker run --gpus all -v $PWD/outputs:/app/outputs -v $PWD/data:/app/data genmodels train.py model=glow data=cifar10
#   docker run genmodels                                          the default experiment
ARG DEVICE=cuda

FROM nvidia/cuda:13.0.1-runtime-ubuntu24.04 AS base-cuda
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make python3 python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/*

FROM python:3.12-slim AS base-cpu
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*
# torch's index of CPU builds; everything else still comes from the default one.
ENV PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu

FROM base-${DEVICE}
WORKDIR /app
# Dependencies in a layer of their own: editing the code does not install torch again.
COPY Makefile pyproject.toml constraints.txt README.md ./
RUN make install
COPY . .
ENTRYPOINT [".venv/bin/python"]
CMD ["train.py"]
