"""Opens each kind of source: digits, a folder, a zip file, an .npz file, IDX files."""
