"""What a gRPC handshake begins with: our certificate and the roots that are in force then."""

from typing import Any, cast

import grpc

from pdp.adapters.tls import ServerTls, TlsState, pool

__all__ = ["server_credentials"]


def server_credentials(tls: ServerTls) -> grpc.ServerCredentials:
    """Credentials that follow what is in force.

    No client without a certificate; whose it is, `Callers` finds out.
    """
    told = tls.current

    def newest() -> grpc.ServerCertificateConfiguration | None:
        """Called by the library before each handshake, one at a time; None is "as before"."""
        nonlocal told
        current = tls.current
        if current is told:
            return None
        told = current
        return _configuration(current)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(told), cast("Any", newest), require_client_authentication=True
    )


def _configuration(state: TlsState) -> grpc.ServerCertificateConfiguration:
    ours = (state.credential.key, state.credential.chain)
    return grpc.ssl_server_certificate_configuration(
        [ours], root_certificates=pool(state.credential, state.trust)
    )
