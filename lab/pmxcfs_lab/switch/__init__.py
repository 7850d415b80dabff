"""The lab's own switch: one process that carries every frame between the nodes, under a seed."""
