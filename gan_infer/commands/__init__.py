"""The commands of `gan-infer`, a file each; heavy parts are imported where they are used."""
