"""A guest in QEMU: started, watched, and ended whatever happens."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["GuestError", "run_guest"]


class GuestError(Exception):
    """The guest cannot run, or did not answer."""


def run_guest(command: Sequence[str], console: Path, timeout: float,
              environment: Mapping[str, str] | None = None) -> None:
    """Run QEMU until the guest turns itself off.

    Parameters
    ----------
    command
        QEMU and its arguments.
    console
        The file that the guest's console goes to.
    timeout
        Seconds until the guest is given up.
    environment
        QEMU's; this process' one if left out.

    Raises
    ------
    GuestError
        If QEMU fails, or the guest does not end.

    """
    try:
        subprocess.run(command, check=True, timeout=timeout, stdin=subprocess.DEVNULL,
                       capture_output=True, env=environment)
    except FileNotFoundError:
        raise GuestError(f"{command[0]} is not there") from None
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip()
        raise GuestError(f"QEMU failed with status {error.returncode}: {reason}") from error
    except subprocess.TimeoutExpired:
        raise GuestError(f"the guest did not end within {timeout:.0f} s; it printed last: "
                         f"{_last(console)}") from None


def _last(console: Path) -> str:
    lines = console.read_text("ascii", "replace").splitlines() if console.exists() else []
    return lines[-1] if lines else "nothing"
