"""The commands of gan-train, a file each; the command line mounts them."""
