"""A portal that deposits by FHIR, over HTTP on this machine."""

from http.client import HTTPConnection, HTTPException
from typing import Final

#: The source of the sample configuration that speaks FHIR.
PORTAL: Final = "portail-valmont"
_SECONDS: Final = 30.0


def post(port: int, path: str, body: bytes, message_id: str) -> str:
    """
    Post a resource as the portal of the sample configuration would.

    Args:
        port: Of the HTTP door, on the loopback interface.
        path: The route, for example ``/fhir/DocumentReference``.
        body: FHIR in JSON.
        message_id: The portal's own id of the message: what lists show beside MSH-10.

    Returns:
        The status of the answer, for example ``201``; ``none`` where there was no answer.
    """
    headers = {"Content-Type": "application/fhir+json", "X-DMP-Source": PORTAL, "DMP-Message-Id": message_id}
    connection = HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        connection.request("POST", path, body, headers)
        return str(connection.getresponse().status)
    except (OSError, HTTPException):
        return "none"
    finally:
        connection.close()
