from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from ktse.errors import WeightsError
from ktse.nets import timm_cache
from ktse.nets.timm_cache import pretrained_source
from ktse.nets.timm_trunk import build_timm_trunk


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for name in ("KTSE_OFFLINE", "HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def deaf_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A hub that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setattr(timm_cache, "PROBE_TIMEOUT", 0.05)
        yield


def test_weights_in_the_cache_are_taken_without_asking_the_hub(cache: Path, deaf_hub: None) -> None:
    repository = cache / "models--timm--test_resnet.r160_in1k"
    snapshot = repository / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    state = {name: torch.rand_like(value) if value.is_floating_point() else value
             for name, value in timm.create_model("test_resnet").state_dict().items()}  # fmt: skip
    save_file(state, snapshot / "model.safetensors")
    trunk = build_timm_trunk("test_resnet", weights="timm", output_stride=None)
    assert torch.equal(trunk.network.conv1[0].weight, state["conv1.0.weight"])


def test_a_hub_that_does_not_answer_is_not_waited_for(deaf_hub: None) -> None:
    with pytest.raises(WeightsError, match=r"'test_resnet' .*no answer from http://127.*trunk_weights=FILE"):
        build_timm_trunk("test_resnet", weights="timm", output_stride=None)


@pytest.mark.parametrize("switch", ["KTSE_OFFLINE", "HF_HUB_OFFLINE"])
def test_switched_off(monkeypatch: pytest.MonkeyPatch, switch: str) -> None:
    monkeypatch.setenv(switch, "1")
    monkeypatch.setattr(timm_cache, "urlopen", None)
    with pytest.raises(WeightsError, match=rf"not in the cache, and downloads are switched off \({switch}\)"):
        pretrained_source("test_resnet")


def test_any_answer_of_the_hub_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:  # answers 501
        thread = threading.Thread(target=server.handle_request, daemon=True)
        thread.start()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        assert pretrained_source("test_resnet") == {}
        thread.join()


def test_weights_that_are_not_on_the_hub_are_left_to_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timm_cache, "urlopen", None)
    assert pretrained_source("no_such_model") == {}
