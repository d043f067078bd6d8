"""The commands about a simulated card that drivers and guests can have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pagering.doctor import load

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Add them."""
    app.command()(card)
    app.command(name="bench-card")(bench_card)


def bench_card(
    output: Annotated[Path, typer.Option(
        "--output", "-o", help="Where the figures go, as JSON.",
    )] = Path("build/bench-card.json"),
    quick: Annotated[bool, typer.Option(
        "--quick", help="For a shorter time, for a first look.")] = False,
) -> None:
    """Count the frames that come through a simulated card to a driver, and the card's cycles.

    Exit status 0 if every target is reached, 1 if not, 2 if it could not run.
    """
    raise typer.Exit(load("pagering_tb.virtual.bench").run(output, quick))


def card(
    socket: Annotated[Path, typer.Option(
        help="Where to serve it, as vfio-user; drivers take --device vfio-user:PATH.")],
    config: Annotated[list[str] | None, typer.Option(
        help="What the card is made of: NAME=VALUE of CardConfig, with commas between several; "
             "may be repeated.", show_default="the reference card")] = None,
    pcap: Annotated[Path | None, typer.Option(
        help="Frames that come, once, as soon as a driver receives.",
        show_default="made-up ones, without end")] = None,
    iface: Annotated[str | None, typer.Option(
        help="Interface whose frames come. Turn its offloads off: frames of more bytes than the "
             "card takes are dropped.")] = None,
    rate: Annotated[str | None, typer.Option(
        help="Frames in a second, or line for as many as the card takes; not with --iface.",
        show_default="1000")] = None,
) -> None:
    """Serve a card, its RTL simulated, as a PCI function behind a socket, until interrupted.

    One driver at a time can have it. Several cards are several commands.
    """
    raise typer.Exit(load("pagering_tb.virtual.command").serve(socket, config or (), pcap, iface,
                                                                rate))
