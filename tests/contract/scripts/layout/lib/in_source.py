WHOSE = "the source directory"
