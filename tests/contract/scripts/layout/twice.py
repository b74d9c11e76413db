WHOSE = "the application root"
