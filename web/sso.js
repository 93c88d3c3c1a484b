// @ts-check
// Signing in and out through the identity provider of the house.
import { ask, json } from './api.js';
import { el } from './dom.js';
import { t } from './text.js';

const PLACE = 'gantry.place';
/** @type {Record<string, import('./text.js').Key>} */
const WORDS = { forbidden: 'sso_forbidden', refused: 'sso_refused', unreachable: 'sso_unreachable' };

/** What came of the way to the provider, as the server has put it into the address. */
function problem() {
  const way = /^#\/sso\/(\w+)$/.exec(location.hash);
  return way && WORDS[way[1]] ? t(WORDS[way[1]]) : '';
}

function remember() {
  sessionStorage.setItem(PLACE, problem() ? '' : location.hash);
}

/** Back to what somebody wanted to see before the way led elsewhere; never to another site, since only the part behind "#" is kept. */
export function returnToPlace() {
  const place = sessionStorage.getItem(PLACE);
  sessionStorage.removeItem(PLACE);
  if (place?.startsWith('#/')) history.replaceState(null, '', place);
  else if (location.hash.startsWith('#/sso/')) history.replaceState(null, '', '#/');
}

/** A link to the provider, put before the first child of a form when there is one. @param {HTMLElement} form */
export async function offerSso(form) {
  const { enabled, title } = await json('api/oidc');
  if (!enabled) return;
  const words = title ? t('sso_by', { name: title }) : t('sso');
  const failure = problem();
  form.prepend(
    ...[
      failure && el('p.failure', { role: 'alert' }, failure),
      el('a.sso', { href: 'api/oidc/login', onclick: remember }, words),
      el('p.quiet.or', {}, t('sso_or')),
    ].filter(Boolean),
  );
}

/** Ends the session, here and at the provider. @returns {Promise<boolean>} whether the browser goes elsewhere */
export async function leaveSso() {
  const { url } = await (await ask('api/oidc/logout', { method: 'POST' })).json();
  if (url) location.assign(url);
  return url !== '';
}
