"""The mount: kernel requests answered from the tree and its replica."""
