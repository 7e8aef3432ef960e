"""The hosts that are known by name, as rows of data; a host of another wire format has a file of its own."""
