"""What a user would otherwise write or install: the programs that the project is measured against."""
