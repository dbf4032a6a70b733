"""The manifest says with what, where and when a run was made."""

import platform
import shutil
import subprocess

import torch

from ktse.artifacts import RunDirectory, git_commit, manifest, read_json, write_manifest


def test_manifest_names_what_a_number_depends_on(tmp_path):
    run = RunDirectory(tmp_path)
    run.stage("localizer").begin("k1")
    run.stage("localizer").finish("k1")
    write_manifest(run, recipe_name="demo", device="cpu", processes=2)
    content = read_json(run.manifest)
    assert content["recipe"] == "demo"
    assert content["versions"]["python"] == platform.python_version()
    assert content["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert content["machine"]["processes"] == 2
    assert content["machine"]["cores"] >= 1
    assert content["machine"]["threads"] == torch.get_num_threads()
    assert list(content["stages"]) == ["localizer"]
    assert content["stages"]["localizer"]["key"] == "k1"


def test_second_writing_keeps_the_first_start(tmp_path, monkeypatch):
    run = RunDirectory(tmp_path)
    write_manifest(run, recipe_name="demo")
    first = read_json(run.manifest)
    run.manifest.write_text(run.manifest.read_text().replace(first["started"], "2020-01-01T00:00:00+00:00"))
    write_manifest(run, recipe_name="demo")
    again = read_json(run.manifest)
    assert again["started"] == "2020-01-01T00:00:00+00:00"
    assert again["written"] >= first["written"]


def checkout(folder, monkeypatch):
    """Make a git checkout that holds a copy of the module, and let the module believe that it runs from there."""
    module = folder / "src" / "ktse" / "artifacts" / "manifest.py"
    module.parent.mkdir(parents=True)
    module.write_text("x")
    monkeypatch.setattr(manifest, "__file__", str(module))
    return module


def git(folder, *arguments):
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_commit_of_a_checkout_and_changes(tmp_path, monkeypatch):
    module = checkout(tmp_path, monkeypatch)
    result = tmp_path / "results" / "figure.json"
    result.parent.mkdir()
    result.write_text("1")
    git(tmp_path, "init")
    assert git_commit() is None  # no commit yet
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "x")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert git_commit() == commit
    result.write_text("2")
    assert git_commit() == commit  # a benchmark has written its figure
    module.write_text("y")
    assert git_commit() == f"{commit}+changes"


def test_no_commit_outside_a_checkout_or_without_git(tmp_path, monkeypatch):
    checkout(tmp_path / "installed", monkeypatch)
    git(tmp_path, "init")  # a project that has the package installed somewhere below
    assert git_commit() is None
    git(tmp_path / "installed", "init")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert git_commit() is None
    monkeypatch.setattr(shutil, "which", lambda _: str(tmp_path / "no-such-git"))
    assert git_commit() is None
