"""The process that talks to a model hub through huggingface_hub; `hub_download` starts and watches it.

    python -m lmlab.formats.hub_child list ORG/NAME REVISION
    python -m lmlab.formats.hub_child get ORG/NAME COMMIT FOLDER FILE ...

Writes one JSON object a line: {"ready": true} before the first connection, then what was asked for, or
{"error": kind, "said": text}.
"""

from __future__ import annotations

import json
import sys
from typing import Any

_CONTACT_SECONDS = 3.0


def main(arguments: list[str]) -> int:
    """Do one of the two; the exit code is 0 where it was done."""
    try:
        import huggingface_hub

        _say(ready=True)
        action, repository, revision, *rest = arguments
        if action == "list":
            _list(huggingface_hub, repository, revision or None)
        else:
            folder, *files = rest
            for file in files:
                huggingface_hub.hf_hub_download(repository, file, revision=revision, local_dir=folder)
            _say(got=len(files))
    except Exception as error:  # whatever it is, the other side makes a sentence of it
        lineage = [kind.__name__ for kind in type(error).__mro__]
        _say(error=lineage, said=str(error), number=getattr(error, "errno", None), status=_status(error))
        return 1
    return 0


def _list(hub: Any, repository: str, revision: str | None) -> None:
    info = hub.HfApi().model_info(repository, revision=revision, files_metadata=True, timeout=_CONTACT_SECONDS)
    files = {
        file.rfilename: {
            "bytes": file.size,
            "sha256": file.lfs["sha256"] if file.lfs else None,
            "git": None if file.lfs else file.blob_id,
        }
        for file in info.siblings or []
    }
    licenses = [tag.partition(":")[2] for tag in info.tags or [] if tag.startswith("license:")]
    _say(commit=info.sha, files=files, license=licenses[0] if licenses else None)


def _status(error: Exception) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _say(**words: Any) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
