"""Every setting of the service: name, type, default, unit. The only reader of the environment."""

import json
import os
import shlex
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple, Self


class SettingError(ValueError):
    """A setting's value cannot be used; the message is one line: the variable, the value, what is allowed."""


class Kind(NamedTuple):
    """How the text of a variable becomes a value, and how to say what is allowed."""

    parse: Callable[[str], Any]  # raises ValueError or KeyError
    allowed: str
    secret: bool = False  # whether the value is to be kept out of messages


class Rule(NamedTuple):
    """How one field is read, and what the docs say of it."""

    names: tuple[str, ...]  # environment variables; the first one that is set wins
    default: str
    kind: Kind
    meaning: str

    def read(self, environ: Mapping[str, str]) -> Any:  # noqa: ANN401 - the field declares its type
        """Parse the variable, or the default. An empty variable counts as not set. Raises SettingError."""
        name = next((name for name in self.names if environ.get(name)), None)
        text = environ[name] if name else self.default
        try:
            return self.kind.parse(text)
        except (ValueError, KeyError, OSError):
            given = "" if self.kind.secret else f"={text!r}"
            raise SettingError(
                f"{name or self.names[0]}{given} is not {self.kind.allowed}. "
                f"Correct it, or leave it out for the default {self.default!r}."
            ) from None


