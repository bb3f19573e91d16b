"""Install the systems that Barnabas is compared with, and the load generator, outside the repository."""

from bench.peers.folder import peers_folder

__all__ = ["peers_folder"]
