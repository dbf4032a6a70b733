"""The names of the published ImageNet file of ResNet38 into those of the network: REFERENCE 1.5, token by token."""

from __future__ import annotations

LAST = {"beta": "bias", "gamma": "weight", "mean": "running_mean", "var": "running_var"}


def network_name(name: str) -> str | None:
    """The network's name of a tensor of the file, or None for the classifier."""
    tokens = name.removeprefix("arg:").removeprefix("aux:").split("_")
    if "conv1a" in tokens[0]:
        return "conv1a.weight"
    if "linear1000" in tokens[0]:
        return None
    if "branch" not in tokens[1]:
        return f"bn7.{LAST[tokens[-1]]}"
    word = tokens[0]
    block = f"b{word[-2]}" if word[-1] == "a" else f"b{word[-3]}_{word[-1]}"
    if "res" in word:
        return f"{block}.conv_{tokens[1]}.weight"
    return f"{block}.bn_{tokens[1]}.{LAST[tokens[-1]]}"
