// Panning and zooming of a map: by dragging, pinching, buttons and keys.

export class MapView {
  scale = $state(1);
  x = $state(0);
  y = $state(0);
  /** The last pointer moved far enough to be a drag, so its release is not a click. */
  dragged = false;
  #pointers = new Map<number, { x: number; y: number }>();

  constructor(
    readonly width: number,
    readonly height: number,
  ) {}

  zoom(factor: number, cx = this.width / 2, cy = this.height / 2): void {
    const next = Math.min(48, Math.max(1, this.scale * factor));
    this.x = cx - ((cx - this.x) * next) / this.scale;
    this.y = cy - ((cy - this.y) * next) / this.scale;
    this.scale = next;
  }

  /** Shows a place of the map in the middle. */
  show([x, y]: [number, number], scale: number): void {
    this.scale = scale;
    this.x = this.width / 2 - x * scale;
    this.y = this.height / 2 - y * scale;
  }

  reset(): void {
    this.scale = 1;
    this.x = this.y = 0;
  }

  down(id: number, at: { x: number; y: number }): void {
    if (this.#pointers.size === 0) this.dragged = false;
    this.#pointers.set(id, at);
  }

  move(id: number, at: { x: number; y: number }): void {
    const before = this.#pointers.get(id);
    if (!before) return;
    const [other] = [...this.#pointers].filter(([key]) => key !== id);
    if (other) {
      const ratio = distance(at, other[1]) / Math.max(1, distance(before, other[1]));
      this.zoom(ratio, (at.x + other[1].x) / 2, (at.y + other[1].y) / 2);
      this.dragged = true;
    } else if (this.dragged || distance(at, before) > 5) {
      this.dragged = true;
      this.x += at.x - before.x;
      this.y += at.y - before.y;
    } else return;
    this.#pointers.set(id, at);
  }

  up(id: number): void {
    this.#pointers.delete(id);
  }

  /** From the frame to the map under it. */
  inside(at: { x: number; y: number }): [number, number] {
    return [(at.x - this.x) / this.scale, (at.y - this.y) / this.scale];
  }
}

function distance(a: { x: number; y: number }, b: { x: number; y: number }): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
