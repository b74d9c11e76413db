"""For a container's HEALTHCHECK: exit code 0 while the service in it is ready."""

import os
import ssl
import sys
import urllib.error
import urllib.request

from .settings import Settings

TIMEOUT_S = 4.0


def main() -> int:
    """Ask /health/ready; print the reason where it is not."""
    settings = Settings.from_environ(os.environ)
    scheme = "https" if settings.tls_cert_file else "http"
    unchecked = ssl._create_unverified_context()  # noqa: S323 - it asks itself, by an address that is in no certificate
    try:
        url = f"{scheme}://127.0.0.1:{settings.port}/health/ready"
        with urllib.request.urlopen(url, timeout=TIMEOUT_S, context=unchecked):  # noqa: S310
            return 0
    except urllib.error.HTTPError as error:
        print(error.read().decode())  # noqa: T201
    except OSError as error:
        print(error)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())
