// @ts-check
// What an administrator must look at: conflicting copies and quarantined objects.
import { json } from './api.js';
import { el, replace } from './dom.js';
import { t } from './text.js';

/** @param {any} row @param {string[]} names the first of them that is there */
function pick(row, names) {
  for (const name of names) if (row[name] !== undefined && row[name] !== null && row[name] !== '') return row[name];
  return '';
}

/** @param {any} value milliseconds or text */
function moment(value) {
  if (value === '') return '';
  const then = new Date(value);
  return Number.isNaN(then.getTime()) ? String(value) : then.toLocaleString(document.documentElement.lang);
}

/** @param {any[]} rows */
function table(rows) {
  if (!rows.length) return el('p.quiet', {}, t('nothing_here'));
  const heads = [t('when'), t('source'), t('object'), t('reason')];
  return el(
    'table.rows',
    {},
    el('thead', {}, el('tr', {}, heads.map((h) => el('th', { scope: 'col' }, h)))),
    el(
      'tbody',
      {},
      rows.map((row) =>
        el(
          'tr',
          {},
          el('td.nowrap', {}, moment(pick(row, ['received_ms']))),
          el('td', {}, pick(row, ['source'])),
          el('td.mono', {}, pick(row, ['sop_instance_uid', 'sha256'])),
          el('td', {}, pick(row, ['reason'])),
        ),
      ),
    ),
  );
}

/** @param {HTMLElement} at @param {string} path @param {import('./text.js').Key} title @param {import('./text.js').Key} help */
async function section(at, path, title, help) {
  const body = el('div', {}, el('p.quiet', {}, t('loading')));
  at.append(el('section.sheet', {}, el('h1', {}, t(title)), el('p.quiet', {}, t(help)), body));
  try {
    replace(body, table(await json(path)));
  } catch (problem) {
    replace(body, el('p.failure', { role: 'alert' }, t('failed', { why: problem instanceof Error ? problem.message : '' })));
  }
}

/** @param {HTMLElement} at */
export function attentionView(at) {
  replace(at);
  section(at, 'api/conflicts', 'conflicts', 'conflicts_help');
  section(at, 'api/quarantine', 'quarantine', 'quarantine_help');
  return {};
}
