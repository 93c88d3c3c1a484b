// @ts-check
// One's own account: password, second factor, sessions, and tokens for programs.
import { roleWords, scopeWords } from './access.js';
import { ask, json } from './api.js';
import { el, replace } from './dom.js';
import { PASSWORD_WORDS, form, labelled, newPassword, post } from './signin.js';
import { currentLanguage, t } from './text.js';

/** @param {any} g */
function grantWords(g) {
  return `${roleWords(g.role)} (${scopeWords(g.scope)})`;
}

/** @param {number} ms */
function moment(ms) {
  return ms ? new Date(ms).toLocaleString(currentLanguage(), { dateStyle: 'medium', timeStyle: 'short' }) : '–';
}

/** @param {import('./text.js').Key} title @param {...any} content */
function section(title, ...content) {
  return el('section.stacked', {}, el('h1', {}, t(title)), ...content);
}

function passwordSection() {
  const old = labelled('old_password', { id: 'old', type: 'password', autocomplete: 'current-password' });
  const next = newPassword('new');
  const told = el('p.quiet', { role: 'status' });
  async function change() {
    await post('api/account/password', { old: old.field.value, new: next.read() });
    told.textContent = t('password_changed');
  }
  const button = el('button', { type: 'submit' }, t('change_password'));
  return section('password', form('form.plain', [...old.both, ...next.content], button, change, PASSWORD_WORDS), told);
}

/** @param {boolean} on @param {() => void} refresh */
function factorSection(on, refresh) {
  const body = el('div.stacked', {});
  const password = labelled('password', { id: 'factor-password', type: 'password', autocomplete: 'current-password' });
  async function off() {
    await post('api/account/factor/off', { password: password.field.value });
    refresh();
  }
  async function begin() {
    const made = await post('api/account/factor', {});
    const code = labelled('code', { id: 'factor-code', type: 'text', inputmode: 'numeric', autocomplete: 'one-time-code' });
    async function confirm() {
      const told = await post('api/account/factor/on', { secret: made.secret, code: code.field.value.trim() });
      replace(body, el('p', {}, t('recovery_help')), el('ul.codes.mono', {}, told.recovery.map((/** @type {string} */ one) => el('li', {}, one))), el('button', { type: 'button', onclick: refresh }, t('done')));
    }
    const groups = made.secret.match(/.{1,4}/g).join(' ');
    const content = [el('p', {}, t('factor_secret')), el('p.mono', {}, el('a', { href: made.uri }, groups)), ...code.both];
    replace(body, form('form.plain', content, el('button.primary', { type: 'submit' }, t('confirm')), confirm, { 400: 'code_wrong' }));
    code.field.focus();
  }
  if (on) replace(body, el('p', {}, t('factor_on')), form('form.plain', password.both, el('button', { type: 'submit' }, t('switch_off')), off, PASSWORD_WORDS));
  else replace(body, el('p.quiet', {}, t('factor_off')), el('button', { type: 'button', onclick: begin }, t('set_up')));
  return section('second_factor', body);
}

/** @param {any[]} all @param {() => void} refresh */
function sessionsSection(all, refresh) {
  /** @param {string} id */
  async function end(id) {
    await ask(id ? `api/account/sessions/${id}` : 'api/account/sessions', { method: 'DELETE' });
    refresh();
  }
  const heads = [t('begun'), t('last_seen'), t('address'), t('browser'), ''];
  const rows = all.map((s) =>
    el(
      'tr',
      {},
      el('td.nowrap', {}, moment(s.begun_ms)),
      el('td.nowrap', {}, moment(s.seen_ms)),
      el('td', {}, s.address),
      el('td', {}, s.agent),
      el('td.nowrap', {}, s.this ? t('this_session') : el('button', { type: 'button', onclick: () => end(s.id) }, t('end'))),
    ),
  );
  const table = el('table.rows', {}, el('thead', {}, el('tr', {}, heads.map((h) => el('th', { scope: 'col' }, h)))), el('tbody', {}, rows));
  return section('sessions', el('div.wide', {}, table), all.length > 1 && el('button', { type: 'button', onclick: () => end('') }, t('end_others')));
}

/** @param {any[]} all @param {string[]} roles @param {() => void} refresh */
function tokensSection(all, roles, refresh) {
  const made = el('div.stacked', {});
  const name = labelled('token_name', { id: 'token-name', type: 'text', maxlength: 40 });
  const role = el('select', { id: 'token-role' }, roles.map((r) => el('option', {}, r)));
  async function add() {
    const told = await post('api/account/tokens', { name: name.field.value.trim(), role: role.value, scope: scopes.get(role.value) ?? '*' });
    replace(made, el('p', {}, t('token_once')), el('p.mono', {}, told.token), el('button', { type: 'button', onclick: refresh }, t('done')));
  }
  /** @param {string} which */
  async function end(which) {
    await ask(`api/account/tokens/${encodeURIComponent(which)}`, { method: 'DELETE' });
    refresh();
  }
  const rows = all.map((k) =>
    el(
      'tr',
      {},
      el('th', { scope: 'row' }, k.name),
      el('td', {}, k.grants.map(grantWords).join(', ')),
      el('td.nowrap', {}, moment(k.until_ms)),
      el('td.nowrap', {}, moment(k.seen_ms)),
      el('td', {}, el('button', { type: 'button', onclick: () => end(k.name) }, t('end'))),
    ),
  );
  const heads = [t('token'), t('role'), t('until'), t('last_seen'), ''];
  const table = el('table.rows', {}, el('thead', {}, el('tr', {}, heads.map((h) => el('th', { scope: 'col' }, h)))), el('tbody', {}, rows));
  const content = [...name.both, el('label', { for: 'token-role' }, t('role')), role];
  return section(
    'tokens',
    el('p.quiet', {}, t('tokens_help')),
    all.length ? el('div.wide', {}, table) : null,
    form('form.plain', content, el('button', { type: 'submit' }, t('make_token')), add, { 409: 'token_taken' }),
    made,
  );
}

/** @type {Map<string, string>} the widest scope that one has a role in: what a token of it is given */
const scopes = new Map();

/** @param {HTMLElement} at */
export function accountView(at) {
  const body = el('div.sheet.stacked.account', {}, el('p.quiet', {}, t('loading')));
  let open = true;
  replace(at, body);

  async function refresh() {
    try {
      const [account, sessions, tokens] = await Promise.all([json('api/account'), json('api/account/sessions'), json('api/account/tokens')]);
      if (!open) return;
      scopes.clear();
      for (const grant of account.grants) if (scopes.get(grant.role) !== '*') scopes.set(grant.role, grant.scope);
      replace(
        body,
        el('section', {}, el('h1', {}, account.display), el('p.quiet', {}, account.grants.map(grantWords).join(', '))),
        account.issuer ? null : passwordSection(),
        account.issuer ? null : factorSection(account.second_factor, refresh),
        sessionsSection(sessions, refresh),
        tokensSection(tokens, [...scopes.keys()], refresh),
      );
    } catch (problem) {
      if (open) replace(body, el('p.failure', { role: 'alert' }, t('failed', { why: problem instanceof Error ? problem.message : '' })));
    }
  }

  refresh();
  return {
    close() {
      open = false;
    },
  };
}
