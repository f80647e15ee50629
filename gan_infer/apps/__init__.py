"""Programs around a model: verification, golden pictures, the doctor."""
