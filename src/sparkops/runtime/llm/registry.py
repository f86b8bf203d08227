"""From the name of a model in a definition to a model that can be asked."""

from collections.abc import Collection
from types import TracebackType
from typing import Self

import httpx2

from sparkops.core.config import ModelEndpoint, Settings
from sparkops.core.errors import ConfigError
from sparkops.core.model_spec import ModelSpec
from sparkops.core.model_spec import Price as StatedPrice
from sparkops.runtime.effects import StepFailed
from sparkops.runtime.egress import Egress, guarded_client, host_port, parse_allowed
from sparkops.runtime.llm import prices
from sparkops.runtime.llm.base import Model
from sparkops.runtime.llm.openai_compatible import OpenAICompatible
from sparkops.runtime.llm.scripted import Scripted


def egress_of(settings: Settings) -> Egress:
    """Return who may be reached. A configured model endpoint is the operator's choice, so it is allowed.

    Raises:
        ConfigError: an entry of `egress_allow` has no port, or an endpoint's address is no http or https URL.
    """
    try:
        allowed = parse_allowed(settings.egress_allow)
    except ValueError as error:
        raise ConfigError(f"SPARKOPS_EGRESS_ALLOW is not valid: {error}.") from None
    try:
        endpoints = {host_port(endpoint.base_url) for endpoint in settings.models.values()}
    except ValueError as error:
        raise ConfigError(f"The base_url of a model endpoint is not valid: {error}.") from None
    return Egress(allowed | endpoints)


class Models:
    """The models of one process, on one event loop: they share connections, which `aclose` closes."""

    def __init__(self, settings: Settings) -> None:
        """Connect to nothing yet.

        Raises:
            ConfigError: see `egress_of`.
        """
        self._settings = settings
        self._egress = egress_of(settings)
        self._client: httpx2.AsyncClient | None = None
        self._made: dict[tuple[str, StatedPrice | None], OpenAICompatible] = {}

    def resolve(self, spec: ModelSpec, project: str) -> Model:
        """Return the model that a definition of a project, by its slug, names.

        Raises:
            StepFailed: no endpoint that the project may use has this name, or the price of its model is not known.
        """
        if spec.script is not None:
            return Scripted(spec.script, spec.price)
        reachable = self._settings.models_of(project)
        if spec.model not in reachable:
            raise _not_configured(spec.model, reachable)
        key = (spec.model, spec.price)
        if key not in self._made:
            self._made[key] = self._make(spec)
        return self._made[key]

    def _make(self, spec: ModelSpec) -> OpenAICompatible:
        endpoint = self._settings.models[spec.model]
        return OpenAICompatible(spec.model, endpoint, _price(spec, endpoint), self._shared_client())

    def _shared_client(self) -> httpx2.AsyncClient:
        if self._client is None:
            self._client = guarded_client(self._egress)
        return self._client

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _not_configured(name: str, reachable: Collection[str]) -> StepFailed:
    known = ", ".join(sorted(reachable)) or "none"
    return StepFailed(
        "model-not-configured",
        f"There is no model endpoint called {name} (there are: {known}). Set SPARKOPS_MODEL_BASE_URL and "
        "SPARKOPS_MODEL_NAME for the one called default, add it under models in the settings, or use scripted.",
    )


def _price(spec: ModelSpec, endpoint: ModelEndpoint) -> prices.Price:
    """Return the price that counts: the definition's, else the settings', else the library's.

    Raises:
        StepFailed: nobody knows it, or the settings state half of it, which nobody may take for another price.
    """
    if spec.price is not None:
        return prices.Stated(spec.price)
    both = "input_usd_per_million and output_usd_per_million"
    where = f"{both} of models.{spec.model} in the settings"
    if spec.model == "default":
        where = "SPARKOPS_MODEL_INPUT_USD_PER_MILLION and SPARKOPS_MODEL_OUTPUT_USD_PER_MILLION"
    if endpoint.input_usd_per_million is not None and endpoint.output_usd_per_million is not None:
        stated = StatedPrice(
            input_usd_per_million=endpoint.input_usd_per_million,
            output_usd_per_million=endpoint.output_usd_per_million,
            cached_input_usd_per_million=endpoint.cached_input_usd_per_million,
            cache_write_usd_per_million=endpoint.cache_write_usd_per_million,
            reasoning_usd_per_million=endpoint.reasoning_usd_per_million,
        )
        return prices.Stated(stated)
    if any(getattr(endpoint, name) is not None for name in StatedPrice.model_fields):
        raise StepFailed("price-unknown", f"Only a part of the price of {spec.model} is stated. State {where}.")
    try:
        return prices.known_price(endpoint.model, endpoint.base_url, state_where=f"{where}, or price in the definition")
    except StepFailed:
        if endpoint.unknown_price != "free":
            raise
        return prices.Free()
