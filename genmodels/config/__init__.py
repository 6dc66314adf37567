"""A run's configuration: composed by Hydra, held as plain containers, checked before anything is read or built."""
