"""Traffic as Online Boutique makes it, against any deployment that holds `policies`, over mutual TLS.

locust -f loadtests/locustfile.py --host https://127.0.0.1:8443 --pdp-cert C --pdp-key K --pdp-ca ROOTS

Or by PDP_CERT, PDP_KEY and PDP_CA in the environment. The certificate is that of a caller that may ask about
every service in the name of any principal: `demo-pep`, in that policy set. Each question is an arrow of the
shop's call graph, as often as the shop makes it, or one of those that must not be there. An answer that is
not the decision that the policy set means is a failure, as is one that does not come.
"""

from random import Random
from typing import Any, Final, NamedTuple

from locust import HttpUser, between, events, task

RANDOM: Final = Random()
DOMAIN: Final = "prod.example.org"
ITEMS: Final = ("OLJCESPC7Z", "66VCHSJNUP", "1YMWWN1N4O", "L9ECAV7KIM", "2ZYFJ3GM2N", "0PUK6V6EV0")


class Call(NamedTuple):
    """One arrow: who calls what, how often beside the others, and what the policy set says of it."""

    weight: int
    source: str
    service: str
    path: str
    decision: str = "allow"


def rpc(weight: int, source: str, service: str, name: str, decision: str = "allow") -> Call:
    """A call of gRPC between two workloads of the shop."""
    return Call(weight, f"boutique/{source}", f"{service}.boutique", f"/hipstershop.{name}", decision)


#: A page that shows a product asks for currencies, the product, its price, the cart, recommendations and an
#: ad; one visit in some thirty ends with an order.
GRAPH: Final = (
    rpc(30, "frontend", "currencyservice", "CurrencyService/GetSupportedCurrencies"),
    rpc(60, "frontend", "currencyservice", "CurrencyService/Convert"),
    rpc(10, "frontend", "productcatalogservice", "ProductCatalogService/ListProducts"),
    rpc(60, "frontend", "productcatalogservice", "ProductCatalogService/GetProduct"),
    rpc(30, "frontend", "cartservice", "CartService/GetCart"),
    rpc(5, "frontend", "cartservice", "CartService/AddItem"),
    rpc(20, "frontend", "recommendationservice", "RecommendationService/ListRecommendations"),
    rpc(20, "recommendationservice", "productcatalogservice", "ProductCatalogService/ListProducts"),
    rpc(25, "frontend", "adservice", "AdService/GetAds"),
    rpc(4, "frontend", "shippingservice", "ShippingService/GetQuote"),
    rpc(1, "frontend", "checkoutservice", "CheckoutService/PlaceOrder"),
    rpc(1, "checkoutservice", "cartservice", "CartService/GetCart"),
    rpc(1, "checkoutservice", "cartservice", "CartService/EmptyCart"),
    rpc(3, "checkoutservice", "productcatalogservice", "ProductCatalogService/GetProduct"),
    rpc(4, "checkoutservice", "currencyservice", "CurrencyService/Convert"),
    rpc(1, "checkoutservice", "shippingservice", "ShippingService/GetQuote"),
    rpc(1, "checkoutservice", "shippingservice", "ShippingService/ShipOrder"),
    rpc(1, "checkoutservice", "paymentservice", "PaymentService/Charge"),
    rpc(1, "checkoutservice", "emailservice", "EmailService/SendOrderConfirmation"),
    # What must not be there.
    rpc(2, "frontend", "paymentservice", "PaymentService/Charge", "deny"),
    rpc(2, "recommendationservice", "cartservice", "CartService/GetCart", "deny"),
    rpc(2, "checkoutservice", "cartservice", "CartService/AddItem", "deny"),
    Call(2, "dev/laptop", "cartservice.boutique", "/hipstershop.CartService/GetCart", "deny"),
)


@events.init_command_line_parser.add_listener
def add_options(parser: Any) -> None:
    """What TLS needs: who we are, and whom we trust."""
    parser.add_argument("--pdp-cert", env_var="PDP_CERT", required=True, help="our certificate chain, PEM")
    parser.add_argument("--pdp-key", env_var="PDP_KEY", required=True, help="its key, PEM")
    parser.add_argument("--pdp-ca", env_var="PDP_CA", required=True, help="the roots of the service, PEM")


class Sidecars(HttpUser):
    """All of the shop's sidecars behind one connection, which asks a few times a second."""

    wait_time = between(0.01, 0.1)

    def on_start(self) -> None:
        """Show our certificate, and ask for theirs."""
        options = self.environment.parsed_options
        self.client.cert = (options.pdp_cert, options.pdp_key)
        self.client.verify = options.pdp_ca
        self.client.trust_env = False  # or a bundle from the environment would stand in for the roots above

    @task(20)
    def call(self) -> None:
        """One call of one workload by another."""
        (call,) = RANDOM.choices(GRAPH, weights=[each.weight for each in GRAPH])
        self.ask(call, "POST", call.path, name=call.service)

    @task(5)
    def visit(self) -> None:
        """Somebody looks at a product, through the gateway."""
        call = Call(1, "istio-ingress/istio-ingress", "frontend.boutique", "/product/{id}")
        self.ask(call, "GET", f"/product/{RANDOM.choice(ITEMS)}", name=call.service)

    @task(1)
    def misuse(self) -> None:
        """Somebody tries what the frontend does not offer."""
        call = Call(1, "istio-ingress/istio-ingress", "frontend.boutique", "/admin", "deny")
        self.ask(call, "GET", f"/admin/{RANDOM.randrange(1000)}", name=call.service)

    def ask(self, call: Call, method: str, path: str, name: str) -> None:
        """One question; in the report it stands with the others about the same service."""
        namespace, account = call.source.split("/")
        principal = f"spiffe://{DOMAIN}/ns/{namespace}/sa/{account}"
        asked = {"principal": principal, "service": call.service, "method": method, "path": path}
        with self.client.post("/v1/decide", json=asked, name=name, catch_response=True) as reply:
            if reply.status_code != 200:
                reply.failure(f"{reply.status_code}: {reply.text[:200]}")
            elif (decision := reply.json()["decision"]) != call.decision:
                reply.failure(f"{call.source} to {method} {path}: {decision}, not {call.decision}")
            else:
                reply.success()