def _whole(low: int, high: int) -> Kind:
    def parse(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise ValueError(text)
        return number

    return Kind(parse, f"a whole number from {low} to {high}")


def _directory(text: str) -> Path:
    path = Path(text).resolve()
    if not path.is_dir():
        raise ValueError(text)
    return path


def _host(text: str) -> str:
    """Write an address in its shortest form, an IPv6 one without brackets; a name stays. Raises OSError, ValueError."""
    host = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if "%" in host:  # Gunicorn knows no scopes
        raise ValueError(text)
    family = socket.AF_INET6 if ":" in host or host != text else socket.AF_INET
    try:
        return str(socket.getaddrinfo(host, None, family, flags=socket.AI_NUMERICHOST)[0][4][0])
    except socket.gaierror:
        if family == socket.AF_INET6:
            raise
        return host


def _list(text: str) -> list[str]:
    members = [each.strip() for each in text.split(",") if each.strip()]
    if text and not members:
        raise ValueError(text)
    return members


def _keys(text: str) -> list[str]:
    keys = _list(text)
    if any(len(key.split()) > 1 for key in keys):
        raise ValueError
    return keys


def _file(text: str) -> Path | None:
    return Path(text).absolute() if text else None  # not resolved: Kubernetes replaces a secret by turning a link


def _readable_file(text: str) -> Path | None:
    if file := _file(text):
        file.read_bytes()
    return file


def _flags(text: str) -> str:
    shlex.split(text)  # an unbalanced quote would stop supervisord with a message about its own file
    return text


_SWITCH_WORDS = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
_LEVELS = {level: level for level in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")}

HOST = Kind(_host, "an IP address or a name")
PORT = _whole(1, 65535)
TEXT = Kind(str, "a text")
PATH = Kind(lambda text: Path(text).resolve(), "a path")
DIRECTORY = Kind(_directory, "a directory that exists")
LIST = Kind(_list, "a list with commas between its members")
KEYS = Kind(_keys, "a list of keys with commas between them, each without a blank inside", secret=True)
FILE = Kind(_file, "a path")
READABLE_FILE = Kind(_readable_file, "a file that can be read")
FLAGS = Kind(_flags, "flags, quoted as in a shell")
SWITCH = Kind(lambda text: _SWITCH_WORDS[text.lower()], "on or off")
LEVEL = Kind(lambda text: _LEVELS[text.upper()], "one of " + ", ".join(_LEVELS))


def _config_file(path: str) -> dict[str, str]:
    """Read the variables that the JSON object in AZUREML_CONFIG_FILE sets; those of the environment win."""
    if not path:
        return {}
    try:
        members = json.loads(Path(path).read_text(encoding="utf-8"))
        return {name: str(value) for name, value in members.items() if value is not None}
    except (OSError, ValueError, AttributeError) as error:
        raise SettingError(
            f"AZUREML_CONFIG_FILE={path!r} is not a JSON object in a file: {error}. Correct it, or leave it out."
        ) from None


def _setting(*names: str, default: str, kind: Kind, meaning: str) -> Any:  # noqa: ANN401
    return field(metadata={"rule": Rule(names, default, kind, meaning)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, validated; paths are absolute. Azure ML's names for a field stand behind ours."""

    host: str = _setting(
        "HOST",
        default="0.0.0.0",  # noqa: S104
        kind=HOST,
        meaning="Address that the service listens on; `::` is each one, of IPv6 and IPv4.",
    )
    port: int = _setting("PORT", default="5001", kind=PORT, meaning="Port of `/score`, the probes and `/metrics`.")
    worker_count: int = _setting("WORKER_COUNT", default="1", kind=_whole(1, 1024), meaning="Gunicorn workers.")
    worker_timeout_s: int = _setting(
        "WORKER_TIMEOUT",
        default="300",
        kind=_whole(1, 86400),
        meaning="A worker that shows no sign of life for so many seconds is replaced.",
    )
    worker_preload: bool = _setting(
        "WORKER_PRELOAD",
        default="false",
        kind=SWITCH,
        meaning="Import the entry script once, before the workers start; `init()` still runs in each.",
    )
    scoring_timeout_ms: int = _setting(
        "SCORING_TIMEOUT_MS",
        default="3600000",
        kind=_whole(1, 2**31),
        meaning="Longest time of a request from its arrival, in milliseconds; its header `x-request-timeout-ms` can "
        "shorten it.",
    )
    max_in_flight: int = _setting(
        "MAX_IN_FLIGHT",
        default="512",
        kind=_whole(1, 65536),
        meaning="Requests inside a worker at once; one that finds no place within a second is answered with 429.",
    )
    drain_s: int = _setting(
        "DRAIN_SECONDS",
        default="3",
        kind=_whole(0, 3600),
        meaning="After SIGTERM, how long requests are still accepted while `/health/ready` answers 503, in seconds.",
    )
    app_root: Path = _setting(
        "APP_ROOT",
        "AML_APP_ROOT",
        default=".",
        kind=DIRECTORY,
        meaning="Working directory of the entry script; the script's path starts here.",
    )
    script: str = _setting(
        "ENTRY_SCRIPT",
        "AZUREML_ENTRY_SCRIPT",
        default="",
        kind=TEXT,
        meaning="The script with `init()` and `run()`, relative to `APP_ROOT`. Left out: `score.py` in `APP_ROOT`, "
        "or `examples/digits/score.py` when `APP_ROOT` is left out, too.",
    )
    source_directory: Path = _setting(
        "AZUREML_SOURCE_DIRECTORY",
        default=".",
        kind=Kind(Path, "a path"),
        meaning="Directory below `APP_ROOT` that the script imports from, too.",
    )
    model_dir: Path = _setting(
        "MODEL_DIR",
        "AZUREML_MODEL_DIR",
        default="models",
        kind=PATH,
        meaning="Its folder `triton/`, `models/triton/` or `<model>/<version>/triton/` is Triton's model repository.",
    )
    repository: str = _setting(
        "MODEL_REPOSITORY",
        default="",
        kind=TEXT,
        meaning="Triton's model repository, where that is not below `MODEL_DIR`: a directory, or what the Triton at "
        "hand can read: `as://`, `s3://`, `gs://`.",
    )
    triton: bool = _setting(
        "TRITON", default="on", kind=SWITCH, meaning="`off` runs Gunicorn alone, for scripts that need no Triton."
    )
    ready_probe_s: int = _setting(
        "READY_PROBE_SECONDS",
        default="10",
        kind=_whole(0, 86400),
        meaning="How often a model that has answered nobody meanwhile is asked for a tiny inference, in seconds; `0`: "
        "only when a request finds its process dead.",
    )
    allow_no_models: bool = _setting(
        "ALLOW_NO_MODELS",
        default="false",
        kind=SWITCH,
        meaning="Start, and be ready, with a model repository that has no model.",
    )
    triton_http_port: int = _setting(
        "TRITON_HTTP_PORT", default="8000", kind=PORT, meaning="Triton's HTTP port, on loopback only."
    )
    triton_metrics_port: int = _setting(
        "TRITON_METRICS_PORT", default="8002", kind=PORT, meaning="Triton's metrics port, on loopback only."
    )
    triton_default_max_batch_size: int = _setting(
        "TRITON_DEFAULT_MAX_BATCH_SIZE",
        default="64",
        kind=_whole(1, 65536),
        meaning="Largest batch of a model that can batch and whose configuration does not say.",
    )
    triton_extra_args: str = _setting(
        "TRITON_EXTRA_ARGS", default="", kind=FLAGS, meaning="Further flags for `tritonserver`, as in a shell."
    )
    max_body_bytes: int = _setting(
        "MAX_BODY_BYTES",
        default="104857600",
        kind=_whole(1, 2**40),
        meaning="Largest request body; a larger one is answered with 413.",
    )
    cors_origins: list[str] = _setting(
        "AML_CORS_ORIGINS",
        default="",
        kind=LIST,
        meaning="Origins whose pages may call the service, with commas between them; `*` for any.",
    )
    auth_keys: list[str] = _setting(
        "AUTH_KEYS",
        default="",
        kind=KEYS,
        meaning="Keys that open `/score`, with commas between them: `Authorization: Bearer <key>`. "
        "Without any, it is open to all.",
    )
    auth_keys_file: Path | None = _setting(
        "AUTH_KEYS_FILE",
        default="",
        kind=FILE,
        meaning="File with further keys, one a line, `#` before a comment; taken up within a second when it has "
        "changed.",
    )
    tls_cert_file: Path | None = _setting(
        "TLS_CERT_FILE",
        default="",
        kind=READABLE_FILE,
        meaning="Certificate chain, in PEM; with `TLS_KEY_FILE`, the service speaks HTTPS only.",
    )
    tls_key_file: Path | None = _setting(
        "TLS_KEY_FILE", default="", kind=READABLE_FILE, meaning="Private key of the certificate, in PEM."
    )
    auth_metrics: bool = _setting("AUTH_METRICS", default="false", kind=SWITCH, meaning="`/metrics` needs a key, too.")
    auth_api_document: bool = _setting(
        "AUTH_API_DOCUMENT", default="false", kind=SWITCH, meaning="`/swagger.json` needs a key, too."
    )
    separate_health_endpoint: bool = _setting(
        "SEPERATE_HEALTH_ENDPOINT", default="false", kind=SWITCH, meaning="Listen on `HEALTH_PORT`, too."
    )
    health_port: int = _setting(
        "HEALTH_PORT", default="5000", kind=PORT, meaning="Second port, for probes that must not share the first."
    )
    strict_status: bool = _setting(
        "AZUREML_STRICT_STATUS",
        default="false",
        kind=SWITCH,
        meaning="Answer 500 for what befalls a call to Triton inside of `run()`, as Azure ML does.",
    )
    server_version_header: bool = _setting(
        "SERVER_VERSION_LOG_RESPONSE_ENABLED",
        default="true",
        kind=SWITCH,
        meaning="Send `x-ms-server-version`.",
    )
    service_name: str = _setting("SERVICE_NAME", default="ML service", kind=TEXT, meaning="Title of the API document.")
    service_version: str = _setting("SERVICE_VERSION", default="1.0", kind=TEXT, meaning="Version in the API document.")
    service_path_prefix: str = _setting(
        "SERVICE_PATH_PREFIX", default="", kind=TEXT, meaning="What stands before the paths in the API document."
    )
    log_level: str = _setting(
        "LOG_LEVEL", "AZUREML_LOG_LEVEL", default="INFO", kind=LEVEL, meaning="Least level that reaches the log."
    )

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read and check every setting. Raises SettingError for the first one that cannot be used."""
        environ = {**_config_file(environ.get("AZUREML_CONFIG_FILE", "")), **environ}
        values = {each.name: each.metadata["rule"].read(environ) for each in fields(cls)}
        if bool(values["tls_cert_file"]) != bool(values["tls_key_file"]):
            given, missing = ("CERT", "KEY") if values["tls_cert_file"] else ("KEY", "CERT")
            raise SettingError(f"TLS_{given}_FILE is set, but TLS_{missing}_FILE is not. Set both, or neither.")
        # Whoever names an application root has a script of their own there, as on Azure ML.
        own_root = environ.get("APP_ROOT") or environ.get("AML_APP_ROOT")
        values["script"] = values["script"] or ("score.py" if own_root else "examples/digits/score.py")
        return cls(**values)

    @property
    def entry_script(self) -> Path:
        """The script with init() and run()."""
        return self.app_root / self.script

    @property
    def local_addresses(self) -> list[str]:
        """Where this machine reaches the service, the first that can be connected to."""
        if self.host == "::":
            return ["::1", "127.0.0.1"]  # the second where a container has no ::1
        return ["127.0.0.1" if self.host == "0.0.0.0" else self.host]  # noqa: S104

    @property
    def stop_s(self) -> int:
        """How long a stop may take once no more requests are accepted, in seconds: the longest request, and 10 s."""
        return self.scoring_timeout_ms // 1000 + 10

    @property
    def script_directories(self) -> list[Path]:
        """Where the entry script's own code is, in the order in which its modules are looked for."""
        return list(dict.fromkeys([self.app_root, self.app_root / self.source_directory, self.entry_script.parent]))

    @property
    def needs_key(self) -> bool:
        """Whether callers need a key."""
        return bool(self.auth_keys or self.auth_keys_file)

    @property
    def model_repository(self) -> Path | str:
        """Triton's model repository, as set, or one with <model>/config.pbtxt and <model>/<version>/ in it.

        In a model directory of Azure ML that may be models/triton, or <registered model>/<version>/triton: of several
        versions the highest, as with Model.get_model_path().
        """
        if self.repository:
            return self.repository if "://" in self.repository else Path(self.repository).resolve()
        usual = self.model_dir / "triton"
        versions = [each for each in self.model_dir.glob("*/*/triton") if each.parent.name.isdecimal()]
        versions.sort(key=lambda each: (each.parent.parent.name, -int(each.parent.name)))
        others = [self.model_dir / "models" / "triton", *versions]
        return next(filter(Path.is_dir, [usual, *others]), usual)

    @property
    def instance(self) -> str:
        """Names what this service leaves on a machine: an address has one owner, so its next owner may clean up."""
        return f"scoregate-{os.getuid()}-{self.host.strip('[]').replace(':', '_')}-{self.port}"
