"""The commands of ``pagering`` that open a card, or make that possible."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pagering.errors import PageringError

__all__ = ["add_commands"]

Name = Annotated[str, typer.Option(
    "--device", "-d", help="The card. library: its RTL, compiled; sim: the same under cocotb; "
                           "model: the in-memory card of the tests. Frames are made up, or with "
                           "library:pcap=FILE, sim:FILE or model:FILE those of a capture. "
                           "vfio-user:PATH: one that pagering card serves. "
                           "vfio:0000:01:00.0 and iommufd:0000:01:00.0: the one in this slot, see "
                           "pagering bind.")]
Queues = Annotated[int | None, typer.Option(
    help="Queues to receive on.", show_default="all, up to 4")]
_DEFAULT = "model"


def add_commands(app: typer.Typer) -> None:
    """Add them."""
    for command in (rx, top, stats, selftest, bind):
        app.command()(command)


def rx(
    device: Name = _DEFAULT,
    queues: Queues = None,
    count: Annotated[int | None, typer.Option(
        "--count", "-c", min=1, help="Stop after so many frames.", show_default="never")] = None,
    seconds: Annotated[float | None, typer.Option(
        min=0, help="Stop after so long.", show_default="never")] = None,
    write: Annotated[Path | None, typer.Option(
        "--write", "-w", help="Write all frames to this pcap.")] = None,
    quiet: Annotated[bool, typer.Option(
        "--quiet", "-q", help="Print no line for each frame.")] = False,
) -> None:
    """Receive frames: print a line for each, or write them to a capture, or both.

    A line has the time, the queue, and what tcpdump would say in brief. What the disk has no time
    for is not written, and counted; memory is bounded.
    """
    from pagering.devices import open_device
    from pagering.rx_command import receive

    raise typer.Exit(receive(open_device(device), queues=queues, count=count, seconds=seconds,
                             write=write, quiet=quiet))


def top(
    device: Name = _DEFAULT,
    queues: Queues = None,
    seconds: Annotated[float | None, typer.Option(
        min=0, help="Stop after so long.", show_default="never")] = None,
    interval: Annotated[float, typer.Option(
        min=0.05, help="Seconds from one look to the next.")] = 0.5,
) -> None:
    """Receive, and show live what queues, pools and drops do."""
    from pagering.devices import open_device
    from pagering.top_command import watch

    raise typer.Exit(watch(open_device(device), queues=queues, seconds=seconds,
                           interval=interval))


def stats(
    device: Name = _DEFAULT,
    queues: Queues = None,
    seconds: Annotated[float, typer.Option(min=0, help="Receive so long before.")] = 1.0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    prometheus: Annotated[bool, typer.Option(
        "--prometheus", help="Print Prometheus' text format.")] = False,
) -> None:
    """Receive for a while and print all counters, under the names that Linux has for them."""
    from pagering.devices import open_device
    from pagering.stats_command import count

    if json and prometheus:
        raise PageringError("--json and --prometheus are two forms of the same; give one")
    raise typer.Exit(count(open_device(device), queues=queues, seconds=seconds,
                           form="json" if json else "prometheus" if prometheus else "table"))


def selftest(device: Name = _DEFAULT) -> None:
    """Check a card: registers, memory both ways, interrupts, refusals, and frames where possible.

    Exit status 0 if nothing is wrong, 1 if a check failed, 2 if it could not run.
    """
    from pagering.devices import open_device
    from pagering.selftest import check, report

    raise typer.Exit(report(list(check(open_device(device)))))


def bind(
    address: Annotated[str, typer.Argument(
        help="The card's PCI address, as lspci -D prints it: 0000:01:00.0.")],
    undo: Annotated[bool, typer.Option(
        "--undo", help="Give it back to the driver that it had.")] = False,
    force: Annotated[bool, typer.Option(
        "--force", help="Even what is no Pagering card, such as another function of its group.",
    )] = False,
) -> None:
    """Bind a card to vfio-pci, so that --device vfio:ADDRESS can reach it. Needs root."""
    from pagering.pci_function import PciFunction
    from pagering.vfio_binding import VfioBinding

    function = PciFunction(address)
    if not force:
        function.require_card()
    before, binding = function.driver, VfioBinding(function)
    after = binding.undo() if undo else binding.bind()
    Console().print(f"{address}: {before or 'no driver'} -> {after or 'no driver'}",
                    highlight=False, soft_wrap=True)
