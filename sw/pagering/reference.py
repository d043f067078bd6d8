"""The register reference and the C header, rendered from the contract.

``python -m pagering.reference`` writes both beside this file, where they are checked in; a test
fails when they no longer say what :mod:`pagering.abi` says.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pagering import abi

__all__ = ["HEADER", "MARKDOWN", "c_header", "markdown"]

MARKDOWN = Path(__file__).parent / "registers.md"
HEADER = Path(__file__).parent / "pagering.h"

_RECORDS = (abi.TOKEN, abi.COMPLETION, abi.EXTENSION, abi.RULE, abi.MIRROR)
_ENUMS: tuple[tuple[type[enum.IntEnum], str], ...] = (
    (abi.SteeringMode, "STEERING.mode"), (abi.Policy, "POOL.CONTROL.policy"),
    (abi.L3, "COMPLETION.l3"), (abi.L4, "COMPLETION.l4"),
    (abi.HashType, "COMPLETION.hash_type"), (abi.ClockCommand, "CLOCK_COMMAND.command"),
    (abi.Transform, "STEER.RSS.transform"),
    (abi.Event, "bits of EVENTS and EVENT_ENABLE"), (abi.DropCause, "counters DROP_*"),
    (abi.Fault, "counters FAULT_*"),
)
_IN_HEX = ("ID_VALUE", "RETURN_WINDOW", "PCI_VENDOR", "PCI_DEVICE", "PCI_CLASS", "MSIX_BAR_BYTES",
           "MSIX_TABLE", "MSIX_PBA")
_ACCESS = {
    abi.Access.RO: "read only; a write changes nothing and counts as REGISTER_ACCESS",
    abi.Access.RW: "reads back what was written",
    abi.Access.WO: "a command: acts when written, reads as zero",
    abi.Access.W1C: "a sticky status: writing a one clears that bit",
}


def markdown() -> str:
    """Return the reference of all registers, records and numbers, as Markdown."""
    return "\n".join(_markdown()) + "\n"


def _markdown() -> Iterator[str]:
    yield "# Pagering registers and records"
    yield ""
    yield (f"Version {abi.VERSION_MAJOR}.{abi.VERSION_MINOR} of the contract between card and "
           f"host. Rendered from `abi.py`; do not edit.")
    yield ""
    yield ("All words are 32 bits and little-endian, and are read and written whole. Bits that no "
           "field names read 0 and are to be written 0.")
    yield ""
    yield from _table(("access", "meaning"),
                      ((access.value, meaning) for access, meaning in _ACCESS.items()))
    yield from _pci()
    for block in abi.BLOCKS:
        yield from _block(block)
    for record in _RECORDS:
        yield f"## {record.name.capitalize()}: {record.width // 8} bytes"
        yield ""
        yield record.doc
        yield ""
        yield from _fields(record, reset=False)
    yield "## Numbers"
    yield ""
    for kind, place in _ENUMS:
        yield f"### {_words(kind.__name__).capitalize()} ({place})"
        yield ""
        yield from _table(("value", "name"), ((str(int(item)), item.name) for item in kind))


def _pci() -> Iterator[str]:
    yield "## PCI function"
    yield ""
    yield from _table(("what", "value"), (
        ("vendor, device, revision", f"`{abi.PCI_VENDOR:#06x}`, `{abi.PCI_DEVICE:#06x}`, "
                                     f"{abi.PCI_REVISION}"),
        ("class", f"`{abi.PCI_CLASS:#08x}`"),
        (f"BAR {abi.WINDOW_BAR}", f"registers, {1 << abi.WINDOW_ADDRESS_BITS >> 10} KiB, 64-bit, "
                                  f"not prefetchable"),
        (f"BAR {abi.MSIX_BAR}", f"MSI-X, {abi.MSIX_BAR_BYTES >> 10} KiB, likewise: table at "
                                f"`{abi.MSIX_TABLE:#06x}`, pending bits at `{abi.MSIX_PBA:#06x}`"),
        ("vectors", "one for each queue, then one for events"),
    ))


def _block(block: abi.Block) -> Iterator[str]:
    yield f"## {block.name}"
    yield ""
    yield block.doc
    yield ""
    if block.count:
        last = "1" if block.stride == 4 else "register"
        formula = f"`{block.base:#06x} + {block.stride:#x} * i"
        formula += "`" if last == "1" else " + register`"
        yield f"Address: {formula}, i from 0 to {block.count} - 1 (`CAP_COUNTS.{block.count}`)."
    else:
        yield f"Address: `{block.base:#06x} + register`."
    yield ""
    plain = [register for register in block if not _has_fields(register)]
    for register in block:
        if register in plain:
            continue
        yield f"### {block.name}.{register.name}"
        yield ""
        built = _as_built(register)
        reset = "as built" if built else f"reset `{register.reset:#010x}`"
        yield f"`{register.offset:#05x}`, {register.access.value}, {reset}. {register.doc}"
        yield ""
        yield from _fields(register, reset=not built)
    if plain:
        yield f"### Other registers of {block.name}"
        yield ""
        yield from _table(
            ("register", "name", "access", "reset", "meaning"),
            ((f"`{register.offset:#05x}`", register.name, register.access.value,
              f"`{register.reset:#010x}`", register.doc) for register in plain))


def _has_fields(register: abi.Register) -> bool:
    """Whether the register is more than one number of 32 bits that its own text explains."""
    only = register.named[0]
    return only.width != 32 or bool(only.doc)


def _as_built(register: abi.Register) -> bool:
    """Whether the register says how the card was generated, so that no one reset value is true."""
    return register.name.startswith("CAP_")


def _fields(layout: abi.Layout, *, reset: bool) -> Iterator[str]:
    rows = []
    for item in layout.named:
        high = item.lsb + item.width - 1
        bits = str(item.lsb) if item.width == 1 else f"{high}:{item.lsb}"
        rows.append((bits, item.name, *([f"{item.reset:#x}"] if reset else []), item.doc))
    yield from _table(("bits", "field", *(["reset"] if reset else []), "meaning"), rows)


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(titles)} |"
    yield "|" + "---|" * len(titles)
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
    yield ""


def _words(name: str) -> str:
    """``DropCause`` as ``drop cause``."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower()


