// The public methods in their REST form: plain JSON, no session.

import { say } from "./say.svelte";

export interface Point {
  longitude: number;
  latitude: number;
}

export interface Category {
  code: string;
  nameVi: string;
  nameEn: string;
}

export interface Step {
  kind: string;
  createTime?: string;
  text?: string;
  promiseDate?: string;
}

export interface Tracked {
  code: string;
  title: string;
  categoryVi?: string;
  categoryEn?: string;
  state: string;
  placeName?: string;
  unitName?: string;
  createTime?: string;
  answerDeadline?: string;
  steps?: Step[];
  rating?: number;
}

/** A refusal, with what is wrong with single fields by their proto names. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly fields: Record<string, string>,
  ) {
    super(message);
  }
}

interface ErrorBody {
  message?: string;
  details?: { fieldViolations?: { field?: string; description?: string }[] }[];
  error?: ErrorBody;
}

async function call<T>(path: string, body?: object): Promise<T> {
  const answer = await fetch(`/v1/public/${path}`, {
    method: body ? "POST" : "GET",
    headers: {
      accept: "application/json",
      "accept-language": say.language,
      ...(body ? { "content-type": "application/json" } : {}),
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const json: unknown = await answer.json().catch(() => undefined);
  if (answer.ok) return json as T;
  const outer = (json ?? {}) as ErrorBody;
  const error = outer.error ?? outer;
  const fields: Record<string, string> = {};
  for (const violation of error.details?.flatMap((detail) => detail.fieldViolations ?? []) ?? []) {
    if (violation.field) fields[violation.field] = violation.description ?? "";
  }
  throw new Refused(answer.status, error.message ?? "", fields);
}

export const categories = () =>
  call<{ categories?: Category[] }>("categories").then((answer) => answer.categories ?? []);

export const locate = (point: Point) =>
  call<{ unitId: string; nameVi: string; nameEn: string }>(
    `places:locate?${new URLSearchParams({ "point.longitude": point.longitude.toFixed(6), "point.latitude": point.latitude.toFixed(6) })}`,
  );

export async function uploadPhoto(file: File): Promise<string> {
  const content = await base64(file);
  const photo = await call<{ id: string }>("photos", {
    requestId: crypto.randomUUID(),
    contentType: file.type,
    content,
  });
  return photo.id;
}

export interface Report {
  requestId: string;
  categoryCode: string;
  title: string;
  body: string;
  point: Point;
  address: string;
  photoIds: string[];
  contact?: { name: string; phone: string; email: string };
}

export const fileReport = (report: Report) => call<{ trackingCode: string; feedback: Tracked }>("feedback", report);

export const track = (code: string) => call<Tracked>(`feedback/${encodeURIComponent(code)}`);

export const rate = (code: string, rating: number, comment: string) =>
  call<Tracked>(`feedback/${encodeURIComponent(code)}:rate`, { requestId: crypto.randomUUID(), rating, comment });

function base64(file: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).split(",")[1] ?? "");
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
