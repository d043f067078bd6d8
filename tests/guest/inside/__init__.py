"""What runs in the guest: checks of the driver over the kernel's VFIO, one after the other."""
