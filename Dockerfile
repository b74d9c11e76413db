# Two images of the service. Nothing here needs BuildKit.
#   docker build -t scoregate .                    on NVIDIA's Triton, for a GPU
#   docker build -t scoregate:cpu --target cpu .   a slim Python with the CPU Triton of the wheel nvidia-pytriton
ARG TRITON_IMAGE=nvcr.io/nvidia/tritonserver:26.09-py3
ARG PYTHON_IMAGE=python:3.12-slim-bookworm

# What both have. The packages come before what changes more often.
FROM scratch AS files
COPY requirements.txt requirements-embedded.txt requirements-tensorflow.txt /requirements/
COPY pyproject.toml README.md LICENSE gunicorn.conf.py supervisord.conf /scoregate/
COPY app /scoregate/app
COPY embedded /scoregate/embedded
COPY examples/digits /score
COPY models /models

FROM ${PYTHON_IMAGE} AS cpu
COPY --from=files /requirements /requirements
RUN pip install --no-cache-dir --no-deps -r /requirements/requirements.txt -r /requirements/requirements-embedded.txt \
    && useradd --uid 1000 --create-home triton-server
COPY --from=files /scoregate /scoregate
RUN pip install --no-cache-dir --no-deps /scoregate
COPY --from=files /models /models
COPY --from=files /score /score
# Azure's names, which Azure ML replaces with its own; a user's APP_ROOT and MODEL_DIR go before them. A user who may not
# install into the image's Python has the packages of a script below PYTHONUSERBASE.
ENV AML_APP_ROOT=/score AZUREML_MODEL_DIR=/models PYTHONUSERBASE=/tmp/python PYTHONDONTWRITEBYTECODE=1
WORKDIR /scoregate
USER 1000
EXPOSE 5001
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=5m --interval=10s --timeout=5s CMD ["python3", "-m", "scoregate.cli.healthcheck"]
LABEL org.opencontainers.image.title="Scoregate (CPU)" \
      org.opencontainers.image.description="Gunicorn in front of NVIDIA Triton: POST /score runs your score.py" \
      org.opencontainers.image.licenses="MIT"
# Process 1 gets no signal that it has no handler for: without the trap, a stop would wait for an installation.
CMD ["sh", "-c", "trap 'kill $!; exit 143' TERM; python3 -m scoregate.cli.requirements & wait $! && exec python3 -m scoregate.cli.serve -c supervisord.conf"]

FROM ${TRITON_IMAGE}
# Ubuntu's pip wants to be told that this Python is nobody else's.
ENV PIP_BREAK_SYSTEM_PACKAGES=1
COPY --from=files /requirements /requirements
RUN pip install --no-cache-dir --no-deps -r /requirements/requirements.txt
COPY --from=files /scoregate /scoregate
# NVIDIA's images have no TensorFlow backend since 25.03; --build-arg TENSORFLOW=yes adds ours, which fills 1.4 GB.
ARG TENSORFLOW=no
RUN pip install --no-cache-dir --no-deps /scoregate \
    && if [ "$TENSORFLOW" = yes ]; then \
      pip install --no-cache-dir --no-deps -r /requirements/requirements-tensorflow.txt \
      && mkdir -p /opt/tritonserver/backends/tensorflow \
      && cp /scoregate/embedded/backends/python_based/*.py /scoregate/embedded/backends/tensorflow/*.py \
        /opt/tritonserver/backends/tensorflow/; \
    fi
COPY --from=files /models /models
COPY --from=files /score /score
ENV AML_APP_ROOT=/score AZUREML_MODEL_DIR=/models PYTHONUSERBASE=/tmp/python PYTHONDONTWRITEBYTECODE=1
WORKDIR /scoregate
# triton-server, which NVIDIA's images have.
USER 1000
EXPOSE 5001
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=5m --interval=10s --timeout=5s CMD ["python3", "-m", "scoregate.cli.healthcheck"]
LABEL org.opencontainers.image.title="Scoregate" \
      org.opencontainers.image.description="Gunicorn in front of NVIDIA Triton: POST /score runs your score.py" \
      org.opencontainers.image.licenses="MIT"
# NVIDIA's entry point prints a page about drivers; supervisord is process 1 instead.
ENTRYPOINT []
# Process 1 gets no signal that it has no handler for: without the trap, a stop would wait for an installation.
CMD ["sh", "-c", "trap 'kill $!; exit 143' TERM; python3 -m scoregate.cli.requirements & wait $! && exec python3 -m scoregate.cli.serve -c supervisord.conf"]
