"""A client for the Countersign protocol, written from its published page alone."""
