"""VFIO's files below ``/dev``: opened, or said why not."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pagering.errors import CardError

__all__ = ["MAPPING_HINTS", "open_node"]

MAPPING_HINTS: Mapping[int, str] = MappingProxyType({
    errno.ENOMEM: "this process may not lock so much memory; raise ulimit -l",
    errno.EEXIST: "some of these addresses are mapped already",
    errno.EINVAL: "the IOMMU does not translate these addresses",
    errno.ENOSPC: "the IOMMU holds no more mappings; raise dma_entry_limit of vfio_iommu_type1",
})
"""By error number, why memory could not be mapped for a card."""


def open_node(path: Path) -> int:
    """Open it to read and write, and return the descriptor.

    Raises
    ------
    CardError
        If it cannot be opened.

    """
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        raise CardError(f"there is no {path}; as root, modprobe vfio-pci, and bind the card with "
                        f"pagering bind") from None
    except PermissionError:
        raise CardError(f"{path} may not be opened; as root, chown {os.environ.get('USER', 'you')} "
                        f"{path}") from None
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise CardError(f"{path} is in use: another process drives the card") from None
        raise CardError(f"{path} cannot be opened: {error.strerror}") from error
