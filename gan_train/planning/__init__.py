"""What is settled before the first step: device, precision, width, batch."""
