"""From arrays to what people look at: pictures, sheets, animations, charts."""
