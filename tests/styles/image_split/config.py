MODEL = "colours_last"
