"""Join metadata, logs and coordinators into one node: everything of a broker but its sockets."""
