"""What can go wrong between Home Assistant and an app, each with a sentence in translations."""

from homeassistant.exceptions import HomeAssistantError

from .const import DOMAIN


class AppError(HomeAssistantError):
    """An app did not do what it was asked; `key` names the sentence in the translations."""

    key: str

    def __init__(self, app: str, **placeholders: str) -> None:
        super().__init__(
            translation_domain=DOMAIN,
            translation_key=self.key,
            translation_placeholders={"app": app, **placeholders},
        )


class AppUnreachableError(AppError):
    """Nothing answers at the address, or the connection broke. Placeholder: reason."""

    key = "app_unreachable"


class AppTimeoutError(AppUnreachableError):
    """The app took longer than the integration waits."""

    key = "app_timeout"


class AppStoppedError(AppUnreachableError):
    """The Supervisor knows the app, but the app does not run or is still starting."""

    key = "app_stopped"


class AppMissingError(AppUnreachableError):
    """The Supervisor does not have the app: it was uninstalled."""

    key = "app_missing"


class NoSupervisorError(AppError):
    """The entry was made for installed apps, and this Home Assistant has no Supervisor."""

    key = "no_supervisor"


class AppTokenRefusedError(AppError):
    """The app wants another token than the one it got."""

    key = "app_token_refused"


class NotThisAppError(AppError):
    """Something answers at the address, but it is not the app."""

    key = "not_this_app"


class AppAnswerError(AppError):
    """The app answered with an error. Placeholders: status, message (the app's own sentence).

    `retry_after`: the seconds after which the app wants to be asked again, where it says so.
    """

    key = "app_answer"

    def __init__(
        self,
        app: str,
        *,
        status: int,
        message: str,
        code: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(app, status=str(status), message=message)
        self.status = status
        self.code = code
        self.retry_after = retry_after
