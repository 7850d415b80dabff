"""Manual pages and shell completions, made from what each command says of its own options."""
