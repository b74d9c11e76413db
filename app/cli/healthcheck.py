"""For a container's HEALTHCHECK: exit code 0 while the service in it is ready."""

import os
import ssl
import sys
from http.client import HTTPConnection, HTTPException, HTTPSConnection

from ..settings import Settings

TIMEOUT_S = 4.0


def main() -> int:
    """Ask /health/ready; print the reason where it is not."""
    settings = Settings.from_environ(os.environ)
    unchecked = ssl._create_unverified_context()  # noqa: S323 - it asks itself, by an address that is in no certificate
    failure: Exception | None = None
    for address in settings.local_addresses:
        if settings.tls_cert_file:
            connection: HTTPConnection = HTTPSConnection(address, settings.port, timeout=TIMEOUT_S, context=unchecked)
        else:
            connection = HTTPConnection(address, settings.port, timeout=TIMEOUT_S)
        try:
            connection.request("GET", "/health/ready")
            answer = connection.getresponse()
            if answer.status == 200:
                return 0
            print(answer.read().decode())  # noqa: T201
            return 1
        except (OSError, HTTPException) as error:
            failure = error
        finally:
            connection.close()
    print(failure)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())
