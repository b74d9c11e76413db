# The service on NVIDIA's Triton. Nothing here needs BuildKit.
ARG TRITON_IMAGE=nvcr.io/nvidia/tritonserver:26.09-py3
FROM ${TRITON_IMAGE}

WORKDIR /scoregate
# The pins first, so that a changed script or model does not install them again.
COPY requirements.txt .
RUN pip install --no-cache-dir --no-deps -r requirements.txt
COPY . .
RUN pip install --no-cache-dir --no-deps . && python3 -m scoregate.requirements

# NVIDIA's images have no TensorFlow backend since 25.03; --build-arg TENSORFLOW=yes adds ours, which fills 1.4 GB.
ARG TENSORFLOW=no
RUN if [ "$TENSORFLOW" = yes ]; then \
      pip install --no-cache-dir --no-deps -r requirements-tensorflow.txt \
      && mkdir -p /opt/tritonserver/backends/tensorflow \
      && cp embedded/backends/python_based/*.py embedded/backends/tensorflow/*.py /opt/tritonserver/backends/tensorflow/; \
    fi

EXPOSE 5001
CMD ["python3", "-m", "scoregate.supervisord", "-c", "/scoregate/supervisord.conf"]
