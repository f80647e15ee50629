"""How a run is shown: the live panel, the sample sheet, the report."""
