"""What a run leaves on disk: paths, safe formats, atomic writes, stages that know what is done."""

from ktse.artifacts.cam_file import read_cams, write_cams
from ktse.artifacts.files import digest_of_file, read_json, write_bytes_atomic, write_json
from ktse.artifacts.log import append_log, read_log
from ktse.artifacts.manifest import describe_machine, git_commit, write_manifest
from ktse.artifacts.run_directory import RunDirectory
from ktse.artifacts.stage import Stage, stage_key

__all__ = [
    "RunDirectory",
    "Stage",
    "append_log",
    "describe_machine",
    "digest_of_file",
    "git_commit",
    "read_cams",
    "read_json",
    "read_log",
    "stage_key",
    "write_bytes_atomic",
    "write_cams",
    "write_json",
    "write_manifest",
]
