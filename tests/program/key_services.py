"""Services that keep a key, for the tests: `kms` is moto's AWS KMS, `transit` a stand-in for Vault's secrets engine of that name.

Says in its first line where it is (and for KMS which key to use), then serves until it is killed.
"""

import base64
import json
import secrets
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

TOKEN = "token-of-the-broker"


def kms():
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "kms",
        endpoint_url=f"http://{host}:{port}",
        region_name="eu-central-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    key = client.create_key(Description="sealing")["KeyMetadata"]["KeyId"]
    print(f"http://{host}:{port} {key}", flush=True)
    while True:
        time.sleep(3600)


class Transit(BaseHTTPRequestHandler):
    """Keeps what it encrypted, and gives it back to whoever shows the token and asks by the right key."""

    kept = {}

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.headers.get("x-vault-token") != TOKEN:
            return self.answer(403, {"errors": ["permission denied"]})
        if self.path == "/v1/transit/encrypt/token-broker":
            base64.b64decode(body["plaintext"], validate=True)
            text = "vault:v1:" + base64.b64encode(secrets.token_bytes(40)).decode()
            self.kept[text] = body["plaintext"]
            return self.answer(200, {"request_id": "r", "lease_id": "", "renewable": False, "lease_duration": 0, "data": {"ciphertext": text, "key_version": 1}})
        if self.path == "/v1/transit/decrypt/token-broker" and body["ciphertext"] in self.kept:
            return self.answer(200, {"request_id": "r", "lease_id": "", "renewable": False, "lease_duration": 0, "data": {"plaintext": self.kept[body["ciphertext"]]}})
        return self.answer(400, {"errors": ["invalid ciphertext"]})

    do_PUT = do_POST

    def log_message(self, *_):
        pass


def transit():
    server = HTTPServer(("127.0.0.1", 0), Transit)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


{"kms": kms, "transit": transit}[sys.argv[1]]()
