"""What can go wrong with a cluster, as values: `catalogue` lists them, `applying` uses them."""
