"""A run: its folder, its record, fitting, launching, and loading it when it is done."""
