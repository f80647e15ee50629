"""The commands of gan-train, a file each."""
