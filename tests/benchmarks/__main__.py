"""`python -m tests.benchmarks`, or `make bench`: every benchmark beside this file, one after the other."""

import subprocess
import sys
from pathlib import Path

for path in sorted(Path(__file__).parent.glob("bench_*.py")):
    print(f"\n## {path.stem}\n", flush=True)
    subprocess.run([sys.executable, "-m", f"tests.benchmarks.{path.stem}"], check=False)
