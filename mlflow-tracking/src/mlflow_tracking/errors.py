"""The one way in which the app says that it cannot start."""


class StartError(Exception):
    """One or more sentences for the user, each naming what is wrong and what to change."""

    def __init__(self, *sentences: str) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences
