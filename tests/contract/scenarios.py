"""The scenarios that several sections of the contract use."""

from contract import scenario

PLAIN = scenario("plain", AZUREML_MODEL_DIR="{root}")
RAW = scenario("raw")
SCHEMA = scenario("schema")
SET = scenario(
    "plain",
    SCORING_TIMEOUT_MS="700",
    SERVICE_NAME="flowers",
    SERVICE_VERSION="2.5",
    SERVICE_PATH_PREFIX="api/v1",
    AML_CORS_ORIGINS="https://a.example, https://b.example",
    SERVER_VERSION_LOG_RESPONSE_ENABLED="false",
    AZUREML_LOG_LEVEL="DEBUG",
    SEPERATE_HEALTH_ENDPOINT="true",
    HEALTH_PORT="{health_port}",
)
