// @ts-check
// Who I am here, access in an emergency, and the review of it.
import { json } from './api.js';
import { announce, el, replace } from './dom.js';
import { form, post, wordsFor } from './signin.js';
import { currentLanguage, t } from './text.js';

/** @typedef {import('./text.js').Key} Key */

const MINUTES = [15, 30, 60, 120, 240];

/** @type {Record<string, Key>} */
const ROLES = {
  viewer: 'role_viewer',
  technologist: 'role_technologist',
  radiologist: 'role_radiologist',
  'tele-radiologist': 'role_tele',
  'trial-reader': 'role_trial_reader',
  'trial-monitor': 'role_trial_monitor',
  'ai-operator': 'role_ai',
  administrator: 'role_administrator',
  auditor: 'role_auditor',
  service: 'role_service',
};

/** @type {[string, Key][]} what a scope begins with, and what it is called */
const SCOPES = [
  ['tenant:', 'scope_tenant'],
  ['site:', 'scope_site'],
  ['department:', 'scope_department'],
  ['label:', 'scope_label'],
];

/** @type {Record<number, Key>} */
const GLASS_WORDS = { 400: 'glass_refused', 403: 'glass_forbidden', 409: 'glass_broken_already' };
/** @type {Record<number, Key>} */
const REVIEW_WORDS = { 403: 'review_own', 409: 'review_done' };

/** @param {number} ms */
export function moment(ms) {
  return ms ? new Date(ms).toLocaleString(currentLanguage(), { dateStyle: 'medium', timeStyle: 'short' }) : '';
}

/** @param {string} role */
export function roleWords(role) {
  return ROLES[role] ? t(ROLES[role]) : role;
}

