"""Images with tags: readers of data sets, and the batches made of them."""
