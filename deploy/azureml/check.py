"""Load the YAML of this folder as the v2 CLI does, without Azure: `python check.py`, with azure-ai-ml installed."""

from pathlib import Path

from azure.ai.ml import load_environment, load_model, load_online_deployment, load_online_endpoint

LOADERS = {
    "model": load_model,
    "environment": load_environment,
    "managed-endpoint": load_online_endpoint,
    "managed-deployment": load_online_deployment,
    "kubernetes-endpoint": load_online_endpoint,
    "kubernetes-deployment": load_online_deployment,
}

for name, load in LOADERS.items():
    print(f"{name}.yml: {type(load(Path(__file__).with_name(f'{name}.yml'))).__name__}")  # noqa: T201
