"""What people say about candidates: the judgements' schema, their reading, and the labels made of them."""
