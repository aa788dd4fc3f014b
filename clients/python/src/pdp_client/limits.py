"""Every bound of the client, in one place. Each has its reason beside it."""

from typing import Final

# -- asking ------------------------------------------------------------------------------
CONNECT_SECONDS: Final = 0.25  # for a connection and its handshake: two round trips and two signatures
READ_SECONDS: Final = 0.25  # for an answer: decisions take microseconds
OVERALL_SECONDS: Final = 0.8  # for all tries: one that fails by time, and one more on another replica
MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024  # a full batch with explanations
MAX_CONNECTIONS: Final = 64  # to all replicas together; more questions wait for one
MAX_JSON_DEPTH: Final = 32  # twice what answers need

# -- reuse -------------------------------------------------------------------------------
LEASE_SECONDS: Final = 5.0  # how long the stream may be silent: two heartbeats may be lost
MAX_REUSE_SECONDS: Final = 5.0  # whatever an answer says
MAX_ENTRIES: Final = 10_000  # regions, some kilobyte each, and some ten at most
MAX_SHAPES: Final = 256  # of the regions of one service: each is a look-up where paths are as long
MAX_ALIKE: Final = 8  # regions that differ in nothing but the segments that they exclude

# -- a request that may be answered from memory: as the service bounds it -----------------------
MAX_PATH_BYTES: Final = 8192
MAX_PLAIN_CHARS: Final = (
    4096  # of its target and attributes together: what is longer is rare, and is asked about
)
MAX_METHOD_CHARS: Final = 64
MAX_CONTEXT_ATTRIBUTES: Final = 256

# -- the stream of revisions ---------------------------------------------------------------
MAX_EVENT_BYTES: Final = 64 * 1024  # a revision's event has some eighty
FIRST_PAUSE_SECONDS: Final = 0.05  # before a stream is begun again; doubled each time
LAST_PAUSE_SECONDS: Final = 2.0  # the longest: so long a service that is back goes unnoticed
CONFIRM_SECONDS: Final = 1.0  # between two streams that are begun because answers contradict

# -- files -------------------------------------------------------------------------------
FILE_LOOK_SECONDS: Final = 1.0  # between two looks at our certificate, key and roots

# -- reports of reuse ----------------------------------------------------------------------
REPORT_SECONDS: Final = 2.0  # between two reports
REPORT_WAIT_SECONDS: Final = 1.0  # how long one may take; at the end nobody waits longer
MAX_REPORTED: Final = 1000  # items of one report: MAX_REUSE_ITEMS of the service
MAX_UNREPORTED: Final = 10_000  # answers whose reuse waits to be reported; what is beyond is counted
MAX_TIMES: Final = 1_000_000_000  # in one item: MAX_REUSE_TIMES of the service
