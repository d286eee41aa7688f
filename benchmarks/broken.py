"""The one error of the benchmark."""


class Broken(Exception):
    """The run measured nothing that may be believed: something failed, or the counts don't add up."""
