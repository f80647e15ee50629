"""The commands of `gan-infer`, one per file; heavy parts are imported where they are used."""
