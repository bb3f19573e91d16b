"""Run the Python snippets of the five seed documents as they stand."""
