"""A mail server: each mail is one line of JSON on the standard output.

Arguments: certificate, key, user, password, "starttls" or "tls": with TLS, sign-in required. Or "none" alone: neither.
"""

import asyncio
import json
import signal
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Inbox:
    async def handle_DATA(self, server, session, envelope):
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "user": session.auth_data,
            "tls": server.transport.get_extra_info("sslcontext") is not None,
            "content": envelope.content.decode("utf-8"),
        }
        print(json.dumps(mail), flush=True)
        return "250 OK"


async def listen(protocol, context):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=context)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await asyncio.sleep(600)


async def serve_open(_mode):
    await listen(lambda: SMTP(Inbox()), None)


async def serve(certificate, key, user, password, mode):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def authenticate(server, session, envelope, mechanism, data):
        good = data.login == user.encode() and data.password == password.encode()
        return AuthResult(success=good, handled=False, auth_data=user if good else None)

    starttls = mode == "starttls"

    def protocol():
        return SMTP(
            Inbox(),
            authenticator=authenticate,
            auth_required=True,
            auth_require_tls=starttls,
            require_starttls=starttls,
            tls_context=context if starttls else None,
        )

    await listen(protocol, None if starttls else context)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
asyncio.run((serve_open if sys.argv[1:] == ["none"] else serve)(*sys.argv[1:]))
