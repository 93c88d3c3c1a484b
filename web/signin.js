// @ts-check
// Signing in with the administrator's token.
import { Problem, ask } from './api.js';
import { el, replace } from './dom.js';
import { t } from './text.js';

/**
 * @param {HTMLElement} at
 * @param {() => Promise<void>} done
 */
export function signInView(at, done) {
  const field = el('input', { id: 'token', type: 'password', autocomplete: 'current-password', required: true, 'aria-describedby': 'token-help' });
  const failure = el('p.failure', { role: 'alert' });

  /** @param {Event} event */
  async function submit(event) {
    event.preventDefault();
    failure.textContent = '';
    try {
      await ask('api/session', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ token: field.value.trim() }) });
      await done();
    } catch (problem) {
      const wrong = problem instanceof Problem && problem.status === 401;
      failure.textContent = wrong ? t('wrong_token') : problem instanceof Error ? problem.message : String(problem);
      field.select();
    }
  }

  replace(
    at,
    el(
      'form.card',
      { onsubmit: submit },
      el('h1', {}, t('sign_in')),
      el('input', { type: 'text', name: 'username', value: 'administrator', autocomplete: 'username', hidden: true }),
      el('label', { for: 'token' }, t('token')),
      field,
      el('p.quiet', { id: 'token-help' }, t('token_help')),
      failure,
      el('button.primary', { type: 'submit' }, t('sign_in')),
    ),
  );
  field.focus();
  return {};
}
