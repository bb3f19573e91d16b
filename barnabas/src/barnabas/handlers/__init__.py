"""Answer requests: one module for each family of APIs, thin: decode, ask the node, encode."""
