// @ts-check
// Signing in: name and password, the second factor when it is asked for, another password when the first was given by somebody else.
import { Problem, ask } from './api.js';
import { el, replace } from './dom.js';
import { offerSso } from './sso.js';
import { t } from './text.js';

/** @param {string} path @param {any} body */
export async function post(path, body) {
  const answer = await ask(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  return answer.status === 204 ? null : answer.json();
}

/** What went wrong, in the words of the page where it has some. @param {unknown} problem @param {Record<number, import('./text.js').Key>} words */
export function wordsFor(problem, words) {
  if (problem instanceof Problem && words[problem.status]) return t(words[problem.status], { n: problem.retryAfter });
  return problem instanceof Error ? problem.message : String(problem);
}

/** @param {import('./text.js').Key} label @param {Record<string, any>} attributes */
export function labelled(label, attributes) {
  const field = el('input', { required: true, ...attributes });
  return { field, both: [el('label', { for: attributes.id }, t(label)), field] };
}

/**
 * A form that tells what failed and lets no second click through.
 * @param {string} shape @param {any[]} content @param {any} button @param {() => Promise<void>} act
 * @param {Record<number, import('./text.js').Key>} words
 */
export function form(shape, content, button, act, words) {
  const failure = el('p.failure', { role: 'alert' });
  /** @param {Event} event */
  async function submit(event) {
    event.preventDefault();
    failure.textContent = '';
    button.disabled = true;
    try {
      await act();
    } catch (problem) {
      failure.textContent = wordsFor(problem, words);
    }
    button.disabled = false;
  }
  return el(shape, { onsubmit: submit }, ...content, failure, button);
}

/** The two fields of a new password. @param {string} id */
export function newPassword(id) {
  const first = labelled('new_password', { id, type: 'password', autocomplete: 'new-password', minlength: 8, 'aria-describedby': `${id}-help` });
  const again = labelled('new_password_again', { id: `${id}-again`, type: 'password', autocomplete: 'new-password' });
  return {
    content: [...first.both, el('p.quiet', { id: `${id}-help` }, t('password_help')), ...again.both],
    read() {
      if (first.field.value !== again.field.value) throw new Error(t('passwords_differ'));
      return first.field.value;
    },
  };
}

/** @type {Record<number, import('./text.js').Key>} */
export const PASSWORD_WORDS = { 400: 'password_refused', 403: 'password_wrong', 503: 'wait_please' };

/** @param {HTMLElement} at @param {() => Promise<void>} done @param {string} [old] the password that was just typed */
export function changeView(at, done, old) {
  const given = labelled('old_password', { id: 'old', type: 'password', autocomplete: 'current-password', value: old ?? null });
  const next = newPassword('new');
  const content = [el('h1', {}, t('change_password')), el('p.quiet', {}, t('must_change_help')), ...(old ? [] : given.both), ...next.content];
  async function change() {
    await post('api/account/password', { old: old ?? given.field.value, new: next.read() });
    await done();
  }
  replace(at, form('form.card', content, el('button.primary', { type: 'submit' }, t('change_password')), change, PASSWORD_WORDS));
  at.querySelector('input')?.focus();
  return {};
}

/**
 * @param {HTMLElement} at
 * @param {() => Promise<void>} done
 */
export function signInView(at, done) {
  const name = labelled('user_name', { id: 'name', type: 'text', autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false' });
  const password = labelled('password', { id: 'password', type: 'password', autocomplete: 'current-password' });
  const code = labelled('code', { id: 'code', type: 'text', autocomplete: 'one-time-code', inputmode: 'text', 'aria-describedby': 'code-help', required: false });
  const second = el('div.second', { hidden: true }, ...code.both, el('p.quiet', { id: 'code-help' }, t('code_help')));

  async function signIn() {
    const session = await post('api/session', { name: name.field.value, password: password.field.value, code: code.field.value.trim() });
    if (session.code_needed) {
      second.hidden = false;
      code.field.required = true;
      code.field.focus();
      return;
    }
    if (session.must_change) changeView(at, done, password.field.value);
    else await done();
  }

  const button = el('button.primary', { type: 'submit' }, t('sign_in'));
  const content = [el('h1', {}, t('sign_in')), ...name.both, ...password.both, second];
  replace(at, form('form.card', content, button, signIn, { 401: 'sign_in_wrong', 429: 'wait_seconds', 503: 'wait_please' }));
  name.field.focus();
  offerSso(/** @type {HTMLElement} */ (at.querySelector('form'))).catch(() => undefined); // signing in by name goes on
  return {};
}
