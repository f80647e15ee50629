"""The commands of gan-train, one file each."""
