"""What `hfi` can do, one file a command. Heavy imports stand inside the functions, so that `hfi --help` is quick."""
