"""Binding to vfio-pci and back, on a made-up machine, and one sentence for each thing missing."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from typer.testing import CliRunner

from made_up_pci import ADDRESS, MadeUpMachine
from pagering.cli import app
from pagering.errors import CardError
from pagering.pci_function import PciFunction
from pagering.vfio_binding import VfioBinding


@pytest.fixture
def machine(tmp_path: Path) -> MadeUpMachine:
    return MadeUpMachine(tmp_path)


def binding(machine: MadeUpMachine, function: PciFunction) -> VfioBinding:
    return VfioBinding(function, machine.write, machine.load)


@pytest.mark.parametrize("former", [None, "e1000e"])
@pytest.mark.parametrize("override", ["", "mine"])
def test_bound_and_given_back(machine: MadeUpMachine, former: str | None, override: str) -> None:
    """The override of before comes back too; ``mine`` is one that fits no driver."""
    machine.add_driver("e1000e")
    function = machine.add_function(driver=former)
    if override and former is None:
        machine.write(function.folder / "driver_override", override)
    before = (function.folder / "driver_override").read_text()
    assert binding(machine, function).bind() == "vfio-pci"
    assert function.driver == "vfio-pci"
    assert machine.loaded == ["vfio-pci"]
    assert (function.folder / "driver_override").read_text() == "vfio-pci\n"
    assert binding(machine, function).bind() == "vfio-pci"  # again: nothing happens
    assert binding(machine, function).undo() == former
    assert function.driver == former
    assert (function.folder / "driver_override").read_text() == before
    with pytest.raises(CardError, match="was not bound by pagering bind, so there is nothing"):
        binding(machine, function).undo()


def test_binding_again_keeps_the_first_driver(machine: MadeUpMachine) -> None:
    """A function that was bound by hand meanwhile still goes back to where it was."""
    machine.add_driver("e1000e")
    function = machine.add_function(driver="e1000e")
    binding(machine, function).bind()
    binding(machine, function).bind()
    assert binding(machine, function).undo() == "e1000e"


def test_what_is_missing(machine: MadeUpMachine) -> None:
    machine.add_driver("e1000e")
    bare = machine.add_function("0000:02:00.0", group=None)
    with pytest.raises(CardError, match="no IOMMU before 0000:02:00.0; turn it on in the firmware"):
        binding(machine, bare).bind()
    function = machine.add_function(driver="e1000e")
    machine.loadable = ()
    with pytest.raises(CardError, match="this kernel has no driver vfio-pci; as root, modprobe"):
        binding(machine, function).bind()
    assert function.driver == "e1000e"
    machine.add_driver("vfio-pci")
    machine.refuse = "vfio-pci"
    with pytest.raises(CardError, match="is bound to nothing, not to vfio-pci; dmesg may say why"):
        binding(machine, function).bind()
    assert binding(machine, function).undo() == "e1000e"


def test_a_former_driver_that_is_gone(machine: MadeUpMachine) -> None:
    machine.add_driver("e1000e")
    function = machine.add_function(driver="e1000e")
    binding(machine, function).bind()
    (machine.bus / "drivers/e1000e").rmdir()
    with pytest.raises(CardError, match=f"e1000e that {ADDRESS} had is not there any more; load"):
        binding(machine, function).undo()
    assert function.driver == "vfio-pci"


def test_a_card_in_use(machine: MadeUpMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel lets a group be open once; unbinding would wait until it is closed."""
    function = machine.add_function()
    binding(machine, function).bind()
    (machine.root / "dev/vfio").mkdir(parents=True)
    (machine.root / "dev/vfio/7").touch()

    def busy(path: object, flags: int) -> int:
        raise OSError(errno.EBUSY, "Device or resource busy", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("pagering.vfio_node.os.open", busy)
        with pytest.raises(CardError, match="dev/vfio/7 is in use: another process drives the"):
            binding(machine, function).undo()
    assert function.driver == "vfio-pci"
    assert binding(machine, function).undo() is None


def test_without_the_rights(machine: MadeUpMachine) -> None:
    def refuse(path: Path, text: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    function = machine.add_function()
    machine.add_driver("vfio-pci")
    with pytest.raises(CardError, match="to vfio-pci needs the rights of root: .*driver_override"):
        VfioBinding(function, refuse, machine.load).bind()


def test_functions_that_there_are_not(machine: MadeUpMachine) -> None:
    for wrong in ("", "01:00.0", "0000:01:00.8", "0000:01:00.0/..", "../0000:01:00.0"):
        with pytest.raises(CardError, match="is not the address of a PCI function"):
            PciFunction(wrong, machine.root)
    with pytest.raises(CardError, match="there is no PCI function 0000:09:00.0; lspci -D lists"):
        PciFunction("0000:09:00.0", machine.root)
    other = machine.add_function(vendor=0x8086, device=0x10D3)
    with pytest.raises(CardError, match="is 8086:10d3, not a Pagering card, 1234:5047; look for"):
        other.require_card()


def test_the_command_says_what_is_wrong() -> None:
    result = CliRunner().invoke(app, ["bind", "ffff:ff:1f.7"])
    assert result.exit_code == 2
    assert result.stderr == ("pagering: there is no PCI function ffff:ff:1f.7; lspci -D lists "
                             "those there are\n")
