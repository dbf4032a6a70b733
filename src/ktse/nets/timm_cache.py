"""Weights that timm gets from the Hugging Face hub: from its cache at once, from the net only when it answers."""

from __future__ import annotations

from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from ktse.errors import WeightsError
from ktse.nets.download import offline_switch

PROBE_TIMEOUT = 5.0
"""Seconds within which the hub has to answer at all; its own library tries for most of a minute."""


def pretrained_source(name: str) -> dict[str, Any]:
    """Return what `timm.create_model` has to be told beside `pretrained=True` to find the weights of a model.

    A file in the hub's cache is named, so that timm does not ask the hub whether it has changed. Otherwise, where timm
    would look at the hub, it is made sure first that the hub answers.

    Raises:
        WeightsError: The weights are not in the cache and downloads are switched off, or the hub does not answer.
    """
    from timm.models import get_pretrained_cfg

    settings = get_pretrained_cfg(name)
    if settings is None or not settings.hf_hub_id:
        return {}
    if not settings.custom_load and (cached := _cached(settings.hf_hub_id, settings.hf_hub_filename)):
        return {"pretrained_cfg_overlay": {"file": cached}}
    _require_hub()
    return {}


def _cached(identifier: str, file_name: str | None) -> str | None:
    """Return the file of a model that the hub's cache holds."""
    from huggingface_hub import try_to_load_from_cache

    repository, _, revision = identifier.partition("@")
    for file in (file_name, "model.safetensors", "pytorch_model.bin"):
        found = try_to_load_from_cache(repository, file, revision=revision or None) if file else None
        if isinstance(found, str):
            return found
    return None


def _require_hub() -> None:
    if switch := offline_switch():
        raise WeightsError(f"they are not in the cache, and downloads are switched off ({switch})")
    from huggingface_hub import constants

    try:
        urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=PROBE_TIMEOUT).close()  # noqa: S310 (as configured)
    except HTTPError as error:
        error.close()  # an answer, whatever it says: the hub's library knows what to do with it
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise WeightsError(f"they are not in the cache, and no answer from {constants.ENDPOINT}: {reason}") from error
