"""What is wrong with the files that security rests on."""


class FileRefused(Exception):
    """A file of certificates or tokens cannot be used. The message names it, and says why.

    It never has anything of what is in the file.
    """
