"""What is about a device: synthesis for the Lattice ECP5, with open tools. No board yet."""
