"""Where answers go wrong: sub-categories, counts, loops in thinking."""
