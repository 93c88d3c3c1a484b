// @ts-check
// Asking the server. Addresses are relative, so that a proxy's prefix does no harm.

export const ROOT = 'dicom-web';

/** A failed request: the server's problem (RFC 9457), or the network's. */
export class Problem extends Error {
  /** @param {number} status @param {string} message @param {number} [retryAfter] seconds */
  constructor(status, message, retryAfter = 0) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** @param {Response} answer */
async function problemOf(answer) {
  try {
    const body = await answer.json();
    return new Problem(answer.status, body.detail || body.title || answer.statusText, Number(answer.headers.get('Retry-After')));
  } catch {
    return new Problem(answer.status, `${answer.status} ${answer.statusText}`);
  }
}

/**
 * @param {string} path
 * @param {RequestInit} [options]
 */
export async function ask(path, options = {}) {
  const answer = await fetch(path, { credentials: 'same-origin', ...options });
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

/** @param {string} path @param {AbortSignal} [signal] @returns {Promise<any>} */
export async function json(path, signal) {
  const answer = await ask(path, { signal, headers: { Accept: 'application/dicom+json, application/json' } });
  return answer.status === 204 ? [] : answer.json();
}

/** @param {Record<string, string | number | undefined>} values */
export function query(values) {
  const parts = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) if (value !== undefined && value !== '') parts.append(key, String(value));
  const text = parts.toString();
  return text ? `?${text}` : '';
}
