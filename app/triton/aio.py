"""The asyncio client that entry scripts get: it reaches this service's Triton, and fails as the blocking one does."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from tritonclient.utils import InferenceServerException  # type: ignore[import-untyped]

from . import patience, suspects
from .client import InferenceServerClient, address, not_loaded
from .failures import Dead, explain, unreachable


def client_for(upstream: Any) -> type[Any]:  # noqa: ANN401 - a class, which is not imported before a script does it
    """Make the client. upstream: tritonclient.http.aio.InferenceServerClient."""
    from aiohttp import ClientError

    class AioInferenceServerClient(upstream):  # type: ignore[misc]
        """tritonclient.http.aio.InferenceServerClient with the same signature."""

        def __init__(
            self,
            url: str,
            verbose: bool = False,
            conn_limit: int = 100,
            conn_timeout: float = 60.0,
            ssl: bool = False,
            *args: Any,  # noqa: ANN401 - the rest is upstream's
            **kwargs: Any,  # noqa: ANN401
        ) -> None:
            super().__init__(address(url), verbose, conn_limit, conn_timeout, ssl, *args, **kwargs)
            self._is_of_service = address(url) == InferenceServerClient.service_url and not ssl
            self._timeout = conn_timeout

        async def _get(self, request_uri: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            try:
                return await super()._get(request_uri, *args, **kwargs)
            except (OSError, ClientError) as error:
                raise unreachable(request_uri, error) from error

        async def _post(self, request_uri: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            try:
                return await super()._post(request_uri, *args, **kwargs)
            except (OSError, ClientError) as error:
                raise unreachable(request_uri, error) from error

        async def infer(self, model_name: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            """Ask one model once. Raises Refused, Failed, Busy, QueueFull, QueueTimeout, Unreachable, TimedOut."""
            is_long = self._is_of_service and self._timeout > patience.LONG_S
            try:
                with patience.waiting(model_name, self._timeout) if is_long else nullcontext():
                    return await super().infer(model_name, *args, **kwargs)
            except InferenceServerException as error:
                failure = explain(error)
                if self._is_of_service and isinstance(failure, Dead):
                    suspects.tell(model_name)
                raise failure from error
            except ClientError as error:
                raise unreachable(f"v2/models/{model_name}/infer", error) from error

        async def load_model(
            self,
            model_name: str,
            headers: Mapping[str, Any] | None = None,
            query_params: Mapping[str, Any] | None = None,
            config: str | None = None,
            files: Mapping[str, bytes] | None = None,
        ) -> None:
            """Have Triton load a model, as the blocking client does."""
            try:
                await super().load_model(model_name, headers, query_params, config, files)
            except InferenceServerException as error:
                raise not_loaded(model_name, error) from error
            if self._is_of_service and (wanted := InferenceServerClient.wanted):
                wanted.loaded(model_name, config, files)

        async def unload_model(self, model_name: str, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
            """Have Triton unload a model, as the blocking client does."""
            await super().unload_model(model_name, *args, **kwargs)
            if self._is_of_service and (wanted := InferenceServerClient.wanted):
                wanted.unloaded(model_name)

    AioInferenceServerClient.__name__ = upstream.__name__
    return AioInferenceServerClient
