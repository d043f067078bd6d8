"""The ``pagering`` command.

Each subcommand imports what it needs when it runs, so that a host with nothing but the driver can
start it. A :class:`~pagering.errors.PageringError` is one red line on stderr and exit status 2.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from pagering import cli_card
from pagering.cli_device import add_commands
from pagering.doctor import check, load, report
from pagering.errors import PageringError
from pagering.sim_options import SimOptions

__all__ = ["app", "main"]


class _Commands(TyperGroup):
    """Turns our errors into one line and an exit status."""

    def invoke(self, ctx: Any) -> Any:  # a context of the click that typer brings along
        try:
            return super().invoke(ctx)
        except PageringError as error:
            message = Text(f"pagering: {error}", style="red")
            Console(stderr=True).print(message, soft_wrap=True)
            raise typer.Exit(2) from None


app = typer.Typer(
    cls=_Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="A network card's receive engine whose free-page list lives on the card.",
)

_DEFAULTS = SimOptions()
_CARD, _HOST, _RUN = "The card", "The host", "The run"

Bus = Annotated[int, typer.Option(
    help="Width of stream and memory bus in bits: 64, 128, 256 or 512.", rich_help_panel=_CARD)]
Queues = Annotated[int, typer.Option(help="Receive queues, 1 to 64.", rich_help_panel=_CARD)]
Pools = Annotated[int | None, typer.Option(
    help="Page pools; queue q draws from pool q mod this.", show_default="one for each queue",
    rich_help_panel=_CARD)]
Pages = Annotated[int, typer.Option(
    help="Pages of all pools together, a power of two up to 65536.", rich_help_panel=_CARD)]
PageSize = Annotated[int, typer.Option(
    help="Bytes in a page, a power of two from 4096 to 65536.", rich_help_panel=_CARD)]
Chunk = Annotated[int | None, typer.Option(
    help="Bytes that a page is handed out in.", show_default="the whole page",
    rich_help_panel=_CARD)]


@app.command()
def sim(
    pcap: Annotated[Path | None, typer.Argument(
        help="Frames to receive, pcap or pcapng.", show_default="the shipped capture")] = None,
    bus: Bus = _DEFAULTS.bus_bits,
    queues: Queues = _DEFAULTS.queues,
    pools: Pools = None,
    pages: Pages = _DEFAULTS.pages,
    page_size: PageSize = _DEFAULTS.page_bytes,
    chunk: Chunk = None,
    policy: Annotated[str, typer.Option(
        help="Order in which pages are used again: fifo or lifo.",
        rich_help_panel=_CARD)] = _DEFAULTS.policy,
    steering: Annotated[str, typer.Option(
        help="Which queue a frame goes to: round-robin, rss, or fixed:Q.",
        rich_help_panel=_CARD)] = _DEFAULTS.steering,
    rss: Annotated[bool, typer.Option(
        "--rss", help="Spread flows by their hash: --steering rss.",
        rich_help_panel=_CARD)] = False,
    rss_key: Annotated[str, typer.Option(
        help="Key of the hash: microsoft, symmetric, or 80 hexadecimal digits.",
        rich_help_panel=_CARD)] = _DEFAULTS.rss_key,
    rule: Annotated[list[str] | None, typer.Option(
        help="A flow rule that wins over it: 'tcp dst port 80 -> queue 2'; may be repeated.",
        rich_help_panel=_CARD)] = None,
    rules: Annotated[Path | None, typer.Option(
        help="File with a flow rule on each line, the strongest first.",
        rich_help_panel=_CARD)] = None,
    split_headers: Annotated[int | None, typer.Option(
        help="Split frames of more bytes than this, headers and payload in pools of their own.",
        show_default="none are split", rich_help_panel=_CARD)] = None,
    hold: Annotated[bool, typer.Option(
        "--hold", help="A frame that finds no memory waits, and pause_req is raised.",
        show_default="it is dropped", rich_help_panel=_CARD)] = False,
    timestamps: Annotated[bool, typer.Option(
        "--timestamps", help="Extended completions: out.pcap is dated by the card's clock.",
        show_default="by the capture", rich_help_panel=_CARD)] = False,
    ring: Annotated[int, typer.Option(
        help="Completions in each queue's ring, a power of two from 64 to 65536.",
        rich_help_panel=_HOST)] = _DEFAULTS.ring_entries,
    latency: Annotated[int, typer.Option(
        help="Cycles from a memory write to its response.",
        rich_help_panel=_HOST)] = _DEFAULTS.latency,
    stalls: Annotated[float, typer.Option(
        help="Probability that the memory stalls in a cycle, 0 to 0.95.",
        rich_help_panel=_HOST)] = _DEFAULTS.stalls,
    host_delay: Annotated[int, typer.Option(
        help="Cycles that the host holds each burst before it returns the pages.",
        rich_help_panel=_HOST)] = _DEFAULTS.host_delay,
    returns: Annotated[str, typer.Option(
        help="How tokens go back: push writes each, pull leaves them for the card to fetch, auto "
             "pulls from 16 on.", rich_help_panel=_HOST)] = _DEFAULTS.returns,
    moderation: Annotated[str, typer.Option(
        help="When a queue interrupts, USECS:FRAMES: so long after its first unread frame, or for "
             "so many; 0:0 for each at once.", rich_help_panel=_HOST)] = _DEFAULTS.moderation,
    out: Annotated[Path, typer.Option(
        help="Folder for out.pcap, report.json, the picture and the trace of the pages.",
        rich_help_panel=_RUN)] = _DEFAULTS.out,
    seed: Annotated[int, typer.Option(
        help="Seed of all that is random.", rich_help_panel=_RUN)] = _DEFAULTS.seed,
    clock: Annotated[float, typer.Option(
        help="Clock in MHz that Gb/s is reckoned at.",
        rich_help_panel=_RUN)] = _DEFAULTS.clock_mhz,
    simulator: Annotated[str, typer.Option(
        help="verilator or icarus.", rich_help_panel=_RUN)] = _DEFAULTS.simulator,
    waves: Annotated[bool, typer.Option(
        "--waves", help="Record all signals (FST) with a saved view.",
        rich_help_panel=_RUN)] = False,
) -> None:
    """Run a capture through the simulated card, with the driver as its host.

    Exit status 0 if every delivered frame is byte-identical and in order and no frame or page is
    lost, 1 if not, 2 if it could not run.
    """
    options = SimOptions(
        pcap=pcap, out=out, bus_bits=bus, queues=queues,
        pools=queues if pools is None else pools, pages=pages, page_bytes=page_size,
        chunk_bytes=page_size if chunk is None else chunk, policy=policy, ring_entries=ring,
        latency=latency, stalls=stalls, host_delay=host_delay, seed=seed, waves=waves,
        simulator=simulator, clock_mhz=clock, steering="rss" if rss else steering,
        rss_key=rss_key, rules=(*(rule or ()), *_rules_of(rules)),
        moderation=moderation,
        split_headers=split_headers, hold=hold, timestamps=timestamps, returns=returns,
    ).validate()
    raise typer.Exit(load("pagering_tb.sim").run(options))


@app.command()
def generate(
    output: Annotated[Path, typer.Option("--output", "-o", help="The Verilog file to write.")],
    bus: Bus = _DEFAULTS.bus_bits,
    queues: Queues = _DEFAULTS.queues,
    pools: Pools = None,
    pages: Pages = _DEFAULTS.pages,
    page_size: PageSize = _DEFAULTS.page_bytes,
    chunk: Chunk = None,
) -> None:
    """Write the card as one Verilog file, with its register reference and C header beside it."""
    from pagering import reference

    options = SimOptions(
        bus_bits=bus, queues=queues, pools=queues if pools is None else pools, pages=pages,
        page_bytes=page_size, chunk_bytes=page_size if chunk is None else chunk,
    ).validate()
    generator, config = load("pagering_hdl.generate"), load("pagering_hdl.config")
    card = config.CardConfig(
        bus_bits=options.bus_bits, queues=options.queues, pools=options.pools,
        pages=options.pages, region_pages=options.region_pages, page_bytes=options.page_bytes,
        chunk_bytes=options.chunk_bytes,
    )
    written = [output, output.with_name(f"{output.stem}_registers.md"),
               output.with_name(f"{output.stem}_registers.h")]
    try:
        generator.write(card, output)
        written[1].write_text(reference.markdown(), encoding="utf-8")
        written[2].write_text(reference.c_header(), encoding="utf-8")
    except OSError as error:
        raise PageringError(f"{error.filename or output} cannot be written: "
                            f"{error.strerror}") from error
    for path in written:
        Console().print(str(path), highlight=False, soft_wrap=True)


@app.command()
def bench(
    output: Annotated[Path, typer.Option(
        "--output", "-o", help="Where the figures go, as JSON.")] = Path("build/bench.json"),
    quick: Annotated[bool, typer.Option(
        "--quick", help="Fewer sizes and a shorter count, for a first look.")] = False,
) -> None:
    """Count cycles per frame for each frame size and memory latency, beside the ideal.

    Exit status 0 if every row is within its bar, 1 if not, 2 if it could not run.
    """
    raise typer.Exit(load("pagering_tb.sim_bench").run(output, quick))


@app.command(name="bench-driver")
def bench_driver(
    output: Annotated[Path, typer.Option(
        "--output", "-o", help="Where the figures go, as JSON.",
    )] = Path("build/bench-driver.json"),
    quick: Annotated[bool, typer.Option(
        "--quick", help="Fewer turns, for a first look.")] = False,
) -> None:
    """Count the frames that the driver receives and returns in a second, beside a plain loop.

    Exit status 0 if every target is reached, 1 if not, 2 if it could not run.
    """
    raise typer.Exit(load("pagering.driver_bench").run(output, quick))


@app.command(name="bench-pool")
def bench_pool(
    output: Annotated[Path, typer.Option(
        "--output", "-o", help="Where the figures go, as JSON.",
    )] = Path("build/bench-pool.json"),
    quick: Annotated[bool, typer.Option(
        "--quick", help="Fewer turns, for a first look.")] = False,
) -> None:
    """Time what a page costs that is taken from a page pool and put back, beside other pools.

    Exit status 0 if every target is reached, 1 if not, 2 if it could not run.
    """
    raise typer.Exit(load("pagering.pool_bench").run(output, quick))


@app.command()
def formal(
    names: Annotated[list[str] | None, typer.Argument(
        help="Parts or specifications to prove.", show_default="all of them")] = None,
    fresh: Annotated[bool, typer.Option(
        "--fresh", help="Prove anew what has been proven before.")] = False,
) -> None:
    """Prove what must always hold, and that each proof would notice a fault.

    Exit status 0 if everything is proven, 1 if not, 2 if it could not run.
    """
    raise typer.Exit(load("pagering_tb.formal.campaign").run(names or (), keep=not fresh))


@app.command()
def synth(
    output: Annotated[Path, typer.Option(
        "--output", "-o", help="Where the figures go, as JSON.")] = Path("build/synth.json"),
    part: Annotated[list[str] | None, typer.Option(
        help="Only this part of the reference card, by itself; may be given again.",
        show_default="whole cards")] = None,
    seeds: Annotated[int, typer.Option(
        min=0, help="Runs of place and route; the median counts. 0: the netlist's area and "
                    "an estimate of the clock, in a minute.")] = 3,
) -> None:
    """Synthesize the card for a Lattice ECP5, place and route it, and say what limits its clock.

    Exit status 0 if every configuration is within its bars, 1 if not, 2 if it could not run.
    """
    raise typer.Exit(load("pagering_boards.synth").run(output, part or (), seeds))


@app.command()
def doctor(
    quiet: Annotated[bool, typer.Option(
        "--quiet", "-q", help="Say only what is missing.")] = False,
) -> None:
    """Say what is missing on this machine, and how to get it."""
    raise typer.Exit(report(check(), quiet=quiet))


add_commands(app)
cli_card.add_commands(app)


def _rules_of(path: Path | None) -> list[str]:
    """Read flow rules; empty lines and what follows a # are left out."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path else []
    except (OSError, UnicodeDecodeError) as error:
        raise PageringError(f"--rules {path} cannot be read: "
                            f"{getattr(error, 'strerror', None) or 'it is no text'}") from error
    return [line for line in (line.partition("#")[0].strip() for line in lines) if line]


def main() -> None:
    """Run the command line."""
    app(prog_name="pagering")


if __name__ == "__main__":
    main()
