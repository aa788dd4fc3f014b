"""Every bound in the system, each with its reason.

A bound that is reached is always reported by name, to the author or the caller; nothing
is cut off in silence. Tests stand at each bound and one past it.
"""

from typing import Final

# -- identities ------------------------------------------------------------------------
MAX_SPIFFE_ID_BYTES: Final = 2048  # SPIFFE-ID section 2.3: the length every implementation supports
MAX_TRUST_DOMAIN_BYTES: Final = 255  # SPIFFE-ID section 2.1
MAX_CERTIFICATE_BYTES: Final = 16 * 1024  # real leaves have 0.5 to 2 KiB; the largest we issue, 11
MAX_CHAIN_CERTIFICATES: Final = 8  # leaf included: nested authorities and a root or cross-sign sent along
MAX_TRUST_FILE_BYTES: Final = 1024 * 1024  # the same as for a bundle that is fetched
MAX_ROOTS_PER_TRUST_DOMAIN: Final = 64  # each may cost a signature check per verification
MAX_CRLS: Final = 64  # of one trust domain: one for each authority that signs leaves, and for its root
CRL_LEEWAY_SECONDS: Final = (
    60.0  # an authority's clock may be ahead: else each new list cuts off for that long
)
MAX_CRL_SIGNATURES: Final = 16  # of one list, that are remembered: authorities of one name are few

# -- tokens ------------------------------------------------------------------------------
MAX_TOKEN_BYTES: Final = 16 * 1024  # real ones have 1 to 4 KiB; proxies bound all headers to 8 to 60
MAX_KEY_ID_CHARS: Final = 256  # four times a thumbprint in hexadecimal
MAX_KEY_SET_KEYS: Final = 64  # keys of one issuer: some replicas' own, and their successors
MAX_KEYS_TRIED: Final = 4  # of one name, each a signature check
MIN_RSA_BITS: Final = 2048  # RFC 7518 sections 3.3 and 3.5
MAX_RSA_BITS: Final = 8192  # a verification costs the square of it
MAX_AUDIENCES: Final = 64  # of one token
MAX_SUBJECT_CHARS: Final = 255  # OpenID Connect Core section 2
MAX_LEEWAY_SECONDS: Final = 60.0  # between two clocks that are set; RFC 7519 section 4.1.4
MAX_TOKEN_CACHE_BYTES: Final = 8 * 1024 * 1024  # of tokens; what is kept of each is some three times as large

MAX_XFCC_HOPS: Final = 8  # proxies one behind the other; meshes have two or three

# -- key sets that are fetched ------------------------------------------------------------
FETCH_SECONDS: Final = 5.0  # of one document: whoever waits for it waits so long
KEYS_DUE_SECONDS: Final = 300.0  # after which a set is looked at again; SPIFFE Federation section 5.4
KEY_LOOK_SECONDS: Final = 6.0  # how long a question waits for that: a little longer than a fetch may take
MAX_WAITING_FOR_KEYS: Final = 1024  # questions at a time; others are refused by the keys that there are
KEYS_PAUSE_SECONDS: Final = 10.0  # between two looks, whatever names of keys tokens make up
REVIEW_SECONDS: Final = 2.0  # how long an API server may take to review a token
REVIEW_WAIT_SECONDS: Final = 2.5  # how long a question waits for that: a little longer
MAX_REVIEWS_AT_ONCE: Final = 4  # of one cluster: each takes it some milliseconds
MAX_REVIEW_THREADS: Final = 16  # of one cluster: some may hang, as long as its name is not resolved
MAX_WAITING_FOR_REVIEWS: Final = 256  # tokens at a time, of one cluster; others are refused
MAX_WAITING_FOR_REVIEWS_PER_CALLER: Final = (
    64  # a quarter of them all: nobody keeps others from being asked about
)
REVIEW_FAILURES: Final = 3  # one after the other: then an API server has a pause
REVIEW_PAUSE_SECONDS: Final = 5.0  # in which it is not asked, and after which it is asked once
MAX_REVIEWS_KEPT: Final = 10_000  # of each kind, good and bad; a digest and two instants each
REFUSED_REVIEW_SECONDS: Final = 2.0  # in which a token that was not taken is not asked about again
MAX_KEYS_SECONDS: Final = 86_400.0  # without a confirmation; a source that is away is mended within a day

