"""Claims about a run: pure functions of its folder, one module each; `catalogue` lists them."""
