"""``python -m pool_trace``: make traces, run them here, and record what a kernel answers."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .executor import Executor
from .generator import SHAPES, generate
from .guest import GuestError, ask_kernel
from .recorded import ANSWERS, save
from .trace import parse
from .written import WRITTEN


def _traces(seed: int, count: int) -> dict[str, str]:
    """Return the text of all traces by name: random ones of each shape, and those by hand."""
    random = {name: "".join(f"{operation}\n" for operation in generate(shape, seed, count))
              for name, shape in SHAPES.items()}
    return random | WRITTEN


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pool_trace", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="print a random trace")
    make.add_argument("shape", choices=SHAPES)
    run = commands.add_parser("run", help="run a trace from standard input on the Python pool")
    record = commands.add_parser("record", help="run traces in a guest, and keep the answers")
    record.add_argument("--kernel", type=Path, required=True, help="bootable image")
    record.add_argument("--module", type=Path, required=True, help="pagering_pool_trace.ko")
    record.add_argument("--qemu", default="qemu-system-x86_64")
    record.add_argument("--out", type=Path, default=ANSWERS)
    for command in (make, record):
        command.add_argument("--seed", type=int, default=1)
        command.add_argument("--count", type=int, default=1000, help="operations of a trace")
    run.set_defaults(seed=0)
    return parser.parse_args()


def _main() -> int:
    chosen = _arguments()
    out = sys.stdout
    if chosen.command == "make":
        made = generate(SHAPES[chosen.shape], chosen.seed, chosen.count)
        out.writelines(f"{operation}\n" for operation in made)
    elif chosen.command == "run":
        out.writelines(f"{answer}\n" for answer in Executor().run(parse(sys.stdin)))
    else:
        try:
            recorded = ask_kernel(chosen.kernel, chosen.module,
                                  _traces(chosen.seed, chosen.count), qemu=chosen.qemu)
        except GuestError as error:
            sys.stderr.write(f"pool_trace: {error}\n")
            return 2
        chosen.out.mkdir(parents=True, exist_ok=True)
        for name, answers in recorded.items():
            save(chosen.out / f"{name}.txt.xz", answers)
            out.write(f"{name}: {len(answers.answers)} answers of Linux {answers.kernel}\n")
    return 0


sys.exit(_main())
