"""Every error that Callwright raises on purpose.

CallwrightError
|-- ConfigurationError        settings or set-up are wrong; lists every problem with what to do
|-- InvalidInput              a person's or program's input is wrong; lists every problem
|-- NotFound                  no such thing
|-- Conflict                  the thing is not in a state that allows this
|   `-- IllegalTransition     a signal that the call's state does not know
|-- Unauthenticated / Forbidden
|-- WebhookRejected           a webhook or socket that did not prove where it comes from, or is malformed
`-- VendorError               a vendor's answer; carries vendor, status, code and redacted body
    |-- VendorRefused         definite: the request had no effect and will not have one
    |   |-- VendorAuthFailed      credentials or permissions
    |   |-- VendorNotFound        the vendor does not know the thing
    |   `-- VendorQuotaExceeded   money, credits or plan limits are used up
    |-- VendorBusy            definite: had no effect, worth another try later (429, overload); may carry retry_after_s
    |-- VendorUnreachable     definite: the request never left (connection refused, name not found)
    `-- VendorAmbiguous       the request may have had its effect (time-out, dropped connection, 5xx, nonsense)
"""

from dataclasses import dataclass


class CallwrightError(Exception):
    """Base of every error that Callwright raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, what, and what to do about it."""

    where: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f" {self.remedy}" if self.remedy else "")


class _ProblemList(CallwrightError):
    """An error that reports several problems at once."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__("; ".join(str(problem) for problem in problems))


class ConfigurationError(_ProblemList):
    """Settings or vendor set-up are wrong."""


class InvalidInput(_ProblemList):
    """What a person or a program gave us is wrong."""


class NotFound(CallwrightError):
    """There is no such thing."""


class Conflict(CallwrightError):
    """The thing is not in a state that allows this."""


class IllegalTransition(Conflict):
    """A signal that the call's state does not know; the fault is in our own code."""


class Unauthenticated(CallwrightError):
    """No valid credentials were given."""


class Forbidden(CallwrightError):
    """The credentials do not cover this."""


class WebhookRejected(CallwrightError):
    """A webhook or media socket is refused; `reason` is a short counted word such as `bad_signature`."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason = reason
        super().__init__(f"{reason}: {detail}" if detail else reason)


class VendorError(CallwrightError):
    """A vendor's answer that is not success; `body` is already redacted."""

    def __init__(
        self,
        vendor: str,
        message: str,
        *,
        status: int | None = None,
        code: str = "",
        body: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        self.vendor = vendor
        self.message = message
        self.status = status
        self.code = code
        self.body = body
        self.retry_after_s = retry_after_s
        where = f"{vendor} {status}" if status is not None else vendor
        super().__init__(f"{where}: {f'[{code}] ' if code else ''}{message}")


class VendorRefused(VendorError):
    """The request had no effect and will have none when repeated unchanged."""


class VendorAuthFailed(VendorRefused):
    """The vendor does not accept our credentials, or they lack a permission."""


class VendorNotFound(VendorRefused):
    """The vendor does not know what we named."""


class VendorQuotaExceeded(VendorRefused):
    """Money, credits or plan limits are used up."""


class VendorBusy(VendorError):
    """The request had no effect; try again after `retry_after_s` seconds, if given."""


class VendorUnreachable(VendorError):
    """The request never reached the vendor."""


class VendorAmbiguous(VendorError):
    """The request may or may not have had its effect; find out before repeating it."""


def in_words(error: BaseException) -> str:
    """An error as it may be stored with a call: ours in full, of any other only its kind.

    The text of a foreign error may carry what nobody checked, such as a person's data; the log has it, redacted.
    """
    return str(error) if isinstance(error, CallwrightError) else f"{type(error).__name__}; the log tells more"
