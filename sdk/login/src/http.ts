import { LoginError } from "./errors.js";

/** Where the login service is: `base` is "" for the page's own origin, or `https://login.example`. */
export interface Place {
  readonly base?: string;
}

/** Sends a request; an answer that is no success becomes a LoginError with the server's code. */
export async function ask<T>(place: Place, method: string, path: string, body?: unknown): Promise<T> {
  let response: Response;
  let answer: { code?: unknown; detail?: unknown } | null;
  try {
    response = await fetch((place.base ?? "") + path, {
      method,
      credentials: "include",
      cache: "no-store",
      redirect: "error",
      ...(body === undefined
        ? {}
        : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
    });
    answer = await response.json();
  } catch (cause) {
    throw new LoginError("unreachable", "the login service does not answer", { cause });
  }
  if (!response.ok) {
    throw new LoginError(String(answer?.code ?? response.status), String(answer?.detail ?? "refused"));
  }
  return answer as T;
}
