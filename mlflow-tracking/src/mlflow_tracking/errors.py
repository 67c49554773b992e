"""The one way in which the app says that it cannot start."""


class StartError(Exception):
    """One or more sentences for the user, each naming what is wrong and what to change."""

    def __init__(self, *sentences: str) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences


class NewerDatabaseError(StartError):
    """The database was migrated by a later version of the app."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"The database was written by a newer version of this app (its revision is {revision}):"
            " update the app again, or restore a backup made with this version."
        )
