"""How well frames get from one node to another: rules, and the kernel's way to keep them."""
