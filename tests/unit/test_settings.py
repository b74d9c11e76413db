"""Settings: what is read, what is refused."""

from pathlib import Path

import pytest
from scoregate.settings import SettingError, Settings


def test_the_defaults():
    settings = Settings.from_environ({})
    assert (settings.port, settings.worker_count, settings.triton) == (5001, 1, True)
    assert settings.entry_script == Path.cwd() / "examples/digits/score.py"
    assert settings.model_repository == Path.cwd() / "models/triton"


@pytest.mark.parametrize(
    ("environ", "field", "value"),
    [
        ({"PORT": "80"}, "port", 80),
        ({"PORT": ""}, "port", 5001),
        ({"TRITON": "OFF"}, "triton", False),
        ({"LOG_LEVEL": "debug"}, "log_level", "DEBUG"),
        ({"AZUREML_LOG_LEVEL": "ERROR"}, "log_level", "ERROR"),
        ({"MODEL_DIR": "ours", "AZUREML_MODEL_DIR": "theirs"}, "model_dir", Path.cwd() / "ours"),
        ({"AZUREML_MODEL_DIR": "/theirs"}, "model_repository", Path("/theirs/triton")),
        ({"MODEL_REPOSITORY": "ours"}, "model_repository", Path.cwd() / "ours"),
        ({"MODEL_REPOSITORY": "as://account/container/models"}, "model_repository", "as://account/container/models"),
        ({"AML_APP_ROOT": "/tmp"}, "entry_script", Path("/tmp/score.py")),
        ({"AML_APP_ROOT": "/tmp", "AZUREML_ENTRY_SCRIPT": "a/b.py"}, "entry_script", Path("/tmp/a/b.py")),
        ({"AML_APP_ROOT": "/tmp", "ENTRY_SCRIPT": "/etc/b.py"}, "entry_script", Path("/etc/b.py")),
        ({"ENTRY_SCRIPT": "b.py"}, "entry_script", Path.cwd() / "b.py"),
    ],
)
def test_a_variable_sets_its_field(environ, field, value):
    assert getattr(Settings.from_environ(environ), field) == value


@pytest.mark.parametrize(
    "environ",
    [
        {"PORT": "0"},
        {"PORT": "65536"},
        {"PORT": "5001.5"},
        {"WORKER_COUNT": "many"},
        {"WORKER_COUNT": "-1"},
        {"MAX_BODY_BYTES": "0"},
        {"AML_CORS_ORIGINS": " , "},
        {"LOG_LEVEL": "LOUD"},
        {"APP_ROOT": "/no/such"},
        {"TRITON": "perhaps"},
        {"TRITON_EXTRA_ARGS": '"open'},
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_what_is_allowed(environ):
    ((name, value),) = environ.items()
    with pytest.raises(SettingError) as caught:
        Settings.from_environ(environ)
    assert str(caught.value).startswith(f"{name}={value!r} is not ")
    assert "\n" not in str(caught.value)
