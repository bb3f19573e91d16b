"""Coordinate consumer groups: no sockets, no files, no clock of its own. Records go to a writer that is given."""
