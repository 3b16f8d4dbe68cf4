// Who is signed in and what that person may do.

import type { Profile } from "../gen/civicmesh/identity/v1/account_pb";

class Session {
  profile = $state.raw<Profile>();
  state = $state<"loading" | "in" | "out" | "down">("loading");
  /** The session ended while somebody was working. */
  expired = $state(false);
  #permissions = new Set<string>();

  enter(profile: Profile): void {
    this.#permissions = new Set(profile.permissions);
    this.profile = profile;
    this.state = "in";
    this.expired = false;
  }

  expire(): void {
    if (this.state === "in") this.expired = true;
    else this.state = "out";
  }

  may(permission: string): boolean {
    return this.profile !== undefined && this.#permissions.has(permission);
  }

  isMe(principalId: string): boolean {
    return principalId === this.profile?.principal?.id;
  }

  get unitId(): string {
    return this.profile?.homeUnit?.id ?? "";
  }
}

export const session = new Session();

export function signInPath(): string {
  return `/auth/sign-in?return_to=${encodeURIComponent(location.pathname + location.search)}`;
}

/** Ends the session at the gateway, which may send the browser on to the single sign-on. */
export async function signOut(): Promise<void> {
  const answer = await fetch("/auth/sign-out", { method: "POST" }).catch(() => undefined);
  location.assign(answer?.redirected && answer.url.startsWith(location.origin) ? answer.url : "/");
}
