"""What went wrong with a request, in words for the operator, out of what urllib3 and the sockets raised."""

from __future__ import annotations

import re
import ssl

import urllib3.exceptions

from cwconnect.outbound.answers import Answer
from cwconnect.outbound.connections import RequestState
from cwconnect.outbound.errors import ConnectFailed, Dropped, InvalidUrl, OutboundError, TimedOut, TlsFailed
from cwconnect.outbound.limits import Limits


def head_error(response: Answer) -> Exception | None:
    """Return what kept an answer's headers from being read; None if they were."""
    error: Exception | None = getattr(getattr(response, "_original_response", None), "head_error", None)
    if error is None or isinstance(error, OSError):
        return error
    return urllib3.exceptions.ProtocolError(str(error), error)


def words_of_broken(
    response: Answer, error: Exception | None, host: str, limits: Limits, request_state: RequestState
) -> str:
    """Say why an answer is not whole; empty if it is."""
    cause = error or head_error(response)
    return "" if cause is None else str(explain(cause, host, limits, request_state))


def explain(error: Exception, host: str, limits: Limits, request_state: RequestState) -> OutboundError:
    """Return the error to raise for what was raised while `host` was asked."""
    causes = _chain(error)
    if isinstance(error, urllib3.exceptions.LocationValueError):
        return InvalidUrl("The URL can't be read.")
    if any(map(is_time_out, causes)):
        return TimedOut(_timeout_words(host, limits, request_state))
    tls = next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None)
    if request_state.connecting and tls:
        return TlsFailed(f"No trusted TLS connection to {host}: {_tls_words(tls)}.")
    if request_state.connecting and (status := refusal_of_proxy(error)):
        return ConnectFailed(f"The proxy refuses CONNECT to {host}: it answered {status}.")
    if request_state.connecting:
        return Dropped(f"The connection to {host} ended before a request could be sent.")
    if any(isinstance(cause, urllib3.exceptions.DecodeError) for cause in causes):
        return Dropped(f"The answer of {host} can't be decompressed.")
    return Dropped(f"{host} ended the connection before its answer was complete.")


def refusal_of_proxy(error: Exception) -> int | None:
    """Return the status with which a proxy refused to open a tunnel; None where that is not what happened."""
    texts = (str(cause) for cause in _chain(error) if isinstance(cause, OSError))
    found = (re.match(r"Tunnel connection failed: (\d{3})", text) for text in texts)  # http.client's words
    return next((int(match[1]) for match in found if match), None)


def is_time_out(error: BaseException) -> bool:
    """Return whether an error says that a time limit ran out."""
    return isinstance(error, TimeoutError | urllib3.exceptions.TimeoutError)


def _timeout_words(host: str, limits: Limits, request_state: RequestState) -> str:
    if request_state.seconds_left <= 0:
        return f"{host} did not complete its answer within {limits.total:.3g} s."
    if request_state.connecting:
        return f"No connection to {host} within {limits.connect:.3g} s."
    return f"{host} sent nothing for {limits.read:.3g} s."


def _tls_words(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused ({error.verify_message.rstrip('.')})"
    return (error.reason or "the handshake failed").replace("_", " ").lower()


def _chain(error: BaseException) -> list[BaseException]:
    """List an error and all that it wraps: urllib3 keeps causes in `args`, `reason` and `__context__`."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        item = waiting.pop()
        if isinstance(item, BaseException) and item not in found:
            found.append(item)
            waiting += [*item.args, getattr(item, "reason", None), item.__cause__, item.__context__]
    return found
