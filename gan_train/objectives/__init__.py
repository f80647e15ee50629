"""What networks are trained towards: losses, penalties, augmentation."""
