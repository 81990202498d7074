"""A worker without torch, which starts in a tenth of a second: it does what its job says, death included."""

from __future__ import annotations

import json
import os
import struct
import sys
import time

HEAD = struct.Struct(">QQ")


def main() -> None:
    while head := sys.stdin.buffer.read(HEAD.size):
        n_words, n_numbers = HEAD.unpack(head)
        job = json.loads(sys.stdin.buffer.read(n_words))
        sys.stdin.buffer.read(n_numbers)
        if job["do"] == "sleep":
            time.sleep(60)
        if job["do"] == "die":
            sys.stderr.write("a library complained\nand then it was over")
            sys.stderr.flush()
            os._exit(3)
        said = {"error": "ValueError: too much"} if job["do"] == "fail" else {"pid": os.getpid(), **job}
        answer = json.dumps(said).encode()
        sys.stdout.buffer.write(HEAD.pack(len(answer), 0) + answer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
