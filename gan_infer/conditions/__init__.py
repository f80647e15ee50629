"""What a person asks a model for: classes and mixes of them."""