def c_header() -> str:
    """Return the same as a C header: offsets, masks, shifts, numbers and records."""
    return "\n".join(_header()) + "\n"


def _header() -> Iterator[str]:
    yield "/* SPDX-License-Identifier: BSD-2-Clause */"
    yield "/*"
    yield " * Pagering: registers and records of the card."
    yield " * Rendered from abi.py; do not edit."
    yield " *"
    yield " * A field of a register has a SHIFT and, in place, a MASK. A field of a completion has"
    yield " * also a WORD: the 32-bit little-endian word of the record that SHIFT and MASK mean."
    yield " * A field of several words has only that, of its lowest."
    yield " */"
    yield "#ifndef PAGERING_H"
    yield "#define PAGERING_H"
    yield ""
    for name in ("ID_VALUE", "VERSION_MAJOR", "VERSION_MINOR", "QUEUES_MAX", "POOLS_MAX",
                 "REGION_SLOTS_MAX", "PAGE_ID_BITS", "CHUNKS_PER_PAGE_MAX", "CONSUMER_BITS",
                 "COMPLETION_BYTES", "LINE_BYTES", "RING_LOG2_MIN", "RING_LOG2_MAX",
                 "WINDOW_ADDRESS_BITS", "RETURN_WINDOW", "RETURN_WINDOW_BYTES",
                 "RULES", "RULE_WORDS", "KEY_WORDS", "INDIRECTION_ROWS", "ADDRESSES", "VLAN_ROWS",
                 "PCI_VENDOR", "PCI_DEVICE", "PCI_REVISION", "PCI_CLASS", "WINDOW_BAR",
                 "MSIX_BAR", "MSIX_BAR_BYTES", "MSIX_TABLE", "MSIX_PBA"):
        yield _define(name, getattr(abi, name), plain=name not in _IN_HEX)
    for block in abi.BLOCKS:
        yield ""
        yield f"/* {block.name}: {block.doc} */"
        yield _define(f"{block.name}_BASE", block.base)
        if block.count:
            yield _define(f"{block.name}_STRIDE", block.stride)
            yield (f"#define PAGERING_{block.name}_AT(index) "
                   f"(PAGERING_{block.name}_BASE + (index) * PAGERING_{block.name}_STRIDE)")
        for register in block:
            stem = block.name if register.name == block.name else f"{block.name}_{register.name}"
            yield _define(f"{stem}_OFFSET" if stem == block.name else stem, register.offset)
            if _has_fields(register):
                yield from _masks(stem, register)
    for record in _RECORDS:
        yield ""
        yield f"/* {record.name} */"
        yield from _masks(record.name, record)
    for kind, place in _ENUMS:
        yield ""
        yield f"/* {_words(kind.__name__).capitalize()}: {place} */"
        prefix = _words(kind.__name__).upper().replace(" ", "_")
        for item in kind:
            yield _define(f"{prefix}_{item.name}", int(item), plain=True)
    yield ""
    yield "#endif"


def _masks(stem: str, layout: abi.Layout) -> Iterator[str]:
    for item in layout.named:
        word, shift = divmod(item.lsb, 32)
        if shift == 0 and item.width > 32:
            yield _define(f"{layout.name}_{item.name.upper()}_WORD", word, plain=True)
            continue
        if shift + item.width > 32:
            raise ValueError(f"{layout.name}.{item.name} straddles two words")
        name = f"{stem}_{item.name.upper()}"
        if layout.width > 32:
            yield _define(f"{name}_WORD", word, plain=True)
        yield _define(f"{name}_SHIFT", shift, plain=True)
        yield _define(f"{name}_MASK", ((1 << item.width) - 1) << shift)


def _define(name: str, value: int, *, plain: bool = False) -> str:
    return f"#define PAGERING_{name:<40} {value if plain else f'{value:#x}u'}"


def main() -> None:
    """Write both files anew."""
    MARKDOWN.write_text(markdown(), encoding="utf-8")
    HEADER.write_text(c_header(), encoding="utf-8")


if __name__ == "__main__":
    main()
