"""A finished network handed over: gates on its files, and a bundle of checked claims."""