# -- agents of the Workload API ----------------------------------------------------------
MAX_DELIVERED_BYTES: Final = 8 * 1024 * 1024  # one message: bundles of some hundred trust domains
MAX_TOLD_DOMAINS: Final = 64  # of those that nobody asked for, each told once
FIRST_PAUSE_SECONDS: Final = 0.1  # before a stream is begun again; doubled each time
LAST_PAUSE_SECONDS: Final = 5.0  # the longest: so long an agent that is back goes unnoticed
AGENT_TRY_SECONDS: Final = 5.0  # for the first answers; a socket that nobody listens on costs nothing
AGENT_START_SECONDS: Final = 30.0  # for our certificate: agents on a machine that starts take a while
AGENT_PATIENCE_SECONDS: Final = 2.0  # an agent that is restarted is back by then
# -- bundles of other trust domains -------------------------------------------------------
BUNDLE_DUE_SECONDS: Final = 300.0  # where its publisher says nothing: SPIFFE Federation section 4.1
MIN_BUNDLE_DUE_SECONDS: Final = 1.0  # the shortest that can be said: so soon a revocation may be here
MAX_BUNDLE_CHANGES: Final = 5  # one after the other: each is a revision, and ends all answers that are kept
BUNDLE_CHANGE_SECONDS: Final = 10.0  # after which one more may follow
MAX_BUNDLE_DOUBTS: Final = 3  # that are told at a time
MAX_BUNDLE_DUE_SECONDS: Final = 3600.0  # whatever is said: what is revoked is believed no longer than that
FIRST_BUNDLE_SECONDS: Final = 10.0  # between two tries until there is one: nobody of it is believed so long
# -- what ends -----------------------------------------------------------------------------
EXPIRY_LOOK_SECONDS: Final = 5.0  # between two looks: some certificates are renewed every few minutes
EXPIRY_WARNING_SECONDS: Final = 7 * 86_400.0  # ahead of the end: a week, in which somebody is at work
EXPIRY_WARNING_SHARE: Final = 3  # or a third of the lifetime: who renews in time does so by half of it

# -- the development certificate authority -------------------------------------------
MAX_PKI_NAME_CHARS: Final = 64  # the name is also the common name: RFC 5280 ub-common-name
MAX_PKI_ALTERNATIVE_NAMES: Final = 32  # keeps what we issue below MAX_CERTIFICATE_BYTES
MAX_PKI_LEAF_DAYS: Final = 90  # nothing revokes a leaf by itself: it has to end
MAX_PKI_CRL_DAYS: Final = 90  # a longer one hides for long that nobody makes a new one
MAX_PKI_AUTHORITY_DAYS: Final = 3650  # longer outlives the key sizes of today

# -- requests --------------------------------------------------------------------------
MAX_PATH_BYTES: Final = 8192  # what the proxies before us accept as a request line
MAX_PATH_SEGMENTS: Final = 128  # bounds the walk of the index
MAX_METHOD_CHARS: Final = 64  # longer than any registered method
MAX_HOST_CHARS: Final = 253  # RFC 1035 section 2.3.4: 255 octets on the wire, without length bytes
MAX_SERVICE_NAME_CHARS: Final = 256  # longer than any host name, which is the longest kind of service name
MAX_REVISION_CHARS: Final = 128  # twice a SHA-256 in hexadecimal
MAX_CONTEXT_ATTRIBUTES: Final = 256  # bounds the work before a decision
MAX_BODY_BYTES: Final = 64 * 1024  # one question with a full context
MAX_BATCH_ITEMS: Final = 256  # bounds what one call may cost
MAX_BATCH_BODY_BYTES: Final = 4 * 1024 * 1024  # a full batch
MAX_REUSE_ITEMS: Final = 1000  # of one report: what a busy client uses again within its two seconds
MAX_REUSE_TIMES: Final = 1_000_000_000  # in one item: no client answers so often between two reports
MAX_REUSE_BODY_BYTES: Final = 128 * 1024  # a full report; an item has some 60 bytes, or 80 with spaces
MAX_JSON_DEPTH: Final = 16  # no question nests deeper
MAX_HEADER_LINES: Final = 100  # of a request to us; proxies add some twenty
MAX_HEAD_BYTES: Final = 32 * 1024  # before the body: a request to us needs a tenth of it
MAX_MESSAGE_BYTES: Final = (
    2 * MAX_BATCH_BODY_BYTES
)  # with its chunks' framing; what is refused is read so far, to be told
MAX_ARRIVAL_SECONDS: Final = 10.0  # from a request's first byte to its last: a full batch at 4 Mbit/s
# Of requests in flight once the service ends. Each ends by itself before: it has arrived or is refused
# by then, and waits for a revision no longer than a second.
DRAIN_SECONDS: Final = round(MAX_ARRIVAL_SECONDS) + 5
MAX_CONNECTIONS: Final = 10_000  # of one process, some 60 KB each; what comes beyond is closed at once
CONNECTION_JITTER: Final = 0.1  # of a connection's age: what began together does not end together
LAST_CHANCE_SECONDS: Final = 5  # how long an old connection waits for the request that ends it

