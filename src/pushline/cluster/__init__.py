"""Several nodes that act as one: what each does itself, tells the others and asks them."""
