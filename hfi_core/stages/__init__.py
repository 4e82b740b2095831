"""One thin file a stage: read the inputs, call the library, write the outputs.

Nobody imports these modules: the graph names them by strings.
"""
