// How many of the caller's own notices are unread.

import { NotificationService } from "../gen/civicmesh/notifications/v1/notifications_pb";
import { client } from "./api";
import { LiveTopic, live } from "./live.svelte";

class Notices {
  unread = $state(0);

  start(): void {
    const read = () => void this.read();
    live.on(LiveTopic.NOTIFICATION, read, read);
    read();
  }

  async read(): Promise<void> {
    try {
      this.unread = (await client(NotificationService).listMyNotifications({ unreadOnly: true, pageSize: 1 })).unread;
    } catch {
      // The bell keeps its last number; the pill already says that the connection is lost.
    }
  }
}

export const notices = new Notices();
