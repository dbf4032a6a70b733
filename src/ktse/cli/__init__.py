"""The command line; one file for each group of commands, each of which imports what it needs when it runs."""
