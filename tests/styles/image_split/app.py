NAME = "colours of pictures"
