"""What a person reads about a version: how it was made, how good it is, and where it fails."""
