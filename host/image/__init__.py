"""Program images: the file, its schema, its seal."""
