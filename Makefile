# The one door to every command; .PHONY below lists them.

PYTHON ?= python3
# The repository, wherever make was called from (make -C, make -f); its path may hold spaces.
root := $(shell dirname "$(strip $(MAKEFILE_LIST))")
in_root := @cd "$(root)" &&

.PHONY: run image image-cpu docker-run reload smoke sbom test contract bench bench-quick chaos install install-dev fmt pin

run: install
	$(in_root) .venv/bin/python -m scoregate.cli.requirements
	@echo "Starting Triton and Gunicorn; Ctrl-C stops them"
	$(in_root) exec .venv/bin/python -m scoregate.cli.serve -c supervisord.conf

# Load score.py anew in the service on HOST (0.0.0.0) and PORT (5001), without losing a request.
reload:
	@host="$$(printf %s "$${HOST:-0.0.0.0}" | tr -d '[]' | tr : _)" && \
	kill -HUP "$$(cat "$${TMPDIR:-/tmp}/scoregate-$$(id -u)-$$host-$${PORT:-5001}/gunicorn.pid")"

# Ask a deployment what a caller and a probe would: make smoke URL=https://… ARGS="--key …". Without a URL it is the
# service on this machine, at the address that HOST and PORT say.
URL ?=
smoke:
	$(in_root) $(PYTHON) examples/client/smoke.py $(if $(URL),"$(URL)") $(ARGS)

# The images, and the service in one: make docker-run IMAGE=scoregate:cpu. ARGS goes to docker build, or docker run.
IMAGE ?= scoregate

image:
	$(in_root) docker build -t scoregate $(ARGS) .

image-cpu:
	$(in_root) docker build -t scoregate:cpu --target cpu $(ARGS) .

docker-run:
	$(in_root) docker run --rm -p 5001:5001 --shm-size=256m $(ARGS) $(IMAGE)

# What the CPU image is made of, as a CycloneDX bill of materials: sbom.cdx.json, from the packages in .venv.
sbom: install
	$(in_root) $(PYTHON) -m venv .venv-sbom && .venv-sbom/bin/python -m pip install --quiet cyclonedx-bom==7.5.0
	$(in_root) .venv-sbom/bin/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml -o sbom.cdx.json .venv/bin/python

# Lint, types, the rooms of app/ and who may import whom, and every test, real servers included.
test: install-dev
	$(in_root) .venv/bin/ruff check && .venv/bin/ruff format --check
	$(in_root) .venv/bin/mypy
	$(in_root) .venv/bin/lint-imports
	$(in_root) .venv/bin/pytest $(ARGS)

# The rules of docs/api.md, held against this server and against Azure ML's own, with a table of both.
contract: install-dev
	$(in_root) .venv/bin/pytest tests/contract $(ARGS)

# The service beside its peers (bench/README.md): about 45 minutes; the quick one under three.
bench: install
	$(in_root) .venv/bin/python -m bench $(ARGS)

bench-quick: install
	$(in_root) .venv/bin/python -m bench --quick $(ARGS)

# The service under load while its processes are killed, held, reloaded and stopped: about 15 minutes.
chaos: install
	$(in_root) .venv/bin/python -m bench.chaos $(ARGS)

runtime := requirements.txt requirements-embedded.txt
# What serves is checked by hash, which pip does not do together with what has none: this package, and the tests' tools.
pip_install := .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps

# $(call installed,FILES): nothing to do while .venv holds what these files ask for.
installed = { pwd; cat pyproject.toml $(1); } | cmp -s - .venv/installed-$(words $(1)) || { \
	echo "Installing $(1) into .venv (about a minute the first time)" && \
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if v in ((3, 11), (3, 12)) else \
	  "Python 3.11 or 3.12 is needed, this is %d.%d. Name another: make PYTHON=python3.11" % v)' && \
	$(PYTHON) -m venv .venv && \
	$(pip_install) $(addprefix -r ,$(runtime)) && $(pip_install) $(addprefix -r ,$(filter-out $(runtime),$(1))) --editable . && \
	{ pwd; cat pyproject.toml $(1); } >.venv/installed-$(words $(1)); }

install:
	$(in_root) $(call installed,$(runtime))

install-dev:
	$(in_root) $(call installed,$(runtime) requirements-dev.txt)

fmt: install-dev
	$(in_root) .venv/bin/ruff check --fix && .venv/bin/ruff format

# Write requirements*.txt anew from requirements/*.in: the newest versions that fit together.
pip_compile := .venv/bin/pip-compile --quiet --upgrade --no-header --no-annotate --strip-extras \
	--no-emit-find-links --no-emit-index-url --no-emit-trusted-host
pin: install-dev
	$(in_root) .venv/bin/python -m pip install --quiet pip-tools
	$(in_root) $(pip_compile) --generate-hashes requirements/service.in -o requirements.txt
	$(in_root) $(pip_compile) --generate-hashes requirements/embedded.in -o requirements-embedded.txt
	@# Without what it needs for Python clients: only the server in it is used.
	$(in_root) echo "nvidia-pytriton==0.7.0 --hash=sha256:21f063ff93bb426d0c06b7a55e7eb9efcfe62c0dddd9a908e9877e18710128df --hash=sha256:f99e07ee56fe065337453956afba17d2673e02ec6a632c3de26ce6e7b32a0898" >>requirements-embedded.txt
	$(in_root) $(pip_compile) requirements/tensorflow.in -o requirements-tensorflow.txt
	$(in_root) $(pip_compile) requirements/dev.in -o requirements-dev.txt
	$(in_root) $(pip_compile) tests/contract/requirements-reference.in -o tests/contract/requirements-reference.txt