# -- streams and gRPC --------------------------------------------------------------------
MAX_REVISION_WATCHERS: Final = 1024  # of one process: each holds a connection or a call open
MAX_WATCHERS_PER_CALLER: Final = 256  # one for each replica of a large gateway, and a quarter of them all
MAX_CALLERS_CACHED: Final = 4096  # verified chains; a larger fleet has some verified again
MAX_REFUSED_CACHED: Final = 256  # refused chains, so that asking again costs no verification
MAX_GRPC_CALLS: Final = 4096  # of one process: open calls, watchers and idle streams included
MAX_GRPC_CALLS_PER_CALLER: Final = 1024  # replicas share an id: four full connections, a quarter of them all
MAX_GRPC_CALLS_PER_CONNECTION: Final = 256  # more wait: HTTP/2 SETTINGS_MAX_CONCURRENT_STREAMS
MAX_STREAM_IDLE_SECONDS: Final = 300.0  # between two questions of a stream, and for reading an answer
WATCH_HEARTBEAT_SECONDS: Final = (
    2.0  # clients use answers again while the stream speaks: two may be lost in 5 s
)
REFUSED_SECONDS: Final = 5.0  # how long a refused chain is not looked at again

# -- policy text -----------------------------------------------------------------------
MAX_FILE_BYTES: Final = 4 * 1024 * 1024  # a file people can still review, or a table
MAX_FILES: Final = 20_000  # a tree that a person could have meant
MAX_SET_BYTES: Final = 1024 * 1024 * 1024  # a million rules are about 100 MB
MAX_TREE_ENTRIES: Final = (
    200_000  # names of any kind below a policy directory: bounds a look, whatever links do
)
MAX_READ_TRIES: Final = 50  # how often a tree that moves is read again before that is reported
MAX_UNSETTLED_SECONDS: Final = 10.0  # how long a check-out may take before we say that it does not end
MAX_ERRORS_PER_FILE: Final = 50  # beyond this a list stops helping
MAX_EXPRESSION_DEPTH: Final = (
    32  # brackets and `not` around one test: deeper conditions cannot be read, and recursion stays bounded
)
MAX_REREAD_CHARS: Final = (
    1024 * 1024
)  # each syntax error costs one more reading up to it, about 8 s a megabyte

# -- compiled policy -------------------------------------------------------------------
MAX_GROUP_NESTING: Final = 16  # deeper nesting is a mistake
MAX_NAME_NESTING: Final = 16  # of conditions in conditions and roles in roles: the same
MAX_CONDITION_TESTS: Final = 256  # law 4: of one rule, names unfolded: some 60 us where all are made
MAX_RULE_ROWS: Final = 10_000  # principals times targets times services: beyond it, groups and `**` say it
MAX_CAPTURES: Final = 8  # bounds the equalities of one rule
MAX_SEGMENTS_AFTER_REST: Final = 4  # bounds what is tested from a path's end
MAX_EXCEPTIONS: Final = 16  # `except` patterns of one target
MAX_METHODS: Final = 62  # method sets are bit masks of one machine word
MAX_CONDITIONAL_RULES_PER_CELL: Final = 256  # law 4: bounds the cost of one decision
MAX_CELLS_PER_SERVICE: Final = 2_000_000  # subset construction is exponential in the worst case
MAX_CELLS_PER_PATTERN: Final = 64  # patterns that combine more than this are refused soon, not after minutes
MAX_CELLS_TO_SPARE: Final = 10_000  # small sets may combine as they like
MAX_REGION_EXCLUSIONS: Final = 8  # a longer `not` list costs more than it saves: pin instead
MAX_NEAREST_SCANNED: Final = 200_000  # rows of a service of which it is seen who they are about: some 20 ms
MAX_NEAREST_COMPARED: Final = 2_000  # rows whose path is compared with that of a denied request: some 40 ms
MAX_NEAREST_TAKEN_APART: Final = 100  # rows whose condition is taken apart into its tests: some 20 ms
MAX_TIME_FLIPS: Final = 16  # how far ahead `valid_until` looks for a change
YEARS_AHEAD: Final = 10  # law 9: questions about time look this far
MAX_INVARIANT_STEPS: Final = 500_000  # some seconds for one invariant: beyond, it is not said to hold

# -- service ---------------------------------------------------------------------------
MAX_MADE_OF_IMAGES: Final = 32_768  # states and details that a worker makes for itself: some 15 megabytes
MAX_IMAGE_FILES: Final = 8  # files in memory that a version is spread over; a message carries all of them
MAX_REVISIONS_KEPT: Final = 1024  # how far back `at_least` is answered without waiting
MAX_RIGHTS_CACHED: Final = 4096  # one entry a caller certificate; a larger fleet recomputes some
AT_LEAST_WAIT_SECONDS: Final = 1.0  # how long a question waits for the revision it asks for
MAX_AGE_LIMIT_MS: Final = 5000  # what a region may be reused for, unless the operator says less

