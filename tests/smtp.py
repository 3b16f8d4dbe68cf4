"""A real SMTP server for the tests: takes every message and writes it to stdout as one line of JSON.

The first line is the port. Needs aiosmtpd.
"""

import asyncio
import email
import email.policy
import json
import time

from aiosmtpd.smtp import SMTP


class Keeper:
    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        text = message.get_body(("plain",))
        html = message.get_body(("html",))
        kept = {
            "time": time.time(),
            "sender": envelope.mail_from,
            "recipients": envelope.rcpt_tos,
            "message_id": str(message["Message-ID"] or ""),
            "subject": str(message["Subject"] or ""),
            "language": str(message["Content-Language"] or ""),
            "text": text.get_content() if text else "",
            "html": html.get_content() if html else "",
        }
        print(json.dumps(kept), flush=True)
        return "250 2.0.0 kept"


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Keeper(), enable_SMTPUTF8=True), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
