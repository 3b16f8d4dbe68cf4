// Calls to the gateway: gRPC-web at the origin, the session in a cookie we never see.

import type { DescService } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { BadRequestSchema, ErrorInfoSchema, RequestInfoSchema } from "../gen/google/rpc/error_details_pb";
import { i18n } from "./i18n.svelte";
import { session } from "./session.svelte";
import { snapshot } from "./snapshot.svelte";
import { traceparent } from "./trace";

const context: Interceptor = (next) => async (request) => {
  request.header.set("accept-language", i18n.language);
  request.header.set("traceparent", traceparent());
  try {
    return await next(request);
  } catch (error) {
    if (ConnectError.from(error).code === Code.Unauthenticated) session.expire();
    throw error;
  }
};

const transport = createGrpcWebTransport({
  baseUrl: location.origin,
  defaultTimeoutMs: 10_000,
  fetch: snapshot.fetch,
  interceptors: [context],
});

export function client<S extends DescService>(service: S): Client<S> {
  return createClient(service, transport);
}

/** A fresh idempotency key; keep it for every repeat of the same command. */
export function requestId(): string {
  return crypto.randomUUID();
}

/** What went wrong, ready to be shown. */
export interface Problem {
  text: string;
  /** What is wrong with single fields, by their name in the contract. */
  fields: Record<string, string>;
  reason: string;
  code: Code;
  /** To quote when asking for help. */
  request: string;
}

export function problem(thrown: unknown): Problem {
  const error = ConnectError.from(thrown);
  const fields: Record<string, string> = {};
  for (const detail of error.findDetails(BadRequestSchema)) {
    for (const violation of detail.fieldViolations) fields[violation.field] = violation.description;
  }
  const request = error.findDetails(RequestInfoSchema)[0]?.requestId ?? error.metadata.get("x-request-id") ?? "";
  return {
    text: words(error),
    fields,
    reason: error.findDetails(ErrorInfoSchema)[0]?.reason ?? "",
    code: error.code,
    request,
  };
}

/** There is nothing at the address, or it cannot be one. */
export function isMissing(thrown: unknown): boolean {
  return [Code.NotFound, Code.InvalidArgument].includes(ConnectError.from(thrown).code);
}

function words(error: ConnectError): string {
  const { errors } = i18n.m;
  switch (error.code) {
    case Code.Unauthenticated:
      return errors.signedOut;
    case Code.Unavailable:
    case Code.DeadlineExceeded:
      return errors.unavailable;
    case Code.Internal:
    case Code.Unknown:
    case Code.DataLoss:
    case Code.Unimplemented:
      return errors.internal;
    default: {
      const text = error.rawMessage || errors.internal;
      return text.charAt(0).toLocaleUpperCase(i18n.language) + text.slice(1);
    }
  }
}
