"""The virtual card: a PCI function behind a vfio-user socket, for drivers and for guests."""
