"""The files with the history of metrics, written in a thread of their own."""
