// A way to the gateway that can be cut and mended, as a failing network or a gateway that is started again would.

import { connect, createServer, type Server, type Socket } from "node:net";

export class Tap {
  #open = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;

  constructor(readonly target: URL) {}

  /** The same gateway, by another port; cookies do not care about ports. */
  get url(): string {
    return `http://${this.target.hostname}:${this.#port}`;
  }

  async mend(): Promise<void> {
    const server = createServer((near) => {
      const far = connect(Number(this.target.port || 80), this.target.hostname);
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#open.add(one);
        one.on("close", () => {
          this.#open.delete(one);
          other.destroy();
        });
        one.on("error", () => other.destroy());
        one.pipe(other);
      }
    });
    await new Promise<void>((resolve) => server.listen(this.#port, this.target.hostname, resolve));
    const address = server.address();
    if (address && typeof address === "object") this.#port = address.port;
    this.#server = server;
  }

  async cut(): Promise<void> {
    const closed = new Promise((resolve) => this.#server?.close(resolve));
    for (const socket of this.#open) socket.destroy();
    await closed;
  }
}
