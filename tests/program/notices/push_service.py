"""A push service with one browser behind it, strict in everything that RFC 8030, 8188, 8291 and 8292 ask of a sender.

First line of the output: its port and the browser's subscription. Then one line for each message that came, as JSON. Answers 201 to as many messages
as the argument says, then 410.
"""

import base64
import http.server
import json
import os
import re
import sys
import time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CURVE = ec.SECP256R1()
browser, auth = ec.generate_private_key(CURVE), os.urandom(16)
public = browser.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text):
    assert re.fullmatch(r"[A-Za-z0-9_-]*", text), "base64url without padding"
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def derive(secret, salt, info, length):
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(secret)


def opened(body):
    """RFC 8188 and 8291, one record."""
    assert len(body) <= 4096, "push services take no more"
    salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
    sender, sealed = body[21 : 21 + length], body[21 + length :]
    assert length == 65 and 17 < len(sealed) <= size
    shared = browser.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(CURVE, sender))
    secret = derive(shared, auth, b"WebPush: info\0" + public + sender, 32)
    key = derive(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = derive(secret, salt, b"Content-Encoding: nonce\0", 12)
    plain = AESGCM(key).decrypt(nonce, sealed, None).rstrip(b"\0")
    assert plain[-1:] == b"\x02", "the only record is the last"
    return json.loads(plain[:-1])


def sender(header, origin):
    """RFC 8292: who sends, and its key."""
    scheme, parameters = header.split(" ", 1)
    assert scheme == "vapid"
    parts = dict(part.strip().split("=", 1) for part in parameters.split(","))
    signed, signature = parts["t"].rsplit(".", 1)
    raw = decode(signature)
    assert len(raw) == 64
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, decode(parts["k"]))
    key.verify(der, signed.encode(), ec.ECDSA(hashes.SHA256()))
    head, claims = (json.loads(decode(part)) for part in signed.split("."))
    assert head == {"typ": "JWT", "alg": "ES256"}
    assert claims["aud"] == origin, claims
    assert time.time() < claims["exp"] <= time.time() + 24 * 3600, claims
    assert re.match(r"(mailto:|https://)", claims["sub"]), claims
    return parts["k"], claims["sub"]


class Service(http.server.BaseHTTPRequestHandler):
    left = int(sys.argv[1])

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/browser/capability-canary"
        assert self.headers["Content-Encoding"] == "aes128gcm"
        assert int(self.headers["TTL"]) > 0
        assert self.headers["Urgency"] in ("very-low", "low", "normal", "high")
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,32}", self.headers["Topic"])
        key, contact = sender(self.headers["Authorization"], origin)
        status = 201 if Service.left > 0 else 410
        Service.left -= 1
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
        names = ("TTL", "Urgency", "Topic")
        said = {"key": key, "contact": contact, "status": status, "message": opened(body)}
        print(json.dumps(said | {name.lower(): self.headers[name] for name in names}), flush=True)

    def log_message(self, *_):
        pass


# What is not as strict as asked ends the process, and so the test.
def fail(*_):
    import traceback

    traceback.print_exc()
    os._exit(1)


server = http.server.HTTPServer(("127.0.0.1", 0), Service)
server.handle_error = fail
port = server.server_address[1]
origin = f"http://127.0.0.1:{port}"
keys = {"p256dh": encode(public), "auth": encode(auth)}
subscription = {"endpoint": f"{origin}/browser/capability-canary", "expirationTime": None, "keys": keys}
print(json.dumps({"port": port, "subscription": subscription}), flush=True)
server.serve_forever()
