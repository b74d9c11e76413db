WHOSE = "the script's own directory"