/** @param {string} scope */
export function scopeWords(scope) {
  if (scope === '*') return t('scope_all');
  if (scope === 'assigned') return t('scope_assigned');
  for (const [prefix, word] of SCOPES)
    if (scope.startsWith(prefix)) {
      const where = scope.slice(prefix.length);
      return where === '' ? t('scope_own') : t(word, { name: where.replace(/^\//, '') });
    }
  return scope;
}

/** @param {any} access */
function selfSection(access) {
  const rows = access.grants.map((/** @type {any} */ g) =>
    el('tr', {}, el('th', { scope: 'row' }, roleWords(g.role)), el('td', {}, scopeWords(g.scope)), el('td.nowrap', {}, moment(g.until_ms))),
  );
  const heads = [t('role'), t('where'), t('until')];
  return el(
    'section',
    {},
    el('h1', {}, t('my_access')),
    el('p.quiet', {}, t('my_access_help', { name: access.display })),
    rows.length
      ? el('div.wide', {}, el('table.rows.ops', {}, el('thead', {}, el('tr', {}, heads.map((h) => el('th', { scope: 'col' }, h)))), el('tbody', {}, rows)))
      : el('p', {}, t('no_roles')),
  );
}

/** @param {any} glass @param {() => void} changed */
function brokenSection(glass, changed) {
  async function close() {
    await post('api/admin/glass/close', {});
    announce(t('glass_closed'));
    changed();
  }
  const button = el('button.primary', { type: 'submit' }, t('glass_close'));
  const content = [
    el('p.alarm', { role: 'status' }, t('glass_now', { until: moment(glass.until_ms), scope: scopeWords(glass.scope) })),
    el('p', {}, t('glass_reason_was', { reason: glass.reason })),
    el('p.quiet', {}, t('glass_watched')),
  ];
  return el('section', {}, el('h1', {}, t('glass')), form('form.plain', content, button, close, { 404: 'glass_over' }));
}

/** @param {() => void} changed */
function breakSection(changed) {
  const reason = el('textarea', { id: 'glass-reason', rows: 3, maxlength: 300, required: true, 'aria-describedby': 'glass-help' });
  const minutes = el('select', { id: 'glass-minutes' }, MINUTES.map((n) => el('option', { value: n, selected: n === 60 }, t('n_minutes', { n }))));
  async function broken() {
    await post('api/admin/glass/break', { reason: reason.value.trim(), minutes: Number(minutes.value) });
    announce(t('glass_done'));
    changed();
  }
  const content = [
    el('p.quiet', { id: 'glass-help' }, t('glass_help')),
    el('label', { for: 'glass-reason' }, t('reason')),
    reason,
    el('label', { for: 'glass-minutes' }, t('glass_for')),
    minutes,
  ];
  return el('section', {}, el('h1', {}, t('glass')), form('form.plain', content, el('button.warn', { type: 'submit' }, t('glass_break')), broken, GLASS_WORDS));
}

/** One that waits for its review. @param {any} glass @param {() => void} changed */
function reviewRow(glass, changed) {
  const remark = el('input', { type: 'text', maxlength: 150, placeholder: t('remark'), 'aria-label': t('remark') });
  const failure = el('span.failure', { role: 'alert' });
  /** @param {string} verdict */
  async function judge(verdict) {
    try {
      await post('api/admin/glass/review', { id: glass.id, verdict, remark: remark.value.trim() });
      changed();
    } catch (problem) {
      failure.textContent = wordsFor(problem, REVIEW_WORDS);
    }
  }
  const buttons = [
    el('button', { type: 'button', onclick: () => judge('justified') }, t('justified')),
    el('button', { type: 'button', onclick: () => judge('not justified') }, t('not_justified')),
  ];
  return el('div.judge', {}, remark, ...buttons, failure);
}

/** @param {any} glass */
function verdictWords(glass) {
  const verdict = glass.verdict === 'justified' ? t('justified') : t('not_justified');
  return el('span', {}, verdict, el('span.under', {}, [glass.reviewed_by, moment(glass.reviewed_ms), glass.remark].filter(Boolean).join('  ')));
}

/** @param {any[]} all @param {() => void} changed */
function reviewSection(all, changed) {
  const rows = all.map((g) =>
    el(
      'tr',
      {},
      el('th', { scope: 'row' }, g.name, el('span.under', {}, g.address)),
      el('td.nowrap', {}, moment(g.begun_ms), el('span.under', {}, t('until_moment', { until: moment(g.until_ms) }))),
      el('td', {}, scopeWords(g.scope)),
      el('td', {}, g.reason),
      el('td', {}, g.verdict ? verdictWords(g) : g.own ? el('span.quiet', {}, t('review_own')) : reviewRow(g, changed)),
    ),
  );
  const heads = [t('person'), t('when'), t('where'), t('reason'), t('verdict')];
  return el(
    'section',
    {},
    el('h1', {}, t('reviews')),
    el('p.quiet', {}, t('reviews_help')),
    rows.length
      ? el('div.wide', {}, el('table.rows.ops', {}, el('thead', {}, el('tr', {}, heads.map((h) => el('th', { scope: 'col' }, h)))), el('tbody', {}, rows)))
      : el('p', {}, t('no_reviews')),
  );
}

/**
 * @param {HTMLElement} at
 * @param {() => void} refreshed told when what the bar shows may have changed
 */
export function accessView(at, refreshed) {
  const body = el('div.sheet.stacked.account', {}, el('p.quiet', {}, t('loading')));
  let open = true;
  replace(at, body);

  async function draw() {
    const access = await json('api/access');
    const may = (/** @type {string} */ p) => access.permissions.includes(p);
    const all = may('glass.review') ? await json('api/admin/glass/list?all=true') : null;
    if (!open) return;
    const glass = access.glass ? brokenSection(access.glass, changed) : access.person && may('glass.break') && !access.sees_all && breakSection(changed);
    const sections = [glass, all && reviewSection(all, changed), selfSection(access)];
    replace(body, ...sections);
  }
  async function changed() {
    try {
      await draw();
    } catch (problem) {
      if (open) replace(body, el('p.failure', { role: 'alert' }, t('failed', { why: problem instanceof Error ? problem.message : '' })));
    }
    refreshed();
  }

  changed();
  return {
    close() {
      open = false;
    },
  };
}