# -- decision log ----------------------------------------------------------------------
MAX_LOG_QUEUE: Final = 20_000  # entries that wait for the writer: a second of full load, some 30 MB
MAX_LOG_REPORTS: Final = 64  # reports of reuse that wait for the writer, some 10 MB
MAX_LOG_BATCH: Final = 500  # entries for one write: what another thread has to wait for at most
LOG_LINGER_SECONDS: Final = 0.02  # that the writer waits for more: a batch costs hardly more than a line
LOG_RETRY_SECONDS: Final = 0.1  # between two tries to write to a full disk
LOG_STOP_SECONDS: Final = 5.0  # how long what is queued may take to be written at the end
LOG_WAIT_SECONDS: Final = 1.0  # how long a question waits for room where no line may be lost

# -- what the operator may set, and what holds unless they do ----------------------------
DEFAULT_REMEMBERED_ANSWERS: Final = 16_384  # of one worker; each takes some 2 KB
MAX_PRINCIPALS_REMEMBERED: Final = 4096  # named in questions: a larger mesh has some parsed again
MAX_REMEMBERED_ANSWERS: Final = 1_048_576
MAX_KNOWN_HEADS: Final = (
    1024  # of a listener's requests, kept by their bytes: the same few come over and over
)
MAX_KNOWN_HEAD_BYTES: Final = 1024  # a longer one is a browser's, behind a proxy
MAX_REMEMBERED_BODY_BYTES: Final = 1024  # a question with more to it is rarely asked twice
MAX_REMEMBERED_TEXT_BYTES: Final = 4096  # an answer that names hundreds of rules is not worth the room
DEFAULT_IN_FLIGHT: Final = 2048  # questions at a time: beyond it waiting costs more than asking again
DEFAULT_CONNECTION_SECONDS: Final = 300.0  # then the next answer ends it: load finds new replicas and workers
DEFAULT_GRACE_SECONDS: Final = 5.0  # between "not ready" and closed: what load balancers need to notice
DEFAULT_LOG_BYTES: Final = 256 * 1024 * 1024  # of one file of the decision log
DEFAULT_LOG_KEEP: Final = 8  # older files: some 2 GiB in all

# -- quarantine ------------------------------------------------------------------------
MAX_QUARANTINE_ENTRIES: Final = 1000  # of one list: more is no incident, but a policy
MAX_QUARANTINE_TEXT: Final = 2048  # characters of each of an entry's texts
MAX_QUARANTINE_SECONDS: Final = 366 * 86_400  # an entry ends within a year
MAX_ADMIN_BODY_BYTES: Final = 16 * 1024
MAX_ADMIN_CONNECTIONS: Final = 32  # people, and what they have automated
MAX_ADMIN_CONNECTIONS_PER_CALLER: Final = 8  # a quarter of them all; so many have all those who may nothing

# -- metrics -----------------------------------------------------------------------------
MAX_METRIC_LABELS: Final = 20_000  # pairs of service and reason: beyond it services share one label

# -- admission ---------------------------------------------------------------------------
MAX_CALLERS_METERED: Final = 10_000  # the longest unseen is forgotten, and begins anew with a full bucket

# -- health ------------------------------------------------------------------------------
MAX_PROBE_CONNECTIONS: Final = 64  # kubelets, balancers and people who look, all at once

# -- parsing in several processes -----------------------------------------------------------
MAX_PARSING_PROCESSES: Final = (
    4  # with our own; they take memory, and containers often see cores that they may not use
)
PARSED_ALONE_CHARS: Final = 1 << 20  # a second of parsing; beginning another process takes half of one

# -- workers -----------------------------------------------------------------------------
MAX_WORKERS: Final = 64  # processes; more than cores gain nothing
WORKER_START_SECONDS: Final = 60.0  # until its first sign: imports, on a machine that is busy
WORKER_STUCK_SECONDS: Final = 3.0  # without a sign: it is stopped, or its loop hangs, and is replaced
WORKER_BEAT_SECONDS: Final = 0.5  # between two signs
WORKER_PAUSE_SECONDS: Final = 1.0  # before one that died soon is begun again, twice as long each time
MAX_WORKER_PAUSE_SECONDS: Final = 30.0  # the longest such pause: what keeps it from serving may have gone
WORKER_STEADY_SECONDS: Final = 10.0  # who served for so long is replaced at once: it did not fail to begin
MAX_UNTOLD: Final = 1000  # paragraphs that wait for whoever reads our output; what comes beyond is counted
UNTOLD_SECONDS: Final = 2.0  # how long they may take to leave at the end
HOLD_SECONDS: Final = 2.0  # how long a worker may take to hold its answers: all wait for it so long
MAX_HELD_SECONDS: Final = 5.0  # without a word from the supervisor, after which a worker that holds ends
