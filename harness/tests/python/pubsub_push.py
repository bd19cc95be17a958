"""Push deliveries as a service on Cloud Run takes them: the token checked by Google's own library.

The endpoint is a small HTTP server; `google.oauth2.id_token` fetches the certificates from where the suite
serves them and verifies signature, times and audience.
"""

import base64
import json
import os
import queue
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import google.auth
from google.auth import exceptions as auth_exceptions
from google.auth.transport import requests as auth_requests
from google.cloud import pubsub_v1
from google.oauth2 import id_token
from google.pubsub_v1.types import PushConfig, Subscription

from checks import equal, expect, refused, step

RUN = uuid.uuid4().hex[:8]
SUITE = os.environ["SCRIMMAGE_URL"]
CERTIFICATES = f"{SUITE}/oauth2/v1/certs"
EMAIL = "pusher@example-project.iam.gserviceaccount.com"
project = google.auth.default()[1]
publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
received = queue.Queue()


class Endpoint(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        received.put((self.headers, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
threading.Thread(target=server.serve_forever, daemon=True).start()
ENDPOINT = f"http://127.0.0.1:{server.server_port}/pushed"


def pushed(name, audience, **config):
    """Headers and body of what a new subscription's endpoint gets for one message."""
    topic = publisher.topic_path(project, f"{name}-{RUN}")
    publisher.create_topic(name=topic)
    token = PushConfig.OidcToken(service_account_email=EMAIL, audience=audience)
    subscriber.create_subscription(
        request=Subscription(
            name=subscriber.subscription_path(project, f"{name}-{RUN}"),
            topic=topic,
            push_config=PushConfig(push_endpoint=ENDPOINT, oidc_token=token, **config),
        )
    )
    publisher.publish(topic, b"\xff not text", kind="completion").result(timeout=30)
    return received.get(timeout=30)


def bearer(headers):
    scheme, _, token = headers["Authorization"].partition(" ")
    equal(scheme, "Bearer")
    return token


@step("a token for an audience, verified by google-auth")
def verified():
    headers, body = pushed("audience", "https://service.example.com")
    token = bearer(headers)
    request = auth_requests.Request()
    claims = id_token.verify_token(token, request, audience="https://service.example.com", certs_url=CERTIFICATES)
    equal((claims["email"], claims["email_verified"], claims["iss"]), (EMAIL, True, "https://accounts.google.com"))
    expect(claims["sub"] == claims["azp"] and claims["sub"].isdigit(), claims)
    expect(0 < claims["exp"] - claims["iat"] <= 3_600, claims)
    equal(base64.b64decode(json.loads(body)["message"]["data"]), b"\xff not text")

    wrong_audience = lambda: id_token.verify_token(token, request, audience="https://other.example.com", certs_url=CERTIFICATES)  # noqa: E731
    refused((ValueError, auth_exceptions.GoogleAuthError), wrong_audience)
    head, payload, signature = token.split(".")
    claims["email"] = "somebody@example.com"
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    forgery = lambda: id_token.verify_token(f"{head}.{forged}.{signature}", request, certs_url=CERTIFICATES)  # noqa: E731
    refused((ValueError, auth_exceptions.GoogleAuthError), forgery)


@step("without an audience it is the endpoint")
def default_audience():
    headers, _ = pushed("endpoint", "")
    claims = id_token.verify_token(bearer(headers), auth_requests.Request(), audience=ENDPOINT, certs_url=CERTIFICATES)
    equal(claims["aud"], ENDPOINT)


@step("unwrapped, with metadata in the headers")
def unwrapped():
    headers, body = pushed("unwrapped", "", no_wrapper=PushConfig.NoWrapper(write_metadata=True))
    equal(body, b"\xff not text")
    equal(headers["x-goog-pubsub-subscription-name"], subscriber.subscription_path(project, f"unwrapped-{RUN}"))
    expect("x-goog-pubsub-message-id" in headers and "x-goog-pubsub-publish-time" in headers, headers)
    equal(headers["kind"], "completion")
    id_token.verify_token(bearer(headers), auth_requests.Request(), audience=ENDPOINT, certs_url=CERTIFICATES)


server.shutdown()
