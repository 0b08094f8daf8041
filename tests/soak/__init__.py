"""Random faults on every process and every link, and then the books: `python -m tests.soak`."""
